"""What Safaricom posts about payouts: results, timeouts, and answers to our questions. Each moves money once or never.

A result is matched by our own id, which was stored before the request; an answer only to a question that we asked.
"""

from datetime import datetime, timedelta
from typing import Final

from zanari_api.daraja.codes import Api, Kind
from zanari_api.daraja.results import B2CResult, ResultCallback, StatusResult, read_result
from zanari_api.daraja.timeouts import read_timeout
from zanari_api.daraja.values import UnreadableCallback
from zanari_api.mpesa import payout_steps
from zanari_api.mpesa.inbox import Effected, InboxItem, Intake, Note, Outcome
from zanari_api.mpesa.payout_steps import Carried, Happening
from zanari_api.payouts import questions
from zanari_api.payouts import service as payouts
from zanari_api.payouts.questions import QueryState
from zanari_api.payouts.rows import Payout, StatusQuery
from zanari_api.payouts.rules import Reason
from zanari_api.payouts.service import Cause
from zanari_api.payouts.states import (
    Act,
    Definite,
    Ended,
    Event,
    FailedWith,
    NotFound,
    Paid,
    Pending,
    Step,
    TimedOut,
    Unclear,
    Verdict,
)
from zanari_api.runtime.db import Tx

REPLY_WITHIN: Final = timedelta(minutes=2)
"""The reply that names a question comes within this, or never."""

LOST_WITHIN: Final = timedelta(hours=24)
"""An answer that comes later than this after its question is nobody's."""

OTHER_CONVERSATION: Final = "other_conversation"
"""One of its two ids is another request's."""

OTHER_TRANSACTION: Final = "other_transaction"
"""It answers one of our questions, and tells of something else."""

REPLY_LOST: Final = "reply_lost"
"""It answers a question whose ids never came back; the question is asked again."""


async def receive_result(tx: Tx, item: InboxItem, intake: Intake) -> Effected:
    """Act on the result of a payout. One with an id of nobody's is quarantined: ours is stored before it is sent."""
    try:
        result = read_result(item.body)
    except UnreadableCallback:
        return Effected(Outcome.QUARANTINED, note=Note.UNREADABLE)
    found = await _find(tx, result)
    if found is None:
        # Only our own id is known before the reply that tells us Safaricom's.
        early = result.originator_conversation_id is None
        return Effected(Outcome.WAITING) if early else Effected(Outcome.QUARANTINED, note=Note.UNMATCHED)
    saver, payout = await payout_steps.lock(tx, saver_id=found.saver_id, payout_id=found.id)
    if _is_of_another(payout, result):
        return Effected(Outcome.QUARANTINED, payout.saver_id, note=OTHER_CONVERSATION)
    told, now = B2CResult.of(result), intake.policy.now
    event, reason = _event_of(result, told, now=now)
    if isinstance(event, Paid) and told.amount_cents != payout.amount_cents:
        return Effected(Outcome.QUARANTINED, payout.saver_id, note=Note.AMOUNT_MISMATCH)
    happening = Happening(
        event=event,
        cause=Cause(name="result", now=now, detail=result.result_code, callback_id=item.id),
        reason=reason,
        conversation_id=result.conversation_id,
        paid_at=told.completed_at if isinstance(event, Paid) else None,
    )
    return _effected(await payout_steps.carry_out(tx, saver, payout, happening), event)


async def receive_timeout(tx: Tx, item: InboxItem, intake: Intake) -> Effected:
    """Note that a payout waited too long at Safaricom: nobody knows its outcome, and we ask. It decides nothing."""
    try:
        notice = read_timeout(item.body)
    except UnreadableCallback:
        return Effected(Outcome.QUARANTINED, note=Note.UNREADABLE)
    found = await payouts.find_by_conversation(
        tx, ours=notice.originator_conversation_id, theirs=notice.conversation_id
    )
    if found is None:
        return Effected(Outcome.QUARANTINED, note=Note.UNMATCHED)
    saver, payout = await payout_steps.lock(tx, saver_id=found.saver_id, payout_id=found.id)
    event = TimedOut()
    happening = Happening(
        event=event,
        cause=Cause(name="timeout_notice", now=intake.policy.now, callback_id=item.id),
        reason=Reason.TIMED_OUT,
    )
    return _effected(await payout_steps.carry_out(tx, saver, payout, happening), event)


async def receive_status(tx: Tx, item: InboxItem, intake: Intake) -> Effected:
    """Act on the answer to a question about a payout."""
    try:
        result = read_result(item.body)
    except UnreadableCallback:
        return Effected(Outcome.QUARANTINED, note=Note.UNREADABLE)
    query = await _question_of(tx, result, intake)
    if isinstance(query, Effected):
        return query
    saver, payout = await payout_steps.lock(tx, saver_id=query.saver_id, payout_id=query.payout_id)
    asked = await questions.find(tx, saver_id=query.saver_id, query_id=query.id)
    if asked is None or asked.state == QueryState.ANSWERED:
        return Effected(Outcome.DUPLICATE, payout.saver_id)
    told = StatusResult.of(result)
    wrong = _wrong(payout, told)
    if wrong is not None:
        return Effected(Outcome.QUARANTINED, payout.saver_id, note=wrong)
    now = intake.policy.now
    event, said = _event_of_answer(result, told, asked)
    await questions.answer(tx, asked, said=said, callback_id=item.id, now=now)
    if event is None:
        return Effected(Outcome.NOTED, payout.saver_id, note=said)
    happening = Happening(
        event=event,
        cause=Cause(name=f"status_{said}", now=now, callback_id=item.id),
        reason=_reason_after(payout, event),
        conversation_id=told.conversation_id,
        paid_at=told.finalised_at if isinstance(event, Paid) else None,
        charge_cents=told.charge_cents if isinstance(event, Paid) else None,
        by_status=True,
    )
    return _effected(await payout_steps.carry_out(tx, saver, payout, happening), event)


