"""Every statement on mpesa.reversals and their events; no decisions, no commits."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.kit.ids import new_id
from zanari_api.runtime.db import Tx
from zanari_api.runtime.jobs import Backlog, Claim, DeadRow, Postponement

INSERT_REVERSAL: Final[LiteralString] = """
    INSERT INTO mpesa.reversals (
        id, receipt, shortcode, amount_cents, saver_id, deposit_id, operator, evidence, state, requested_at, expires_at,
        due_at
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'requested', $9, $10, $9)
    ON CONFLICT (receipt) WHERE state NOT IN ('settled', 'failed') DO NOTHING
    RETURNING id
"""

INSERT_EVENT: Final[LiteralString] = """
    INSERT INTO mpesa.reversal_events (id, reversal_id, state, cause, callback_id, happened_at)
    VALUES ($1, $2, $3, $4, $5, $6)
"""

LOCK_REVERSAL: Final[LiteralString] = """
    SELECT id, receipt, shortcode, amount_cents, saver_id, state, reason, evidence, conversation_id, requested_at,
           expires_at, lease_id AS held_by
      FROM mpesa.reversals
     WHERE id = $1
       FOR UPDATE
"""

FIND_BY_CONVERSATION: Final[LiteralString] = """
    SELECT id, saver_id FROM mpesa.reversals WHERE conversation_id = $1
"""

FIND_NEWEST: Final[LiteralString] = """
    SELECT id, saver_id FROM mpesa.reversals WHERE receipt = $1 ORDER BY requested_at DESC, id DESC LIMIT 1
"""

LIST_RECENT: Final[LiteralString] = """
    SELECT id, receipt, shortcode, amount_cents, saver_id, state, reason, evidence, conversation_id, requested_at,
           expires_at, lease_id AS held_by
      FROM mpesa.reversals
     WHERE requested_at >= $1
     ORDER BY requested_at DESC, id DESC
     LIMIT $2
"""

# In the order of writing, which the reversal's lock decides: a result's own time may be before the reply's.
LIST_EVENTS: Final[LiteralString] = """
    SELECT state, cause, callback_id, happened_at
      FROM mpesa.reversal_events
     WHERE reversal_id = $1
     ORDER BY id
"""

# As an array: joined to what is due, which Postgres takes for a tenth of the table, the table would be read as a whole.
CLAIM_REVERSALS: Final[LiteralString] = """
    UPDATE mpesa.reversals AS r
       SET lease_id = $1, lease_until = $3, attempts = r.attempts + 1
     WHERE r.id = ANY (ARRAY(
               SELECT due.id
                 FROM mpesa.reversals AS due
                WHERE due.due_at <= $2 AND due.dead_at IS NULL
                  AND (due.lease_until IS NULL OR due.lease_until <= $2)
                ORDER BY due.due_at
                LIMIT $4
                  FOR UPDATE SKIP LOCKED
           ))
    RETURNING r.id, r.receipt, r.shortcode, r.amount_cents, r.saver_id, r.state, r.reason, r.evidence,
              r.conversation_id, r.requested_at, r.expires_at, r.lease_id AS held_by, r.lease_id, r.attempts
"""

MARK_SUBMITTING: Final[LiteralString] = """
    UPDATE mpesa.reversals SET state = 'submitting', submitting_at = $3
     WHERE id = $1 AND lease_id = $2 AND state = 'requested'
    RETURNING id
"""

# The result may have come before the reply to the request: what it decided stays.
MARK_SUBMITTED: Final[LiteralString] = """
    UPDATE mpesa.reversals
       SET state = CASE state WHEN 'submitting' THEN 'submitted' ELSE state END,
           conversation_id = $3, originator_conversation_id = $4, submitted_at = $5,
           due_at = CASE state WHEN 'submitting' THEN expires_at END,
           lease_id = NULL, lease_until = NULL, attempts = 0
     WHERE id = $1 AND lease_id = $2
    RETURNING state
