"""Every statement on savings.intents and its events that a saver's request may run; no decisions, no commits."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.deposits.rows import Intent
from zanari_api.kit.ids import new_id
from zanari_api.runtime.db import Tx

INSERT_INTENT: Final[LiteralString] = """
    INSERT INTO savings.intents (
        saver_id, id, purpose, reference, shortcode, amount_cents, goal_id, account_id, msisdn, blind_index,
        requested_at, not_before, open_until, expires_at, due_at
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $12)
    ON CONFLICT ON CONSTRAINT intents_reference_unique DO NOTHING
    RETURNING saver_id, id, purpose, reference, shortcode, amount_cents, goal_id, account_id, msisdn, blind_index,
              state, reason, requested_at, not_before, open_until, expires_at, submitting_at, prompted_at,
              finished_at, checkout_request_id, receipt, settled_by
"""

INSERT_EVENT: Final[LiteralString] = """
    INSERT INTO savings.intent_events (saver_id, id, intent_id, state, cause, callback_id, receipt, happened_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""

FIND_INTENT: Final[LiteralString] = """
    SELECT saver_id, id, purpose, reference, shortcode, amount_cents, goal_id, account_id, msisdn, blind_index,
           state, reason, requested_at, not_before, open_until, expires_at, submitting_at, prompted_at,
           finished_at, checkout_request_id, receipt, settled_by
      FROM savings.intents
     WHERE saver_id = $1 AND id = $2
"""

FIND_INTENT_BY_REFERENCE: Final[LiteralString] = """
    SELECT saver_id, id, purpose, reference, shortcode, amount_cents, goal_id, account_id, msisdn, blind_index,
           state, reason, requested_at, not_before, open_until, expires_at, submitting_at, prompted_at,
           finished_at, checkout_request_id, receipt, settled_by
      FROM savings.intents
     WHERE reference = $1
"""

FIND_INTENT_BY_CHECKOUT: Final[LiteralString] = """
    SELECT saver_id, id, purpose, reference, shortcode, amount_cents, goal_id, account_id, msisdn, blind_index,
           state, reason, requested_at, not_before, open_until, expires_at, submitting_at, prompted_at,
           finished_at, checkout_request_id, receipt, settled_by
      FROM savings.intents
     WHERE checkout_hash = $1
"""

# A reply and its callback may come in the same moment: whoever is second sees what the first one wrote.
LOCK_HANDLE: Final[LiteralString] = """
    SELECT pg_advisory_xact_lock(hashtextextended(encode($1::bytea, 'hex'), 20261125))
"""

FIND_INTENT_BY_RECEIPT: Final[LiteralString] = """
    SELECT saver_id, id, purpose, reference, shortcode, amount_cents, goal_id, account_id, msisdn, blind_index,
           state, reason, requested_at, not_before, open_until, expires_at, submitting_at, prompted_at,
           finished_at, checkout_request_id, receipt, settled_by
      FROM savings.intents
     WHERE receipt = $1
"""

# What was to be sent at once is open from then on, also to one who read the clock a moment before and waited since.
FIND_OPEN_PROMPT: Final[LiteralString] = """
    SELECT saver_id, id, purpose, reference, shortcode, amount_cents, goal_id, account_id, msisdn, blind_index,
           state, reason, requested_at, not_before, open_until, expires_at, submitting_at, prompted_at,
           finished_at, checkout_request_id, receipt, settled_by
      FROM savings.intents
     WHERE saver_id = $1
       AND state IN ('requested', 'prompted', 'unresolved')
       AND (not_before <= $2 OR not_before = requested_at) AND open_until > $2
     ORDER BY open_until DESC
     LIMIT 1
"""

LIST_INTENTS: Final[LiteralString] = """
    SELECT saver_id, id, purpose, reference, shortcode, amount_cents, goal_id, account_id, msisdn, blind_index,
           state, reason, requested_at, not_before, open_until, expires_at, submitting_at, prompted_at,
           finished_at, checkout_request_id, receipt, settled_by
      FROM savings.intents
     WHERE saver_id = $1 AND purpose <> 'collection' AND (requested_at, id) < ($2, $3)
     ORDER BY requested_at DESC, id DESC
     LIMIT $4
"""

COUNT_REQUESTED: Final[LiteralString] = """
    SELECT count(*) FROM savings.intents WHERE saver_id = $1 AND purpose = $2 AND requested_at >= $3
"""

IS_AWAITED: Final[LiteralString] = """
    SELECT EXISTS (
        SELECT
          FROM savings.intents
         WHERE saver_id = $1 AND account_id = $2
           AND (state = 'requested' OR (state IN ('prompted', 'unresolved') AND open_until > $3))
    )
"""

HASTEN: Final[LiteralString] = """
    UPDATE savings.intents SET due_at = $3
     WHERE saver_id = $1 AND account_id = $2 AND state = 'requested' AND submitting_at IS NULL
"""

# The row is the saver's own, locked by the saver's lock; a claim by the worker may hold it for a moment.
CANCEL_REQUESTED: Final[LiteralString] = """
    UPDATE savings.intents
       SET state = 'failed', reason = $3, finished_at = $4, due_at = NULL, lease_until = NULL, lease_id = NULL
     WHERE saver_id = $1 AND id = $2 AND state = 'requested' AND submitting_at IS NULL
    RETURNING id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One step of an intent, or one piece of evidence for where it stands."""

    state: str
    cause: str
    happened_at: datetime
    callback_id: UUID | None = None
    receipt: str | None = None


async def insert_intent(tx: Tx, wanted: Intent) -> Intent | None:
    """Insert a requested intent; None when its reference is taken."""
    return await tx.fetch_one(
        Intent,
        INSERT_INTENT,
        wanted.saver_id,
        wanted.id,
        wanted.purpose,
        wanted.reference,
        wanted.shortcode,
        wanted.amount_cents,
        wanted.goal_id,
        wanted.account_id,
        wanted.msisdn,
        wanted.blind_index,
        wanted.requested_at,
        wanted.not_before,
        wanted.open_until,
        wanted.expires_at,
    )


async def insert_event(tx: Tx, event: Event, *, saver_id: UUID, intent_id: UUID) -> None:
    await tx.execute(
        INSERT_EVENT,
        saver_id,
        new_id(),
        intent_id,
        event.state,
        event.cause,
        event.callback_id,
        event.receipt,
        event.happened_at,
    )


async def find(tx: Tx, *, saver_id: UUID, intent_id: UUID) -> Intent | None:
    return await tx.fetch_one(Intent, FIND_INTENT, saver_id, intent_id)


async def find_by_reference(tx: Tx, *, reference: str) -> Intent | None:
    return await tx.fetch_one(Intent, FIND_INTENT_BY_REFERENCE, reference)


async def find_by_checkout(tx: Tx, *, checkout_hash: bytes) -> Intent | None:
    return await tx.fetch_one(Intent, FIND_INTENT_BY_CHECKOUT, checkout_hash)


async def lock_handle(tx: Tx, *, checkout_hash: bytes) -> None:
    await tx.execute(LOCK_HANDLE, checkout_hash)


async def find_by_receipt(tx: Tx, *, receipt: str) -> Intent | None:
    return await tx.fetch_one(Intent, FIND_INTENT_BY_RECEIPT, receipt)


async def find_open_prompt(tx: Tx, *, saver_id: UUID, now: datetime) -> Intent | None:
    return await tx.fetch_one(Intent, FIND_OPEN_PROMPT, saver_id, now)


async def list_newest(tx: Tx, *, saver_id: UUID, before: tuple[datetime, UUID], limit: int) -> list[Intent]:
    return await tx.fetch_all(Intent, LIST_INTENTS, saver_id, *before, limit)


async def count_requested(tx: Tx, *, saver_id: UUID, purpose: str, since: datetime) -> int:
    return await tx.fetch_value(int, COUNT_REQUESTED, saver_id, purpose, since) or 0


async def is_awaited(tx: Tx, *, saver_id: UUID, account_id: UUID, now: datetime) -> bool:
    return bool(await tx.fetch_value(bool, IS_AWAITED, saver_id, account_id, now))


async def hasten(tx: Tx, *, saver_id: UUID, account_id: UUID, now: datetime) -> None:
    await tx.execute(HASTEN, saver_id, account_id, now)


async def cancel_requested(tx: Tx, *, saver_id: UUID, intent_id: UUID, reason: str, now: datetime) -> bool:
    """Give up an intent of which nothing was sent; False when it is too late for that."""
    return await tx.fetch_value(UUID, CANCEL_REQUESTED, saver_id, intent_id, reason, now) is not None
