"""A payout as it is compared with M-PESA's books. States no SQL."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class PaidOut:
    """A payout that M-PESA may know of. `event_at` is when it was paid, None while that is unknown."""

    id: UUID
    shortcode: str
    amount_cents: int
    state: str
    receipt: str | None
    event_at: datetime | None
