"""Every statement on savings.collection_plans, the jobs that ask for collections; no decisions, no commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.roundups.collecting_rules import Restraint
from zanari_api.runtime.db import Tx
from zanari_api.runtime.jobs import Backlog, Claim, DeadRow, Postponement

# As an array: joined to what is due, which Postgres takes for a tenth of the table, the table would be read as a whole.
CLAIM_PLANS: Final[LiteralString] = """
    UPDATE savings.collection_plans AS p
       SET lease_id = $1, lease_until = $3, attempts = p.attempts + 1
     WHERE p.saver_id = ANY (ARRAY(
            SELECT saver_id
              FROM savings.collection_plans
             WHERE due_at <= $2 AND dead_at IS NULL AND (lease_until IS NULL OR lease_until <= $2)
             ORDER BY due_at
             LIMIT $4
               FOR UPDATE SKIP LOCKED
           ))
    RETURNING p.saver_id, p.attempts, p.lease_id
"""

# Held from here on, so that nobody can lease it anew before this transaction ends.
HOLD_PLAN: Final[LiteralString] = """
    SELECT cool_down_until, declined_in_a_row, paused
      FROM savings.collection_plans
     WHERE saver_id = $1 AND lease_id = $2
       FOR NO KEY UPDATE
"""

FINISH_PLAN: Final[LiteralString] = """
    UPDATE savings.collection_plans
       SET due_at = $3, attempts = 0, lease_id = NULL, lease_until = NULL, last_error = NULL,
           updated_at = clock_timestamp()
     WHERE saver_id = $1 AND lease_id = $2
"""

POSTPONE_PLAN: Final[LiteralString] = """
    WITH put_off AS (
        UPDATE savings.collection_plans
           SET due_at = $3, last_error = $4, dead_at = CASE WHEN $5::boolean THEN $3::timestamptz END,
               lease_id = NULL, lease_until = NULL
         WHERE saver_id = $1 AND lease_id = $2
        RETURNING saver_id, last_error, dead_at
    )
    SELECT saver_id AS id, 0 AS amount_cents, last_error AS error, dead_at AS since
      FROM put_off
     WHERE dead_at IS NOT NULL
"""

LIST_DEAD: Final[LiteralString] = """
    SELECT saver_id AS id, 0 AS amount_cents, last_error AS error, dead_at AS since
      FROM savings.collection_plans
     WHERE dead_at > '-infinity'::timestamptz
     ORDER BY dead_at, saver_id
"""

REVIVE_PLAN: Final[LiteralString] = """
    UPDATE savings.collection_plans SET due_at = $2, attempts = 0, dead_at = NULL, last_error = NULL
     WHERE saver_id = $1 AND dead_at IS NOT NULL
    RETURNING saver_id
"""

COUNT_PLANS: Final[LiteralString] = """
    SELECT due.due, due.oldest_due_at, dead.dead
      FROM (
            SELECT count(*) AS due, min(due_at) AS oldest_due_at
              FROM savings.collection_plans
             WHERE due_at <= $1 AND dead_at IS NULL
           ) AS due,
           (SELECT count(*) AS dead FROM savings.collection_plans WHERE dead_at > '-infinity'::timestamptz) AS dead
"""

FIND_RESTRAINT: Final[LiteralString] = """
    SELECT cool_down_until, declined_in_a_row, paused FROM savings.collection_plans WHERE saver_id = $1
"""

# There is none yet where the accruals are from a release that knew no plans.
WRITE_PLAN: Final[LiteralString] = """
    INSERT INTO savings.collection_plans (saver_id, cool_down_until, declined_in_a_row, paused, due_at)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (saver_id) DO UPDATE
       SET cool_down_until = EXCLUDED.cool_down_until, declined_in_a_row = EXCLUDED.declined_in_a_row,
           paused = EXCLUDED.paused, due_at = EXCLUDED.due_at, updated_at = clock_timestamp()
"""

LIFT_PAUSE: Final[LiteralString] = """
    UPDATE savings.collection_plans
       SET paused = false, declined_in_a_row = CASE WHEN paused THEN 0 ELSE declined_in_a_row END, due_at = $2,
           updated_at = clock_timestamp()
     WHERE saver_id = $1
"""


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A plan that was claimed."""

    saver_id: UUID
    attempts: int
    lease_id: UUID


async def claim(tx: Tx, claim: Claim) -> Sequence[PlanRow]:
    """Lease plans that are due, the longest due first."""
    return await tx.fetch_all(PlanRow, CLAIM_PLANS, claim.lease_id, claim.now, claim.lease_until, claim.limit)


async def hold(tx: Tx, plan: PlanRow) -> Restraint | None:
    """Hold a plan until commit and return its restraint; None when its lease is another's by now."""
    return await tx.fetch_one(Restraint, HOLD_PLAN, plan.saver_id, plan.lease_id)


async def finish(tx: Tx, plan: PlanRow, *, due_at: datetime | None) -> None:
    """Give a plan back, to be looked at again at `due_at`."""
    await tx.execute(FINISH_PLAN, plan.saver_id, plan.lease_id, due_at)


async def postpone(tx: Tx, plan: PlanRow, postponement: Postponement) -> DeadRow | None:
    """Put a plan off whose work failed; return it if it is given up."""
    return await tx.fetch_one(
        DeadRow,
        POSTPONE_PLAN,
        plan.saver_id,
        plan.lease_id,
        postponement.due_at,
        postponement.error,
        postponement.dead,
    )


async def list_dead(tx: Tx) -> list[DeadRow]:
    """Return the plans that were given up; a plan has its saver's id."""
    return await tx.fetch_all(DeadRow, LIST_DEAD)


async def revive(tx: Tx, saver_id: UUID, now: datetime) -> bool:
    """Have a plan looked at that was given up; False when it is none."""
    return await tx.fetch_value(UUID, REVIVE_PLAN, saver_id, now) is not None


async def count(tx: Tx, now: datetime) -> Backlog:
    return await tx.fetch_one(Backlog, COUNT_PLANS, now) or Backlog(0, None, 0)


async def find_restraint(tx: Tx, *, saver_id: UUID) -> Restraint:
    """Return what keeps prompts from a saver; nothing does where there is no plan yet."""
    return await tx.fetch_one(Restraint, FIND_RESTRAINT, saver_id) or Restraint()


async def write(tx: Tx, *, saver_id: UUID, restraint: Restraint, due_at: datetime | None) -> None:
    """Write what keeps prompts from a saver, and when to look at the accruals next. The saver must be locked."""
    await tx.execute(
        WRITE_PLAN,
        saver_id,
        restraint.cool_down_until,
        restraint.declined_in_a_row,
        restraint.paused,
        due_at,
    )


async def lift_pause(tx: Tx, *, saver_id: UUID, due_at: datetime) -> None:
    """Let prompts come again after the saver changed the rule; what was declined last cools down all the same."""
    await tx.execute(LIFT_PAUSE, saver_id, due_at)
