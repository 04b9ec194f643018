"""Every statement by which payouts are jobs: leased, put off, counted, revived; no decisions, no commits."""

from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.payouts.rows import ClaimedPayout
from zanari_api.runtime.db import Tx
from zanari_api.runtime.jobs import Backlog, Claim, DeadRow, Postponement

# As arrays: joined to what is due, which Postgres takes for a tenth of the table, the table would be read as a whole.
CLAIM_SUBMISSIONS: Final[LiteralString] = """
    WITH due AS MATERIALIZED (
        SELECT due.saver_id, due.id
          FROM savings.payouts AS due
         WHERE due.due_at <= $2 AND due.dead_at IS NULL
           AND (due.lease_until IS NULL OR due.lease_until <= $2)
           AND (due.state IN ('requested', 'queued') OR due.resend_wanted)
         ORDER BY due.due_at
         LIMIT $4
           FOR UPDATE SKIP LOCKED
    )
    UPDATE savings.payouts AS p
       SET lease_id = $1, lease_until = $3, attempts = p.attempts + 1
      FROM unnest(ARRAY(SELECT saver_id FROM due), ARRAY(SELECT id FROM due)) AS leased (saver_id, id)
     WHERE p.saver_id = leased.saver_id AND p.id = leased.id
    RETURNING p.saver_id, p.id, p.lease_id, p.attempts
"""

# As arrays: joined to what is due, which Postgres takes for a tenth of the table, the table would be read as a whole.
CLAIM_CHECKS: Final[LiteralString] = """
    WITH due AS MATERIALIZED (
        SELECT due.saver_id, due.id
          FROM savings.payouts AS due
         WHERE due.due_at <= $2 AND due.dead_at IS NULL
           AND (due.lease_until IS NULL OR due.lease_until <= $2)
           AND due.state IN ('submitting', 'submitted', 'unknown') AND NOT due.resend_wanted
         ORDER BY due.due_at
         LIMIT $4
           FOR UPDATE SKIP LOCKED
    )
    UPDATE savings.payouts AS p
       SET lease_id = $1, lease_until = $3, attempts = p.attempts + 1
      FROM unnest(ARRAY(SELECT saver_id FROM due), ARRAY(SELECT id FROM due)) AS leased (saver_id, id)
     WHERE p.saver_id = leased.saver_id AND p.id = leased.id
    RETURNING p.saver_id, p.id, p.lease_id, p.attempts
"""

POSTPONE_PAYOUT: Final[LiteralString] = """
    WITH put_off AS (
        UPDATE savings.payouts
           SET due_at = $4, last_error = $5, dead_at = CASE WHEN $6 THEN $4::timestamptz END,
               lease_id = NULL, lease_until = NULL
         WHERE saver_id = $1 AND id = $2 AND lease_id = $3 AND state NOT IN ('settled', 'failed')
        RETURNING id, amount_cents, last_error, dead_at
    )
    SELECT id, amount_cents, last_error AS error, dead_at AS since FROM put_off WHERE dead_at IS NOT NULL
"""

# What is to be sent and what is to be asked about are two jobs over one table.
LIST_DEAD: Final[LiteralString] = """
    SELECT id, amount_cents, last_error AS error, dead_at AS since
      FROM savings.payouts
     WHERE dead_at > '-infinity'::timestamptz AND (state IN ('requested', 'queued') OR resend_wanted) = $1
     ORDER BY dead_at, id
"""

REVIVE_PAYOUT: Final[LiteralString] = """
    UPDATE savings.payouts SET due_at = $2, attempts = 0, dead_at = NULL, last_error = NULL
     WHERE id = $1 AND dead_at > '-infinity'::timestamptz
       AND (state IN ('requested', 'queued') OR resend_wanted) = $3
    RETURNING id
"""

