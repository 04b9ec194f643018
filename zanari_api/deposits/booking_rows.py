"""What a receipt was booked with, as it is compared with what Safaricom lists. States no SQL."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Booking:
    """What a receipt was booked with. `told_at`: when the payment was made, where a message said so itself."""

    receipt: str
    amount_cents: int
    told_at: datetime | None
