"""Every statement on reversals that savers' own messages told of; no decisions, no commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.runtime.db import Tx

NOTE_OWN_REVERSAL: Final[LiteralString] = """
    INSERT INTO savings.own_reversals (saver_id, receipt) VALUES ($1, $2)
    ON CONFLICT ON CONSTRAINT own_reversals_told_once DO NOTHING
    RETURNING receipt
"""

LIST_OWN_REVERSALS: Final[LiteralString] = """
    SELECT saver_id, receipt FROM savings.own_reversals WHERE receipt = ANY ($1::text[])
"""


@dataclass(frozen=True, slots=True)
class OwnReversal:
    """A reversal that a saver's own message told of: of this receipt, and for this saver alone."""

    saver_id: UUID
    receipt: str


async def note_own_reversal(tx: Tx, *, saver_id: UUID, receipt: str) -> bool:
    """Note a reversal; False when this saver told of it before."""
    return await tx.fetch_value(str, NOTE_OWN_REVERSAL, saver_id, receipt) is not None


async def list_own_reversals(tx: Tx, *, receipts: Sequence[str]) -> list[OwnReversal]:
    return await tx.fetch_all(OwnReversal, LIST_OWN_REVERSALS, list(receipts))
