"""A settled collection as it is compared with M-PESA's books. States no SQL."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Collected:
    """A payment that settled a collection; `id` is part of its transfer's key."""

    receipt: str
    id: UUID
    saver_id: UUID
    amount_cents: int
    shortcode: str
    settled_at: datetime
