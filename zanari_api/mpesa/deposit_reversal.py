"""Payments in that we ask Safaricom to take back: what was asked, what it answered, and what follows in our books.

Only a result moves money, and only of a reversal we asked for. A notice that the request waited too long, a fault or
silence decides nothing: the reversal stays unresolved, a break says so, and a later result still counts.
"""

from datetime import datetime
from enum import StrEnum

from zanari_api.daraja.codes import Api, Kind, Meaning, Reason
from zanari_api.daraja.results import ResultCallback, ReversalResult, read_result
from zanari_api.daraja.timeouts import read_timeout
from zanari_api.daraja.values import UnreadableCallback
from zanari_api.deposits.correction_rows import Proof
from zanari_api.deposits.corrections import ReversalCause
from zanari_api.mpesa import breaks, fees, reversal_queries, taking_back
from zanari_api.mpesa.breaks import BreakKind
from zanari_api.mpesa.inbox import Effected, InboxItem, Intake, Note, Outcome
from zanari_api.mpesa.reversal_queries import Found, ReversalRequest
from zanari_api.runtime.db import Tx
from zanari_api.users import service as users


class State(StrEnum):
    """Where a reversal is."""

    REQUESTED = "requested"
    "stored, and nothing sent yet"

    SUBMITTING = "submitting"
    "about to be sent: from here on Safaricom may have heard of it"

    SUBMITTED = "submitted"
    "Safaricom took it on; its result is to come"

    SETTLED = "settled"
    "the payment was taken back"

    FAILED = "failed"
    "the payment was definitely not taken back"

    UNRESOLVED = "unresolved"
    "nobody knows; a person has to look"

    @property
    def may_have_been_heard(self) -> bool:
        return self in {State.SUBMITTING, State.SUBMITTED, State.UNRESOLVED}


async def receive_result(tx: Tx, item: InboxItem, intake: Intake) -> Effected:
    """Act on the result of a reversal: settle or fail the one it answers, once. Never downgrades a success."""
    try:
        result = read_result(item.body)
    except UnreadableCallback:
        return Effected(Outcome.QUARANTINED, note=Note.UNREADABLE)
    told = ReversalResult.of(result)
    reversal = await _find(tx, result, told)
    if reversal is None:
        return Effected(Outcome.WAITING)
    if not _is_about(told, reversal):
        return Effected(Outcome.QUARANTINED, reversal.saver_id, note=Note.AMOUNT_MISMATCH)
    meaning = result.meaning(Api.REVERSAL)
    if meaning.kind is Kind.SUCCESS or meaning.reason is Reason.ALREADY_REVERSED:
        return await _settle(tx, reversal, item, intake, result=result)
    if reversal.state == State.SETTLED:
        return Effected(Outcome.SUPERSEDED, reversal.saver_id)
    return await _not_settled(tx, reversal, told, meaning=meaning, now=intake.policy.now)


def _is_about(told: ReversalResult, reversal: ReversalRequest) -> bool:
    """Tell whether what a result says of amount and receipt, where it says anything, is what we asked for."""
    return told.amount_cents in {None, reversal.amount_cents} and told.original_receipt in {
        None,
        reversal.receipt,
    }


async def _not_settled(
    tx: Tx, reversal: ReversalRequest, told: ReversalResult, *, meaning: Meaning, now: datetime
) -> Effected:
    if meaning.kind is Kind.FAILED and not told.contradicts_itself:
        await fail(tx, reversal, reason=meaning.reason, cause="result", now=now)
        return Effected(Outcome.FAILED, reversal.saver_id)
    reason = "contradictory" if told.contradicts_itself else meaning.reason.value
    await doubt(tx, reversal, reason=reason, cause="result", now=now)
    return Effected(Outcome.UNRESOLVED, reversal.saver_id)


async def receive_timeout(tx: Tx, item: InboxItem, intake: Intake) -> Effected:
    """Note that a reversal waited too long: it may still happen, so nothing follows but a break."""
    try:
        notice = read_timeout(item.body)
    except UnreadableCallback:
        return Effected(Outcome.QUARANTINED, note=Note.UNREADABLE)
    found = None
    if notice.conversation_id is not None:
        found = await reversal_queries.find_by_conversation(tx, conversation_id=notice.conversation_id)
    if found is None and notice.asked_receipt is not None:
        found = await reversal_queries.find_newest(tx, receipt=notice.asked_receipt)
    if found is None:
        return Effected(Outcome.WAITING)
    reversal = await lock(tx, found)
    if not State(reversal.state).may_have_been_heard:
        return Effected(Outcome.EVIDENCE, reversal.saver_id)
    await doubt(tx, reversal, reason="queue_timeout", cause="timeout_notice", now=intake.policy.now)
    return Effected(Outcome.UNRESOLVED, reversal.saver_id)


