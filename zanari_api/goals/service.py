"""What a saver can do with goals; each function runs in the unit of work it is given."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from string import ascii_uppercase
from typing import Final
from uuid import UUID

from zanari_api.goals import guards, queries, rules
from zanari_api.goals.errors import (
    AllocationOver100,
    DefaultGoalFixed,
    GoalLocked,
    GoalNotFound,
    OrderIncomplete,
    TooManyGoals,
)
from zanari_api.goals.queries import NewGoal
from zanari_api.goals.rows import GoalRow
from zanari_api.goals.schemas import Goal, GoalCreate, GoalList, GoalStatus, GoalUpdate, Milestone
from zanari_api.kit.clock import eat_date, utc_now
from zanari_api.kit.ids import new_id
from zanari_api.ledger import accounts
from zanari_api.ledger.accounts import AccountKind
from zanari_api.runtime.db import Tx
from zanari_api.users import service as users

DEFAULT_GOAL_NAME: Final = "Spare change"
OPEN_GOALS_MAX: Final = 30


async def open_default(tx: Tx, *, saver_id: UUID) -> None:
    """Open the goal that takes whatever no other goal takes. Runs once, when the saver is made."""
    goal = NewGoal(saver_id, new_id(), new_id(), DEFAULT_GOAL_NAME, priority=1, letter="A", is_default=True)
    await accounts.open_accounts(tx, saver_id=saver_id, accounts={goal.account_id: AccountKind.GOAL})
    await queries.insert_goal(tx, goal)


async def create(tx: Tx, *, saver_id: UUID, wanted: GoalCreate) -> Goal:
    """Open a goal and its ledger account. Locks the saver. Raises TooManyGoals, AllocationOver100."""
    await users.lock_saver(tx, saver_id=saver_id)
    goals = await queries.list_goals(tx, saver_ids=[saver_id])
    _ensure_room(goals)
    _ensure_percent_fits(goals, percent=wanted.allocation_percent)
    goal = NewGoal(
        saver_id=saver_id,
        id=new_id(),
        account_id=new_id(),
        name=wanted.name,
        emoji=wanted.emoji,
        description=wanted.description,
        target_cents=wanted.target_cents,
        due_on=wanted.due_on,
        priority=wanted.priority or _last_place(goals),
        allocation_percent=wanted.allocation_percent,
        letter=await _free_letter(tx, saver_id=saver_id),
        locked_until=wanted.locked_until,
    )
    await accounts.open_accounts(tx, saver_id=saver_id, accounts={goal.account_id: AccountKind.GOAL})
    await queries.insert_goal(tx, goal)
    return await show(tx, saver_id=saver_id, goal_id=goal.id)


async def show_all(tx: Tx, *, saver_id: UUID) -> GoalList:
    """List the saver's goals in the order round-ups reach them, cancelled ones included."""
    goals = await queries.list_goals(tx, saver_ids=[saver_id])
    return GoalList(data=await _shown(tx, saver_id=saver_id, goals=goals))


async def show(tx: Tx, *, saver_id: UUID, goal_id: UUID) -> Goal:
    """Read one goal. Raises GoalNotFound."""
    goal = await find(tx, saver_id=saver_id, goal_id=goal_id)
    return (await _shown(tx, saver_id=saver_id, goals=[goal]))[0]


async def find(tx: Tx, *, saver_id: UUID, goal_id: UUID) -> GoalRow:
    """Return a goal that is not deleted, with its balance. Raises GoalNotFound."""
    found = await queries.find_goals(tx, wanted=[(saver_id, goal_id)])
    if not found or found[0].status == "deleted":
        raise GoalNotFound(goal_id=goal_id)
    return found[0]


async def find_many(tx: Tx, *, wanted: Sequence[tuple[UUID, UUID]]) -> dict[UUID, GoalRow]:
    """Return goals by id, given as (saver, goal), whatever their status."""
    return {goal.id: goal for goal in await queries.find_goals(tx, wanted=wanted)}


async def list_by_saver(tx: Tx, *, saver_ids: Sequence[UUID]) -> dict[UUID, list[GoalRow]]:
    """Return every saver's goals that are not deleted, in order."""
    by_saver: dict[UUID, list[GoalRow]] = {saver_id: [] for saver_id in saver_ids}
    for goal in await queries.list_goals(tx, saver_ids=saver_ids):
        by_saver[goal.saver_id].append(goal)
    return by_saver


