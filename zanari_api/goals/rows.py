"""A goal as stored, the one row that other slices may hold. States no SQL and changes nothing."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class GoalRow:
    """A goal as stored, with its balance in the ledger."""

    saver_id: UUID
    id: UUID
    account_id: UUID
    name: str
    emoji: str | None
    description: str | None
    target_cents: int | None
    due_on: date | None
    priority: int
    allocation_percent: int | None
    status: str
    letter: str | None
    locked_until: datetime | None
    is_default: bool
    created_at: datetime
    saved_cents: int

    @property
    def is_open(self) -> bool:
        return self.status in {"active", "paused"}
