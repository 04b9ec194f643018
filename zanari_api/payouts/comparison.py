"""What of payouts is compared with M-PESA's books: by receipt, and what M-PESA may have paid. Changes nothing."""

from collections.abc import Sequence
from typing import Final

from zanari_api.payouts import comparison_queries
from zanari_api.payouts.comparison_rows import PaidOut
from zanari_api.runtime.db import Tx

HEARD_MAX: Final = 1000


async def list_paid_out(tx: Tx, *, receipts: Sequence[str]) -> list[PaidOut]:
    """Return the payouts of these receipts, one that was paid after its refund included."""
    return await comparison_queries.list_by_receipt(tx, receipts=receipts)


async def list_heard(tx: Tx) -> list[PaidOut]:
    """Return the payouts that M-PESA may have paid without our knowing, a thousand at most."""
    return await comparison_queries.list_heard(tx, limit=HEARD_MAX)
