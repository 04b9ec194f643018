"""Every statement on mpesa.float_moves; no decisions, no commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.runtime.db import Tx

INSERT_MOVE: Final[LiteralString] = """
    INSERT INTO mpesa.float_moves (
        id, receipt, kind, from_shortcode, from_account, to_shortcode, to_account, amount_cents, operator, event_at
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""

FIND_MOVE: Final[LiteralString] = """
    SELECT id, receipt, kind, from_shortcode, from_account, to_shortcode, to_account, amount_cents, event_at
      FROM mpesa.float_moves
     WHERE receipt = $1
"""

LIST_MOVES: Final[LiteralString] = """
    SELECT id, receipt, kind, from_shortcode, from_account, to_shortcode, to_account, amount_cents, event_at
      FROM mpesa.float_moves
     WHERE receipt = ANY ($1::text[])
"""


@dataclass(frozen=True, slots=True)
class MoveRow:
    """A move of our own money, as it was booked. Outside our floats is the company's bank."""

    id: UUID
    receipt: str
    kind: str
    from_shortcode: str | None
    from_account: str | None
    to_shortcode: str | None
    to_account: str | None
    amount_cents: int
    event_at: datetime


async def insert_move(tx: Tx, move: MoveRow, *, operator: str) -> None:
    """Insert a move. Its receipt must have been claimed for it."""
    await tx.execute(
        INSERT_MOVE,
        move.id,
        move.receipt,
        move.kind,
        move.from_shortcode,
        move.from_account,
        move.to_shortcode,
        move.to_account,
        move.amount_cents,
        operator,
        move.event_at,
    )


async def find_move(tx: Tx, *, receipt: str) -> MoveRow | None:
    return await tx.fetch_one(MoveRow, FIND_MOVE, receipt)


async def list_moves(tx: Tx, *, receipts: Sequence[str]) -> list[MoveRow]:
    return await tx.fetch_all(MoveRow, LIST_MOVES, list(receipts))
