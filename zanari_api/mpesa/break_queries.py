"""Every statement on mpesa.breaks; no decisions, no commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.mpesa.break_rows import BreakRow
from zanari_api.runtime.db import Tx

# One open break per kind and subject: seen again, it keeps its age and takes the newest words.
NOTE_BREAK: Final[LiteralString] = """
    INSERT INTO mpesa.breaks AS b (
        id, kind, subject, shortcode, account, amount_cents, suspected_cause, command, opened_at, last_seen_at
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
    ON CONFLICT (kind, subject) WHERE closed_at IS NULL DO UPDATE
       SET amount_cents = excluded.amount_cents, suspected_cause = excluded.suspected_cause,
           command = excluded.command, shortcode = excluded.shortcode, account = excluded.account,
           last_seen_at = greatest(b.last_seen_at, excluded.last_seen_at)
    RETURNING b.id
"""

CLOSE_BREAK: Final[LiteralString] = """
    UPDATE mpesa.breaks
       SET closed_at = greatest(opened_at, $3), closed_because = $4
     WHERE kind = $1 AND subject = $2 AND closed_at IS NULL
    RETURNING id
"""

LOCK_BREAK: Final[LiteralString] = """
    SELECT id, kind, subject, shortcode, account, amount_cents, suspected_cause, command, opened_at, last_seen_at,
           closed_at, closed_because
      FROM mpesa.breaks
     WHERE id = $1
       FOR UPDATE
"""

# Every kind is more than nothing: said so that the index of open breaks is searched, and not read from end to end.
LIST_OPEN: Final[LiteralString] = """
    SELECT id, kind, subject, shortcode, account, amount_cents, suspected_cause, command, opened_at, last_seen_at,
           closed_at, closed_because
      FROM mpesa.breaks
     WHERE closed_at IS NULL AND kind > ''
     ORDER BY opened_at, id
     LIMIT $1
"""

# No limit: something is decided by each of them.
LIST_OPEN_OF_KINDS: Final[LiteralString] = """
    SELECT id, kind, subject, shortcode, account, amount_cents, suspected_cause, command, opened_at, last_seen_at,
           closed_at, closed_because
      FROM mpesa.breaks
     WHERE closed_at IS NULL AND kind = ANY ($1::text[]) AND starts_with(subject, $2)
     ORDER BY opened_at, id
"""

COUNT_OPEN: Final[LiteralString] = """
    SELECT kind, count(*) AS open, min(opened_at) AS oldest_at
      FROM mpesa.breaks
     WHERE closed_at IS NULL AND kind > ''
     GROUP BY kind
"""

LIST_CLOSED_SINCE: Final[LiteralString] = """
    SELECT id, kind, subject, shortcode, account, amount_cents, suspected_cause, command, opened_at, last_seen_at,
           closed_at, closed_because
      FROM mpesa.breaks
     WHERE closed_at >= $1
     ORDER BY closed_at, id
     LIMIT $2
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBreak:
    """A break to note."""

    id: UUID
    kind: str
    subject: str
    shortcode: str | None
    account: str | None
    amount_cents: int
    suspected_cause: str
    command: str
    now: datetime


@dataclass(frozen=True, slots=True)
class OpenBreaks:
    """How many breaks of a kind are open, and since when the oldest of them is."""

    kind: str
    open: int
    oldest_at: datetime


async def note_break(tx: Tx, new: NewBreak) -> UUID:
    """Insert a break, or refresh the open one; return its id."""
    noted = await tx.fetch_value(
        UUID,
        NOTE_BREAK,
        new.id,
        new.kind,
        new.subject,
        new.shortcode,
        new.account,
        new.amount_cents,
        new.suspected_cause,
        new.command,
        new.now,
    )
    assert noted is not None  # noqa: S101 (inserted or updated, the row is returned)
    return noted


async def close_break(tx: Tx, *, kind: str, subject: str, because: str, now: datetime) -> UUID | None:
    """Close the open break of this kind and subject; return its id, None when there was none."""
    return await tx.fetch_value(UUID, CLOSE_BREAK, kind, subject, now, because)


async def lock_break(tx: Tx, *, break_id: UUID) -> BreakRow | None:
    return await tx.fetch_one(BreakRow, LOCK_BREAK, break_id)


async def list_open(tx: Tx, *, limit: int) -> list[BreakRow]:
    """Return open breaks, the oldest first."""
    return await tx.fetch_all(BreakRow, LIST_OPEN, limit)


async def list_open_of_kinds(tx: Tx, *, kinds: Sequence[str], subject_prefix: str) -> list[BreakRow]:
    """Return every open break of these kinds whose subject begins so, the oldest first."""
    return await tx.fetch_all(BreakRow, LIST_OPEN_OF_KINDS, list(kinds), subject_prefix)


async def count_open(tx: Tx) -> list[OpenBreaks]:
    return await tx.fetch_all(OpenBreaks, COUNT_OPEN)


async def list_closed_since(tx: Tx, *, since: datetime, limit: int) -> list[BreakRow]:
    return await tx.fetch_all(BreakRow, LIST_CLOSED_SINCE, since, limit)
