"""Compares a statement of one of our accounts with what we booked of that day, and recovers what an operator lets it.

Comparing moves no money. With `apply`, payments that we were never told of are booked as a confirmation would be,
reversals of deposits are taken back, and charges are posted: each once, whatever is imported how often.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from zanari_api.daraja.payloads import C2BPayment
from zanari_api.deposits import comparison as paid_in
from zanari_api.deposits import corrections
from zanari_api.deposits.correction_rows import Proof
from zanari_api.deposits.corrections import ReversalCause
from zanari_api.deposits.rows import Channel
from zanari_api.kit.clock import Clock, eat_date, eat_day_start
from zanari_api.kit.ids import new_id
from zanari_api.ledger import moments
from zanari_api.ledger.accounts import FloatAccount
from zanari_api.mpesa import balance_service, breaks, c2b_service, fees, taking_back
from zanari_api.mpesa.breaks import BreakKind
from zanari_api.mpesa.fees import FeeSource
from zanari_api.mpesa.float_service import Place
from zanari_api.mpesa.inbox import Intake, Outcome
from zanari_api.payouts import comparison as paid_out
from zanari_api.reconciliation import matching, queries
from zanari_api.reconciliation.booked import list_booked, list_charged
from zanari_api.reconciliation.matching import Day, Finding
from zanari_api.reconciliation.pending import list_pending
from zanari_api.reconciliation.statement_file import Line, Statement
from zanari_api.runtime import audit
from zanari_api.runtime.db import Database, Role, Tx

DAY: Final = timedelta(days=1)

KINDS: Final = (
    BreakKind.MISSING_DEPOSIT,
    BreakKind.UNKNOWN_WITHDRAWAL,
    BreakKind.AMOUNT_DIFFERS,
    BreakKind.FEE_UNPOSTED,
    BreakKind.NOT_IN_STATEMENT,
    BreakKind.STATEMENT_BALANCE_DIFFERS,
)
"""The breaks that a statement opens, and a better one closes."""

BOOKED: Final = frozenset({Outcome.CREDITED, Outcome.SUSPENSE, Outcome.SETTLED, Outcome.EVIDENCE})
"""What becomes of a payment that our books have from then on."""


class DayNotOver(ValueError):  # noqa: N818 (reads as what it says)
    """The day is not over yet, so its statement is not whole."""


class OtherDay(ValueError):  # noqa: N818 (reads as what it says)
    """The file has lines of another day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Importing:
    """What a statement is compared with. `intake` is made anew for each line that is booked: it holds the time."""

    database: Database
    clock: Clock
    intake: Callable[[], Intake]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What came of a statement. `known` says whether this very file was compared before."""

    lines: int
    unread: int
    applied: Sequence[str]
    findings: Sequence[Finding]
    known: bool


async def import_statement(
    parts: Importing,
    statement: Statement,
    *,
    data: bytes,
    place: Place,
    on: date,
    operator: str,
    apply: bool = False,
) -> Imported:
    """Compare a closed day of an account; note what does not match, close what does by now. Audited.

    Raises DayNotOver and OtherDay.
    """
    _check_day(statement, on=on, today=eat_date(parts.clock.now()))
    applied: list[str] = []
    if apply:
        day = await _read(parts, statement, place=place, on=on)
        applied += [
            finding.line.receipt
            for finding in matching.match(day)
            if finding.line is not None and await _apply(parts, day, finding.line, operator=operator)
        ]

    async def note(tx: Tx) -> Imported:
        day = await _read_in(tx, statement, place=place, on=on)
        findings = await _findings(tx, day)
        await _note(tx, day, findings, parts=parts)
        known = not await queries.insert_statement(
            tx,
            statement_id=new_id(),
            shortcode=place.shortcode,
            account=place.account,
            day=on,
            digest=hashlib.sha256(data).digest(),
            lines=len(statement.lines),
            operator=operator,
            now=parts.clock.now(),
        )
        await audit.record(
            tx,
            operator=operator,
            act="statement_imported",
            subject=f"statement:{place}:{on}",
            reason="applied" if apply else "compared",
            before={},
            after={"lines": len(statement.lines), "applied": applied, "findings": len(findings)},
        )
        return Imported(
            lines=len(statement.lines),
            unread=statement.unread,
            applied=applied,
            findings=findings,
            known=known,
        )

    return await parts.database.unit_of_work(note, role=Role.SYSTEM)


def _check_day(statement: Statement, *, on: date, today: date) -> None:
    if on >= today:
        raise DayNotOver(f"{on} is not over: its statement is not whole yet")
    if any(eat_date(line.completed_at) != on for line in statement.lines):
        raise OtherDay(f"the file has lines of another day than {on}")


async def _read(parts: Importing, statement: Statement, *, place: Place, on: date) -> Day:
    async with parts.database.transaction(Role.SYSTEM) as tx:
        return await _read_in(tx, statement, place=place, on=on)


async def _read_in(tx: Tx, statement: Statement, *, place: Place, on: date) -> Day:
    """Read what we have booked of the day and of the statement's receipts."""
    receipts = sorted({line.receipt for line in statement.lines})
    linked = sorted({line.linked_receipt for line in statement.lines if line.linked_receipt})
    since = eat_day_start(on)
    payouts = {
        each.receipt: each.id for each in await paid_out.list_paid_out(tx, receipts=receipts) if each.receipt
    }
    return Day(
        place=place,
        on=on,
        lines=statement.lines,
        booked=await list_booked(tx, place, lines=statement.lines),
        payouts=payouts,
        charged=await list_charged(tx, lines=statement.lines),
        deposits=frozenset(each.receipt for each in await paid_in.list_paid_in(tx, receipts=linked)),
        pending=await list_pending(tx, now=since),
        moved=await moments.moved(
            tx,
            place.account_id,
            since=since,
            until=since + DAY,
            booked_since=await balance_service.find_horizon(tx, shortcode=place.shortcode, moment=since),
        ),
    )