"""

# Nothing was sent: the request waits again.
MARK_REQUESTED: Final[LiteralString] = """
    UPDATE mpesa.reversals
       SET state = 'requested', submitting_at = NULL, due_at = $3, lease_id = NULL, lease_until = NULL, last_error = $4
     WHERE id = $1 AND lease_id = $2 AND state = 'submitting'
"""

MARK_UNRESOLVED: Final[LiteralString] = """
    UPDATE mpesa.reversals
       SET state = 'unresolved', reason = $2, due_at = NULL, dead_at = NULL, lease_id = NULL, lease_until = NULL
     WHERE id = $1 AND state NOT IN ('settled', 'failed')
    RETURNING id
"""

MARK_FINISHED: Final[LiteralString] = """
    UPDATE mpesa.reversals
       SET state = $2, reason = $3, reversal_receipt = coalesce($4, reversal_receipt), finished_at = $5,
           due_at = NULL, dead_at = NULL, lease_id = NULL, lease_until = NULL
     WHERE id = $1
"""

POSTPONE_REVERSAL: Final[LiteralString] = """
    WITH put_off AS (
        UPDATE mpesa.reversals
           SET due_at = $3, last_error = $4, dead_at = CASE WHEN $5 THEN $3::timestamptz END, lease_id = NULL,
               lease_until = NULL
         WHERE id = $1 AND lease_id = $2
        RETURNING id, amount_cents, last_error, dead_at
    )
    SELECT id, amount_cents, last_error AS error, dead_at AS since FROM put_off WHERE dead_at IS NOT NULL
"""

LIST_DEAD: Final[LiteralString] = """
    SELECT id, amount_cents, last_error AS error, dead_at AS since
      FROM mpesa.reversals
     WHERE dead_at > '-infinity'::timestamptz
     ORDER BY dead_at, id
"""

REVIVE_REVERSAL: Final[LiteralString] = """
    UPDATE mpesa.reversals SET due_at = $2, attempts = 0, dead_at = NULL, last_error = NULL
     WHERE id = $1 AND dead_at IS NOT NULL
    RETURNING id
"""

COUNT_DUE: Final[LiteralString] = """
    SELECT count(*) FILTER (WHERE due_at <= $1) AS due, min(due_at) FILTER (WHERE due_at <= $1) AS oldest_due_at,
           0::bigint AS dead
      FROM mpesa.reversals
     WHERE due_at <= $1 AND dead_at IS NULL
