"""The goals' JSON."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from zanari_api.kit.schema import Cents, Day, Instant, Schema, Text

Name = Annotated[Text, Field(max_length=80)]
Emoji = Annotated[Text, Field(max_length=16)]
Description = Annotated[Text, Field(max_length=500)]
Percent = Annotated[int, Field(strict=True, ge=1, le=100)]
Priority = Annotated[int, Field(strict=True, ge=1, le=1000)]


class GoalStatus(StrEnum):
    """Where a goal stands."""

    ACTIVE = "active"
    "receives round-ups"

    PAUSED = "paused"
    "receives none until it is active again; deposits by hand are welcome"

    COMPLETED = "completed"
    "holds its target; it is active, and receives again when money leaves it"

    CANCELLED = "cancelled"
    "given up; its money went back to the wallet"


class Milestone(Schema):
    """A quarter of the target, reached for the first time."""

    percent: int
    reached_at: datetime


class Goal(Schema):
    """One goal. `letter` after your member code, in an M-PESA account reference, deposits straight into it."""

    id: UUID
    name: str
    emoji: str | None
    description: str | None
    target_cents: int | None
    saved_cents: int
    currency: Literal["KES"] = "KES"
    progress_percent: int | None
    status: GoalStatus
    due_on: date | None
    overdue: bool
    required_weekly_cents: int | None
    priority: int
    allocation_percent: int | None
    is_default: bool
    letter: str | None
    locked_until: datetime | None
    milestones: tuple[Milestone, ...]
    created_at: datetime


class GoalList(Schema):
    """All of a saver's goals, in the order in which round-ups reach them; the default goal is last."""

    data: tuple[Goal, ...]
    next_cursor: None = None


class GoalCreate(Schema):
    """A new goal. It joins the end of the order unless `priority` says where."""

    name: Name
    emoji: Emoji | None = None
    description: Description | None = None
    target_cents: Cents | None = None
    due_on: Day | None = None
    priority: Priority | None = None
    allocation_percent: Percent | None = None
    locked_until: Instant | None = None


class GoalUpdate(Schema):
    """What changes; what is left out stays. Null clears what can be empty."""

    name: Name | None = None
    emoji: Emoji | None = None
    description: Description | None = None
    target_cents: Cents | None = None
    due_on: Day | None = None
    priority: Priority | None = None
    allocation_percent: Percent | None = None
    status: Literal["active", "paused"] | None = None
    locked_until: Instant | None = None


class GoalOrder(Schema):
    """The open goals, first to be filled first; without the default goal."""

    goal_ids: Annotated[tuple[UUID, ...], Field(max_length=100)]


class MovementCreate(Schema):
    """An amount to move."""

    amount_cents: Cents


class Movement(Schema):
    """Money moved between wallet and goal, and both balances after it. `id` is its row in the feed."""

    id: UUID
    goal_id: UUID
    direction: Literal["to_goal", "to_wallet"]
    amount_cents: int
    currency: Literal["KES"] = "KES"
    goal_saved_cents: int
    wallet_balance_cents: int
    occurred_at: datetime


class Closure(Schema):
    """A goal given up, and what went back to the wallet."""

    goal_id: UUID
    status: Literal["cancelled", "deleted"]
    returned_cents: int
    currency: Literal["KES"] = "KES"
