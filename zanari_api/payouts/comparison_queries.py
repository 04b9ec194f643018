"""Statements that compare payouts with M-PESA's books; no decisions, no commits, and nothing is changed."""

from collections.abc import Sequence
from typing import Final, LiteralString

from zanari_api.payouts.comparison_rows import PaidOut
from zanari_api.runtime.db import Tx

LIST_HEARD: Final[LiteralString] = """
    SELECT id, shortcode, amount_cents, receipt
      FROM savings.payouts
     WHERE state IN ('submitting', 'submitted', 'unknown')
     ORDER BY requested_at, id
     LIMIT $1
"""

LIST_BY_RECEIPT: Final[LiteralString] = """
    SELECT id, shortcode, amount_cents, receipt
      FROM savings.payouts
     WHERE receipt = ANY ($1::text[])
     UNION ALL
    SELECT id, shortcode, amount_cents, late_receipt
      FROM savings.payouts
     WHERE late_receipt = ANY ($1::text[])
"""


async def list_heard(tx: Tx, *, limit: int) -> list[PaidOut]:
    return await tx.fetch_all(PaidOut, LIST_HEARD, limit)


async def list_by_receipt(tx: Tx, *, receipts: Sequence[str]) -> list[PaidOut]:
    return await tx.fetch_all(PaidOut, LIST_BY_RECEIPT, list(receipts))
