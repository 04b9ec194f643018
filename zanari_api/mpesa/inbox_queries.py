"""Every statement on mpesa.callbacks; no decisions, no commits."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.mpesa.inbox_rows import CallbackRow, Filter
from zanari_api.runtime.db import Tx
from zanari_api.runtime.jobs import Backlog, Claim, DeadRow, Postponement

# A second delivery counts up; a first one that has not committed yet is waited for. The row is locked from here on.
STORE: Final[LiteralString] = """
    INSERT INTO mpesa.callbacks AS known (
        id, kind, dedupe_hash, body, outcome, source_listed, received_at, last_received_at, due_at
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)
    ON CONFLICT ON CONSTRAINT callbacks_dedupe_unique DO UPDATE
       SET deliveries = known.deliveries + 1, last_received_at = $7,
           source_listed = known.source_listed OR excluded.source_listed
    RETURNING id, outcome, received_at, deliveries
"""

CONCLUDE: Final[LiteralString] = """
    UPDATE mpesa.callbacks
       SET outcome = $2, saver_id = $3, note = $4, due_at = $5, attempts = 0, lease_until = NULL, lease_id = NULL,
           dead_at = NULL, last_error = NULL
     WHERE id = $1
"""

LOCK: Final[LiteralString] = """
    SELECT id, kind, body, outcome, note, saver_id, received_at
      FROM mpesa.callbacks
     WHERE id = $1
       FOR UPDATE
"""

READ: Final[LiteralString] = """
    SELECT id, kind, body, outcome, note, saver_id, received_at FROM mpesa.callbacks WHERE id = $1
"""

LOCK_LEASED: Final[LiteralString] = """
    SELECT id, kind, body, outcome, note, saver_id, received_at
      FROM mpesa.callbacks
     WHERE id = $1 AND lease_id = $2
       FOR UPDATE
"""

# As an array: joined to what is due, which Postgres takes for a tenth of the table, the table would be read as a whole.
CLAIM: Final[LiteralString] = """
    UPDATE mpesa.callbacks AS c
       SET lease_id = $1, lease_until = $3, attempts = c.attempts + 1
     WHERE c.id = ANY (ARRAY(
               SELECT due.id
                 FROM mpesa.callbacks AS due
                WHERE due.due_at <= $2 AND (due.lease_until IS NULL OR due.lease_until <= $2)
                ORDER BY due.due_at
                LIMIT $4
                  FOR UPDATE SKIP LOCKED
           ))
    RETURNING c.id, c.kind, c.lease_id, c.attempts
"""

# One that was tried often enough is quarantined: nothing looks at it again by itself.
POSTPONE: Final[LiteralString] = """
    UPDATE mpesa.callbacks
       SET due_at = CASE WHEN $5::boolean THEN NULL ELSE $3::timestamptz END,
           dead_at = CASE WHEN $5 THEN $3 END,
           outcome = CASE WHEN $5 THEN 'quarantined' ELSE 'deferred' END,
           note = CASE WHEN $5 THEN $6::text END,
           last_error = $4, lease_until = NULL, lease_id = NULL
     WHERE id = $1 AND lease_id = $2
"""

# Any kind is more than nothing: what is quarantined is found by its index, which is by kind.
LIST_DEAD: Final[LiteralString] = """
    SELECT id, 0 AS amount_cents, last_error AS error, dead_at AS since
      FROM mpesa.callbacks
     WHERE outcome = 'quarantined' AND kind > '' AND dead_at IS NOT NULL
     ORDER BY dead_at, id
"""

REVIVE: Final[LiteralString] = """
    UPDATE mpesa.callbacks
       SET outcome = 'deferred', note = NULL, due_at = $2, attempts = 0, dead_at = NULL, last_error = NULL
     WHERE id = $1 AND dead_at IS NOT NULL
    RETURNING id
"""

# Only what waits for a match; what waits for its turn after a failure is left where it is.
WAKE: Final[LiteralString] = """
    UPDATE mpesa.callbacks SET due_at = $2 WHERE kind = $1 AND outcome = 'waiting' AND due_at > $2
"""

COUNT_DUE: Final[LiteralString] = """
    SELECT count(*) AS due, min(due_at) AS oldest_due_at, 0 AS dead FROM mpesa.callbacks WHERE due_at <= $1
"""

# Any kind is more than nothing: what is quarantined is found by its index, which is by kind.
COUNT_DEAD: Final[LiteralString] = """
    SELECT count(*) FROM mpesa.callbacks WHERE outcome = 'quarantined' AND kind > '' AND dead_at IS NOT NULL
"""

COUNT_QUARANTINED: Final[LiteralString] = """
    SELECT kind, count(*) AS callbacks
      FROM mpesa.callbacks
     WHERE outcome = 'quarantined' AND kind > ''
     GROUP BY kind
"""

LIST: Final[LiteralString] = """
    SELECT id, kind, outcome, note, saver_id, deliveries, source_listed, received_at, last_received_at, due_at,
           attempts, dead_at, last_error
      FROM mpesa.callbacks
     WHERE received_at BETWEEN $1 AND $2
       AND ($3::text IS NULL OR kind = $3)
       AND ($4::text IS NULL OR outcome = $4)
     ORDER BY received_at DESC, id DESC
     LIMIT $5
"""

FIND: Final[LiteralString] = """
    SELECT id, kind, outcome, note, saver_id, deliveries, source_listed, received_at, last_received_at, due_at,
           attempts, dead_at, last_error
      FROM mpesa.callbacks
     WHERE id = $1