async def _findings(tx: Tx, day: Day) -> list[Finding]:
    findings = matching.match(day)
    until = eat_day_start(day.on) + DAY
    horizon = await balance_service.find_horizon(
        tx, shortcode=day.place.shortcode, moment=eat_day_start(day.on)
    )
    held = await moments.held_before(tx, [day.place.account_id], moment=until, booked_since=horizon)
    cents = matching.unexplained_cents(day, findings, held_cents=held.get(day.place.account_id, 0))
    if cents:
        findings.append(matching.unexplained(day, cents))
    return findings


async def _note(tx: Tx, day: Day, findings: Sequence[Finding], *, parts: Importing) -> None:
    """Note each finding, and close what an earlier statement of this day had found and this one does not."""
    now = parts.clock.now()
    found = {(finding.kind, finding.subject) for finding in findings}
    for each in await breaks.list_open_of(tx, KINDS, subject_prefix=day.scope):
        kind = BreakKind(each.kind)
        if (kind, each.subject) not in found:
            await breaks.close_break(
                tx, kind=kind, subject=each.subject, because="the statement matches by now", now=now
            )
    for finding in findings:
        await breaks.note_break(
            tx,
            kind=finding.kind,
            subject=finding.subject,
            shortcode=day.place.shortcode,
            account=day.place.account,
            amount_cents=finding.cents,
            suspected_cause=finding.cause,
            command=finding.command,
            now=now,
        )


async def _apply(parts: Importing, day: Day, line: Line, *, operator: str) -> bool:
    """Book what a line tells, where it tells enough; False where it is for a person to decide."""

    async def book(tx: Tx) -> bool:
        if day.place.account is FloatAccount.CHARGES_PAID:
            return await _post_fee(tx, day, line)
        if line.change_cents > 0 and not line.is_own_move and line.receipt not in day.payouts:
            return await _book_payment(tx, day, line, intake=parts.intake())
        if line.change_cents < 0 and line.linked_receipt in day.deposits:
            return await _take_back(tx, line, parts=parts)
        return False

    async def act(tx: Tx) -> bool:
        if not await book(tx):
            return False
        await audit.record(
            tx,
            operator=operator,
            act="statement_line_applied",
            subject=f"receipt:{line.receipt}",
            reason=f"statement of {day.place} on {day.on}",
            before={},
            after={"amount_cents": line.change_cents},
        )
        return True

    return await parts.database.unit_of_work(act, role=Role.SYSTEM)


async def _post_fee(tx: Tx, day: Day, line: Line) -> bool:
    subject = day.charged.get(line.receipt)
    if subject is None or line.change_cents > 0:
        return False
    await fees.post_fee(
        tx,
        subject,
        shortcode=day.place.shortcode,
        cents=-line.change_cents,
        event_at=line.completed_at,
        source=FeeSource.STATEMENT,
    )
    return True


async def _book_payment(tx: Tx, day: Day, line: Line, *, intake: Intake) -> bool:
    payment = C2BPayment(
        receipt=line.receipt,
        amount_cents=line.change_cents,
        shortcode=day.place.shortcode,
        occurred_at=line.completed_at,
        transaction_type=line.reason,
        account_reference=line.account_reference,
        invoice_number=None,
        org_balance_cents=None,
        third_party_id=None,
        msisdn_raw=None,
        first_name=None,
        middle_name=None,
        last_name=None,
        extra={},
    )
    effected = await c2b_service.book(tx, payment, channel=Channel.STATEMENT, callback_id=None, intake=intake)
    return effected.outcome in BOOKED


async def _take_back(tx: Tx, line: Line, *, parts: Importing) -> bool:
    assert line.linked_receipt is not None  # noqa: S101 (it is among the day's deposits)
    if await corrections.find_deposit(tx, receipt=line.linked_receipt) is None:
        return False
    proof = Proof(
        cause=ReversalCause.STATEMENT,
        text=f"statement line {line.receipt}",
        reversal_receipt=line.receipt,
        callback_id=None,
        event_at=line.completed_at,
    )
    taken = await taking_back.take_back(
        tx,
        receipt=line.linked_receipt,
        amount_cents=-line.change_cents,
        proof=proof,
        now=parts.clock.now(),
    )
    return taken.result is taking_back.Result.TAKEN_BACK
