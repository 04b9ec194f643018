"""Every statement on deposits that were taken back; no decisions, no commits."""

from typing import Final, LiteralString
from uuid import UUID

from zanari_api.deposits.correction_rows import DepositRow, Proof, ReversalRow
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
