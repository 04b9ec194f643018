"""Matches a statement's lines with what we booked, by receipt, and names what does not match. Pure: books nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from zanari_api.kit.clock import EAT
from zanari_api.ledger.accounts import FloatAccount
from zanari_api.ledger.moments import Moved
from zanari_api.mpesa.breaks import BreakKind
from zanari_api.mpesa.fees import Charged, Subject
from zanari_api.mpesa.float_service import Place
from zanari_api.reconciliation.comparing import Pending, shillings
from zanari_api.reconciliation.statement_file import Line


@dataclass(frozen=True, slots=True)
class Booked:
    """Something of ours that a receipt was booked as, and what it did to the account. `id` is in its transfer's key."""

    id: UUID
    change_cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One account of ours on one closed Nairobi day, as both books have it.

    `booked` is by receipt, `payouts` says which payout a receipt is of, `charged` what a charge of that receipt is
    for, `deposits` which receipts are deposits of ours that a line may take back. `moved` are the transfers of the day.
    """

    place: Place
    on: date
    lines: Sequence[Line]
    booked: Mapping[str, Sequence[Booked]]
    payouts: Mapping[str, UUID]
    charged: Mapping[str, Subject]
    deposits: frozenset[str]
    pending: Sequence[Pending]
    moved: Sequence[Moved]

    @property
    def scope(self) -> str:
        """What the subjects of this day's breaks begin with."""
        return f"statement:{self.place}:{self.on}:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that does not match. `cents` is what the statement has more than our books by it."""

    kind: BreakKind
    subject: str
    cents: int
    cause: str
    command: str
    line: Line | None = None


def match(day: Day) -> list[Finding]:
    """Return what does not match: lines we have not booked or booked otherwise, then what of ours has no line."""
    findings: list[Finding] = []
    matched: set[str] = set()
    for line in day.lines:
        # One receipt may have moved money in and out of one account.
        booked = [
            each
            for each in day.booked.get(line.receipt, ())
            if (each.change_cents > 0) == (line.change_cents > 0)
        ]
        matched |= {str(each.id) for each in booked}
        if not booked:
            findings.append(_unmatched(day, line))
        elif line.change_cents not in {each.change_cents for each in booked}:
            findings.append(_differs(day, line, booked[0]))
    findings += _without_line(day, matched)
    return findings


def unexplained_cents(day: Day, findings: Sequence[Finding], *, held_cents: int) -> int:
    """Return how the last balance of the statement differs from what we held, beyond what the findings come to."""
    closing = day.lines[-1].balance_cents if day.lines else None
    if closing is None:
        return 0
    return closing - held_cents - sum(finding.cents for finding in findings)


def unexplained(day: Day, cents: int) -> Finding:
    """Name a difference that this day's lines do not account for."""
    return Finding(
        kind=BreakKind.STATEMENT_BALANCE_DIFFERS,
        subject=f"{day.scope}balance",
        cents=cents,
        cause="something from before that day",
        command="zanari statement import FILE, of the day before",
    )


def _differs(day: Day, line: Line, booked: Booked) -> Finding:
    return Finding(
        kind=BreakKind.AMOUNT_DIFFERS,
        subject=f"{day.scope}{line.receipt}",
        cents=line.change_cents - booked.change_cents,
        cause=(
            f"the statement says {shillings(line.change_cents)} for {line.receipt},"
            f" our books {shillings(booked.change_cents)}"
        ),
        command=_import(day)
        if day.place.account is FloatAccount.CHARGES_PAID
        else "zanari breaks resolve ID --evidence TEXT",
        line=line,
    )


def _unmatched(day: Day, line: Line) -> Finding:
    amount = shillings(abs(line.change_cents))
    if day.place.account is FloatAccount.CHARGES_PAID and line.change_cents < 0:
        kind, cause, command = _charge(day, line)
    elif line.linked_receipt in day.deposits and line.change_cents < 0:
        kind = BreakKind.UNKNOWN_WITHDRAWAL
        cause = f"M-PESA took back the payment {line.linked_receipt}"
        command = f"zanari deposits reverse {line.linked_receipt} --evidence TEXT, or: {_import(day)}"
    elif line.change_cents > 0 and not line.is_own_move:
        kind, cause = BreakKind.MISSING_DEPOSIT, "a payment whose confirmation never came"
        command = _import(day)
    else:
        kind = BreakKind.MISSING_DEPOSIT if line.change_cents > 0 else BreakKind.UNKNOWN_WITHDRAWAL
        cause, command = _ours(day, line, amount=amount)
    return Finding(
        kind=kind,
        subject=f"{day.scope}{line.receipt}",
        cents=line.change_cents,
        cause=cause,
        command=command,
        line=line,
    )


def _charge(day: Day, line: Line) -> tuple[BreakKind, str, str]:
    subject = day.charged.get(line.receipt)
    if subject is not None and subject.kind is Charged.PAYOUT:
        return BreakKind.FEE_UNPOSTED, f"the charge for payout {subject.id}", _import(day)
    if subject is not None:
        cause = f"the charge for taking back the deposit {subject.id}"
        return BreakKind.FEE_UNPOSTED, cause, _import(day)
    if line.linked_receipt in day.deposits:
        return (
            BreakKind.FEE_UNPOSTED,
            f"the charge for taking back the payment {line.linked_receipt}, which our books still have",
            f"zanari deposits reverse {line.linked_receipt} --evidence TEXT, then: {_import(day)}",
        )
    return (
        BreakKind.FEE_UNPOSTED,
        "a charge for something that is no payout of ours",
        "zanari breaks resolve ID --evidence TEXT",
    )


def _ours(day: Day, line: Line, *, amount: str) -> tuple[str, str]:
    """Return a cause and a command for money that no customer paid."""
    for pending in day.pending:
        if pending.place == day.place and pending.effect_cents == line.change_cents:
            return f"{pending.what}, of just this amount", _ends(pending, line)
    verb = "fund" if line.change_cents > 0 else "defund"
    at = f"{line.completed_at.astimezone(EAT):%Y-%m-%d %H:%M:%S}"
    command = f"zanari float {verb} {day.place} --amount {amount} --receipt {line.receipt} --at '{at}'"
    return "money of our own that moved and that nobody booked", f"{command}, or: float move"


def _ends(pending: Pending, line: Line) -> str:
    """Return the command by which a line of the statement ends what is pending."""
    if pending.payout_id is None:
        return pending.command
    return (
        f"zanari payouts resolve {pending.payout_id} --outcome settled --receipt {line.receipt}"
        " --statement --evidence TEXT"
    )


def _without_line(day: Day, matched: set[str]) -> Iterator[Finding]:
    for moved in day.moved:
        if not any(row_id in moved.key for row_id in matched):
            yield Finding(
                kind=BreakKind.NOT_IN_STATEMENT,
                subject=f"{day.scope}{moved.key}"[:200],
                cents=-moved.cents,
                cause="our books have it and the statement has not; perhaps that of the day before or after has",
                command="zanari breaks resolve ID --evidence TEXT",
            )


def _import(day: Day) -> str:
    return (
        f"zanari statement import FILE --shortcode {day.place.shortcode} --account {day.place.account}"
        f" --date {day.on} --apply"
    )