"""

COUNT_DEAD: Final[LiteralString] = (
    "SELECT count(*) FROM mpesa.reversals WHERE dead_at > '-infinity'::timestamptz"
)


@dataclass(frozen=True, slots=True)
class Found:
    """Which reversal, and whose deposit it takes back; neither ever changes."""

    id: UUID
    saver_id: UUID


@dataclass(frozen=True, slots=True)
class ReversalRequest:
    """A reversal we asked for, or will."""

    id: UUID
    receipt: str
    shortcode: str
    amount_cents: int
    saver_id: UUID
    state: str
    reason: str | None
    evidence: str
    conversation_id: str | None
    requested_at: datetime
    expires_at: datetime
    held_by: UUID | None


@dataclass(frozen=True, slots=True)
class ClaimedReversal(ReversalRequest):
    """A reversal that this worker leased."""

    lease_id: UUID
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReversal:
    """A reversal to ask for."""

    id: UUID
    receipt: str
    shortcode: str
    amount_cents: int
    saver_id: UUID
    deposit_id: UUID
    operator: str
    evidence: str
    requested_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ReversalEvent:
    """One step of a reversal."""

    state: str
    cause: str
    callback_id: UUID | None
    happened_at: datetime


async def insert_reversal(tx: Tx, new: NewReversal) -> bool:
    """Insert a reversal to ask for; False while another one of the same receipt is open."""
    inserted = await tx.fetch_value(
        UUID,
        INSERT_REVERSAL,
        new.id,
        new.receipt,
        new.shortcode,
        new.amount_cents,
        new.saver_id,
        new.deposit_id,
        new.operator,
        new.evidence,
        new.requested_at,
        new.expires_at,
    )
    return inserted is not None


async def insert_event(
    tx: Tx, *, reversal_id: UUID, state: str, cause: str, now: datetime, callback_id: UUID | None = None
) -> None:
    await tx.execute(INSERT_EVENT, new_id(), reversal_id, state, cause, callback_id, now)


async def lock_reversal(tx: Tx, *, reversal_id: UUID) -> ReversalRequest | None:
    return await tx.fetch_one(ReversalRequest, LOCK_REVERSAL, reversal_id)


async def find_by_conversation(tx: Tx, *, conversation_id: str) -> Found | None:
    return await tx.fetch_one(Found, FIND_BY_CONVERSATION, conversation_id)


async def find_newest(tx: Tx, *, receipt: str) -> Found | None:
    return await tx.fetch_one(Found, FIND_NEWEST, receipt)


async def list_recent(tx: Tx, *, since: datetime, limit: int) -> list[ReversalRequest]:
    return await tx.fetch_all(ReversalRequest, LIST_RECENT, since, limit)


async def list_events(tx: Tx, *, reversal_id: UUID) -> list[ReversalEvent]:
    return await tx.fetch_all(ReversalEvent, LIST_EVENTS, reversal_id)


async def claim_reversals(tx: Tx, claim: Claim) -> list[ClaimedReversal]:
    return await tx.fetch_all(
        ClaimedReversal, CLAIM_REVERSALS, claim.lease_id, claim.now, claim.lease_until, claim.limit
    )


async def mark_submitting(tx: Tx, request: ClaimedReversal, *, now: datetime) -> bool:
    """Mark that the request is about to be sent; False when the lease is another's or it is no longer wanted."""
    return await tx.fetch_value(UUID, MARK_SUBMITTING, request.id, request.lease_id, now) is not None


async def mark_submitted(
    tx: Tx,
    request: ClaimedReversal,
    *,
    conversation_id: str | None,
    originator_conversation_id: str | None,
    now: datetime,
) -> str | None:
    """Keep the ids that Safaricom gave; return the state it has then, None when the lease was lost."""
    return await tx.fetch_value(
        str,
        MARK_SUBMITTED,
        request.id,
        request.lease_id,
        conversation_id,
        originator_conversation_id,
        now,
    )


async def mark_requested(tx: Tx, request: ClaimedReversal, *, due_at: datetime, error: str) -> None:
    await tx.execute(MARK_REQUESTED, request.id, request.lease_id, due_at, error)


async def mark_unresolved(tx: Tx, *, reversal_id: UUID, reason: str) -> bool:
    """Mark that nobody knows what became of it; False when it is known."""
    return await tx.fetch_value(UUID, MARK_UNRESOLVED, reversal_id, reason) is not None


async def mark_finished(
    tx: Tx,
    *,
    reversal_id: UUID,
    state: str,
    reason: str | None,
    reversal_receipt: str | None,
    now: datetime,
) -> None:
    await tx.execute(MARK_FINISHED, reversal_id, state, reason, reversal_receipt, now)


async def postpone_reversal(tx: Tx, request: ClaimedReversal, postponement: Postponement) -> DeadRow | None:
    return await tx.fetch_one(
        DeadRow,
        POSTPONE_REVERSAL,
        request.id,
        request.lease_id,
        postponement.due_at,
        postponement.error,
        postponement.dead,
    )


async def list_dead(tx: Tx) -> list[DeadRow]:
    return await tx.fetch_all(DeadRow, LIST_DEAD)


async def revive_reversal(tx: Tx, reversal_id: UUID, now: datetime) -> bool:
    return await tx.fetch_value(UUID, REVIVE_REVERSAL, reversal_id, now) is not None


async def count_reversals(tx: Tx, now: datetime) -> Backlog:
    due = await tx.fetch_one(Backlog, COUNT_DUE, now)
    assert due is not None  # noqa: S101 (an aggregate always returns a row)
    return Backlog(due.due, due.oldest_due_at, await tx.fetch_value(int, COUNT_DEAD) or 0)
