"""A row of the feed as other slices hand it over, to be written with its effect. States no SQL."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class FeedRow:
    """A row to write. `explanation` and `round_up` are plain JSON; `private` is already encrypted."""

    saver_id: UUID
    id: UUID
    type: str
    status: str
    direction: str
    amount_cents: int
    occurred_at: datetime
    title: str
    explanation: Mapping[str, object]
    category: str | None = None
    goal_id: UUID | None = None
    receipt: str | None = None
    round_up: Mapping[str, object] | None = None
    private: bytes | None = None


@dataclass(frozen=True, slots=True)
class SpendChange:
    """What a spend's row is to show from now on; the rest of the row stays as it is."""

    id: UUID
    status: str
    round_up: Mapping[str, object]
    explanation: Mapping[str, object]
