"""Every statement on savings.deposits and mpesa.suspense_items; no decisions, no commits."""

from typing import Final, LiteralString
from uuid import UUID

from zanari_api.deposits.rows import Payment
from zanari_api.runtime.db import Tx

INSERT_DEPOSIT: Final[LiteralString] = """
    INSERT INTO savings.deposits (
        saver_id, id, receipt, channel, amount_cents, goal_id, shortcode, callback_id, event_at, intent_id
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
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
    tx: Tx, payment: Payment, *, saver_id: UUID, deposit_id: UUID, goal_id: UUID | None
) -> None:
    await tx.execute(
        INSERT_DEPOSIT,
        saver_id,
        deposit_id,
        payment.receipt,
        payment.channel,
        payment.amount_cents,
        goal_id,
        payment.shortcode,
        payment.callback_id,
        payment.event_at,
        payment.intent_id,
    )


async def insert_suspense_item(tx: Tx, payment: Payment, *, item_id: UUID, reason: str) -> None:
    await tx.execute(
        INSERT_SUSPENSE_ITEM,
        item_id,
        payment.receipt,
        payment.amount_cents,
        payment.shortcode,
        reason,
        payment.callback_id,
        payment.event_at,
    )


async def find_booked_amount(tx: Tx, *, receipt: str) -> int | None:
    """Return what a receipt was booked with, credited or in suspense; None when it was not."""
    return await tx.fetch_value(int, FIND_BOOKED_AMOUNT, receipt)
