"""The statement that finds what receipts were booked with; no decisions, no commits."""

from collections.abc import Sequence
from typing import Final, LiteralString

from zanari_api.deposits.booking_rows import Booking
from zanari_api.runtime.db import Tx

# Confirmations and callbacks are the messages whose time is in a zone that is known.
LIST_BOOKED: Final[LiteralString] = """
    SELECT receipt, amount_cents, CASE WHEN channel IN ('c2b', 'stk_callback') THEN event_at END AS told_at
      FROM savings.deposits
     WHERE receipt = ANY ($1::text[])
     UNION ALL
    SELECT receipt, amount_cents, NULL
      FROM mpesa.suspense_items
     WHERE receipt = ANY ($1::text[]) AND state <> 'assigned'
"""


async def list_booked(tx: Tx, *, receipts: Sequence[str]) -> list[Booking]:
    return await tx.fetch_all(Booking, LIST_BOOKED, list(receipts))
