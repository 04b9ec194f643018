"""The one place where an intent becomes money: once, whatever tells us of its payment first, and however often.

What comes first books the payment and settles the intent. What comes later with that receipt is evidence. Another
receipt on a settled intent's reference is another payment, to the wallet.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from zanari_api.deposits import intents, steps, suspense
from zanari_api.deposits import service as deposits
from zanari_api.deposits.rows import Channel, Intent, IntentState, Payment, Purpose
from zanari_api.deposits.service import Destination
from zanari_api.goals import service as goals
from zanari_api.kit.clock import eat_date
from zanari_api.mpesa import breaks, lost_numbers
from zanari_api.mpesa.breaks import BreakKind
from zanari_api.mpesa.discrepancies import is_booked_as_move, note_other_amount
from zanari_api.mpesa.inbox import Effected, Intake, Note, Outcome
from zanari_api.roundups import collections
from zanari_api.roundups import service as roundups
from zanari_api.runtime.db import Tx
from zanari_api.transactions import receipts
from zanari_api.transactions.receipts import Claim, ReceiptRole
from zanari_api.users import linking
from zanari_api.users import service as users
from zanari_api.users.linking import LinkOutcome
from zanari_api.users.rows import SaverRow

BY_HANDLE: Final = frozenset({Channel.STK_CALLBACK, Channel.STK_QUERY})
"""Channels that speak of our own push; the others speak of a payment, and what it was for is in its reference."""

_NOT_IN_A_CODE: Final = re.compile(r"[^a-z0-9_.-]")

LINK_WORDS: Final = {
    LinkOutcome.LINKED: "It proved that the number is yours: it is linked now.",
    LinkOutcome.HELD: "The number was linked already.",
    LinkOutcome.IN_USE: "The number is another saver's, so it was not linked to you.",
}

RECEIPT_CONFLICT: Final = "receipt_conflict"
"""Why a callback moved nothing: its receipt is in our books as another payment."""

DISTRUSTED: Final = frozenset({Note.AMOUNT_MISMATCH.value, RECEIPT_CONFLICT})
"""Reasons of an intent that Safaricom contradicted itself about: only a whole proof settles it, never a bare yes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An intent as it is under the locks, its saver, everybody who is locked, and what tells us of a payment."""

    intent: Intent
    saver: SaverRow
    locked: frozenset[UUID]
    payment: Payment
    intake: Intake


async def settle(tx: Tx, intent: Intent, payment: Payment, *, intake: Intake) -> Effected:
    """Settle an intent by what Safaricom says of its push: the callback, or the answer to a query (no receipt).

    An amount other than what was asked for moves nothing. A success is never downgraded, and one that comes after
    a failure counts. Locks the savers involved by id, then the receipt. Safe to repeat. Raises Rerun when a saver
    came into it too late. Runs as Role.SYSTEM.
    """
    held = await _hold(tx, intent, payment, intake=intake)
    if payment.receipt is None:
        return await _take_bare_success(tx, held)
    if payment.amount_cents != held.intent.amount_cents:
        await note_other_amount(tx, receipt=payment.receipt, amount_cents=payment.amount_cents, intake=intake)
        return await _distrust(tx, held, note=Note.AMOUNT_MISMATCH)
    return await _take(tx, held, receipt=payment.receipt)


async def settle_by_reference(tx: Tx, reference: str, payment: Payment, *, intake: Intake) -> Effected | None:
    """Book a payment that was made under an intent's reference; None where no intent has it.

    Money that has moved is never refused: another amount than was asked for is a payment of its own, to the wallet.
    Locks, repeats and raises as `settle`.
    """
    intent = await intents.find_by_reference(tx, reference=reference)
    if intent is None:
        return None
    receipt = payment.receipt
    assert receipt is not None  # noqa: S101 (who pays under a reference has one)
    held = await _hold(tx, intent, payment, intake=intake)
    if payment.amount_cents != held.intent.amount_cents:
        return await _credit_beside(tx, held, receipt=receipt)
    return await _take(tx, held, receipt=receipt)


async def fail(
    tx: Tx, intent: Intent, *, reason: str, cause: str, intake: Intake, callback_id: UUID | None = None
) -> Effected:
    """Note that an intent was definitely not paid, as far as Safaricom says. A settled one stays settled.

    The round-ups of a collection wait again. Locks the saver. Safe to repeat. Runs as Role.SYSTEM.
    """
    await users.lock_saver(tx, saver_id=intent.saver_id)
    intent, now = await _again(tx, intent), intake.policy.now
    if intent.is_definite or intent.reason in DISTRUSTED:
        await steps.witness(tx, intent, cause=cause, now=now, callback_id=callback_id)
        outcome = Outcome.SUPERSEDED if intent.state is IntentState.SETTLED else Outcome.NOTED
        return Effected(outcome, intent.saver_id)
    await steps.fail(tx, intent, reason=reason, cause=cause, now=now, callback_id=callback_id)
    if intent.purpose is Purpose.COLLECTION:
        await collections.fail_collection(
            tx, saver_id=intent.saver_id, intent_id=intent.id, reason=reason, now=now
        )
    await close_break(tx, intent, because=f"failed: {cause}", now=now)
    return Effected(Outcome.FAILED, intent.saver_id)


async def doubt(
    tx: Tx,
    intent: Intent,
    *,
    reason: str,
    cause: str,
    intake: Intake,
    due_at: datetime | None,
    callback_id: UUID | None = None,
) -> Effected:
    """Note that nobody can tell what became of an intent; it is looked at again at `due_at`. Locks the saver.

    What is definite stays so, and so does a contradiction. Safe to repeat. Runs as Role.SYSTEM.
    """
    await users.lock_saver(tx, saver_id=intent.saver_id)
    intent, now = await _again(tx, intent), intake.policy.now
    if intent.is_definite or intent.reason in DISTRUSTED:
        await steps.witness(tx, intent, cause=cause, now=now, callback_id=callback_id)
        return Effected(Outcome.NOTED, intent.saver_id)
    await steps.doubt(tx, intent, reason=reason, cause=cause, now=now, due_at=due_at, callback_id=callback_id)
    return Effected(Outcome.UNRESOLVED, intent.saver_id)


def cause_of(channel: Channel, result_code: str) -> str:
    """Return what a step is caused by: who said so and with which code, which may be any text."""
    return f"{channel}:{_NOT_IN_A_CODE.sub('_', result_code.lower())[:60]}"


async def note_break(tx: Tx, intent: Intent, *, suspected_cause: str, now: datetime) -> None:
    """Name an intent that needs a person to look at it."""
    await breaks.note_break(
        tx,
        kind=_break_kind(intent),
        subject=f"intent:{intent.id}",
        amount_cents=intent.amount_cents,
        suspected_cause=suspected_cause,
        command=f"zanari statement import FILE --shortcode {intent.shortcode}"
        f" --date {eat_date(intent.submitting_at or intent.not_before)} --apply;"
        " where it is not there: zanari breaks resolve ID --evidence TEXT",
        now=now,
        shortcode=intent.shortcode,
    )


async def close_break(tx: Tx, intent: Intent, *, because: str, now: datetime) -> None:
    """Close the break of an intent, where it has one: what it was about has found its end."""
    await breaks.close_break(
        tx, kind=_break_kind(intent), subject=f"intent:{intent.id}", because=because, now=now
    )


async def _hold(tx: Tx, intent: Intent, payment: Payment, *, intake: Intake) -> Held:
    """Lock everybody whom the payment may concern, then its receipt, and read the intent again."""
    involved = {intent.saver_id}
    if payment.receipt is not None:
        involved |= await roundups.savers_of_receipt(tx, receipt=payment.receipt)
    if intent.purpose is Purpose.ACCOUNT_LINK:
        involved |= await linking.holders(tx, blind_index=intent.blind_index)
    savers = await users.lock_savers(tx, saver_ids=sorted(involved))
    if payment.receipt is not None:
        await receipts.lock(tx, [payment.receipt])
    return Held(
        intent=await _again(tx, intent),
        saver=savers[intent.saver_id],
        locked=frozenset(savers),
        payment=payment,
        intake=intake,
    )


async def _again(tx: Tx, intent: Intent) -> Intent:
    """Read an intent again, under its saver's lock: none is ever deleted."""
    read = await intents.find(tx, saver_id=intent.saver_id, intent_id=intent.id)
    assert read is not None  # noqa: S101 (it was read before, and rows of intents stay)
    return read


