"""What of collections is compared with M-PESA's books. Changes nothing."""

from collections.abc import Sequence

from zanari_api.roundups import comparison_queries
from zanari_api.roundups.comparison_rows import Collected
from zanari_api.runtime.db import Tx


async def list_collected(tx: Tx, *, receipts: Sequence[str]) -> list[Collected]:
    """Return the collections that these receipts settled."""
    return await comparison_queries.list_collected(tx, receipts=receipts)