async def fail(tx: Tx, reversal: ReversalRequest, *, reason: str, cause: str, now: datetime) -> None:
    """Mark that the payment was definitely not taken back, and leave the next step to a person."""
    await reversal_queries.mark_finished(
        tx, reversal_id=reversal.id, state=State.FAILED, reason=reason, reversal_receipt=None, now=now
    )
    await reversal_queries.insert_event(
        tx, reversal_id=reversal.id, state=State.FAILED, cause=f"{cause}: {reason}", now=now
    )
    because = f"Safaricom answered: {reason}"
    await breaks.close_break(
        tx, kind=BreakKind.REVERSAL_UNRESOLVED, subject=subject_of(reversal), because=because, now=now
    )
    await breaks.note_break(
        tx,
        kind=BreakKind.REVERSAL_FAILED,
        subject=subject_of(reversal),
        shortcode=reversal.shortcode,
        amount_cents=reversal.amount_cents,
        suspected_cause=f"Safaricom refused the reversal: {reason}",
        command=f"zanari deposits keep {reversal.receipt} --evidence TEXT",
        now=now,
    )


async def doubt(tx: Tx, reversal: ReversalRequest, *, reason: str, cause: str, now: datetime) -> None:
    """Mark that nobody knows what became of a reversal; a break asks a person to look."""
    if not await reversal_queries.mark_unresolved(tx, reversal_id=reversal.id, reason=reason):
        return
    await reversal_queries.insert_event(
        tx, reversal_id=reversal.id, state=State.UNRESOLVED, cause=f"{cause}: {reason}", now=now
    )
    await breaks.note_break(
        tx,
        kind=BreakKind.REVERSAL_UNRESOLVED,
        subject=subject_of(reversal),
        shortcode=reversal.shortcode,
        amount_cents=-reversal.amount_cents,
        suspected_cause=f"the reversal was sent and its outcome is unknown: {reason}",
        command=f"zanari deposits reverse {reversal.receipt} --evidence TEXT, or: keep",
        now=now,
    )


async def close(tx: Tx, reversal: ReversalRequest, *, state: State, because: str, now: datetime) -> None:
    """End a reversal that a person has looked into, and its breaks."""
    await reversal_queries.mark_finished(
        tx, reversal_id=reversal.id, state=state, reason=None, reversal_receipt=None, now=now
    )
    await reversal_queries.insert_event(tx, reversal_id=reversal.id, state=state, cause="operator", now=now)
    await _close_breaks(tx, reversal, because=because, now=now)


async def _close_breaks(tx: Tx, reversal: ReversalRequest, *, because: str, now: datetime) -> None:
    for kind in (BreakKind.REVERSAL_UNRESOLVED, BreakKind.REVERSAL_FAILED):
        await breaks.close_break(tx, kind=kind, subject=subject_of(reversal), because=because, now=now)


def subject_of(reversal: ReversalRequest) -> str:
    return f"reversal:{reversal.receipt}"


async def _find(tx: Tx, result: ResultCallback, told: ReversalResult) -> ReversalRequest | None:
    """Lock and return the reversal that a result answers.

    By Safaricom's id where the reply gave us one; by the receipt where the reply never came.
    """
    for conversation_id in filter(None, (result.conversation_id, result.originator_conversation_id)):
        found = await reversal_queries.find_by_conversation(tx, conversation_id=conversation_id)
        if found is not None:
            return await lock(tx, found)
    if told.original_receipt is None:
        return None
    found = await reversal_queries.find_newest(tx, receipt=told.original_receipt)
    if found is None:
        return None
    reversal = await lock(tx, found)
    is_unnamed = reversal.conversation_id is None and State(reversal.state).may_have_been_heard
    return reversal if is_unnamed else None


async def lock(tx: Tx, found: Found) -> ReversalRequest:
    """Lock the saver, then the reversal."""
    await users.lock_saver(tx, saver_id=found.saver_id)
    reversal = await reversal_queries.lock_reversal(tx, reversal_id=found.id)
    assert reversal is not None  # noqa: S101 (it was found, and none is ever deleted)
    return reversal


async def _settle(
    tx: Tx, reversal: ReversalRequest, item: InboxItem, intake: Intake, *, result: ResultCallback
) -> Effected:
    """Take the deposit back in our books; a second success changes nothing."""
    if reversal.state == State.SETTLED:
        return Effected(Outcome.DUPLICATE, reversal.saver_id)
    told, now = ReversalResult.of(result), intake.policy.now
    proof = Proof(
        cause=ReversalCause.DARAJA,
        text=f"reversal {reversal.id}: code {result.result_code}",
        # Safaricom's own receipt of the reversal, by which its statement names it. Nothing is decided by it.
        reversal_receipt=result.transaction_id_raw,
        callback_id=item.id,
        event_at=told.completed_at or item.received_at,
    )
    taken = await taking_back.take_back(
        tx, receipt=reversal.receipt, amount_cents=reversal.amount_cents, proof=proof, now=now
    )
    if told.charge_cents is not None and taken.deposit_id is not None:
        await fees.post_fee(
            tx,
            fees.of_reversal(taken.deposit_id),
            shortcode=reversal.shortcode,
            cents=told.charge_cents,
            event_at=proof.event_at,
        )
    await reversal_queries.mark_finished(
        tx,
        reversal_id=reversal.id,
        state=State.SETTLED,
        reason=None,
        reversal_receipt=proof.reversal_receipt,
        now=now,
    )
    await reversal_queries.insert_event(
        tx,
        reversal_id=reversal.id,
        state=State.SETTLED,
        cause=f"result: {result.result_code}",
        callback_id=item.id,
        now=now,
    )
    await _close_breaks(tx, reversal, because="the result came: taken back", now=now)
    return Effected(Outcome.SETTLED, reversal.saver_id)
