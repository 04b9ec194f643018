"""The steps of an intent, each with its cause: sent, prompted, failed, settled, in doubt. Moves no money, asks nobody.

The saver is locked wherever a step is taken, so that what was read of the intent under that lock stays so.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from zanari_api.deposits import intent_queries, step_queries
from zanari_api.deposits.intent_queries import Event
from zanari_api.deposits.intents import INTENTS, OPEN_FOR, checkout_hash, note
from zanari_api.deposits.rows import DueIntent, Intent, IntentState, Payment
from zanari_api.runtime.crypto import DataKey, IndexKey, Place
from zanari_api.runtime.db import Tx
from zanari_api.runtime.jobs import Backlog, Claim, DeadRow, Postponement
from zanari_api.users import linking

SUBMITTING: Final = "submitting"

FIRST_QUERY_AFTER: Final = timedelta(seconds=90)
"""A prompt lives about a minute; before that a question only hears that it is still open."""

SHORTEST_WAIT: Final = timedelta(seconds=30)
LONGEST_WAIT: Final = timedelta(minutes=30)

RECEIPT_MISSED_AFTER: Final = timedelta(hours=24)

SAME_AMOUNT_WITHIN: Final = timedelta(seconds=121)
"""M-PESA refuses the same amount from the same number within two minutes (result 17); a second more is sure."""


class Turn(StrEnum):
    """What is to be done about a requested intent now."""

    SEND = "send"
    "it is marked as being sent: send it, once"

    TOO_LATE = "too_late"
    "it could not be sent in time, and nobody waits for it any more"

    UNWANTED = "unwanted"
    "the number is no longer the saver's"

    INTERRUPTED = "interrupted"
    "whoever was sending it is gone: it may have been heard"


async def begin(tx: Tx, due: DueIntent, *, now: datetime) -> tuple[Intent, Turn] | None:
    """Decide about a requested intent whose time has come, and mark it where it is to be sent. The saver is locked.

    None where there is nothing to do: it is no longer this worker's, or it was put off, because another prompt of
    the saver's is open, or M-PESA would refuse the same amount again.
    """
    intent = await intent_queries.find(tx, saver_id=due.saver_id, intent_id=due.id)
    if intent is None or intent.state is not IntentState.REQUESTED:
        return None
    if intent.submitting_at is not None:
        return intent, Turn.INTERRUPTED
    if now >= intent.open_until:
        return intent, Turn.TOO_LATE
    if intent.account_id is not None and not await linking.is_linked(
        tx, saver_id=due.saver_id, account_id=intent.account_id
    ):
        return intent, Turn.UNWANTED
    waits = await _make_way(tx, due, intent, now=now)
    if waits or not await step_queries.mark_submitting(tx, due, now=now, open_until=now + OPEN_FOR):
        return None
    await note(tx, intent, Event(state=SUBMITTING, cause="worker", happened_at=now))
    return intent, Turn.SEND


async def _make_way(tx: Tx, due: DueIntent, intent: Intent, *, now: datetime) -> bool:
    """Put an intent off that would be refused now; False when nothing is in its way."""
    other = await step_queries.find_other_prompt(tx, intent, now=now)
    if other is not None:
        # It keeps nobody away meanwhile: it is the one that waits.
        await step_queries.put_off(tx, due, until=other, not_before=other, open_until=other + OPEN_FOR)
        return True
    same = await step_queries.find_same_amount(tx, intent, since=now - SAME_AMOUNT_WITHIN)
    if same is not None:
        until = same + SAME_AMOUNT_WITHIN
        await step_queries.put_off(
            tx, due, until=until, not_before=intent.not_before, open_until=until + OPEN_FOR
        )
        return True
    return False


async def take_back(tx: Tx, due: DueIntent, *, due_at: datetime, error: str) -> None:
    """Note that nothing was sent after all; it is tried again at `due_at`."""
    await step_queries.mark_not_sent(tx, due, due_at=due_at, error=error)


async def prompt(
    tx: Tx, intent: Intent, *, checkout_request_id: str, index: IndexKey, key: DataKey, now: datetime
) -> None:
    """Record Safaricom's handle of a push that it took on. A payment that has overtaken the reply stands."""
    state = await step_queries.mark_prompted(
        tx,
        intent,
        checkout_hash=checkout_hash(index, checkout_request_id),
        checkout_request_id=key.encrypt(checkout_request_id.encode(), _handle_place(intent.id)),
        now=now,
        query_at=now + FIRST_QUERY_AFTER,
    )
    if state is None:
        return
    await note(tx, intent, Event(state=state, cause="accepted", happened_at=now))


async def doubt(
    tx: Tx,
    intent: Intent,
    *,
    reason: str,
    cause: str,
    now: datetime,
    due_at: datetime | None,
    callback_id: UUID | None = None,
) -> None:
    """Note that nobody can tell what became of one that is not definite; it is looked at again at `due_at`."""
    await step_queries.mark_unresolved(tx, intent, reason=reason, due_at=due_at)
    event = Event(state=IntentState.UNRESOLVED, cause=cause, happened_at=now, callback_id=callback_id)
    await note(tx, intent, event)


