"""Statements that compare payments in with M-PESA's books; no decisions, no commits, and nothing is changed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, LiteralString

from zanari_api.deposits.comparison_rows import Held, PaidIn, Undecided
from zanari_api.runtime.db import Tx

LIST_DEPOSITS: Final[LiteralString] = """
    SELECT receipt, id, amount_cents FROM savings.deposits WHERE receipt = ANY ($1::text[])
"""

LIST_SUSPENSE_ITEMS: Final[LiteralString] = """
    SELECT receipt, id, amount_cents FROM mpesa.suspense_items WHERE receipt = ANY ($1::text[])
"""

LIST_RETURNED: Final[LiteralString] = """
    SELECT return_receipt AS receipt, id, amount_cents
      FROM mpesa.suspense_items
     WHERE return_receipt = ANY ($1::text[])
"""

LIST_REVERSED: Final[LiteralString] = """
    SELECT reversal_receipt AS receipt, deposit_id AS id, amount_cents
      FROM savings.deposit_reversals
     WHERE reversal_receipt = ANY ($1::text[])
"""

# By the payment that was taken back, where nobody knew the receipt of its reversal.
LIST_REVERSED_DEPOSITS: Final[LiteralString] = """
    SELECT d.receipt, d.id, r.amount_cents
      FROM savings.deposits AS d
      JOIN savings.deposit_reversals AS r ON r.saver_id = d.saver_id AND r.deposit_id = d.id
     WHERE d.receipt = ANY ($1::text[])
"""

LIST_UNDECIDED: Final[LiteralString] = """
    SELECT id, shortcode, amount_cents
      FROM savings.intents
     WHERE due_at > '-infinity' AND state <> 'requested' AND state IN ('prompted', 'unresolved')
       AND dead_at IS NULL
     ORDER BY due_at
     LIMIT $1
"""

LIST_HELD: Final[LiteralString] = """
    SELECT id, receipt, shortcode, amount_cents, event_at
      FROM mpesa.suspense_items
     WHERE state = 'held' AND event_at < $1
     ORDER BY event_at
     LIMIT $2
"""


async def list_deposits(tx: Tx, *, receipts: Sequence[str]) -> list[PaidIn]:
    return await tx.fetch_all(PaidIn, LIST_DEPOSITS, list(receipts))


async def list_suspense_items(tx: Tx, *, receipts: Sequence[str]) -> list[PaidIn]:
    return await tx.fetch_all(PaidIn, LIST_SUSPENSE_ITEMS, list(receipts))


async def list_returned(tx: Tx, *, receipts: Sequence[str]) -> list[PaidIn]:
    return await tx.fetch_all(PaidIn, LIST_RETURNED, list(receipts))


async def list_reversed(tx: Tx, *, receipts: Sequence[str]) -> list[PaidIn]:
    return await tx.fetch_all(PaidIn, LIST_REVERSED, list(receipts))


async def list_reversed_deposits(tx: Tx, *, receipts: Sequence[str]) -> list[PaidIn]:
    return await tx.fetch_all(PaidIn, LIST_REVERSED_DEPOSITS, list(receipts))


async def list_undecided(tx: Tx, *, limit: int) -> list[Undecided]:
    return await tx.fetch_all(Undecided, LIST_UNDECIDED, limit)


async def list_held(tx: Tx, *, before: datetime, limit: int | None) -> list[Held]:
    return await tx.fetch_all(Held, LIST_HELD, before, limit)
