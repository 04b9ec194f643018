"""What the feed offers: write rows with their effect, read a page, read one with its explanation."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

import orjson

from zanari_api.kit.clock import eat_day_start
from zanari_api.runtime.crypto import DataKey, Place
from zanari_api.runtime.db import Tx
from zanari_api.transactions import queries
from zanari_api.transactions.errors import InvalidCursor, TransactionNotFound
from zanari_api.transactions.queries import PageFilter
from zanari_api.transactions.rows import FeedRow, SpendChange

DISTANT_PAST: Final = datetime(1970, 1, 1, tzinfo=UTC)
DISTANT_FUTURE: Final = datetime(9000, 1, 1, tzinfo=UTC)
LAST_ID: Final = UUID(int=(1 << 128) - 1)
CURSOR: Final = re.compile(r"([0-9]{1,18})-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a saver asked to see. `first_day` and `last_day` are days in Nairobi, both included."""

    cursor: str | None = None
    type: str | None = None
    status: str | None = None
    category: str | None = None
    first_day: date | None = None
    last_day: date | None = None
    updated_since: datetime | None = None
    text: str | None = None
    limit: int = 50


async def record(tx: Tx, rows: Sequence[FeedRow]) -> None:
    """Write rows in the transaction of the effects they tell of."""
    await queries.insert(tx, rows)
    for row in rows:
        tx.note("transaction", row.type, value=row.amount_cents)


async def update_spends(tx: Tx, *, saver_id: UUID, changes: Sequence[SpendChange]) -> None:
    """Show what became of spends' round-ups, in one statement. The rows keep their places in the feed."""
    if changes:
        await queries.update_spends(tx, saver_id=saver_id, changes=changes)


async def mark_reversed(
    tx: Tx, *, saver_id: UUID, transaction_id: UUID, explanation: Mapping[str, object]
) -> None:
    """Show that M-PESA took a payment back, and what became of its money. The row keeps its place in the feed."""
    await queries.mark_reversed(tx, saver_id=saver_id, transaction_id=transaction_id, explanation=explanation)


async def attach_receipt(tx: Tx, *, saver_id: UUID, transaction_id: UUID, receipt: str) -> None:
    """Show the receipt of a payment that was told of without one."""
    await queries.attach_receipt(tx, saver_id=saver_id, transaction_id=transaction_id, receipt=receipt)


async def page(tx: Tx, *, saver_id: UUID, wanted: Wanted) -> str:
    """Return one page as JSON text, built by Postgres in one statement. Raises InvalidCursor."""
    wanted_rows = PageFilter(
        after=read_cursor(wanted.cursor),
        since=_start(wanted.first_day, otherwise=DISTANT_PAST),
        until=_start(wanted.last_day, otherwise=DISTANT_FUTURE, days_later=1),
        updated_since=min(max(wanted.updated_since or DISTANT_PAST, DISTANT_PAST), DISTANT_FUTURE),
        type=wanted.type,
        status=wanted.status,
        category=wanted.category,
        title_like=_like(wanted.text),
        limit=wanted.limit,
    )
    return await queries.page(tx, saver_id=saver_id, wanted=wanted_rows)


async def find(tx: Tx, *, saver_id: UUID, transaction_id: UUID, data_key: DataKey) -> bytes:
    """Return one row as JSON with its explanation and counterparty. Raises TransactionNotFound."""
    found = await queries.find(tx, saver_id=saver_id, transaction_id=transaction_id)
    if found is None:
        raise TransactionNotFound(transaction_id=transaction_id)
    counterparty = None
    if found.private is not None:
        counterparty = orjson.loads(data_key.decrypt(found.private, private_place(found.id)))["counterparty"]
    return orjson.dumps(orjson.loads(found.json) | {"counterparty": counterparty})


def seal_counterparty(name: str, *, transaction_id: UUID, data_key: DataKey) -> bytes:
    """Encrypt a private person's name for the one row it belongs to."""
    return data_key.encrypt(orjson.dumps({"counterparty": name}), private_place(transaction_id))


def read_cursor(cursor: str | None) -> tuple[datetime, UUID]:
    """Return the (time, id) that a page begins after; without a cursor, one that is after everything.

    Raises InvalidCursor.
    """
    if cursor is None:
        return DISTANT_FUTURE, LAST_ID
    match = CURSOR.fullmatch(cursor)
    if match is None:
        raise InvalidCursor
    try:
        occurred_at = DISTANT_PAST + timedelta(microseconds=int(match[1]))
    except OverflowError as error:
        raise InvalidCursor from error
    return occurred_at, UUID(match[2])


def write_cursor(at: datetime, row_id: UUID) -> str:
    """Return the cursor of a page that begins after this row. The feed's own are written by Postgres."""
    return f"{(at - DISTANT_PAST) // timedelta(microseconds=1)}-{row_id}"


def private_place(transaction_id: UUID) -> Place:
    return Place("savings.transactions", "private", transaction_id)


def _start(day: date | None, *, otherwise: datetime, days_later: int = 0) -> datetime:
    """Return when a Nairobi day begins, kept within the years that arithmetic can reach."""
    if day is None:
        return otherwise
    within = min(max(day, DISTANT_PAST.date()), DISTANT_FUTURE.date())
    return eat_day_start(within + timedelta(days=days_later))


def _like(text: str | None) -> str | None:
    """Make a LIKE pattern that finds `text` anywhere, its own wildcards taken literally."""
    if text is None:
        return None
    return "%" + re.sub(r"([\\%_])", r"\\\1", text) + "%"
