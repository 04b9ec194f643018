"""A saver's M-PESA numbers over HTTP: HTTP in, HTTP out, nothing decided."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from zanari_api.deposits.errors import PromptOpen
from zanari_api.mpesa import account_service
from zanari_api.mpesa.account_schemas import Account, AccountCreate, AccountList, AccountUpdate
from zanari_api.mpesa.deposit_router import ONCE, terms_of
from zanari_api.mpesa.deposit_schemas import Deposit
from zanari_api.payouts.errors import NumberNotLinked
from zanari_api.runtime.deps import CurrentSaver, Idempotent
from zanari_api.runtime.problems import refuses
from zanari_api.users.errors import NumberAlreadyLinked, NumberInUse, PhoneInUse, TooManyLinksAsked

router = APIRouter(prefix="/api/v1/mpesa/accounts", tags=["mpesa"])


@router.get("")
async def list_accounts(saver: CurrentSaver) -> AccountList:
    """List your linked numbers, the default first."""
    return await saver.read(
        lambda tx: account_service.show_all(tx, saver_id=saver.id, keyring=saver.runtime.keyring)
    )


@router.post(
    "",
    status_code=202,
    response_model=Deposit,
    responses=refuses(NumberAlreadyLinked, PhoneInUse, TooManyLinksAsked, PromptOpen, *ONCE),
)
async def link_account(
    body: AccountCreate, request: Request, saver: CurrentSaver, once: Idempotent
) -> Response:
    """Ask KES 1 of a number, to your wallet, to prove that it is yours. Progress is read at `/mpesa/deposits/{id}`."""
    terms = await terms_of(request, saver)
    return await once(
        lambda tx: account_service.ask_link(tx, saver_id=saver.id, msisdn=body.phone, terms=terms),
        body=body,
        status=202,
    )


@router.patch("/{account_id}", responses=refuses(NumberNotLinked))
async def choose_default(
    account_id: UUID, body: AccountUpdate, request: Request, saver: CurrentSaver
) -> Account:
    """Choose the number that is used where none is named."""
    del body
    terms = await terms_of(request, saver)
    return await saver.write(
        lambda tx: account_service.make_default(tx, saver_id=saver.id, account_id=account_id, terms=terms)
    )


@router.delete("/{account_id}", status_code=204, responses=refuses(NumberNotLinked, NumberInUse))
async def unlink_account(account_id: UUID, request: Request, saver: CurrentSaver) -> None:
    """Unlink a number. Spends from it are no longer rounded up."""
    terms = await terms_of(request, saver)
    await saver.write(
        lambda tx: account_service.unlink(tx, saver_id=saver.id, account_id=account_id, terms=terms)
    )
