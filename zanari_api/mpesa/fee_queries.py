"""Every statement on mpesa.fees; no decisions, no commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.runtime.db import Tx

# A rival's insert that has not committed yet is waited for.
INSERT_FEE: Final[LiteralString] = """
    INSERT INTO mpesa.fees (payout_id, shortcode, cents, source, event_at)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (payout_id) DO NOTHING
    RETURNING payout_id
"""

LOCK_FEE: Final[LiteralString] = """
    SELECT payout_id, shortcode, cents, source, event_at FROM mpesa.fees WHERE payout_id = $1 FOR UPDATE
"""

LIST_FEES: Final[LiteralString] = """
    SELECT payout_id, shortcode, cents, source, event_at FROM mpesa.fees WHERE payout_id = ANY ($1::uuid[])
"""

UPDATE_FEE: Final[LiteralString] = "UPDATE mpesa.fees SET cents = $2, source = $3 WHERE payout_id = $1"


@dataclass(frozen=True, slots=True)
class FeeRow:
    """What was charged for a payout, and who says so."""

    payout_id: UUID
    shortcode: str
    cents: int
    source: str
    event_at: datetime


async def insert_fee(tx: Tx, fee: FeeRow) -> bool:
    """Insert a fee; False when this payout has one."""
    inserted = await tx.fetch_value(
        UUID, INSERT_FEE, fee.payout_id, fee.shortcode, fee.cents, fee.source, fee.event_at
    )
    return inserted is not None


async def lock_fee(tx: Tx, *, payout_id: UUID) -> FeeRow | None:
    return await tx.fetch_one(FeeRow, LOCK_FEE, payout_id)


async def update_fee(tx: Tx, *, payout_id: UUID, cents: int, source: str) -> None:
    await tx.execute(UPDATE_FEE, payout_id, cents, source)


async def list_fees(tx: Tx, *, payout_ids: Sequence[UUID]) -> list[FeeRow]:
    return await tx.fetch_all(FeeRow, LIST_FEES, list(payout_ids))
