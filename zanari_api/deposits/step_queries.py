"""Every statement by which the system moves an intent on; no decisions, no commits.

What the worker writes is fenced by its lease. What Safaricom told us is true whoever heard it, and is not.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.deposits.rows import DueIntent, Intent, Payment
from zanari_api.runtime.db import Tx
from zanari_api.runtime.jobs import Backlog, Claim, DeadRow, Postponement

# As arrays: joined to what is due, which Postgres takes for a tenth of the table, the table would be read as a whole.
CLAIM_PROMPTS: Final[LiteralString] = """
    WITH due AS MATERIALIZED (
        SELECT saver_id, id
          FROM savings.intents
         WHERE state = 'requested' AND dead_at IS NULL AND due_at <= $2
           AND (lease_until IS NULL OR lease_until <= $2)
         ORDER BY due_at
         LIMIT $4
           FOR UPDATE SKIP LOCKED
    )
    UPDATE savings.intents AS i
       SET lease_until = $3, lease_id = $1, attempts = attempts + 1
      FROM unnest(ARRAY(SELECT saver_id FROM due), ARRAY(SELECT id FROM due)) AS leased (saver_id, id)
     WHERE i.saver_id = leased.saver_id AND i.id = leased.id
    RETURNING i.saver_id, i.id, i.attempts, i.lease_id
"""

# As arrays: joined to what is due, which Postgres takes for a tenth of the table, the table would be read as a whole.
CLAIM_CHECKS: Final[LiteralString] = """
    WITH due AS MATERIALIZED (
        SELECT saver_id, id
          FROM savings.intents
         WHERE state <> 'requested' AND dead_at IS NULL AND due_at <= $2
           AND (lease_until IS NULL OR lease_until <= $2)
         ORDER BY due_at
         LIMIT $4
           FOR UPDATE SKIP LOCKED
    )
    UPDATE savings.intents AS i
       SET lease_until = $3, lease_id = $1, attempts = attempts + 1
      FROM unnest(ARRAY(SELECT saver_id FROM due), ARRAY(SELECT id FROM due)) AS leased (saver_id, id)
     WHERE i.saver_id = leased.saver_id AND i.id = leased.id
    RETURNING i.saver_id, i.id, i.attempts, i.lease_id
"""

POSTPONE: Final[LiteralString] = """
    WITH put_off AS (
        UPDATE savings.intents
           SET due_at = $4, last_error = $5, dead_at = CASE WHEN $6 THEN $4::timestamptz END,
               lease_until = NULL, lease_id = NULL
         WHERE saver_id = $1 AND id = $2 AND lease_id = $3
        RETURNING id, amount_cents, last_error, dead_at
    )
    SELECT id, amount_cents, last_error AS error, dead_at AS since FROM put_off WHERE dead_at IS NOT NULL
"""

# What is to be sent and what is to be looked at are two jobs over one table. Of one that has ended nothing is due.
LIST_DEAD: Final[LiteralString] = """
    SELECT id, amount_cents, last_error AS error, dead_at AS since
      FROM savings.intents
     WHERE dead_at > '-infinity'::timestamptz AND due_at IS NOT NULL AND (state = 'requested') = $1
     ORDER BY dead_at, id
"""

REVIVE: Final[LiteralString] = """
    UPDATE savings.intents SET due_at = $2, attempts = 0, dead_at = NULL, last_error = NULL
     WHERE id = $1 AND dead_at > '-infinity'::timestamptz AND due_at IS NOT NULL AND (state = 'requested') = $3
    RETURNING id
"""

COUNT_PROMPTS: Final[LiteralString] = """
    SELECT due.due, due.oldest_due_at, dead.dead
      FROM (
            SELECT count(*) AS due, min(due_at) AS oldest_due_at
              FROM savings.intents
             WHERE state = 'requested' AND dead_at IS NULL AND due_at <= $1
           ) AS due,
           (
            SELECT count(*) AS dead
              FROM savings.intents
             WHERE state = 'requested' AND dead_at > '-infinity'::timestamptz AND due_at IS NOT NULL
           ) AS dead
"""

COUNT_CHECKS: Final[LiteralString] = """
    SELECT due.due, due.oldest_due_at, dead.dead
      FROM (
            SELECT count(*) AS due, min(due_at) AS oldest_due_at
              FROM savings.intents
             WHERE state <> 'requested' AND dead_at IS NULL AND due_at <= $1
           ) AS due,
           (
            SELECT count(*) AS dead
              FROM savings.intents
             WHERE state <> 'requested' AND dead_at > '-infinity'::timestamptz AND due_at IS NOT NULL
           ) AS dead