async def update(tx: Tx, *, saver_id: UUID, goal_id: UUID, change: GoalUpdate) -> Goal:
    """Change what the update holds. Locks the saver.

    Raises GoalNotFound, GoalClosed, DefaultGoalFixed, GoalLocked (a lock can be made longer, not shorter),
    AllocationOver100. A target may be set below what is saved: the goal is then complete.
    """
    await users.lock_saver(tx, saver_id=saver_id)
    goal = await find(tx, saver_id=saver_id, goal_id=goal_id)
    guards.ensure_open(goal.status)
    fields = change.model_dump(include=change.model_fields_set)
    # A name, a place and a status cannot be empty: null there means "leave it".
    fields = {name: value for name, value in fields.items() if value is not None or name not in _NEVER_EMPTY}
    if goal.is_default and fields.keys() & _FIXED_FOR_DEFAULT:
        raise DefaultGoalFixed(goal_id=goal_id)
    if "locked_until" in fields and not guards.may_relock(
        goal.locked_until, fields["locked_until"], utc_now()
    ):
        raise GoalLocked(goal_id=goal_id)
    changed = replace(goal, **fields)
    others = [other for other in await queries.list_goals(tx, saver_ids=[saver_id]) if other.id != goal_id]
    _ensure_percent_fits(others, percent=changed.allocation_percent)
    await queries.update_goal(tx, changed)
    await note_milestones(tx, reached=[(saver_id, goal_id)])
    return await show(tx, saver_id=saver_id, goal_id=goal_id)


async def order(tx: Tx, *, saver_id: UUID, goal_ids: Sequence[UUID]) -> GoalList:
    """Put the open goals in order. Locks the saver. Raises GoalNotFound, OrderIncomplete."""
    await users.lock_saver(tx, saver_id=saver_id)
    goals = {goal.id: goal for goal in await queries.list_goals(tx, saver_ids=[saver_id])}
    for goal_id in goal_ids:
        if goal_id not in goals:
            raise GoalNotFound(goal_id=goal_id)
    movable = {goal.id for goal in goals.values() if goal.is_open and not goal.is_default}
    if len(goal_ids) != len(movable) or set(goal_ids) != movable:
        raise OrderIncomplete
    await queries.order_goals(tx, saver_id=saver_id, goal_ids=goal_ids)
    return await show_all(tx, saver_id=saver_id)


async def note_milestones(tx: Tx, *, reached: Sequence[tuple[UUID, UUID]]) -> None:
    """Record the milestones that these goals, given as (saver, goal), reach with what they hold now."""
    if reached:
        await queries.insert_milestones(
            tx, saver_ids=[saver for saver, _ in reached], goal_ids=[goal for _, goal in reached]
        )


async def close(tx: Tx, *, goal: GoalRow, status: str) -> None:
    """Mark an emptied goal as given up and close its ledger account."""
    await queries.close_goal(tx, saver_id=goal.saver_id, goal_id=goal.id, status=status)
    await accounts.close_account(tx, goal.account_id)


_NEVER_EMPTY: Final = {"name", "priority", "status"}
_FIXED_FOR_DEFAULT: Final = {
    "target_cents",
    "due_on",
    "allocation_percent",
    "status",
    "priority",
    "locked_until",
}


async def _shown(tx: Tx, *, saver_id: UUID, goals: Sequence[GoalRow]) -> tuple[Goal, ...]:
    milestones: dict[UUID, list[Milestone]] = {goal.id: [] for goal in goals}
    for row in await queries.list_milestones(tx, saver_id=saver_id, goal_ids=list(milestones)):
        milestones[row.goal_id].append(Milestone(percent=row.percent, reached_at=row.reached_at))
    now = utc_now()
    return tuple(_as_shown(goal, milestones[goal.id], now) for goal in goals)


def _as_shown(goal: GoalRow, milestones: Sequence[Milestone], now: datetime) -> Goal:
    today = eat_date(now)
    reached = goal.target_cents is not None and goal.saved_cents >= goal.target_cents
    return Goal(
        id=goal.id,
        name=goal.name,
        emoji=goal.emoji,
        description=goal.description,
        target_cents=goal.target_cents,
        saved_cents=goal.saved_cents,
        progress_percent=rules.progress_percent(goal.saved_cents, goal.target_cents),
        status=GoalStatus.COMPLETED if reached and goal.status == "active" else GoalStatus(goal.status),
        due_on=goal.due_on,
        overdue=goal.is_open and rules.is_overdue(goal.saved_cents, goal.target_cents, goal.due_on, today),
        required_weekly_cents=rules.required_weekly_cents(
            goal.saved_cents, goal.target_cents, goal.due_on, today
        )
        if goal.is_open
        else None,
        priority=goal.priority,
        allocation_percent=goal.allocation_percent,
        is_default=goal.is_default,
        letter=goal.letter,
        locked_until=goal.locked_until,
        milestones=tuple(milestones),
        created_at=goal.created_at,
    )


def _ensure_room(goals: Sequence[GoalRow]) -> None:
    if sum(goal.is_open for goal in goals) >= OPEN_GOALS_MAX:
        raise TooManyGoals


def _ensure_percent_fits(others: Sequence[GoalRow], *, percent: int | None) -> None:
    taken = sum(goal.allocation_percent or 0 for goal in others if goal.is_open)
    if percent is not None and taken + percent > 100:  # noqa: PLR2004 (per cent)
        raise AllocationOver100


def _last_place(goals: Sequence[GoalRow]) -> int:
    return 1 + max((goal.priority for goal in goals if goal.is_open and not goal.is_default), default=0)


async def _free_letter(tx: Tx, *, saver_id: UUID) -> str | None:
    """Return the first letter no goal of the saver ever had; None when all 26 are used up."""
    used = await queries.list_letters(tx, saver_id=saver_id)
    return next((letter for letter in ascii_uppercase if letter not in used), None)