async def _take(tx: Tx, held: Held, *, receipt: str) -> Effected:
    """Take a payment of the amount that was asked for: as the intent's, as evidence, or as one more."""
    intent = held.intent
    if receipt == intent.receipt:
        return await _witness(tx, held, cause=f"again:{held.payment.channel}")
    if await is_booked_as_move(tx, held.payment, intake=held.intake):
        return await _distrust(tx, held, note=RECEIPT_CONFLICT)
    if not await receipts.claim(tx, ReceiptRole.DEPOSIT, [Claim(receipt, intent.saver_id)]):
        return await _take_known(tx, held, receipt=receipt)
    await roundups.undo_for_deposit(tx, receipt=receipt, locked=set(held.locked), policy=held.intake.policy)
    return await _take_new(tx, held, receipt=receipt)


async def _take_bare_success(tx: Tx, held: Held) -> Effected:
    """Take a query's word that it is paid: enough to credit, unless Safaricom has contradicted itself before."""
    if held.intent.state is IntentState.SETTLED:
        return await _witness(tx, held, cause=f"again:{held.payment.channel}")
    if held.intent.reason in DISTRUSTED:
        await steps.witness(tx, held.intent, held.payment, cause="distrusted", now=held.intake.policy.now)
        return Effected(Outcome.UNRESOLVED, held.intent.saver_id)
    return await _settle(tx, held)


