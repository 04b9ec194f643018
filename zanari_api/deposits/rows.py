"""A payment as the inbound rail hands it over, to be booked. States no SQL and matches nobody."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment into our paybill, as M-PESA told us of it."""

    receipt: str
    amount_cents: int
    shortcode: str
    event_at: datetime
    callback_id: UUID
