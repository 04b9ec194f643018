"""Deposits that were taken back: finds them, and records what was done. Where the money comes from is decided above."""

from enum import StrEnum

from zanari_api.deposits import correction_queries
from zanari_api.deposits.correction_rows import DepositRow, Proof, ReversalRow
from zanari_api.runtime.db import Tx


class ReversalCause(StrEnum):
    """What we believe a reversal by; nothing else takes a deposit back."""

    DARAJA = "daraja"
    "Safaricom's result of a reversal that we asked for"

    STATEMENT = "statement"
    "a line of the shortcode's statement"

    OPERATOR = "operator"
    "an operator, with evidence"


async def find_deposit(tx: Tx, *, receipt: str) -> DepositRow | None:
    """Return the deposit that a receipt was booked as; None when it was credited to nobody."""
    return await correction_queries.find_deposit(tx, receipt=receipt)


async def find_reversal(tx: Tx, deposit: DepositRow) -> ReversalRow | None:
    """Return how a deposit was taken back; None when it was not. The saver must be locked."""
    return await correction_queries.find_reversal(tx, saver_id=deposit.saver_id, deposit_id=deposit.id)


async def record_reversal(tx: Tx, reversal: ReversalRow, *, proof: Proof) -> None:
    """Record that a deposit was taken back, with its proof, in the transaction that moved the money."""
    await correction_queries.insert_reversal(tx, reversal, proof=proof)