async def _take_new(tx: Tx, held: Held, *, receipt: str) -> Effected:
    """Take a receipt that is in no books, or was until now in suspense."""
    intent = held.intent
    if intent.state is not IntentState.SETTLED:
        return await _settle(tx, held)
    if intent.receipt is None:
        return await _attach(tx, held, receipt=receipt)
    return await _credit_wallet(tx, held)


async def _take_known(tx: Tx, held: Held, *, receipt: str) -> Effected:
    """Take a receipt that was counted before: in suspense it waits for exactly this, elsewhere it is a duplicate."""
    payment, now = held.payment, held.intake.policy.now
    item = await suspense.find_held(tx, receipt=receipt)
    if item is None or item.amount_cents != payment.amount_cents:
        await note_other_amount(tx, receipt=receipt, amount_cents=payment.amount_cents, intake=held.intake)
        if payment.channel in BY_HANDLE:
            return await _distrust(tx, held, note=RECEIPT_CONFLICT)
        return Effected(Outcome.DUPLICATE, held.intent.saver_id)
    # Whatever it turns out to be, it is no longer nobody's.
    await suspense.take_out(
        tx,
        item,
        by=f"settlement:{payment.channel}",
        evidence=f"intent:{held.intent.id}",
        event_at=_booked_at(held.intent, paid_at=item.event_at),
        now=now,
    )
    # Where and since when its money lies, whoever was told of the receipt first knew best.
    held = replace(held, payment=replace(payment, shortcode=item.shortcode, event_at=item.event_at))
    return await _take_new(tx, held, receipt=receipt)


def _booked_at(intent: Intent, *, paid_at: datetime) -> datetime:
    """Return when a held payment is in the books for its saver: a query's word was booked as of the push."""
    was_booked = intent.state is IntentState.SETTLED and intent.receipt is None
    return (intent.prompted_at if was_booked else None) or paid_at


async def _attach(tx: Tx, held: Held, *, receipt: str) -> Effected:
    """Give a settled intent its receipt: its money is in the books already."""
    intent, now = held.intent, held.intake.policy.now
    await steps.attach(tx, intent, held.payment, receipt=receipt, now=now)
    await deposits.attach_receipt(tx, saver_id=intent.saver_id, intent_id=intent.id, receipt=receipt)
    if intent.purpose is Purpose.COLLECTION:
        await collections.attach_receipt(tx, saver_id=intent.saver_id, intent_id=intent.id, receipt=receipt)
    await close_break(tx, intent, because=f"its receipt came: {held.payment.channel}", now=now)
    return Effected(Outcome.EVIDENCE, intent.saver_id)


async def _settle(tx: Tx, held: Held) -> Effected:
    """Book the payment as what it was asked for. The saver and the receipt are locked, the receipt is claimed."""
    intent, now = held.intent, held.intake.policy.now
    payment = replace(held.payment, intent_id=intent.id)
    reason: str | None = None
    match intent.purpose:
        case Purpose.DEPOSIT:
            await _credit(tx, payment, await _destination(tx, held))
        case Purpose.COLLECTION:
            await collections.settle_collection(tx, saver=held.saver, intent=intent, payment=payment, now=now)
        case Purpose.ACCOUNT_LINK:
            reason = await _link(tx, held, payment)
    await steps.settle(tx, intent, payment, now=now, reason=reason)
    await close_break(tx, intent, because=f"settled: {payment.channel}", now=now)
    return Effected(Outcome.SETTLED, intent.saver_id)


