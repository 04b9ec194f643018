"""Tells the feed how something ended that was pending when its row was written. Writes no new row."""

from collections.abc import Mapping
from uuid import UUID

from zanari_api.runtime.db import Tx
from zanari_api.transactions import outcome_queries


async def mark(
    tx: Tx,
    *,
    saver_id: UUID,
    transaction_id: UUID,
    status: str,
    explanation: Mapping[str, object],
    receipt: str | None = None,
) -> None:
    """Show how it stands now, and by which receipt. The row keeps its place in the feed. The saver must be locked."""
    await outcome_queries.mark_outcome(
        tx,
        saver_id=saver_id,
        transaction_id=transaction_id,
        status=status,
        explanation=explanation,
        receipt=receipt,
    )
