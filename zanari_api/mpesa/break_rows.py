"""A break as other slices may hold it. States no SQL."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class BreakRow:
    """A break as stored; `closed_at` None while it is open."""

    id: UUID
    kind: str
    subject: str
    shortcode: str | None
    account: str | None
    amount_cents: int
    suspected_cause: str
    command: str
    opened_at: datetime
    last_seen_at: datetime
    closed_at: datetime | None
    closed_because: str | None
