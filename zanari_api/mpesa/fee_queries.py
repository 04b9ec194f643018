"""Every statement on mpesa.fees; no decisions, no commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.runtime.db import Tx

# A rival's insert that has not committed yet is waited for.
INSERT_FEE: Final[LiteralString] = """
    INSERT INTO mpesa.fees (payout_id, deposit_id, shortcode, cents, source, event_at)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT DO NOTHING
    RETURNING id
"""

LOCK_FEE: Final[LiteralString] = """
    SELECT payout_id, deposit_id, shortcode, cents, source, event_at
      FROM mpesa.fees
     WHERE payout_id = $1 OR deposit_id = $2
       FOR UPDATE
"""

LIST_FEES: Final[LiteralString] = """
    SELECT payout_id, deposit_id, shortcode, cents, source, event_at
      FROM mpesa.fees
     WHERE payout_id = ANY ($1::uuid[]) OR deposit_id = ANY ($2::uuid[])
"""

UPDATE_FEE: Final[LiteralString] = """
    UPDATE mpesa.fees SET cents = $3, source = $4 WHERE payout_id = $1 OR deposit_id = $2
"""


@dataclass(frozen=True, slots=True)
class FeeRow:
    """What was charged for a payout, or for the reversal of a deposit, and who says so."""

    payout_id: UUID | None
    deposit_id: UUID | None
    shortcode: str
    cents: int
    source: str
    event_at: datetime


async def insert_fee(tx: Tx, fee: FeeRow) -> bool:
    """Insert a fee; False when what it is for has one."""
    inserted = await tx.fetch_value(
        UUID,
        INSERT_FEE,
        fee.payout_id,
        fee.deposit_id,
        fee.shortcode,
        fee.cents,
        fee.source,
        fee.event_at,
    )
    return inserted is not None


async def lock_fee(tx: Tx, *, payout_id: UUID | None, deposit_id: UUID | None) -> FeeRow | None:
    """Lock and return the fee of one of them; the other is None."""
    return await tx.fetch_one(FeeRow, LOCK_FEE, payout_id, deposit_id)


async def update_fee(tx: Tx, fee: FeeRow) -> None:
    """Keep what is charged by now for the same, and who says so."""
    await tx.execute(UPDATE_FEE, fee.payout_id, fee.deposit_id, fee.cents, fee.source)


async def list_fees(tx: Tx, *, payout_ids: Sequence[UUID], deposit_ids: Sequence[UUID]) -> list[FeeRow]:
    return await tx.fetch_all(FeeRow, LIST_FEES, list(payout_ids), list(deposit_ids))
