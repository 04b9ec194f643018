"""The feed's JSON. Pages and rows are built by Postgres; these shapes are what a test holds them to."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from zanari_api.kit.schema import Day, Instant, Schema, Text


class Type(StrEnum):
    """What kind of thing happened."""

    SPEND = "spend"
    "a payment the saver made with M-PESA elsewhere; it moves no money here, its round-up may"

    DEPOSIT = "deposit"
    "money that came in over M-PESA"

    ALLOCATION = "allocation"
    "wallet to goal, by the saver's hand"

    GOAL_WITHDRAWAL = "goal_withdrawal"
    "goal to wallet"

    PAYOUT = "payout"
    "money that went out over M-PESA"


class Status(StrEnum):
    """How far it has come."""

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"
    REVERSED = "reversed"


class Direction(StrEnum):
    """Seen from the saver's savings; a spend is `out` of the saver's M-PESA."""

    IN = "in"
    OUT = "out"
    INTERNAL = "internal"


class Filters(Schema):
    """Which rows of the feed to list. Days are days in Nairobi, both included."""

    type: Type | None = None
    status: Status | None = None
    category: Annotated[Text | None, Field(max_length=40)] = None
    from_: Annotated[Day | None, Field(alias="from")] = None
    to: Day | None = None
    updated_since: Instant | None = None
    """For sync: only rows that changed at or after this time."""

    q: Annotated[Text | None, Field(max_length=100)] = None
    """Text to find in the title."""

    cursor: Annotated[str | None, Field(max_length=80)] = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class AllocationShare(Schema):
    """The part of a round-up that is meant for one goal."""

    goal_id: UUID
    amount_cents: int


class RoundUp(Schema):
    """The decision on one spend; `reason` is null or a documented code."""

    amount_cents: int
    outcome: Literal["saved", "waiting", "skipped"]
    reason: str | None
    allocations: tuple[AllocationShare, ...]


class Item(Schema):
    """One row of the feed."""

    id: UUID
    type: Type
    status: Status
    direction: Direction
    amount_cents: int
    currency: Literal["KES"]
    occurred_at: datetime
    updated_at: datetime
    title: str
    category: str | None
    goal_id: UUID | None
    receipt: str | None
    round_up: RoundUp | None


class Explanation(Schema):
    """Why the outcome is what it is. `text` is one sentence for a person; the rest is for a program."""

    text: str
    outcome: str | None = None
    reason: str | None = None
    rule_version: int | None = None
    round_up_cents: int | None = None
    settled_cents: int | None = None
    """Of a round-up that had to wait: how much of it has become money in goals by now."""

    undone_cents: int | None = None


class ItemDetail(Item):
    """One row of the feed with its explanation, and what only its saver may read."""

    explanation: Explanation
    counterparty: str | None


class Page(Schema):
    """One page, newest first. Send `next_cursor` back as `cursor` for the next one; null on the last."""

    data: tuple[Item, ...]
    next_cursor: str | None
