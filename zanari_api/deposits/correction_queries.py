"""Every statement on deposits that were taken back; no decisions, no commits."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.runtime.db import Tx

FIND_DEPOSIT: Final[LiteralString] = """
    SELECT saver_id, id, receipt, amount_cents, goal_id, shortcode, event_at
      FROM savings.deposits
     WHERE receipt = $1
"""

FIND_REVERSAL: Final[LiteralString] = """
    SELECT saver_id, deposit_id, amount_cents, wallet_cents, goals_cents, owed_cents
      FROM savings.deposit_reversals
     WHERE saver_id = $1 AND deposit_id = $2
"""

INSERT_REVERSAL: Final[LiteralString] = """
    INSERT INTO savings.deposit_reversals (
        saver_id, deposit_id, amount_cents, wallet_cents, goals_cents, owed_cents, cause, evidence,
        reversal_receipt, callback_id, event_at
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""


@dataclass(frozen=True, slots=True)
class DepositRow:
    """A deposit as it was booked; `goal_id` None where it went to the wallet."""

    saver_id: UUID
    id: UUID
    receipt: str
    amount_cents: int
    goal_id: UUID | None
    shortcode: str
    event_at: datetime


@dataclass(frozen=True, slots=True)
class ReversalRow:
    """Where the money of a deposit that was taken back came from; what was missing is owed since."""

    saver_id: UUID
    deposit_id: UUID
    amount_cents: int
    wallet_cents: int
    goals_cents: int
    owed_cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Why we believe that a payment was taken back. `text` names no person."""

    cause: str
    text: str
    reversal_receipt: str | None
    callback_id: UUID | None
    event_at: datetime


async def find_deposit(tx: Tx, *, receipt: str) -> DepositRow | None:
    return await tx.fetch_one(DepositRow, FIND_DEPOSIT, receipt)


async def find_reversal(tx: Tx, *, saver_id: UUID, deposit_id: UUID) -> ReversalRow | None:
    return await tx.fetch_one(ReversalRow, FIND_REVERSAL, saver_id, deposit_id)


async def insert_reversal(tx: Tx, reversal: ReversalRow, *, proof: Proof) -> None:
    await tx.execute(
        INSERT_REVERSAL,
        reversal.saver_id,
        reversal.deposit_id,
        reversal.amount_cents,
        reversal.wallet_cents,
        reversal.goals_cents,
        reversal.owed_cents,
        proof.cause,
        proof.text,
        proof.reversal_receipt,
        proof.callback_id,
        proof.event_at,
    )
