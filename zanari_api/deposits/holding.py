"""Payments in suspense as operators see them: listed, and given back to whoever paid. Whose it is, is decided above."""

from datetime import datetime

from zanari_api.deposits import holding_queries
from zanari_api.deposits.holding_rows import HoldState, SuspenseView
from zanari_api.ledger import accounts, posting
from zanari_api.ledger.posting import Transfer
from zanari_api.runtime.db import Tx


async def list_items(tx: Tx, *, state: HoldState, limit: int) -> list[SuspenseView]:
    """Return the payments that are in this state, the oldest first."""
    return await holding_queries.list_items(tx, state=state, limit=limit)


async def find_item(tx: Tx, *, receipt: str) -> SuspenseView | None:
    """Return a payment that was held under this receipt, whatever became of it. Lock the receipt to decide by it."""
    return await holding_queries.find_item(tx, receipt=receipt)


async def find_returned_by(tx: Tx, *, return_receipt: str) -> str | None:
    """Return the receipt of the payment that this reversal gave back; None when it gave none back."""
    return await holding_queries.find_returned_by(tx, return_receipt=return_receipt)


async def give_back(
    tx: Tx,
    item: SuspenseView,
    *,
    return_receipt: str,
    by: str,
    evidence: str,
    event_at: datetime,
    now: datetime,
) -> None:
    """Book that M-PESA gave a held payment back: out of suspense, and out of our float. Both receipts are locked.

    `event_at` is when M-PESA did.
    """
    await posting.post_one(
        tx,
        Transfer(
            key=f"suspense_return:{item.id}",
            kind="suspense_return",
            event_at=event_at,
            entries=(
                (accounts.SUSPENSE, -item.amount_cents),
                (accounts.float_id(item.shortcode), item.amount_cents),
            ),
            metadata={"suspense_item_id": str(item.id)},
        ),
    )
    await holding_queries.return_item(
        tx, item, return_receipt=return_receipt, by=by, evidence=evidence, now=now
    )