RELEASE_PAYOUT: Final[LiteralString] = """
    UPDATE savings.payouts
       SET due_at = CASE WHEN due_at IS NOT NULL THEN coalesce($4, due_at) END, lease_id = NULL, lease_until = NULL,
           attempts = $5, last_error = NULL
     WHERE saver_id = $1 AND id = $2 AND lease_id = $3
"""

COUNT_DUE_SUBMISSIONS: Final[LiteralString] = """
    SELECT count(*) AS due, min(due_at) AS oldest_due_at, 0::bigint AS dead
      FROM savings.payouts
     WHERE due_at <= $1 AND dead_at IS NULL AND (state IN ('requested', 'queued') OR resend_wanted)
"""

COUNT_DEAD_SUBMISSIONS: Final[LiteralString] = """
    SELECT count(*)
      FROM savings.payouts
     WHERE dead_at > '-infinity'::timestamptz AND (state IN ('requested', 'queued') OR resend_wanted)
"""

COUNT_DUE_CHECKS: Final[LiteralString] = """
    SELECT count(*) AS due, min(due_at) AS oldest_due_at, 0::bigint AS dead
      FROM savings.payouts
     WHERE due_at <= $1 AND dead_at IS NULL AND state IN ('submitting', 'submitted', 'unknown') AND NOT resend_wanted
"""

COUNT_DEAD_CHECKS: Final[LiteralString] = """
    SELECT count(*)
      FROM savings.payouts
     WHERE dead_at > '-infinity'::timestamptz AND state IN ('submitting', 'submitted', 'unknown') AND NOT resend_wanted
"""


async def claim_submissions(tx: Tx, claim: Claim) -> list[ClaimedPayout]:
    return await tx.fetch_all(
        ClaimedPayout, CLAIM_SUBMISSIONS, claim.lease_id, claim.now, claim.lease_until, claim.limit
    )


async def claim_checks(tx: Tx, claim: Claim) -> list[ClaimedPayout]:
    return await tx.fetch_all(
        ClaimedPayout, CLAIM_CHECKS, claim.lease_id, claim.now, claim.lease_until, claim.limit
    )


async def postpone(tx: Tx, row: ClaimedPayout, postponement: Postponement) -> DeadRow | None:
    return await tx.fetch_one(
        DeadRow,
        POSTPONE_PAYOUT,
        row.saver_id,
        row.id,
        row.lease_id,
        postponement.due_at,
        postponement.error,
        postponement.dead,
    )


async def list_dead(tx: Tx, *, to_send: bool) -> list[DeadRow]:
    return await tx.fetch_all(DeadRow, LIST_DEAD, to_send)


async def revive(tx: Tx, *, payout_id: UUID, to_send: bool, now: datetime) -> bool:
    return await tx.fetch_value(UUID, REVIVE_PAYOUT, payout_id, now, to_send) is not None


async def release(
    tx: Tx, *, saver_id: UUID, payout_id: UUID, lease: UUID, due_at: datetime | None, attempts: int
) -> None:
    """End a lease after so many attempts; `due_at` None leaves open when the payout is looked at next."""
    await tx.execute(RELEASE_PAYOUT, saver_id, payout_id, lease, due_at, attempts)


async def count_submissions(tx: Tx, now: datetime) -> Backlog:
    due = await tx.fetch_one(Backlog, COUNT_DUE_SUBMISSIONS, now)
    assert due is not None  # noqa: S101 (an aggregate always returns a row)
    return Backlog(due.due, due.oldest_due_at, await tx.fetch_value(int, COUNT_DEAD_SUBMISSIONS) or 0)


async def count_checks(tx: Tx, now: datetime) -> Backlog:
    due = await tx.fetch_one(Backlog, COUNT_DUE_CHECKS, now)
    assert due is not None  # noqa: S101 (an aggregate always returns a row)
    return Backlog(due.due, due.oldest_due_at, await tx.fetch_value(int, COUNT_DEAD_CHECKS) or 0)
