"""Reads a statement of one of our accounts, as Safaricom's portal writes it to CSV. Books nothing."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from zanari_api.kit.clock import EAT
from zanari_api.kit.money import parse_kes
from zanari_api.kit.receipt import parse_receipt

LINES_MAX: Final = 200_000
HEADER_WITHIN: Final = 30
"""A portal writes the account's particulars above the columns; below this many lines there are none."""

_RECEIPT: Final = ("receiptno", "receipt", "receiptnumber", "transactionid")
_COMPLETED: Final = ("completiontime", "completedtime", "transactiontime", "date")
_PAID_IN: Final = ("paidin", "credit", "in")
_WITHDRAWN: Final = ("withdrawn", "withdrawal", "debit", "out")
_BALANCE: Final = ("balance", "balanceafter")
_DETAILS: Final = ("details", "description")
_STATUS: Final = ("transactionstatus", "status")
_REASON: Final = ("reasontype", "type")
_LINKED: Final = ("linkedtransactionid", "linkedtransaction", "originaltransactionid")
_REFERENCE: Final = ("acno", "accountno", "accountnumber", "billreference", "account")

_TIME_FORMS: Final = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%d-%m-%Y %H:%M:%S",
    "%d-%m-%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%Y%m%d%H%M%S",
)


class StatementUnreadable(ValueError):  # noqa: N818 (reads as what it says of the file)
    """The file is no statement: it names what is missing and quotes no line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One movement of the account. `change_cents` is positive for money that came in.

    `linked_receipt` is the payment that a reversal takes back; `account_reference` what a payer typed.
    """

    receipt: str
    completed_at: datetime
    change_cents: int
    balance_cents: int | None
    details: str
    reason: str
    linked_receipt: str | None
    account_reference: str

    @property
    def is_own_move(self) -> bool:
        """Whether the words are those of the company's own money moving, and nobody typed an account number."""
        words = f"{self.reason} {self.details}".lower()
        return not self.account_reference and any(
            word in words for word in ("organization", "organisation", "funds transfer", "bank")
        )


@dataclass(frozen=True, slots=True)
class Statement:
    """The lines of a statement in the order of time, and how many of its rows were none."""

    lines: Sequence[Line]
    unread: int


def read_statement(data: bytes) -> Statement:
    """Read a file. Rows that are not completed are left out; others that cannot be read are counted.

    Raises StatementUnreadable where the columns that a line cannot be without are not there.
    """
    text = _decode(data)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=None), delimiter=_delimiter(text)))
    except csv.Error as error:
        raise StatementUnreadable(f"no CSV file: {error}") from error
    if len(rows) > LINES_MAX:
        raise StatementUnreadable("more lines than a day can have")
    start, columns = _header(rows)
    lines: list[Line] = []
    unread = 0
    for row in rows[start + 1 :]:
        fields = _Fields(columns, row)
        if not any(cell.strip() for cell in row) or not fields.is_completed:
            continue
        line = _line(fields)
        if line is None:
            unread += 1
        else:
            lines.append(line)
    return Statement(_in_order(lines), unread)


@dataclass(frozen=True, slots=True)
class _Fields:
    """A row by the names of its columns."""

    columns: Mapping[str, int]
    row: Sequence[str]

    def text(self, names: Sequence[str]) -> str:
        for name in names:
            place = self.columns.get(name)
            if place is not None and place < len(self.row):
                return self.row[place].strip()
        return ""

    def cents(self, names: Sequence[str]) -> int | None:
        """Return an amount; None where there is none or it is no amount."""
        try:
            return parse_kes(
                self.text(names).replace(",", "").removeprefix("KES").removeprefix("Ksh").strip()
            )
        except ValueError:
            return None

    @property
    def is_completed(self) -> bool:
        return self.text(_STATUS).lower() in {"", "completed", "complete"}


def _line(fields: _Fields) -> Line | None:
    completed_at = _time(fields.text(_COMPLETED))
    try:
        receipt = parse_receipt(fields.text(_RECEIPT))
    except ValueError:
        return None
    # Withdrawn comes with a sign or without one; it is money that left either way.
    change = (fields.cents(_PAID_IN) or 0) - abs(fields.cents(_WITHDRAWN) or 0)
    if completed_at is None or not change:
        return None
    try:
        linked = parse_receipt(fields.text(_LINKED))
    except ValueError:
        linked = None
    return Line(
        receipt=receipt,
        completed_at=completed_at,
        change_cents=change,
        balance_cents=fields.cents(_BALANCE),
        details=fields.text(_DETAILS),
        reason=fields.text(_REASON),
        linked_receipt=linked,
        account_reference=fields.text(_REFERENCE),
    )


def _header(rows: Sequence[Sequence[str]]) -> tuple[int, Mapping[str, int]]:
    for place, row in enumerate(rows[:HEADER_WITHIN]):
        columns = {_plain(name): column for column, name in enumerate(row)}
        has = [not columns.keys().isdisjoint(names) for names in (_RECEIPT, _COMPLETED)]
        moves = not columns.keys().isdisjoint({*_PAID_IN, *_WITHDRAWN})
        if all(has) and moves:
            return place, columns
    raise StatementUnreadable("no columns Receipt No., Completion Time and Paid In or Withdrawn")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _delimiter(text: str) -> str:
    head = text[:4096]
    return max((",", ";", "\t"), key=head.count)


def _time(text: str) -> datetime | None:
    """Return an instant of a time without an offset, which is East Africa Time as all of M-PESA's are."""
    for form in _TIME_FORMS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=EAT).astimezone(UTC)
        except ValueError:
            continue
    return None


def _in_order(lines: Sequence[Line]) -> Sequence[Line]:
    """Put lines in the order of time; portals write the newest first. Within a second the file's order tells."""
    newest_first = len(lines) > 1 and lines[0].completed_at > lines[-1].completed_at
    in_file_order = [*reversed(lines)] if newest_first or _falls(lines) else [*lines]
    return sorted(in_file_order, key=lambda line: line.completed_at)


def _falls(lines: Sequence[Line]) -> bool:
    """Tell whether all of one second, whose balances say that the last line came first."""
    if len(lines) < 2 or lines[0].balance_cents is None or lines[1].balance_cents is None:  # noqa: PLR2004 (a pair)
        return False
    if lines[0].completed_at != lines[-1].completed_at:
        return False
    return lines[1].balance_cents + lines[0].change_cents == lines[0].balance_cents