"""

# Another open prompt of the saver's, or the same amount to the same number, whoever asks for it.
FIND_OTHER_PROMPT: Final[LiteralString] = """
    SELECT max(open_until)
      FROM savings.intents
     WHERE saver_id = $1 AND id <> $2
       AND state IN ('requested', 'prompted', 'unresolved')
       AND (not_before <= $3 OR not_before = requested_at) AND open_until > $3
"""

FIND_SAME_AMOUNT: Final[LiteralString] = """
    SELECT max(submitting_at)
      FROM savings.intents
     WHERE blind_index = $1 AND amount_cents = $2 AND submitting_at > $3
"""

MARK_SUBMITTING: Final[LiteralString] = """
    UPDATE savings.intents SET submitting_at = $4, open_until = $5
     WHERE saver_id = $1 AND id = $2 AND lease_id = $3 AND state = 'requested' AND submitting_at IS NULL
    RETURNING id
"""

MARK_NOT_SENT: Final[LiteralString] = """
    UPDATE savings.intents
       SET submitting_at = NULL, due_at = $4, last_error = $5, lease_until = NULL, lease_id = NULL
     WHERE saver_id = $1 AND id = $2 AND lease_id = $3 AND state = 'requested'
    RETURNING id
"""

PUT_OFF: Final[LiteralString] = """
    UPDATE savings.intents
       SET due_at = $4, not_before = $5, open_until = $6, attempts = 0, lease_until = NULL, lease_id = NULL
     WHERE saver_id = $1 AND id = $2 AND lease_id = $3 AND state = 'requested'
    RETURNING id
"""

# The handle is recorded even where the payment has overtaken the reply: the callback is found by it.
MARK_PROMPTED: Final[LiteralString] = """
    UPDATE savings.intents
       SET checkout_hash = $3, checkout_request_id = $4, prompted_at = $5,
           state = CASE WHEN state IN ('requested', 'unresolved') THEN 'prompted' ELSE state END,
           reason = CASE WHEN state IN ('requested', 'unresolved') THEN NULL ELSE reason END,
           due_at = CASE WHEN state IN ('requested', 'unresolved') THEN $6 ELSE due_at END,
           attempts = 0, dead_at = NULL, lease_until = NULL, lease_id = NULL
     WHERE saver_id = $1 AND id = $2 AND submitting_at IS NOT NULL AND checkout_hash IS NULL
    RETURNING state
"""

MARK_UNRESOLVED: Final[LiteralString] = """
    UPDATE savings.intents
       SET state = 'unresolved', reason = $3, due_at = $4, attempts = 0, dead_at = NULL, lease_until = NULL,
           lease_id = NULL
     WHERE saver_id = $1 AND id = $2 AND state IN ('requested', 'prompted', 'unresolved')
"""

MARK_FAILED: Final[LiteralString] = """
    UPDATE savings.intents
       SET state = 'failed', reason = $3, finished_at = $4, due_at = NULL, attempts = 0, dead_at = NULL,
           lease_until = NULL, lease_id = NULL
     WHERE saver_id = $1 AND id = $2 AND state IN ('requested', 'prompted', 'unresolved')
"""

MARK_SETTLED: Final[LiteralString] = """
    UPDATE savings.intents
       SET state = 'settled', reason = $7, settled_by = $3, receipt = $4, finished_at = $5, due_at = $6,
           attempts = 0, dead_at = NULL, lease_until = NULL, lease_id = NULL
     WHERE saver_id = $1 AND id = $2 AND state <> 'settled'
"""

ATTACH_RECEIPT: Final[LiteralString] = """
    UPDATE savings.intents
       SET receipt = $3, due_at = NULL, attempts = 0, dead_at = NULL, lease_until = NULL, lease_id = NULL
     WHERE saver_id = $1 AND id = $2 AND state = 'settled' AND receipt IS NULL
"""

LOOK_AT: Final[LiteralString] = """
    UPDATE savings.intents SET due_at = $3, attempts = 0, lease_until = NULL, lease_id = NULL
     WHERE saver_id = $1 AND id = $2 AND state = 'unresolved'
"""

REST: Final[LiteralString] = """
    UPDATE savings.intents SET due_at = $4, attempts = 0, lease_until = NULL, lease_id = NULL
     WHERE saver_id = $1 AND id = $2 AND lease_id = $3
