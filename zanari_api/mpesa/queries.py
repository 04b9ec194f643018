"""Every statement on discrepancies and unmatched spends; no decisions, no commits."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.roundups.spends import Discrepancy
from zanari_api.runtime.db import Tx
from zanari_api.transactions.receipts import ReceiptRole

INSERT_DISCREPANCIES: Final[LiteralString] = """
    INSERT INTO mpesa.discrepancies (
        id, role, receipt, content_digest, differs, first_amount_cents, later_amount_cents
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT ON CONSTRAINT discrepancies_noted_once DO NOTHING
    RETURNING id
"""

NOTE_UNMATCHED: Final[LiteralString] = """
    INSERT INTO mpesa.unmatched_spends (receipt_hash, number_hash)
    SELECT * FROM unnest($1::bytea[], $2::bytea[]) AS seen (receipt_hash, number_hash)
     ORDER BY seen.receipt_hash, seen.number_hash
    ON CONFLICT ON CONSTRAINT unmatched_spends_pkey DO UPDATE SET last_seen_at = now()
"""

DELETE_UNMATCHED: Final[LiteralString] = "SELECT mpesa.forget_unmatched_spends($1, $2)"


async def insert_discrepancy(
    tx: Tx, *, discrepancy_id: UUID, role: ReceiptRole, discrepancy: Discrepancy
) -> bool:
    """Note a discrepancy; False for the same one again, which is nothing new."""
    inserted = await tx.fetch_value(
        UUID,
        INSERT_DISCREPANCIES,
        discrepancy_id,
        role,
        discrepancy.receipt,
        discrepancy.content_digest,
        list(discrepancy.differs),
        discrepancy.first_amount_cents,
        discrepancy.later_amount_cents,
    )
    return inserted is not None


async def note_unmatched(tx: Tx, hashes: Sequence[tuple[bytes, bytes]]) -> None:
    """Remember spends without a saver by (receipt hash, number hash)."""
    unique = sorted(set(hashes))
    await tx.execute(NOTE_UNMATCHED, [receipt for receipt, _ in unique], [number for _, number in unique])


async def delete_unmatched(tx: Tx, *, before: datetime, limit: int) -> int:
    """Delete what was first seen before then, and return how many; rows that are locked wait."""
    return await tx.fetch_value(int, DELETE_UNMATCHED, before, limit) or 0
