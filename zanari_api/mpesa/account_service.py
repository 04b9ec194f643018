"""What a saver can do about their M-PESA numbers: list them, ask for one to be linked, choose the default, unlink."""

from typing import Final, Literal
from uuid import UUID

from zanari_api.deposits import intents
from zanari_api.deposits.rows import Purpose
from zanari_api.kit.clock import eat_date, eat_day_start
from zanari_api.kit.money import CENTS_PER_SHILLING
from zanari_api.mpesa.account_schemas import Account, AccountList
from zanari_api.mpesa.deposit_schemas import Deposit
from zanari_api.mpesa.deposit_service import Terms, shown
from zanari_api.payouts import service as payouts
from zanari_api.payouts.errors import NumberNotLinked
from zanari_api.runtime.crypto import Keyring
from zanari_api.runtime.db import Tx
from zanari_api.users import linking
from zanari_api.users import service as users
from zanari_api.users.errors import NumberAlreadyLinked, NumberInUse, PhoneInUse, TooManyLinksAsked
from zanari_api.users.linking import LinkedNumber

LINK_CENTS: Final = CENTS_PER_SHILLING
LINKS_A_DAY: Final = 5
"""Each shows a prompt on a phone that may be a stranger's, or tells that a number is another saver's."""


async def show_all(tx: Tx, *, saver_id: UUID, keyring: Keyring) -> AccountList:
    """List the numbers that a saver holds, the default first."""
    saver = await users.find_saver(tx, saver_id=saver_id)
    numbers = await linking.list_numbers(tx, saver_id=saver_id, data_key=users.data_key_of(saver, keyring))
    return AccountList(data=tuple(_shown(number) for number in numbers))


async def ask_link(tx: Tx, *, saver_id: UUID, msisdn: str, terms: Terms) -> Deposit | PhoneInUse:
    """Store a payment of KES 1 that will link the number it comes from. Locks the saver.

    The shilling is credited to the wallet. PhoneInUse is returned, so that the ask is counted: who may ask only so
    often learns of few numbers. Raises NumberAlreadyLinked, TooManyLinksAsked, PromptOpen.
    """
    saver = await users.lock_saver(tx, saver_id=saver_id)
    data_key = users.data_key_of(saver, terms.keyring)
    held = await linking.list_numbers(tx, saver_id=saver_id, data_key=data_key)
    if msisdn in {number.msisdn for number in held}:
        raise NumberAlreadyLinked
    today = eat_day_start(eat_date(terms.now))
    asked = await intents.count_links_asked(tx, saver_id=saver_id, since=today)
    refused = await linking.count_refused(tx, saver_id=saver_id, since=today)
    if asked + refused >= LINKS_A_DAY:
        raise TooManyLinksAsked
    await intents.require_none_open(tx, saver_id=saver_id, now=terms.now)
    if await linking.is_in_use(tx, blind_index=terms.index.number(msisdn), now=terms.now):
        await linking.note_refused(tx, saver_id=saver_id, now=terms.now)
        return PhoneInUse()
    intent = await intents.request(
        tx,
        saver=saver,
        purpose=Purpose.ACCOUNT_LINK,
        amount_cents=LINK_CENTS,
        goal_id=None,
        account_id=None,
        msisdn=msisdn,
        shortcode=terms.shortcode,
        index=terms.index,
        keyring=terms.keyring,
        now=terms.now,
    )
    return shown(intent, now=terms.now)


async def make_default(tx: Tx, *, saver_id: UUID, account_id: UUID, terms: Terms) -> Account:
    """Choose the number that is used where none is named. Locks the saver. Raises NumberNotLinked."""
    saver = await users.lock_saver(tx, saver_id=saver_id)
    if not await linking.make_default(tx, saver_id=saver_id, account_id=account_id, now=terms.now):
        raise NumberNotLinked(account_id=account_id)
    data_key = users.data_key_of(saver, terms.keyring)
    chosen = await linking.default_number(tx, saver_id=saver_id, data_key=data_key)
    assert chosen is not None  # noqa: S101 (it was chosen just now)
    return _shown(chosen)


async def unlink(tx: Tx, *, saver_id: UUID, account_id: UUID, terms: Terms) -> None:
    """End the link to a number. Locks the saver. Raises NumberNotLinked, NumberInUse."""
    await users.lock_saver(tx, saver_id=saver_id)
    if await intents.is_awaited(
        tx, saver_id=saver_id, account_id=account_id, now=terms.now
    ) or await payouts.is_open_for(tx, saver_id=saver_id, account_id=account_id):
        raise NumberInUse(account_id=account_id)
    if not await linking.unlink(tx, saver_id=saver_id, account_id=account_id):
        raise NumberNotLinked(account_id=account_id)


def _shown(number: LinkedNumber) -> Account:
    proven_by: Literal["supabase_auth", "stk_push"] = (
        "stk_push" if number.proven_by == "stk_push" else "supabase_auth"
    )
    return Account(
        id=number.id,
        phone=f"+{number.msisdn}",
        is_default=number.is_default,
        proven_by=proven_by,
        linked_at=number.linked_at,
    )