"""

# What somebody still has to act on keeps its body.
# As an array: joined to what is due, which Postgres takes for a tenth of the table, the table would be read as a whole.
ERASE_BODIES: Final[LiteralString] = """
    WITH erased AS (
        UPDATE mpesa.callbacks AS c
           SET body = '', erased_at = $2
         WHERE c.id = ANY (ARRAY(
                   SELECT old.id
                     FROM mpesa.callbacks AS old
                    WHERE old.received_at < $1 AND old.erased_at IS NULL AND old.due_at IS NULL
                      AND old.outcome NOT IN ('waiting', 'deferred', 'quarantined')
                    ORDER BY old.received_at
                    LIMIT $3
                      FOR UPDATE SKIP LOCKED
               ))
        RETURNING c.id
    )
    SELECT count(*) FROM erased
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCallback:
    """A callback as it is to be stored; `body` is encrypted. `due_at`: when the worker is to act on it."""

    id: UUID
    kind: str
    dedupe_hash: bytes
    body: bytes
    outcome: str
    source_listed: bool | None
    received_at: datetime
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Stored:
    """A callback that is stored, perhaps since an earlier delivery, and what became of it until now."""

    id: UUID
    outcome: str
    received_at: datetime
    deliveries: int


@dataclass(frozen=True, slots=True)
class SealedCallback:
    """A stored callback; `body` is encrypted, and empty once it was erased."""

    id: UUID
    kind: str
    body: bytes = field(repr=False)
    outcome: str
    note: str | None
    saver_id: UUID | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class ClaimedCallback:
    """A callback that a worker has leased to look at it again."""

    id: UUID
    kind: str
    lease_id: UUID
    attempts: int


@dataclass(frozen=True, slots=True)
class KindCount:
    """How many callbacks of one kind."""

    kind: str
    callbacks: int


async def store(tx: Tx, new: NewCallback) -> Stored:
    """Store a callback, or count one more delivery of it, and lock its row. Returns the row as it is then."""
    stored = await tx.fetch_one(
        Stored,
        STORE,
        new.id,
        new.kind,
        new.dedupe_hash,
        new.body,
        new.outcome,
        new.source_listed,
        new.received_at,
        new.due_at,
    )
    assert stored is not None  # noqa: S101 (one of both, insert or update, returns the row)
    return stored


async def conclude(
    tx: Tx,
    *,
    callback_id: UUID,
    outcome: str,
    saver_id: UUID | None,
    note: str | None,
    due_at: datetime | None,
) -> None:
    """Write what became of a callback, and when it is looked at again; whoever had leased it loses the lease."""
    await tx.execute(CONCLUDE, callback_id, outcome, saver_id, note, due_at)


async def lock(tx: Tx, *, callback_id: UUID) -> SealedCallback | None:
    return await tx.fetch_one(SealedCallback, LOCK, callback_id)


async def read(tx: Tx, *, callback_id: UUID) -> SealedCallback | None:
    """Read a callback without a lock."""
    return await tx.fetch_one(SealedCallback, READ, callback_id)


async def lock_leased(tx: Tx, *, callback_id: UUID, lease_id: UUID) -> SealedCallback | None:
    """Lock a callback and return it; None when the lease is another's by now, or nobody's."""
    return await tx.fetch_one(SealedCallback, LOCK_LEASED, callback_id, lease_id)


async def claim(tx: Tx, wanted: Claim) -> list[ClaimedCallback]:
    return await tx.fetch_all(
        ClaimedCallback, CLAIM, wanted.lease_id, wanted.now, wanted.lease_until, wanted.limit
    )


async def postpone(tx: Tx, row: ClaimedCallback, postponement: Postponement, *, dead_note: str) -> None:
    """Come back later to one that could not be acted on; leave it to a person, with `dead_note`, when it is dead."""
    await tx.execute(
        POSTPONE,
        row.id,
        row.lease_id,
        postponement.due_at,
        postponement.error,
        postponement.dead,
        dead_note,
    )


async def wake(tx: Tx, *, kind: str, now: datetime) -> None:
    """Have the worker look at once at what has waited for something of ours to match it."""
    await tx.execute(WAKE, kind, now)


async def list_dead(tx: Tx) -> list[DeadRow]:
    return await tx.fetch_all(DeadRow, LIST_DEAD)


async def revive(tx: Tx, callback_id: UUID, now: datetime) -> bool:
    """Take a callback that was given up out of quarantine and have it acted on; False when it is none."""
    return await tx.fetch_value(UUID, REVIVE, callback_id, now) is not None


async def count_backlog(tx: Tx, now: datetime) -> Backlog:
    due = await tx.fetch_one(Backlog, COUNT_DUE, now)
    assert due is not None  # noqa: S101 (an aggregate always returns a row)
    return Backlog(due.due, due.oldest_due_at, await tx.fetch_value(int, COUNT_DEAD) or 0)


async def count_quarantined(tx: Tx) -> dict[str, int]:
    """Return how many callbacks wait for a person, by kind; a kind of which none does is left out."""
    return {each.kind: each.callbacks for each in await tx.fetch_all(KindCount, COUNT_QUARANTINED)}


async def list_callbacks(tx: Tx, wanted: Filter) -> list[CallbackRow]:
    """Return the callbacks an operator asks for, the newest first."""
    return await tx.fetch_all(
        CallbackRow, LIST, wanted.since, wanted.until, wanted.kind, wanted.outcome, wanted.limit
    )


async def find(tx: Tx, *, callback_id: UUID) -> CallbackRow | None:
    return await tx.fetch_one(CallbackRow, FIND, callback_id)


async def erase_bodies(tx: Tx, *, before: datetime, now: datetime, limit: int) -> int:
    """Erase bodies of callbacks from before then, and return of how many; rows that are locked wait."""
    return await tx.fetch_value(int, ERASE_BODIES, before, now, limit) or 0
