"""Deposits by STK push over HTTP: HTTP in, HTTP out, nothing decided."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from zanari_api.deposits.errors import DepositNotFound, PromptOpen
from zanari_api.goals.errors import GoalClosed, GoalNotFound
from zanari_api.mpesa import deposit_service
from zanari_api.mpesa.config import config_of
from zanari_api.mpesa.deposit_schemas import Deposit, DepositCreate, DepositList
from zanari_api.mpesa.deposit_service import Terms
from zanari_api.payouts.errors import NumberNotLinked, WholeShillingsOnly
from zanari_api.roundups.errors import NoNumberLinked
from zanari_api.runtime.deps import CurrentSaver, FeatureDisabled, Idempotent, Saver
from zanari_api.runtime.idempotency import IdempotencyKeyRequired, IdempotencyKeyReused, RequestInProgress
from zanari_api.runtime.problems import refuses
from zanari_api.transactions.errors import InvalidCursor
from zanari_api.users.limits import AmountOutsideLimits, DayLimitReached

router = APIRouter(prefix="/api/v1/mpesa/deposits", tags=["mpesa"])

ONCE = (IdempotencyKeyRequired, IdempotencyKeyReused, RequestInProgress)


async def terms_of(request: Request, saver: Saver) -> Terms:
    """Return what a prompt depends on besides its saver."""
    runtime = saver.runtime
    return Terms(
        shortcode=config_of(request).prompt_shortcode,
        index=(await runtime.service_keys.keys()).index,
        keyring=runtime.keyring,
        now=runtime.clock.now(),
    )


@router.post(
    "",
    status_code=202,
    response_model=Deposit,
    responses=refuses(
        WholeShillingsOnly,
        AmountOutsideLimits,
        DayLimitReached,
        GoalNotFound,
        GoalClosed,
        NumberNotLinked,
        NoNumberLinked,
        PromptOpen,
        FeatureDisabled,
        *ONCE,
    ),
)
async def request_deposit(
    body: DepositCreate, request: Request, saver: CurrentSaver, once: Idempotent
) -> Response:
    """Ask your M-PESA for a deposit: a prompt comes up on your phone. Safe to retry with the same Idempotency-Key."""
    if body.goal_id is not None and not saver.runtime.features.goals:
        raise FeatureDisabled
    terms = await terms_of(request, saver)
    return await once(
        lambda tx: deposit_service.request(tx, saver_id=saver.id, wanted=body, terms=terms),
        body=body,
        status=202,
    )


@router.get("", responses=refuses(InvalidCursor))
async def list_deposits(
    saver: CurrentSaver, cursor: Annotated[str | None, Query(), Field(max_length=80)] = None
) -> DepositList:
    """List the deposits and links that you asked for, newest first."""
    now = saver.runtime.clock.now()
    return await saver.read(lambda tx: deposit_service.page(tx, saver_id=saver.id, cursor=cursor, now=now))


@router.get("/{deposit_id}", responses=refuses(DepositNotFound))
async def read_deposit(deposit_id: UUID, saver: CurrentSaver) -> Deposit:
    """Read how a deposit stands, or the linking of a number."""
    now = saver.runtime.clock.now()
    return await saver.read(
        lambda tx: deposit_service.show(tx, saver_id=saver.id, deposit_id=deposit_id, now=now)
    )
