"""Splits an amount over a saver's goals. Pure: every cent given goes somewhere, and none is made."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

_WHOLE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalShare:
    """What the split needs to know of a goal. `room_cents` is what its target lacks, None without one."""

    goal_id: UUID
    priority: int
    percent: int | None = None
    room_cents: int | None = None
    is_default: bool = False
    receives: bool = True


@dataclass(frozen=True, slots=True)
class Share:
    """The part of the amount that one goal gets; never zero."""

    goal_id: UUID
    cents: int


def allocate(cents: int, goals: Sequence[GoalShare]) -> list[Share]:
    """Split `cents` over the goals that receive; the shares sum to `cents` exactly.

    Where a receiving goal has a percentage, each gets its percentage and the default goal the rest of the
    hundred; where none has, the first by priority gets all. What is over a goal's target goes on to the next
    goal by priority, whether or not that one has a percentage, and in the end to the default goal: it is the
    last whatever its priority, has no target and always receives.

    Raises ValueError for a negative amount, percentages over 100, or anything but one default goal: those
    are faults of ours, which no saver can cause.
    """
    if cents < 0:
        raise ValueError("a negative amount cannot be allocated")
    ordered = _in_order_of_receiving(goals)
    shares: list[Share] = []
    over = 0
    for goal, quota in zip(ordered, _quotas(cents, ordered), strict=True):
        offered = quota + over
        taken = offered if goal.is_default else min(offered, _room(goal, otherwise=offered))
        over = offered - taken
        if taken:
            shares.append(Share(goal.goal_id, taken))
    return shares


def _in_order_of_receiving(goals: Sequence[GoalShare]) -> list[GoalShare]:
    defaults = [goal for goal in goals if goal.is_default]
    if len(defaults) != 1:
        raise ValueError("a saver has exactly one default goal")
    others = [goal for goal in goals if goal.receives and not goal.is_default]
    # Equal priorities are settled by id, so that the same spend is split the same way every time.
    return sorted(others, key=lambda goal: (goal.priority, goal.goal_id)) + defaults


def _room(goal: GoalShare, *, otherwise: int) -> int:
    """Return what the goal still takes; a deposit may have put it over its target already."""
    return otherwise if goal.room_cents is None else max(0, goal.room_cents)


def _quotas(cents: int, ordered: Sequence[GoalShare]) -> list[int]:
    """Return what each goal is meant to get, targets aside; the last one is the default goal."""
    percents = [goal.percent or 0 for goal in ordered[:-1]]
    if not any(percents):
        return [cents] + [0] * (len(ordered) - 1)
    if sum(percents) > _WHOLE:
        raise ValueError("percentages sum to more than 100")
    return _by_largest_remainder(cents, [*percents, _WHOLE - sum(percents)])


def _by_largest_remainder(cents: int, percents: Sequence[int]) -> list[int]:
    """Give each its whole cents, then one cent each to the largest remainders; ties go to the first."""
    quotas = [cents * percent // _WHOLE for percent in percents]
    by_remainder = sorted(range(len(percents)), key=lambda place: -(cents * percents[place] % _WHOLE))
    for place in by_remainder[: cents - sum(quotas)]:
        quotas[place] += 1
    return quotas
