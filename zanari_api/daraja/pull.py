"""Reads pages of pulled transactions: the payments in whose confirmation never came. Decides nothing by their time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from zanari_api.daraja.values import (
    MPESA_YEARS,
    Fields,
    UnreadableCallback,
    code_of,
    payment_cents,
    read_fields,
    receipt_of,
    text_of,
    time_of,
    without,
)
from zanari_api.kit.clock import EAT
from zanari_api.kit.wire_json import JsonValue, UnreadableJson, read_object

PAGE_ROWS: Final = 100
"""Rows of a full page; a page with fewer is the last."""

_FOUND: Final = "1000"
_EMPTY: Final = "1001"
_DEEPEST: Final = 6
_ROW_FIELDS: Final = frozenset(
    {
        "transactionid",
        "trxdate",
        "msisdn",
        "sender",
        "transactiontype",
        "billreference",
        "amount",
        "organizationname",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRow:
    """One payment in, as Safaricom's books have it.

    The wire's time ends in Z, and nobody has verified that it is UTC: `occurred_at_as_utc` and
    `occurred_at_as_eat` are the two instants it may mean, three hours apart. None where it is unreadable.
    """

    receipt: str
    amount_cents: int
    account_reference: str
    transaction_type: str
    sender: str | None
    organization: str | None
    msisdn_raw: str | None
    occurred_at_raw: str | None
    occurred_at_as_utc: datetime | None
    occurred_at_as_eat: datetime | None
    extra: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class PullPage:
    """One page of rows. `unread` counts rows without a readable receipt and amount: not one is dropped unseen.

    `unread_rows` are those, their names in lower case as the wire should have them.
    """

    rows: tuple[PullRow, ...]
    unread: int
    unread_rows: tuple[Fields, ...] = ()

    @property
    def is_full(self) -> bool:
        """Whether there may be a next page."""
        return len(self.rows) + self.unread >= PAGE_ROWS


def read_pull(body: bytes) -> PullPage:
    """Read the answer to a pull query. Raises UnreadableCallback when it is neither rows nor a plain "none".

    The container's name varies, rows may be nested twice, and none is written `"[[]]"` under the code 1001. A
    body that merely holds no rows is not taken for an empty page: that would be evidence of no payment.
    """
    page = pull_page_in(read_fields(body))
    if page is None:
        raise UnreadableCallback("neither rows nor a code that says there are none")
    return page


def pull_page_in(fields: Fields) -> PullPage | None:
    found = [*_rows_in(fields, 0)]
    if not found and not _says_none(fields):
        return None
    rows = [(each, _row(each)) for each in found]
    unread = tuple(each for each, row in rows if row is None)
    return PullPage(
        rows=tuple(row for _, row in rows if row is not None), unread=len(unread), unread_rows=unread
    )


def _says_none(fields: Fields) -> bool:
    """Tell whether a body without rows has room for them and a code of success; none may be written as nothing."""
    code = code_of(fields.get("ResponseCode")) or code_of(fields.get("ResponseStatus"))
    return code in {_FOUND, _EMPTY} and any(
        _is_list(value) or (code == _EMPTY and (value is None or value == "")) for value in fields.values()
    )


def _is_list(value: JsonValue) -> bool:
    return isinstance(_unwrapped(value), Sequence)


def _rows_in(value: JsonValue, depth: int) -> Iterator[Fields]:
    """Find every object with a receipt or a date by a row's names, and more of a row, whatever it is wrapped in."""
    if depth > _DEEPEST:
        return
    match value:
        case str():
            yield from _rows_in(_unwrapped(value), depth + 1)
        case Mapping():
            lowered = {name.lower(): nested for name, nested in value.items()}
            known = lowered.keys() & _ROW_FIELDS
            if len(known) > 1 and not known.isdisjoint({"transactionid", "trxdate"}):
                yield lowered
                return
            for nested in value.values():
                yield from _rows_in(nested, depth + 1)
        case Sequence():
            for nested in value:
                yield from _rows_in(nested, depth + 1)
        case _:
            pass


def _unwrapped(value: JsonValue) -> JsonValue:
    """Return the list that was written into a text; other values as they are, and other texts as nothing."""
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return None
    try:
        wrapped = read_object(b'{"rows":%b}' % value.encode())
    except UnreadableJson:
        return None
    return wrapped["rows"] if len(wrapped) == 1 else None


def _row(fields: Fields) -> PullRow | None:
    receipt, amount_cents = receipt_of(fields.get("transactionid")), payment_cents(fields.get("amount"))
    if receipt is None or amount_cents is None:
        return None
    written = text_of(fields.get("trxdate"))
    as_utc, as_eat = _instants(written)
    return PullRow(
        receipt=receipt,
        amount_cents=amount_cents,
        account_reference=text_of(fields.get("billreference")) or "",
        transaction_type=text_of(fields.get("transactiontype")) or "",
        sender=text_of(fields.get("sender")),
        organization=text_of(fields.get("organizationname")),
        msisdn_raw=text_of(fields.get("msisdn")),
        occurred_at_raw=written,
        occurred_at_as_utc=as_utc,
        occurred_at_as_eat=as_eat,
        extra=without(fields, _ROW_FIELDS),
    )


def _instants(written: str | None) -> tuple[datetime | None, datetime | None]:
    """Return what the written time means as UTC and as East Africa Time; a real offset leaves no doubt."""
    dotted = time_of(written)
    if dotted is not None:
        return None, dotted
    try:
        told = datetime.fromisoformat(written or "")
        known = told.tzinfo is not None and told.utcoffset() != UTC.utcoffset(None)
        readings = [told.astimezone(UTC)] * 2 if known else [told.replace(tzinfo=UTC), _in_utc(told)]
    except (ValueError, OverflowError):
        return None, None
    if any(reading.year not in MPESA_YEARS for reading in readings):
        return None, None
    return readings[0], readings[1]


def _in_utc(told: datetime) -> datetime:
    return told.replace(tzinfo=EAT).astimezone(UTC)
