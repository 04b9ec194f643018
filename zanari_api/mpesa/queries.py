"""Every statement on the inbox, discrepancies and unmatched spends; no decisions, no commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.roundups.spends import Discrepancy
from zanari_api.runtime.db import Tx
from zanari_api.transactions.receipts import ReceiptRole

# A second delivery counts up and answers null; a first one that has not committed yet is waited for.
STORE_CALLBACK: Final[LiteralString] = """
    INSERT INTO mpesa.callbacks (id, kind, dedupe_hash, body, outcome)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT ON CONSTRAINT callbacks_dedupe_unique DO NOTHING
    RETURNING id
"""

COUNT_DELIVERY: Final[LiteralString] = """
    UPDATE mpesa.callbacks SET deliveries = deliveries + 1, last_received_at = now()
     WHERE dedupe_hash = $1
    RETURNING id, outcome
"""

NOTE_OUTCOME: Final[LiteralString] = "UPDATE mpesa.callbacks SET outcome = $2, saver_id = $3 WHERE id = $1"

INSERT_DISCREPANCIES: Final[LiteralString] = """
    INSERT INTO mpesa.discrepancies (
        id, role, receipt, content_digest, differs, first_amount_cents, later_amount_cents
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT ON CONSTRAINT discrepancies_noted_once DO NOTHING
"""

NOTE_UNMATCHED: Final[LiteralString] = """
    INSERT INTO mpesa.unmatched_spends (receipt_hash, number_hash)
    SELECT * FROM unnest($1::bytea[], $2::bytea[]) AS seen (receipt_hash, number_hash)
     ORDER BY seen.receipt_hash, seen.number_hash
    ON CONFLICT ON CONSTRAINT unmatched_spends_pkey DO UPDATE SET last_seen_at = now()
"""


@dataclass(frozen=True, slots=True)
class StoredCallback:
    """A callback that was stored before, and what became of it."""

    id: UUID
    outcome: str


async def store_callback(
    tx: Tx, *, callback_id: UUID, kind: str, dedupe_hash: bytes, body: bytes, outcome: str
) -> StoredCallback | None:
    """Store a callback. Where the same one is stored already, count the delivery, lock it and return it."""
    stored = await tx.fetch_value(UUID, STORE_CALLBACK, callback_id, kind, dedupe_hash, body, outcome)
    return None if stored is not None else await tx.fetch_one(StoredCallback, COUNT_DELIVERY, dedupe_hash)


async def note_outcome(tx: Tx, *, callback_id: UUID, outcome: str, saver_id: UUID | None = None) -> None:
    await tx.execute(NOTE_OUTCOME, callback_id, outcome, saver_id)


async def insert_discrepancy(
    tx: Tx, *, discrepancy_id: UUID, role: ReceiptRole, discrepancy: Discrepancy
) -> None:
    """Note a discrepancy; the same one again is nothing new."""
    await tx.execute(
        INSERT_DISCREPANCIES,
        discrepancy_id,
        role,
        discrepancy.receipt,
        discrepancy.content_digest,
        list(discrepancy.differs),
        discrepancy.first_amount_cents,
        discrepancy.later_amount_cents,
    )


async def note_unmatched(tx: Tx, hashes: Sequence[tuple[bytes, bytes]]) -> None:
    """Remember spends without a saver by (receipt hash, number hash)."""
    unique = sorted(set(hashes))
    await tx.execute(NOTE_UNMATCHED, [receipt for receipt, _ in unique], [number for _, number in unique])
