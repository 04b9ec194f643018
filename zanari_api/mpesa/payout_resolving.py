"""An operator's word on a payout that nobody else answers for: allowed late, by two where it is much, and audited."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from zanari_api.mpesa import payout_steps
from zanari_api.mpesa.payout_steps import Happening, subject_of
from zanari_api.payouts import freeze
from zanari_api.payouts import service as payouts
from zanari_api.payouts.rows import Payout
from zanari_api.payouts.rules import Reason
from zanari_api.payouts.service import Cause
from zanari_api.payouts.states import Event, ResendWanted, Resolved, State, Verdict, step
from zanari_api.runtime import audit
from zanari_api.runtime.db import Tx

SECOND_OPERATOR_ABOVE_CENTS: Final = 1_000_000
"""KES 10,000: more than this is decided by two different operators."""


class Resolution(StrEnum):
    """What an operator can say of a payout."""

    SETTLED = "settled"
    "M-PESA paid it, by this receipt"

    FAILED = "failed"
    "M-PESA did not pay it: the money goes back to the saver"

    RESEND = "resend"
    "M-PESA has never heard of it: send it once more, under the same id"


class Result(StrEnum):
    """What became of that."""

    DONE = "done"
    "it is so now; a payout to be sent once more is sent by the worker"

    PROPOSED = "proposed"
    "it is written down, and waits for another operator to say the same"

    NOT_FOUND = "not_found"
    "there is no payout with this id"

    NOT_IN_DOUBT = "not_in_doubt"
    "its outcome is known, or may still come by itself"

    TOO_EARLY = "too_early"
    "M-PESA may still tell: it has to be missing twice, 30 minutes apart, or have ended, or be in a statement"

    NOT_SHOWN = "not_shown"
    "no line of a statement shows that it was not paid: that takes two answers that know nothing of it, or a code"

    NOT_MISSING = "not_missing"
    "it is not sent again: it was not missing twice, or was sent again before"

    SAME_OPERATOR = "same_operator"
    "the operator who proposed it cannot confirm it"

    RECEIPT_TAKEN = "receipt_taken"
    "the receipt is that of another payout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What an operator says, and what shows it. `by_statement`: a line of the shortcode's statement is the evidence."""

    payout_id: UUID
    resolution: Resolution
    operator: str
    evidence: str
    receipt: str | None = None
    by_statement: bool = False

    @property
    def event(self) -> Event:
        """Return what it is to the payout."""
        if self.resolution is Resolution.RESEND:
            return ResendWanted()
        return Resolved(self.receipt, by_statement=self.by_statement)


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a wish, and the payout as it is now."""

    result: Result
    payout: Payout | None = None


async def resolve(tx: Tx, wish: Wish, *, now: datetime) -> Judged:
    """Do what the operator says, if it may be done. What is refused is written down too.

    Above KES 10,000 the first operator's word is a proposal; another operator who says the same confirms it. Locks the
    saver, then the receipt. Runs as Role.SYSTEM.
    """
    saver_id = await payouts.find_owner(tx, payout_id=wish.payout_id)
    if saver_id is None:
        return Judged(Result.NOT_FOUND)
    saver, payout = await payout_steps.lock(tx, saver_id=saver_id, payout_id=wish.payout_id)
    refused = _refusal(payout, wish)
    if refused is not None:
        return await _refuse(tx, payout, wish, refused)
    if payout.amount_cents > SECOND_OPERATOR_ABOVE_CENTS:
        if not _is_proposed(payout, wish):
            return await _propose(tx, payout, wish, now=now)
        if _same_person(payout.proposed_by or "", wish.operator):
            return await _refuse(tx, payout, wish, Result.SAME_OPERATOR)
    happening = Happening(
        event=wish.event,
        cause=Cause(
            name=f"operator_{wish.resolution}", now=now, detail=wish.evidence, operator=wish.operator
        ),
        reason=Reason.OPERATOR if wish.resolution is Resolution.FAILED else None,
        due_at=now,
    )
    carried = await payout_steps.carry_out(tx, saver, payout, happening)
    if carried.contradiction is not None:
        return await _refuse(tx, payout, wish, Result.RECEIPT_TAKEN)
    await _audit(tx, carried.payout, wish, act="payout_resolved", before=payout)
    return Judged(Result.DONE, carried.payout)


async def pause(tx: Tx, *, operator: str, evidence: str, now: datetime) -> None:
    """Stop all money out, with a trace. Runs as Role.SYSTEM."""
    was_frozen = await freeze.frozen(tx)
    await freeze.freeze(tx, because=evidence, now=now)
    await audit.record(
        tx,
        operator=operator,
        act="payouts_paused",
        subject="payouts:all",
        reason=evidence,
        before={"paused": was_frozen},
        after={"paused": True},
    )


async def resume(tx: Tx, *, operator: str, evidence: str, now: datetime) -> bool:
    """Let money out again, with a trace; False when nothing was stopped. Runs as Role.SYSTEM."""
    if not await freeze.lift(tx, because=evidence, now=now):
        return False
    await audit.record(
        tx,
        operator=operator,
        act="payouts_resumed",
        subject="payouts:all",
        reason=evidence,
        before={"paused": True},
        after={"paused": False},
    )
    return True


def _refusal(payout: Payout, wish: Wish) -> Result | None:
    """Return why the payout's own state does not allow it; None where it does."""
    if step(payout.standing, wish.event).verdict is not Verdict.REFUSED:
        return None
    if payout.state is not State.UNKNOWN:
        return Result.NOT_IN_DOUBT
    if wish.resolution is Resolution.RESEND:
        return Result.NOT_MISSING
    return Result.NOT_SHOWN if wish.by_statement else Result.TOO_EARLY


def _is_proposed(payout: Payout, wish: Wish) -> bool:
    return (payout.proposed_outcome, payout.proposed_receipt) == (wish.resolution, wish.receipt)


def _same_person(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


async def _propose(tx: Tx, payout: Payout, wish: Wish, *, now: datetime) -> Judged:
    """Write down what one operator says; another proposal is replaced by it."""
    after = replace(
        payout,
        proposed_outcome=wish.resolution.value,
        proposed_receipt=wish.receipt,
        proposed_by=wish.operator,
        proposed_evidence=wish.evidence,
        proposed_at=now,
    )
    cause = Cause(name=f"proposed_{wish.resolution}", now=now, detail=wish.evidence, operator=wish.operator)
    await payouts.save(tx, payout, after, cause)
    await _audit(tx, after, wish, act="payout_resolution_proposed", before=payout)
    return Judged(Result.PROPOSED, after)


async def _refuse(tx: Tx, payout: Payout, wish: Wish, result: Result) -> Judged:
    await _audit(tx, payout, wish, act="payout_resolution_refused", before=payout, because=result)
    return Judged(result, payout)


async def _audit(
    tx: Tx, payout: Payout, wish: Wish, *, act: str, before: Payout, because: Result | None = None
) -> None:
    after: Mapping[str, object] = {
        "state": payout.state.value,
        "wanted": wish.resolution.value,
        "receipt": wish.receipt,
        "by_statement": wish.by_statement,
        "amount_cents": payout.amount_cents,
        "proposed_by": before.proposed_by,
        "refused": because,
    }
    await audit.record(
        tx,
        operator=wish.operator,
        act=act,
        subject=subject_of(payout),
        reason=wish.evidence,
        before={"state": before.state.value},
        after=after,
    )
