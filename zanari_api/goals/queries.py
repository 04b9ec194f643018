"""Every statement on savings.goals and its milestones; no decisions, no commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.goals.rows import GoalRow
from zanari_api.runtime.db import Tx

# LIMIT has the balance of each goal looked up: before the first ANALYZE, Postgres would read all balances instead.
LIST_GOALS: Final[LiteralString] = """
    SELECT g.saver_id, g.id, g.account_id, g.name, g.emoji, g.description, g.target_cents, g.due_on, g.priority,
           g.allocation_percent, g.status, g.letter, g.locked_until, g.is_default, g.created_at,
           b.balance_cents AS saved_cents
      FROM savings.goals AS g
     CROSS JOIN LATERAL (
               SELECT x.balance_cents FROM ledger.balances AS x WHERE x.account_id = g.account_id LIMIT 1
           ) AS b
     WHERE g.saver_id = ANY ($1::uuid[]) AND g.status <> 'deleted'
     ORDER BY g.saver_id, g.is_default, g.priority, g.created_at, g.id
"""

FIND_GOALS: Final[LiteralString] = """
    SELECT g.saver_id, g.id, g.account_id, g.name, g.emoji, g.description, g.target_cents, g.due_on, g.priority,
           g.allocation_percent, g.status, g.letter, g.locked_until, g.is_default, g.created_at,
           b.balance_cents AS saved_cents
      FROM savings.goals AS g
      JOIN ledger.balances AS b ON b.account_id = g.account_id
      JOIN unnest($1::uuid[], $2::uuid[]) AS wanted (saver_id, id) ON wanted.saver_id = g.saver_id AND wanted.id = g.id
"""

JOIN_LETTERS: Final[LiteralString] = """
    SELECT coalesce(string_agg(letter, ''), '') FROM savings.goals WHERE saver_id = $1
"""

INSERT_GOAL: Final[LiteralString] = """
    INSERT INTO savings.goals (
        saver_id, id, account_id, name, emoji, description, target_cents, due_on, priority, allocation_percent,
        letter, locked_until, is_default
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""

UPDATE_GOAL: Final[LiteralString] = """
    UPDATE savings.goals
       SET name = $3, emoji = $4, description = $5, target_cents = $6, due_on = $7, priority = $8,
           allocation_percent = $9, status = $10, locked_until = $11, updated_at = now()
     WHERE saver_id = $1 AND id = $2
"""

ORDER_GOALS: Final[LiteralString] = """
    UPDATE savings.goals AS g
       SET priority = wanted.priority, updated_at = now()
      FROM unnest($2::uuid[]) WITH ORDINALITY AS wanted (id, priority)
     WHERE g.saver_id = $1 AND g.id = wanted.id
"""

CLOSE_GOAL: Final[LiteralString] = """
    UPDATE savings.goals SET status = $3, allocation_percent = NULL, updated_at = now()
     WHERE saver_id = $1 AND id = $2
"""

# 100 * saved >= target * percent is the whole rule in integers; a milestone once reached stays reached.
INSERT_MILESTONES: Final[LiteralString] = """
    INSERT INTO savings.goal_milestones (saver_id, goal_id, percent)
    SELECT g.saver_id, g.id, mark.percent
      FROM savings.goals AS g
      JOIN ledger.balances AS b ON b.account_id = g.account_id
     CROSS JOIN (VALUES (25), (50), (75), (100)) AS mark (percent)
     WHERE g.saver_id = ANY ($1::uuid[]) AND g.id = ANY ($2::uuid[])
       AND 100 * b.balance_cents::numeric >= g.target_cents::numeric * mark.percent
    ON CONFLICT ON CONSTRAINT goal_milestones_reached_once DO NOTHING
"""

LIST_MILESTONES: Final[LiteralString] = """
    SELECT goal_id, percent, reached_at
      FROM savings.goal_milestones
     WHERE saver_id = $1 AND goal_id = ANY ($2::uuid[])
     ORDER BY goal_id, percent
"""


@dataclass(frozen=True, slots=True)
class NewGoal:
    """A goal to insert."""

    saver_id: UUID
    id: UUID
    account_id: UUID
    name: str
    priority: int
    emoji: str | None = None
    description: str | None = None
    target_cents: int | None = None
    due_on: date | None = None
    allocation_percent: int | None = None
    letter: str | None = None
    locked_until: datetime | None = None
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class MilestoneRow:
    """A milestone that was reached."""

    goal_id: UUID
    percent: int
    reached_at: datetime


async def list_goals(tx: Tx, *, saver_ids: Sequence[UUID]) -> list[GoalRow]:
    return await tx.fetch_all(GoalRow, LIST_GOALS, list(saver_ids))


async def find_goals(tx: Tx, *, wanted: Sequence[tuple[UUID, UUID]]) -> list[GoalRow]:
    """Return goals by (saver, goal), deleted ones among them."""
    return await tx.fetch_all(
        GoalRow, FIND_GOALS, [saver for saver, _ in wanted], [goal for _, goal in wanted]
    )


async def list_letters(tx: Tx, *, saver_id: UUID) -> set[str]:
    return set(await tx.fetch_value(str, JOIN_LETTERS, saver_id) or "")


async def insert_goal(tx: Tx, goal: NewGoal) -> None:
    await tx.execute(
        INSERT_GOAL,
        goal.saver_id,
        goal.id,
        goal.account_id,
        goal.name,
        goal.emoji,
        goal.description,
        goal.target_cents,
        goal.due_on,
        goal.priority,
        goal.allocation_percent,
        goal.letter,
        goal.locked_until,
        goal.is_default,
    )


async def update_goal(tx: Tx, goal: GoalRow) -> None:
    """Write back what a saver may change."""
    await tx.execute(
        UPDATE_GOAL,
        goal.saver_id,
        goal.id,
        goal.name,
        goal.emoji,
        goal.description,
        goal.target_cents,
        goal.due_on,
        goal.priority,
        goal.allocation_percent,
        goal.status,
        goal.locked_until,
    )


async def order_goals(tx: Tx, *, saver_id: UUID, goal_ids: Sequence[UUID]) -> None:
    await tx.execute(ORDER_GOALS, saver_id, list(goal_ids))


async def close_goal(tx: Tx, *, saver_id: UUID, goal_id: UUID, status: str) -> None:
    await tx.execute(CLOSE_GOAL, saver_id, goal_id, status)


async def insert_milestones(tx: Tx, *, saver_ids: Sequence[UUID], goal_ids: Sequence[UUID]) -> None:
    await tx.execute(INSERT_MILESTONES, list(saver_ids), list(goal_ids))


async def list_milestones(tx: Tx, *, saver_id: UUID, goal_ids: Sequence[UUID]) -> list[MilestoneRow]:
    return await tx.fetch_all(MilestoneRow, LIST_MILESTONES, saver_id, list(goal_ids))
