"""Every statement on savings.deposits and mpesa.suspense_items; no decisions, no commits."""

from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.runtime.db import Tx

INSERT_DEPOSIT: Final[LiteralString] = """
    INSERT INTO savings.deposits (
        saver_id, id, receipt, channel, amount_cents, goal_id, shortcode, callback_id, event_at
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""

INSERT_SUSPENSE_ITEM: Final[LiteralString] = """
    INSERT INTO mpesa.suspense_items (id, receipt, amount_cents, shortcode, reason, callback_id, event_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""

FIND_BOOKED_AMOUNT: Final[LiteralString] = """
    SELECT amount_cents FROM savings.deposits WHERE receipt = $1
     UNION ALL
    SELECT amount_cents FROM mpesa.suspense_items WHERE receipt = $1
"""


async def insert_deposit(
    tx: Tx,
    *,
    saver_id: UUID,
    deposit_id: UUID,
    receipt: str,
    amount_cents: int,
    goal_id: UUID | None,
    shortcode: str,
    callback_id: UUID,
    event_at: datetime,
) -> None:
    await tx.execute(
        INSERT_DEPOSIT,
        saver_id,
        deposit_id,
        receipt,
        "c2b",
        amount_cents,
        goal_id,
        shortcode,
        callback_id,
        event_at,
    )


async def insert_suspense_item(
    tx: Tx,
    *,
    item_id: UUID,
    receipt: str,
    amount_cents: int,
    shortcode: str,
    reason: str,
    callback_id: UUID,
    event_at: datetime,
) -> None:
    await tx.execute(
        INSERT_SUSPENSE_ITEM, item_id, receipt, amount_cents, shortcode, reason, callback_id, event_at
    )


async def find_booked_amount(tx: Tx, *, receipt: str) -> int | None:
    """Return what a receipt was booked with, credited or in suspense; None when it was not."""
    return await tx.fetch_value(int, FIND_BOOKED_AMOUNT, receipt)