async def receive_status_timeout(tx: Tx, item: InboxItem, intake: Intake) -> Effected:
    """Note that a question about a payout waited too long at Safaricom; it is asked again when its time comes."""
    try:
        notice = read_timeout(item.body)
    except UnreadableCallback:
        return Effected(Outcome.QUARANTINED, note=Note.UNREADABLE)
    found = await payouts.find_by_conversation(tx, ours=notice.asked_originator_conversation_id, theirs=None)
    if found is None:
        return Effected(Outcome.NOTED)
    _, payout = await payout_steps.lock(tx, saver_id=found.saver_id, payout_id=found.id)
    now = intake.policy.now
    await questions.time_out_newest(tx, payout, callback_id=item.id, now=now)
    return Effected(Outcome.NOTED, payout.saver_id)


async def _find(tx: Tx, result: ResultCallback) -> Payout | None:
    return await payouts.find_by_conversation(
        tx, ours=result.originator_conversation_id, theirs=result.conversation_id
    )


def _is_of_another(payout: Payout, result: ResultCallback) -> bool:
    """Tell whether Safaricom's own id, where both know it, is another request's than ours."""
    return result.conversation_id not in {None, payout.conversation_id} and payout.conversation_id is not None


def _event_of(result: ResultCallback, told: B2CResult, *, now: datetime) -> tuple[Event, Reason | None]:
    """Return what a result amounts to. A success without its receipt or amount proves nothing yet: we ask."""
    match result.meaning(Api.B2C).kind:
        case Kind.SUCCESS if told.receipt is not None and told.amount_cents is not None:
            return Paid(told.receipt), None
        case Kind.FAILED:
            return FailedWith(result.result_code, now), Reason.FAILED_RESULT
        case _:
            return Unclear(), Reason.UNCLEAR_RESULT


def _event_of_answer(
    result: ResultCallback, told: StatusResult, query: StatusQuery
) -> tuple[Event | None, str]:
    """Return what an answer amounts to, and in one word what it said; no event where the question itself failed."""
    found = result.meaning(Api.STATUS)
    event: Event | None = Pending()
    said = "pending"
    if told.not_found:
        event, said = NotFound(query.asked_at), "not_found"
    elif found.kind is not Kind.SUCCESS:
        event, said = None, found.reason.value
    elif told.status is None:
        event, said = None, Note.UNREADABLE.value
    elif told.is_finally_not_completed:
        event, said = Ended(), "ended"
    elif told.is_completed and told.receipt is not None and told.amount_cents is not None:
        event, said = Paid(told.receipt), "completed"
    return event, said


def _wrong(payout: Payout, told: StatusResult) -> str | None:
    """Return why an answer cannot be about this payout; None where nothing speaks against it."""
    ours, theirs = told.originator_conversation_id, told.conversation_id
    if ours not in {None, payout.originator_conversation_id}:
        return OTHER_TRANSACTION
    if payout.conversation_id is not None and theirs not in {None, payout.conversation_id}:
        return OTHER_TRANSACTION
    return None if told.amount_cents in {None, payout.amount_cents} else Note.AMOUNT_MISMATCH


def _reason_after(payout: Payout, event: Event) -> str | None:
    """Return why it then stands so; what a definite code said stays the reason when an answer confirms it."""
    match event:
        case Pending() if payout.definite_by is Definite.REPLY:
            # It was not refused after all.
            return Reason.NO_RESULT
        case Ended() | NotFound() if payout.definite_by is not None:
            return payout.reason
        case Ended():
            return Reason.ENDED
        case NotFound():
            return Reason.NOT_FOUND
        case _:
            return None


async def _question_of(tx: Tx, result: ResultCallback, intake: Intake) -> StatusQuery | Effected:
    """Return the question that an answer is to, or what becomes of an answer to none that we know.

    It may have overtaken the reply that names its question, or that reply was lost: then nobody can tell which
    payout it is about, and the question is asked again. Where every question has its name, it is a stranger's.
    """

    async def find() -> StatusQuery | None:
        return await questions.find_asked(
            tx, originator=result.originator_conversation_id, conversation_id=result.conversation_id
        )

    query, now = await find(), intake.policy.now
    if query is not None:
        return query
    if await questions.is_any_named_soon(tx, since=now - REPLY_WITHIN):
        return Effected(Outcome.WAITING)
    # Its question may have got its name since the first look.
    query = await find()
    if query is not None:
        return query
    if await questions.is_any_unnamed(tx, since=now - LOST_WITHIN):
        return Effected(Outcome.NOTED, note=REPLY_LOST)
    return Effected(Outcome.QUARANTINED, note=Note.UNMATCHED)


def _effected(carried: Carried, event: Event) -> Effected:
    """Return what the inbox is told of a step."""
    outcome, note = Outcome.UNRESOLVED, None
    match carried.step:
        case _ if carried.contradiction is not None:
            outcome, note = Outcome.QUARANTINED, carried.contradiction.value
        case Step(act=Act.SETTLE):
            outcome = Outcome.SETTLED
        case Step(act=Act.OWE):
            outcome, note = Outcome.SETTLED, Reason.PAID_AFTER_REFUND.value
        case Step(act=Act.REFUND):
            outcome = Outcome.FAILED
        case Step(verdict=Verdict.SUPERSEDED):
            outcome = Outcome.SUPERSEDED
        case Step(verdict=Verdict.KNOWN):
            outcome = Outcome.EVIDENCE if isinstance(event, Paid) else Outcome.NOTED
        case _:
            pass
    return Effected(outcome, carried.payout.saver_id, note)
