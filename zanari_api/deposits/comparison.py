"""What of payments in is compared with M-PESA's books: by receipt, and what is not decided yet. Changes nothing."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from zanari_api.deposits import comparison_queries
from zanari_api.deposits.comparison_rows import Held, PaidIn, Undecided
from zanari_api.runtime.db import Tx

UNDECIDED_MAX: Final = 1000


async def list_paid_in(tx: Tx, *, receipts: Sequence[str]) -> list[PaidIn]:
    """Return what these receipts brought in: deposits, collections among them, and payments in suspense."""
    return [
        *await comparison_queries.list_deposits(tx, receipts=receipts),
        *await comparison_queries.list_suspense_items(tx, receipts=receipts),
    ]


async def list_given_back(tx: Tx, *, receipts: Sequence[str]) -> list[PaidIn]:
    """Return what these receipts took back: deposits that were reversed, payments returned from suspense."""
    return [
        *await comparison_queries.list_reversed(tx, receipts=receipts),
        *await comparison_queries.list_returned(tx, receipts=receipts),
    ]


async def list_reversals(tx: Tx, *, receipts: Sequence[str]) -> list[PaidIn]:
    """Return the deposits that were taken back under these receipts, which are Safaricom's for the reversals."""
    return await comparison_queries.list_reversed(tx, receipts=receipts)


async def list_reversed_deposits(tx: Tx, *, receipts: Sequence[str]) -> list[PaidIn]:
    """Return which of the deposits with these receipts were taken back."""
    return await comparison_queries.list_reversed_deposits(tx, receipts=receipts)


async def list_undecided(tx: Tx) -> list[Undecided]:
    """Return the prompts whose outcome nobody knows yet, a thousand at most."""
    return await comparison_queries.list_undecided(tx, limit=UNDECIDED_MAX)


async def list_held(tx: Tx, *, before: datetime, limit: int | None = None) -> list[Held]:
    """Return the payments of before then that are in suspense, the oldest first; all of them without a limit."""
    return await comparison_queries.list_held(tx, before=before, limit=limit)
