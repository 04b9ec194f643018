"""Callbacks as operators ask for them and see them. States no SQL."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class CallbackRow:
    """A stored callback as an operator sees it, without its body."""

    id: UUID
    kind: str
    outcome: str
    note: str | None
    saver_id: UUID | None
    deliveries: int
    source_listed: bool | None
    received_at: datetime
    last_received_at: datetime
    due_at: datetime | None
    attempts: int
    dead_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which callbacks an operator wants to see; None: any."""

    kind: str | None
    outcome: str | None
    since: datetime
    until: datetime
    limit: int
