"""Carries out what an event does to a payout: the state machine decides, money moves once, breaks get their names.

Every step of a payout after its request goes through here, under the saver's lock.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from zanari_api.deposits import receivables
from zanari_api.goals import service as goals
from zanari_api.mpesa import breaks, fees
from zanari_api.mpesa.breaks import BreakKind
from zanari_api.mpesa.discrepancies import note_booked_as_move
from zanari_api.payouts import rules
from zanari_api.payouts import service as payouts
from zanari_api.payouts.rows import Payout
from zanari_api.payouts.rules import Reason
from zanari_api.payouts.service import Cause, Refund
from zanari_api.payouts.states import Act, Event, State, Step, Verdict, step
from zanari_api.runtime.db import Tx
from zanari_api.transactions import receipts
from zanari_api.transactions.receipts import Claim, ReceiptRole
from zanari_api.users import service as users
from zanari_api.users.rows import SaverRow

UNRESOLVED_CAUSE: Final = "M-PESA has not said whether it paid"
LATE_CAUSE: Final = "M-PESA paid it although it had been given back to the saver, who owes it now"


class Contradiction(StrEnum):
    """Why something told of a payout changes nothing, and a person should see it."""

    NEVER_SENT = "never_sent"
    "it tells of an end of something that was never sent"

    OTHER_RECEIPT = "other_receipt"
    "it was paid before, under another receipt"

    RECEIPT_TAKEN = "receipt_taken"
    "its receipt is that of another payout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """What happens to a payout, why, and what is known besides.

    `reason` is why it then stands so; `due_at` when it is looked at next, where that does not follow from how it
    stands. `lease` is the worker's that ends with it, after so many `attempts`.
    """

    event: Event
    cause: Cause
    reason: str | None = None
    conversation_id: str | None = None
    shortcode: str | None = None
    """The one it is sent from, when it is sent."""

    paid_at: datetime | None = None
    """M-PESA's time of a payment."""

    charge_cents: int | None = None
    """M-PESA's fee, where it names one."""

    by_status: bool = False
    """Whether a status answer says it."""

    due_at: datetime | None = None
    lease: UUID | None = None
    attempts: int = 0

    @property
    def event_at(self) -> datetime:
        return self.paid_at or self.cause.now


@dataclass(frozen=True, slots=True)
class Carried:
    """The payout after it, what the machine made of it, and what was wrong with it where something was."""

    payout: Payout
    step: Step
    contradiction: Contradiction | None = None


async def lock(tx: Tx, *, saver_id: UUID, payout_id: UUID) -> tuple[SaverRow, Payout]:
    """Lock the saver of a payout, then read it: what is read now is true until the transaction ends."""
    saver = await users.lock_saver(tx, saver_id=saver_id)
    payout = await payouts.find(tx, saver_id=saver_id, payout_id=payout_id)
    assert payout is not None  # noqa: S101 (none is ever deleted)
    return saver, payout


async def carry_out(tx: Tx, saver: SaverRow, payout: Payout, happening: Happening) -> Carried:
    """Take the step that this event is, with everything that follows from it. The saver must be locked.

    Safe to repeat. Locks the receipt of a payment. Runs as Role.SYSTEM.
    """
    if happening.conversation_id is not None and payout.conversation_id is None:
        payout = await payouts.name(tx, payout, conversation_id=happening.conversation_id)
    stepped = step(payout.standing, happening.event)
    contradiction = await _contradiction(tx, payout, stepped, now=happening.cause.now)
    if contradiction is not None or stepped.verdict is not Verdict.APPLIED:
        return await _note_only(tx, payout, stepped, happening, contradiction)
    after = _after(payout, stepped, happening)
    match stepped.act:
        case Act.REFUND:
            refund = await _refund_to(tx, saver, after)
            after = replace(after, refunded_to=refund.place)
            await payouts.post_refund(tx, after, refund, event_at=happening.cause.now)
        case Act.SETTLE:
            await payouts.post_settlement(tx, after, event_at=happening.event_at)
            await _post_charge(tx, after, happening)
        case Act.OWE:
            await _owe(tx, after, happening)
        case _:
            pass
    saved = await payouts.save(
        tx, payout, after, happening.cause, lease=happening.lease, attempts=happening.attempts
    )
    if saved.due_at is None:
        await breaks.close_break(
            tx,
            kind=BreakKind.PAYOUT_UNRESOLVED,
            subject=subject_of(saved),
            because=f"it has {saved.state}",
            now=happening.cause.now,
        )
    else:
        await note_overdue(tx, saved, now=happening.cause.now)
    return Carried(saved, stepped)


async def note_overdue(tx: Tx, payout: Payout, *, now: datetime) -> None:
    """Name a payout whose outcome stays in doubt as a break, once a person is needed. Safe to repeat."""
    if rules.is_overdue(payout, now=now):
        await breaks.note_break(
            tx,
            kind=BreakKind.PAYOUT_UNRESOLVED,
            subject=subject_of(payout),
            amount_cents=payout.amount_cents,
            suspected_cause=UNRESOLVED_CAUSE,
            command=command_of(payout),
            now=now,
            shortcode=payout.shortcode,
            account="utility",
        )


def subject_of(payout: Payout) -> str:
    """Return what breaks and the audit log call a payout."""
    return f"payout:{payout.id}"