"""


async def claim_prompts(tx: Tx, claim: Claim) -> Sequence[DueIntent]:
    return await tx.fetch_all(
        DueIntent, CLAIM_PROMPTS, claim.lease_id, claim.now, claim.lease_until, claim.limit
    )


async def claim_checks(tx: Tx, claim: Claim) -> Sequence[DueIntent]:
    return await tx.fetch_all(
        DueIntent, CLAIM_CHECKS, claim.lease_id, claim.now, claim.lease_until, claim.limit
    )


async def postpone(tx: Tx, row: DueIntent, postponement: Postponement) -> DeadRow | None:
    return await tx.fetch_one(
        DeadRow,
        POSTPONE,
        row.saver_id,
        row.id,
        row.lease_id,
        postponement.due_at,
        postponement.error,
        postponement.dead,
    )


async def list_dead(tx: Tx, *, to_send: bool) -> list[DeadRow]:
    return await tx.fetch_all(DeadRow, LIST_DEAD, to_send)


async def revive(tx: Tx, *, intent_id: UUID, to_send: bool, now: datetime) -> bool:
    return await tx.fetch_value(UUID, REVIVE, intent_id, now, to_send) is not None


async def count_prompts(tx: Tx, now: datetime) -> Backlog:
    return await tx.fetch_one(Backlog, COUNT_PROMPTS, now) or Backlog(0, None, 0)


async def count_checks(tx: Tx, now: datetime) -> Backlog:
    return await tx.fetch_one(Backlog, COUNT_CHECKS, now) or Backlog(0, None, 0)


async def find_other_prompt(tx: Tx, intent: Intent, *, now: datetime) -> datetime | None:
    """Return until when another prompt of the saver's is open."""
    return await tx.fetch_value(datetime, FIND_OTHER_PROMPT, intent.saver_id, intent.id, now)


async def find_same_amount(tx: Tx, intent: Intent, *, since: datetime) -> datetime | None:
    """Return when the same amount was last asked of the same number."""
    return await tx.fetch_value(datetime, FIND_SAME_AMOUNT, intent.blind_index, intent.amount_cents, since)


async def mark_submitting(tx: Tx, due: DueIntent, *, now: datetime, open_until: datetime) -> bool:
    changed = await tx.fetch_value(UUID, MARK_SUBMITTING, due.saver_id, due.id, due.lease_id, now, open_until)
    return changed is not None


async def mark_not_sent(tx: Tx, due: DueIntent, *, due_at: datetime, error: str) -> bool:
    changed = await tx.fetch_value(UUID, MARK_NOT_SENT, due.saver_id, due.id, due.lease_id, due_at, error)
    return changed is not None


async def put_off(
    tx: Tx, due: DueIntent, *, until: datetime, not_before: datetime, open_until: datetime
) -> bool:
    changed = await tx.fetch_value(
        UUID, PUT_OFF, due.saver_id, due.id, due.lease_id, until, not_before, open_until
    )
    return changed is not None


async def mark_prompted(
    tx: Tx,
    intent: Intent,
    *,
    checkout_hash: bytes,
    checkout_request_id: bytes,
    now: datetime,
    query_at: datetime,
) -> str | None:
    """Record Safaricom's handle; return the state from now on, None when the handle was recorded before."""
    return await tx.fetch_value(
        str, MARK_PROMPTED, intent.saver_id, intent.id, checkout_hash, checkout_request_id, now, query_at
    )


async def mark_unresolved(tx: Tx, intent: Intent, *, reason: str, due_at: datetime | None) -> None:
    await tx.execute(MARK_UNRESOLVED, intent.saver_id, intent.id, reason, due_at)


async def mark_failed(tx: Tx, intent: Intent, *, reason: str, now: datetime) -> None:
    await tx.execute(MARK_FAILED, intent.saver_id, intent.id, reason, now)


async def mark_settled(
    tx: Tx, intent: Intent, payment: Payment, *, now: datetime, due_at: datetime | None, reason: str | None
) -> None:
    await tx.execute(
        MARK_SETTLED, intent.saver_id, intent.id, payment.channel, payment.receipt, now, due_at, reason
    )


async def attach_receipt(tx: Tx, intent: Intent, *, receipt: str) -> None:
    await tx.execute(ATTACH_RECEIPT, intent.saver_id, intent.id, receipt)


async def rest(tx: Tx, due: DueIntent, *, until: datetime | None) -> None:
    await tx.execute(REST, due.saver_id, due.id, due.lease_id, until)


async def look_at(tx: Tx, intent: Intent, *, at: datetime | None) -> None:
    await tx.execute(LOOK_AT, intent.saver_id, intent.id, at)
