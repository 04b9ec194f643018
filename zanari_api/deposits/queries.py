"""Every statement on savings.deposits and mpesa.suspense_items; no decisions, no commits."""

from dataclasses import dataclass
from datetime import datetime
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

ATTACH_RECEIPT: Final[LiteralString] = """
    UPDATE savings.deposits SET receipt = $3
     WHERE saver_id = $1 AND intent_id = $2 AND receipt IS NULL
    RETURNING id
"""

SUM_DEPOSITED: Final[LiteralString] = """
    SELECT (
            SELECT coalesce(sum(amount_cents), 0)
              FROM savings.deposits
             WHERE saver_id = $1 AND event_at >= $2 AND event_at < $3
           )::bigint + (
            SELECT coalesce(sum(amount_cents), 0)
              FROM savings.intents
             WHERE saver_id = $1 AND requested_at >= $2 AND requested_at < $3
               AND state IN ('requested', 'prompted', 'unresolved')
           )::bigint
"""

FIND_HELD_ITEM: Final[LiteralString] = """
    SELECT id, receipt, amount_cents, shortcode, event_at
      FROM mpesa.suspense_items
     WHERE receipt = $1 AND state = 'held'
"""

RESOLVE_ITEM: Final[LiteralString] = """
    UPDATE mpesa.suspense_items
       SET state = 'assigned', resolved_at = $2, resolved_by = $3, evidence = $4
     WHERE id = $1 AND state = 'held'
    RETURNING id
"""

FIND_BOOKED_AMOUNT: Final[LiteralString] = """
    SELECT amount_cents FROM savings.deposits WHERE receipt = $1
     UNION ALL
    SELECT amount_cents FROM mpesa.suspense_items WHERE receipt = $1
"""


@dataclass(frozen=True, slots=True)
class SuspenseItem:
    """A payment that is held in suspense."""

    id: UUID
    receipt: str
    amount_cents: int
    shortcode: str
    event_at: datetime


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


async def attach_receipt(tx: Tx, *, saver_id: UUID, intent_id: UUID, receipt: str) -> UUID | None:
    """Give an intent's deposit its receipt; return the deposit's id, None when it has one already."""
    return await tx.fetch_value(UUID, ATTACH_RECEIPT, saver_id, intent_id, receipt)


async def sum_deposited(tx: Tx, *, saver_id: UUID, since: datetime, until: datetime) -> int:
    return await tx.fetch_value(int, SUM_DEPOSITED, saver_id, since, until) or 0


async def find_held_item(tx: Tx, *, receipt: str) -> SuspenseItem | None:
    return await tx.fetch_one(SuspenseItem, FIND_HELD_ITEM, receipt)


async def resolve_item(tx: Tx, *, item_id: UUID, now: datetime, by: str, evidence: str) -> bool:
    """Mark an item as somebody's; False when it is held no more."""
    return await tx.fetch_value(UUID, RESOLVE_ITEM, item_id, now, by, evidence) is not None
