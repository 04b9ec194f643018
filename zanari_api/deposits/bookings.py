"""What receipts were booked with, many at once: for whoever compares a list of Safaricom's with our books."""

from collections.abc import Sequence

from zanari_api.deposits import booking_queries
from zanari_api.deposits.booking_rows import Booking
from zanari_api.runtime.db import Tx


async def find_bookings(tx: Tx, *, receipts: Sequence[str]) -> dict[str, Booking]:
    """Return what these receipts were booked with, credited or in suspense; one that was not is left out."""
    return {each.receipt: each for each in await booking_queries.list_booked(tx, receipts=receipts)}
