"""A payment in suspense as an operator sees it. States no SQL."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class HoldState(StrEnum):
    """Where the money of a payment is that could not be matched."""

    HELD = "held"
    "in the suspense account"

    ASSIGNED = "assigned"
    "credited to a saver after all"

    RETURNED = "returned"
    "given back to the payer"


@dataclass(frozen=True, slots=True)
class SuspenseView:
    """A payment that nobody could be matched to, why, and what became of it."""

    id: UUID
    receipt: str
    amount_cents: int
    shortcode: str
    reason: str
    event_at: datetime
    callback_id: UUID | None
    state: str
    resolved_at: datetime | None
    resolved_by: str | None
    evidence: str | None
    return_receipt: str | None