async def fail(
    tx: Tx, intent: Intent, *, reason: str, cause: str, now: datetime, callback_id: UUID | None = None
) -> None:
    """Note that one that is not definite was not paid. A success later still settles it."""
    await step_queries.mark_failed(tx, intent, reason=reason, now=now)
    event = Event(state=IntentState.FAILED, cause=cause, happened_at=now, callback_id=callback_id)
    await note(tx, intent, event)


async def settle(
    tx: Tx, intent: Intent, payment: Payment, *, now: datetime, reason: str | None = None
) -> None:
    """Note that it is paid, whatever it was before. Without a receipt, one is waited for.

    `reason` says what did not follow from it, where something did not.
    """
    missed_at = None if payment.receipt is not None else now + RECEIPT_MISSED_AFTER
    await step_queries.mark_settled(tx, intent, payment, now=now, due_at=missed_at, reason=reason)
    event = Event(
        state=IntentState.SETTLED,
        cause=payment.channel,
        happened_at=now,
        callback_id=payment.callback_id,
        receipt=payment.receipt,
    )
    await note(tx, intent, event)


async def attach(tx: Tx, intent: Intent, payment: Payment, *, receipt: str, now: datetime) -> None:
    """Give a settled intent the receipt that a query could not tell."""
    await step_queries.attach_receipt(tx, intent, receipt=receipt)
    await witness(tx, intent, payment, cause=f"receipt:{payment.channel}", now=now)


async def witness(
    tx: Tx,
    intent: Intent,
    payment: Payment | None = None,
    *,
    cause: str,
    now: datetime,
    callback_id: UUID | None = None,
) -> None:
    """Record evidence that changes nothing."""
    event = Event(
        state=intent.state,
        cause=cause,
        happened_at=now,
        receipt=None if payment is None else payment.receipt,
        callback_id=callback_id if payment is None else payment.callback_id,
    )
    await intent_queries.insert_event(tx, event, saver_id=intent.saver_id, intent_id=intent.id)


async def rest(tx: Tx, due: DueIntent, *, until: datetime | None) -> None:
    """Leave a leased intent alone until then; None: nothing is left to do by itself. One that moved on is let be."""
    await step_queries.rest(tx, due, until=until)


async def look_at(tx: Tx, intent: Intent, *, at: datetime | None) -> None:
    """Say when an unresolved intent is looked at next; None: never by itself."""
    await step_queries.look_at(tx, intent, at=at)


async def claim_prompts(tx: Tx, claim: Claim) -> Sequence[DueIntent]:
    """Lease requested intents whose time has come."""
    return await step_queries.claim_prompts(tx, claim)


async def claim_checks(tx: Tx, claim: Claim) -> Sequence[DueIntent]:
    """Lease intents that were sent and are to be looked at."""
    return await step_queries.claim_checks(tx, claim)


async def count_prompts(tx: Tx, now: datetime) -> Backlog:
    return await step_queries.count_prompts(tx, now)


async def count_checks(tx: Tx, now: datetime) -> Backlog:
    return await step_queries.count_checks(tx, now)


async def postpone(tx: Tx, row: DueIntent, postponement: Postponement) -> DeadRow | None:
    """Put a leased intent off after its work raised; return it if it is given up."""
    return await step_queries.postpone(tx, row, postponement)


async def list_dead_prompts(tx: Tx) -> list[DeadRow]:
    return await step_queries.list_dead(tx, to_send=True)


async def list_dead_checks(tx: Tx) -> list[DeadRow]:
    return await step_queries.list_dead(tx, to_send=False)


async def revive_prompt(tx: Tx, intent_id: UUID, now: datetime) -> bool:
    """Have an intent sent that was given up, if it is not too late for that; False when it is none."""
    return await step_queries.revive(tx, intent_id=intent_id, to_send=True, now=now)


async def revive_check(tx: Tx, intent_id: UUID, now: datetime) -> bool:
    """Have an intent looked at that was given up; False when it is none."""
    return await step_queries.revive(tx, intent_id=intent_id, to_send=False, now=now)


def next_query_at(intent: Intent, now: datetime) -> datetime:
    """Return when to ask again: half as long again as it has taken so far, and never beyond its expiry."""
    asked_since = intent.prompted_at or now
    wait = min(max((now - asked_since) // 2, SHORTEST_WAIT), LONGEST_WAIT)
    return min(now + wait, max(intent.expires_at, now))


def open_handle(intent: Intent, key: DataKey) -> str | None:
    """Return Safaricom's handle of the push; None where its reply never came."""
    if intent.checkout_request_id is None:
        return None
    return key.decrypt(intent.checkout_request_id, _handle_place(intent.id)).decode()


def _handle_place(intent_id: UUID) -> Place:
    return Place(INTENTS, "checkout_request_id", intent_id)
