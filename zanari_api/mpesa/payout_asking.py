"""Asks M-PESA about a payout that nobody answers for. The answer comes by callback; nothing is concluded here."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from zanari_api.daraja.errors import DarajaRefused, DarajaUnavailable, DarajaUnresolved
from zanari_api.daraja.requests import Accepted
from zanari_api.mpesa import payout_steps
from zanari_api.mpesa.payout_sending import Paying
from zanari_api.mpesa.payout_steps import Happening
from zanari_api.payouts import questions, rules
from zanari_api.payouts import service as payouts
from zanari_api.payouts.questions import QueryState
from zanari_api.payouts.rows import ClaimedPayout, Payout
from zanari_api.payouts.rules import Reason
from zanari_api.payouts.service import Cause
from zanari_api.payouts.states import State, Unclear
from zanari_api.runtime.db import Role, Tx
from zanari_api.runtime.jobs import backoff
from zanari_api.users.rows import SaverRow

ATTEMPTS_KEPT: Final = 10
"""An outage lengthens the pauses so far, and leaves room for tries that fail by a fault of ours."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question that is stored and about to be asked."""

    id: UUID
    payout: Payout
    shortcode: str
    asked_at: datetime


async def ask(paying: Paying, row: ClaimedPayout) -> None:
    """Ask about a payout that this worker has leased. Whoever was sending it and never came back has had its time."""

    async def prepare(tx: Tx) -> Question | None:
        return await _prepare(tx, paying, row)

    question = await paying.database.unit_of_work(prepare, role=Role.SYSTEM)
    if question is None:
        return
    accepted, state = await _call(paying, question)

    async def note(tx: Tx) -> None:
        now = paying.clock.now()
        if state is QueryState.UNSENT:
            await _put_off(tx, question, row=row, now=now)
            return
        if accepted is not None:
            await questions.name(
                tx,
                question.payout,
                query_id=question.id,
                conversation_id=accepted.conversation_id,
                originator=accepted.originator_conversation_id,
            )
        else:
            await questions.fail(tx, question.payout, query_id=question.id, state=state, now=now)
        await payouts.note(tx, question.payout, Cause(name="asking", now=question.asked_at))
        await payouts.release(tx, question.payout, lease=row.lease_id)

    await paying.database.unit_of_work(note, role=Role.SYSTEM)


async def _prepare(tx: Tx, paying: Paying, row: ClaimedPayout) -> Question | None:
    saver, payout = await payout_steps.lock(tx, saver_id=row.saver_id, payout_id=row.id)
    if payout.lease_id != row.lease_id:
        return None
    now = paying.clock.now()
    if payout.state is State.SUBMITTING:
        await _give_up_sending(tx, saver, payout, paying=paying, row=row)
        return None
    if payout.state not in {State.SUBMITTED, State.UNKNOWN} or payout.shortcode is None:
        await payouts.release(tx, payout, lease=row.lease_id)
        return None
    if payout.state is State.SUBMITTED:
        happening = Happening(
            event=Unclear(), cause=Cause(name=Reason.NO_RESULT, now=now), reason=Reason.NO_RESULT
        )
        payout = (await payout_steps.carry_out(tx, saver, payout, happening)).payout
    await payout_steps.note_overdue(tx, payout, now=now)
    question_id = await questions.begin(tx, payout, now=now)
    asked = payout.asked + 1
    # When it is asked next is written down before it is asked: what is learnt meanwhile may only make it sooner.
    asking = replace(payout, asked=asked, due_at=now + rules.ask_after(asked))
    await payouts.plan(tx, asking, attempts=row.attempts)
    return Question(question_id, asking, payout.shortcode or "", now)


async def _put_off(tx: Tx, question: Question, *, row: ClaimedPayout, now: datetime) -> None:
    """Nothing was asked: it counts for nothing, and is tried sooner than what was asked, but later each time."""
    await questions.fail(tx, question.payout, query_id=question.id, state=QueryState.UNSENT, now=now)
    _, payout = await payout_steps.lock(tx, saver_id=row.saver_id, payout_id=row.id)
    due_at = None
    if payout.lease_id == row.lease_id and payout.asked == question.payout.asked:
        # What was learnt meanwhile would have begun the count anew, and set the time itself.
        due_at = now + backoff(row.attempts)
        await payouts.plan(tx, replace(payout, asked=payout.asked - 1), attempts=row.attempts)
    attempts = min(row.attempts, ATTEMPTS_KEPT)
    await payouts.release(tx, payout, lease=row.lease_id, due_at=due_at, attempts=attempts)


async def _give_up_sending(
    tx: Tx, saver: SaverRow, payout: Payout, *, paying: Paying, row: ClaimedPayout
) -> None:
    """Whoever was sending it is gone, or its reply could not be written down: from now on it is in doubt."""
    now = paying.clock.now()
    sent_at = payout.submitting_at or now
    if now < sent_at + rules.SUBMITTING_EXPIRES_AFTER:
        due_at = sent_at + rules.SUBMITTING_EXPIRES_AFTER
        await payouts.release(tx, payout, lease=row.lease_id, due_at=due_at)
        return
    cause = Cause(name=Reason.EXPIRED, now=now)
    happening = Happening(event=Unclear(), cause=cause, reason=Reason.EXPIRED, lease=row.lease_id)
    await payout_steps.carry_out(tx, saver, payout, happening)


async def _call(paying: Paying, question: Question) -> tuple[Accepted | None, QueryState]:
    try:
        accepted = await paying.daraja.transaction_status(
            shortcode=question.shortcode,
            result_url=paying.status_result_url,
            timeout_url=paying.status_timeout_url,
            originator_conversation_id=question.payout.originator_conversation_id,
        )
    except (DarajaUnavailable, DarajaRefused):
        return None, QueryState.UNSENT
    except DarajaUnresolved:
        return None, QueryState.UNANSWERED
    return accepted, QueryState.ASKED
