"""The statement that compares collections with M-PESA's books; no decisions, no commits, and nothing is changed."""

from collections.abc import Sequence
from typing import Final, LiteralString

from zanari_api.roundups.comparison_rows import Collected
from zanari_api.runtime.db import Tx

LIST_COLLECTED: Final[LiteralString] = """
    SELECT c.receipt, c.id, c.saver_id, c.amount_cents, i.shortcode, c.settled_at
      FROM savings.collections AS c
      JOIN savings.intents AS i ON i.saver_id = c.saver_id AND i.id = c.intent_id
     WHERE c.receipt = ANY ($1::text[])
"""


async def list_collected(tx: Tx, *, receipts: Sequence[str]) -> list[Collected]:
    return await tx.fetch_all(Collected, LIST_COLLECTED, list(receipts))
