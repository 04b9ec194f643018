"""A payout as it is compared with M-PESA's books. States no SQL."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class PaidOut:
    """A payout that M-PESA may know of."""

    id: UUID
    shortcode: str
    amount_cents: int
    receipt: str | None
