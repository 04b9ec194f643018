"""What a saver can do about deposits by STK push: ask for one, see how it stands. Sends nothing: the worker does."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from zanari_api.deposits import intents
from zanari_api.deposits import service as deposits
from zanari_api.deposits.errors import DepositNotFound
from zanari_api.deposits.rows import Intent, Purpose
from zanari_api.goals import guards
from zanari_api.goals import service as goals
from zanari_api.kit.clock import eat_date
from zanari_api.kit.money import CENTS_PER_SHILLING
from zanari_api.mpesa.deposit_schemas import Deposit, DepositCreate, DepositList
from zanari_api.mpesa.prompt_texts import text_of
from zanari_api.payouts.errors import NumberNotLinked, WholeShillingsOnly
from zanari_api.roundups.errors import NoNumberLinked
from zanari_api.runtime.crypto import IndexKey, Keyring
from zanari_api.runtime.db import Tx
from zanari_api.transactions import service as feed
from zanari_api.users import linking
from zanari_api.users import service as users
from zanari_api.users.limits import limits_of
from zanari_api.users.linking import LinkedNumber
from zanari_api.users.rows import SaverRow

PAGE: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is asked for depends on this besides the saver: where it is paid to, the keys, the time."""

    shortcode: str
    index: IndexKey
    keyring: Keyring
    now: datetime


async def request(tx: Tx, *, saver_id: UUID, wanted: DepositCreate, terms: Terms) -> Deposit:
    """Store a deposit that the worker will prompt for. Locks the saver.

    Raises WholeShillingsOnly, AmountOutsideLimits, DayLimitReached, GoalNotFound, GoalClosed, NumberNotLinked,
    NoNumberLinked, PromptOpen.
    """
    if wanted.amount_cents % CENTS_PER_SHILLING:
        raise WholeShillingsOnly
    saver = await users.lock_saver(tx, saver_id=saver_id)
    used = await deposits.deposited_today_cents(tx, saver_id=saver_id, day=eat_date(terms.now))
    limits_of(saver.kyc_tier).deposit.check(wanted.amount_cents, used_cents=used, now=terms.now)
    if wanted.goal_id is not None:
        goal = await goals.find(tx, saver_id=saver_id, goal_id=wanted.goal_id)
        guards.ensure_open(goal.status)
    number = await _number(tx, saver, account_id=wanted.account_id, keyring=terms.keyring)
    intent = await intents.request(
        tx,
        saver=saver,
        purpose=Purpose.DEPOSIT,
        amount_cents=wanted.amount_cents,
        goal_id=wanted.goal_id,
        account_id=number.id,
        msisdn=number.msisdn,
        shortcode=terms.shortcode,
        index=terms.index,
        keyring=terms.keyring,
        now=terms.now,
    )
    return shown(intent, now=terms.now)


async def show(tx: Tx, *, saver_id: UUID, deposit_id: UUID, now: datetime) -> Deposit:
    """Read how a deposit, or the linking of a number, stands. Raises DepositNotFound."""
    intent = await intents.find(tx, saver_id=saver_id, intent_id=deposit_id)
    if intent is None or intent.purpose is Purpose.COLLECTION:
        raise DepositNotFound(deposit_id=deposit_id)
    return shown(intent, now=now)


async def page(tx: Tx, *, saver_id: UUID, cursor: str | None, now: datetime) -> DepositList:
    """List what was asked for, newest first. Raises InvalidCursor."""
    before = feed.read_cursor(cursor)
    found = await intents.list_newest(tx, saver_id=saver_id, before=before, limit=PAGE + 1)
    listed = found[:PAGE]
    more = len(found) > PAGE
    return DepositList(
        data=tuple(shown(intent, now=now) for intent in listed),
        next_cursor=feed.write_cursor(listed[-1].requested_at, listed[-1].id) if more else None,
    )


def shown(intent: Intent, *, now: datetime) -> Deposit:
    """Return an intent as its saver sees it. It names no number: answers are kept for retries."""
    return Deposit(
        id=intent.id,
        purpose="account_link" if intent.purpose is Purpose.ACCOUNT_LINK else "deposit",
        state=intent.state,
        text=text_of(intent, now=now),
        reason=intent.reason,
        amount_cents=intent.amount_cents,
        goal_id=intent.goal_id,
        account_id=intent.account_id,
        receipt=intent.receipt,
        requested_at=intent.requested_at,
        prompted_at=intent.prompted_at,
        open_until=intent.open_until,
        finished_at=intent.finished_at,
    )


async def _number(tx: Tx, saver: SaverRow, *, account_id: UUID | None, keyring: Keyring) -> LinkedNumber:
    """Return the number to prompt: the one named, which must be the saver's, else the default."""
    data_key = users.data_key_of(saver, keyring)
    numbers = await linking.list_numbers(tx, saver_id=saver.saver_id, data_key=data_key)
    if account_id is None:
        if not numbers:
            raise NoNumberLinked
        return numbers[0]
    for number in numbers:
        if number.id == account_id:
            return number
    raise NumberNotLinked(account_id=account_id)