def command_of(payout: Payout) -> str:
    """Return what an operator types to see it, and what to do about it."""
    return f"zanari payouts show {payout.id}"


async def _note_only(
    tx: Tx, payout: Payout, stepped: Step, happening: Happening, contradiction: Contradiction | None
) -> Carried:
    """Write down what changed nothing; a fee that it names is posted all the same."""
    cause = happening.cause
    if contradiction is not None:
        cause = replace(cause, detail=contradiction)
    await payouts.note(tx, payout, cause)
    if (
        stepped.verdict is Verdict.KNOWN
        and payout.state is State.SETTLED
        and happening.charge_cents is not None
    ):
        await _post_charge(tx, payout, happening)
    if happening.lease is not None:
        await payouts.release(tx, payout, lease=happening.lease)
    return Carried(payout, stepped, contradiction)


async def _contradiction(tx: Tx, payout: Payout, stepped: Step, *, now: datetime) -> Contradiction | None:
    """Return what is wrong with what was told; None where nothing is. Claims the receipt of a new payment."""
    if stepped.act in {Act.SETTLE, Act.OWE}:
        after = stepped.standing
        receipt = after.receipt if stepped.act is Act.SETTLE else after.late_receipt
        assert receipt is not None  # noqa: S101 (these two acts come with one)
        await receipts.lock(tx, [receipt])
        if await receipts.is_counted(tx, receipt, role=ReceiptRole.OWN_MOVE):
            await note_booked_as_move(
                tx, receipt=receipt, amount_cents=payout.amount_cents, shortcode=payout.shortcode, now=now
            )
            return Contradiction.RECEIPT_TAKEN
        won = await receipts.claim(tx, ReceiptRole.PAYOUT, [Claim(receipt, payout.saver_id)])
        return None if won else Contradiction.RECEIPT_TAKEN
    if stepped.verdict is not Verdict.REFUSED:
        return None
    return Contradiction.NEVER_SENT if payout.submitting_at is None else Contradiction.OTHER_RECEIPT


def _after(payout: Payout, stepped: Step, happening: Happening) -> Payout:
    """Return how it stands then; what is asked next follows from that, unless it was said."""
    now = happening.cause.now
    moved = stepped.standing.state is not payout.state
    kept = payout.standing_as(stepped.standing, now=now)
    after = replace(
        kept,
        shortcode=happening.shortcode or kept.shortcode,
        reason=happening.reason if moved or happening.reason is not None else payout.reason,
        event_at=happening.paid_at or payout.event_at,
        last_status_at=now if happening.by_status else payout.last_status_at,
    )
    if moved:
        after = after.without_proposal()
    if stepped.standing != payout.standing:
        # Something is known that was not: the questions start anew.
        after = payouts.due_next(replace(after, asked=0), now=now)
    if happening.due_at is not None and after.due_at is not None:
        after = replace(after, due_at=happening.due_at)
    return after


async def _refund_to(tx: Tx, saver: SaverRow, payout: Payout) -> Refund:
    """Return the goal that the money came from while it is open, else the wallet.

    What was stopped for a debt repays it first, and the rest is the wallet's: a goal gets nothing while we are owed.
    """
    if payout.reason == Reason.MONEY_OWED:
        owed_cents = await receivables.owed(tx, saver_id=payout.saver_id)
        split = receivables.split(owed_cents=owed_cents, amount_cents=payout.amount_cents)
        owing = await receivables.receivable_account(tx, saver_id=payout.saver_id)
        return Refund("wallet", saver.wallet_account_id, split.repaid_cents, owing, split.told())
    if payout.goal_id is not None:
        found = await goals.find_many(tx, wanted=[(payout.saver_id, payout.goal_id)])
        goal = found.get(payout.goal_id)
        if goal is not None and goal.is_open:
            return Refund("goal", goal.account_id)
    return Refund("wallet", saver.wallet_account_id)


async def _owe(tx: Tx, payout: Payout, happening: Happening) -> None:
    """The saver has the money twice: book the debt, and name the break."""
    receivable = await receivables.receivable_account(tx, saver_id=payout.saver_id)
    await payouts.post_debt(tx, payout, receivable_account_id=receivable, event_at=happening.event_at)
    await payouts.stop_for_debt(tx, saver_id=payout.saver_id, now=happening.cause.now)
    await _post_charge(tx, payout, happening)
    await breaks.note_break(
        tx,
        kind=BreakKind.PAYOUT_PAID_AFTER_REFUND,
        subject=subject_of(payout),
        amount_cents=payout.amount_cents,
        suspected_cause=LATE_CAUSE,
        command=command_of(payout),
        now=happening.cause.now,
        shortcode=payout.shortcode,
        account="utility",
    )


async def _post_charge(tx: Tx, payout: Payout, happening: Happening) -> None:
    """Post M-PESA's fee: what it says, else what the tariff says. The saver's amount is never less for it."""
    assert payout.shortcode is not None  # noqa: S101 (what was paid was sent from one)
    if happening.charge_cents is None:
        await fees.post_tariff_fee(
            tx,
            payout_id=payout.id,
            shortcode=payout.shortcode,
            amount_cents=payout.amount_cents,
            event_at=happening.event_at,
        )
        return
    await fees.post_fee(
        tx,
        fees.of_payout(payout.id),
        shortcode=payout.shortcode,
        cents=happening.charge_cents,
        event_at=happening.event_at,
    )
