"""Statements on mpesa.suspense_items as operators see and end them; no decisions, no commits."""

from datetime import datetime
from typing import Final, LiteralString

from zanari_api.deposits.holding_rows import SuspenseView
from zanari_api.runtime.db import Tx

LIST_ITEMS: Final[LiteralString] = """
    SELECT id, receipt, amount_cents, shortcode, reason, event_at, callback_id, state, resolved_at,
           resolved_by, evidence, return_receipt
      FROM mpesa.suspense_items
     WHERE state = $1
     ORDER BY event_at
     LIMIT $2
"""

FIND_ITEM: Final[LiteralString] = """
    SELECT id, receipt, amount_cents, shortcode, reason, event_at, callback_id, state, resolved_at,
           resolved_by, evidence, return_receipt
      FROM mpesa.suspense_items
     WHERE receipt = $1
"""

FIND_RETURNED_BY: Final[LiteralString] = "SELECT receipt FROM mpesa.suspense_items WHERE return_receipt = $1"

RETURN_ITEM: Final[LiteralString] = """
    UPDATE mpesa.suspense_items
       SET state = 'returned', resolved_at = $2, resolved_by = $3, evidence = $4, return_receipt = $5
     WHERE id = $1 AND state = 'held'
"""


async def list_items(tx: Tx, *, state: str, limit: int) -> list[SuspenseView]:
    return await tx.fetch_all(SuspenseView, LIST_ITEMS, state, limit)


async def find_item(tx: Tx, *, receipt: str) -> SuspenseView | None:
    return await tx.fetch_one(SuspenseView, FIND_ITEM, receipt)


async def find_returned_by(tx: Tx, *, return_receipt: str) -> str | None:
    """Return the receipt that this reversal gave back; None when it gave none back."""
    return await tx.fetch_value(str, FIND_RETURNED_BY, return_receipt)


async def return_item(
    tx: Tx, item: SuspenseView, *, return_receipt: str, by: str, evidence: str, now: datetime
) -> None:
    await tx.execute(RETURN_ITEM, item.id, now, by, evidence, return_receipt)