async def _link(tx: Tx, held: Held, payment: Payment) -> str | None:
    """Link the number that paid, and credit what it paid; return why it was not linked, where it was not."""
    intent, keyring = held.intent, held.intake.policy.keyring
    data_key = users.data_key_of(held.saver, keyring)
    outcome, lost = await linking.link_proven_by_payment(
        tx,
        saver_id=intent.saver_id,
        msisdn=data_key.decrypt(intent.msisdn, intents.msisdn_place(intent.id)).decode(),
        blind_index=intent.blind_index,
        data_key=data_key,
        locked=set(held.locked),
        now=held.intake.policy.now,
    )
    for number in lost:
        await lost_numbers.stop(tx, number, now=held.intake.policy.now)
    wallet = replace(_wallet(held), words=LINK_WORDS[outcome])
    await _credit(tx, payment, wallet)
    return outcome.value if outcome is LinkOutcome.IN_USE else None


async def _credit_beside(tx: Tx, held: Held, *, receipt: str) -> Effected:
    """Book a payment of another amount than was asked for, once, to the wallet: the intent waits for its own."""
    payment = held.payment
    if await is_booked_as_move(tx, payment, intake=held.intake):
        return Effected(Outcome.QUARANTINED, held.intent.saver_id, RECEIPT_CONFLICT)
    if not await receipts.claim(tx, ReceiptRole.DEPOSIT, [Claim(receipt, held.intent.saver_id)]):
        await note_other_amount(tx, receipt=receipt, amount_cents=payment.amount_cents, intake=held.intake)
        return Effected(Outcome.DUPLICATE, held.intent.saver_id)
    await roundups.undo_for_deposit(tx, receipt=receipt, locked=set(held.locked), policy=held.intake.policy)
    return await _credit_wallet(tx, held)


async def _credit_wallet(tx: Tx, held: Held) -> Effected:
    """Book one more payment under an intent's reference: the saver's, and meant for nothing that was asked for."""
    await _credit(tx, held.payment, _wallet(held))
    await steps.witness(
        tx, held.intent, held.payment, cause=f"beside:{held.payment.channel}", now=held.intake.policy.now
    )
    return Effected(Outcome.CREDITED, held.intent.saver_id)


async def _credit(tx: Tx, payment: Payment, destination: Destination) -> None:
    await deposits.credit(tx, payment, destination)
    if destination.goal_id is not None:
        await goals.note_milestones(tx, reached=[(destination.saver_id, destination.goal_id)])


async def _destination(tx: Tx, held: Held) -> Destination:
    """Return the goal that the money was meant for while it is open, else the wallet."""
    saver_id, goal_id = held.intent.saver_id, held.intent.goal_id
    if goal_id is None:
        return _wallet(held)
    goal = (await goals.find_many(tx, wanted=[(saver_id, goal_id)]))[goal_id]
    if not goal.is_open:
        return replace(_wallet(held), words=f"{goal.name} was closed meanwhile.")
    return Destination(saver_id=saver_id, account_id=goal.account_id, goal_id=goal.id, goal_name=goal.name)


def _wallet(held: Held) -> Destination:
    return Destination(saver_id=held.saver.saver_id, account_id=held.saver.wallet_account_id)


async def _witness(tx: Tx, held: Held, *, cause: str) -> Effected:
    await steps.witness(tx, held.intent, held.payment, cause=cause, now=held.intake.policy.now)
    return Effected(Outcome.EVIDENCE, held.intent.saver_id)


async def _distrust(tx: Tx, held: Held, *, note: str) -> Effected:
    """Move nothing on a contradiction: the callback waits for a person, and so does an intent that is not settled."""
    intent, now = held.intent, held.intake.policy.now
    await steps.witness(tx, intent, held.payment, cause=note, now=now)
    if not intent.is_definite:
        # It is not asked after any more, but it is given up like any other when its day is over.
        await steps.doubt(tx, intent, reason=note, cause=note, now=now, due_at=intent.expires_at)
    if intent.state is not IntentState.SETTLED:
        await note_break(tx, intent, suspected_cause=f"M-PESA's callback contradicts it: {note}", now=now)
    return Effected(Outcome.QUARANTINED, intent.saver_id, note)


def _break_kind(intent: Intent) -> BreakKind:
    if intent.purpose is Purpose.COLLECTION:
        return BreakKind.COLLECTION_UNRESOLVED
    return BreakKind.PROMPT_UNRESOLVED
