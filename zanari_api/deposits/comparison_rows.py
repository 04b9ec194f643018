"""Payments in as they are compared with M-PESA's books. States no SQL."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class PaidIn:
    """Something of ours that a receipt was booked as; `id` is part of its transfer's key."""

    receipt: str
    id: UUID
    amount_cents: int


@dataclass(frozen=True, slots=True)
class Undecided:
    """A prompt whose outcome nobody knows yet."""

    id: UUID
    shortcode: str
    amount_cents: int


@dataclass(frozen=True, slots=True)
class Held:
    """A payment that is in suspense."""

    id: UUID
    receipt: str
    shortcode: str
    amount_cents: int
    event_at: datetime
