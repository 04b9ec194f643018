"""Takes withdrawals on, and shows where their money is. Sends nothing: the worker does, when it is committed."""

from datetime import datetime
from typing import Final
from uuid import UUID

from zanari_api.deposits import receivables
from zanari_api.goals import guards
from zanari_api.goals import service as goals
from zanari_api.kit.clock import eat_date, eat_day_start
from zanari_api.kit.money import CENTS_PER_SHILLING, format_kes
from zanari_api.mpesa.withdrawal_schemas import Withdrawal, WithdrawalCreate, WithdrawalList
from zanari_api.payouts import freeze, rules
from zanari_api.payouts import service as payouts
from zanari_api.payouts.errors import (
    MoneyOwed,
    NumberNotLinked,
    PayoutNotFound,
    PayoutsHeld,
    PayoutsPaused,
    WholeShillingsOnly,
)
from zanari_api.payouts.rows import Payout
from zanari_api.payouts.rules import Reason
from zanari_api.payouts.service import Wanted
from zanari_api.runtime.crypto import Keyring
from zanari_api.runtime.db import Tx
from zanari_api.users import holds, limits, linking, step_up
from zanari_api.users import service as users
from zanari_api.users.rows import SaverRow

NEWEST: Final = UUID(int=(1 << 128) - 1)
PAUSED_RETRY_AFTER_S: Final = 300


async def withdraw(
    tx: Tx,
    *,
    saver_id: UUID,
    wanted: WithdrawalCreate,
    step_up_token: str | None,
    keyring: Keyring,
    now: datetime,
) -> Withdrawal:
    """Set money aside and store what is to be sent. Locks the saver; spends the step-up token with the effect.

    Raises WholeShillingsOnly, PayoutsPaused, StepUpRequired, PayoutsHeld, MoneyOwed, AmountOutsideLimits,
    DayLimitReached, TooManyPayouts, GoalNotFound, GoalClosed, GoalLocked, NumberNotLinked, InsufficientFunds.
    """
    if wanted.amount_cents % CENTS_PER_SHILLING:
        raise WholeShillingsOnly
    saver = await users.lock_saver(tx, saver_id=saver_id)
    if await freeze.frozen(tx):
        raise PayoutsPaused(retry_after=PAUSED_RETRY_AFTER_S)
    await step_up.spend(tx, saver_id=saver_id, purpose="withdrawal", token=step_up_token, now=now)
    await _ensure_free(tx, saver_id=saver_id, now=now)
    await _ensure_within_limits(tx, saver, amount_cents=wanted.amount_cents, now=now)
    source_account_id = await _source(tx, saver, goal_id=wanted.goal_id, now=now)
    data_key = users.data_key_of(saver, keyring)
    numbers = await linking.list_numbers(tx, saver_id=saver_id, data_key=data_key)
    number = next((each for each in numbers if each.id == wanted.account_id), None)
    if number is None:
        raise NumberNotLinked(account_id=wanted.account_id)
    payout = await payouts.take_on(
        tx,
        Wanted(
            saver_id=saver_id,
            amount_cents=wanted.amount_cents,
            goal_id=wanted.goal_id,
            source_account_id=source_account_id,
            account_id=number.id,
            msisdn=number.msisdn,
            now=now,
        ),
        data_key=data_key,
    )
    return _shown(payout)


async def read(tx: Tx, *, saver_id: UUID, payout_id: UUID, now: datetime) -> Withdrawal:
    """Return a withdrawal with where its money is. Raises PayoutNotFound."""
    payout = await payouts.find(tx, saver_id=saver_id, payout_id=payout_id)
    if payout is None:
        raise PayoutNotFound(payout_id=payout_id)
    held_until = None
    if payout.reason == Reason.HELD:
        held_until = await holds.payout_hold_until(tx, saver_id=saver_id, now=now)
    return _shown(payout, held_until=held_until)


async def page(tx: Tx, *, saver_id: UUID, cursor: UUID | None, limit: int) -> WithdrawalList:
    """Return a page of a saver's withdrawals, the newest first; `cursor` is the last one of the page before."""
    found = await payouts.list_of_saver(tx, saver_id=saver_id, before=cursor or NEWEST, limit=limit + 1)
    shown = found[:limit]
    next_cursor = shown[-1].id if len(found) > limit else None
    return WithdrawalList(data=tuple(_shown(each) for each in shown), next_cursor=next_cursor)


async def _ensure_free(tx: Tx, *, saver_id: UUID, now: datetime) -> None:
    """Raise PayoutsHeld while a change of number or PIN is fresh, MoneyOwed while the saver owes us."""
    held_until = await holds.payout_hold_until(tx, saver_id=saver_id, now=now)
    if held_until is not None:
        raise PayoutsHeld(
            f"{PayoutsHeld.message()} You can withdraw again from {held_until.isoformat(timespec='seconds')}.",
            retry_after=max(1, -(-(held_until - now) // rules.SECOND)),
        )
    owed_cents = await receivables.owed(tx, saver_id=saver_id)
    if owed_cents:
        raise MoneyOwed(f"{MoneyOwed.message()} You owe {format_kes(owed_cents)}.")


async def _ensure_within_limits(tx: Tx, saver: SaverRow, *, amount_cents: int, now: datetime) -> None:
    since = min(eat_day_start(eat_date(now)), now - limits.HOUR)
    asked = await payouts.requests_since(tx, saver_id=saver.saver_id, since=since)
    used_cents = payouts.paid_out_cents(asked, day=eat_date(now))
    limits.limits_of(saver.kyc_tier).payout.check(amount_cents, used_cents=used_cents, now=now)
    limits.check_velocity([each.requested_at for each in asked], now=now)


async def _source(tx: Tx, saver: SaverRow, *, goal_id: UUID | None, now: datetime) -> UUID:
    """Return the ledger account that the money leaves. Raises GoalNotFound, GoalClosed, GoalLocked."""
    if goal_id is None:
        return saver.wallet_account_id
    goal = await goals.find(tx, saver_id=saver.saver_id, goal_id=goal_id)
    guards.ensure_open(goal.status)
    guards.ensure_unlocked(goal.locked_until, now)
    return goal.account_id


def _shown(payout: Payout, *, held_until: datetime | None = None) -> Withdrawal:
    return Withdrawal(
        id=payout.id,
        state=payout.state,
        reason=payout.reason,
        text=rules.told(payout, held_until=held_until),
        amount_cents=payout.amount_cents,
        goal_id=payout.goal_id,
        account_id=payout.account_id,
        receipt=payout.receipt or payout.late_receipt,
        requested_at=payout.requested_at,
        submitted_at=payout.submitted_at,
        settled_at=payout.settled_at,
        failed_at=payout.failed_at,
    )
