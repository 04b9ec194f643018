"""The statement that tells the feed how something pending ended; no decisions, no commits."""

from collections.abc import Mapping
from typing import Final, LiteralString
from uuid import UUID

import orjson

from zanari_api.runtime.db import Tx

MARK_OUTCOME: Final[LiteralString] = """
    UPDATE savings.transactions
       SET status = $3, explanation = $4::jsonb, receipt = coalesce($5, receipt), updated_at = clock_timestamp()
     WHERE saver_id = $1 AND id = $2
"""


async def mark_outcome(
    tx: Tx,
    *,
    saver_id: UUID,
    transaction_id: UUID,
    status: str,
    explanation: Mapping[str, object],
    receipt: str | None,
) -> None:
    await tx.execute(
        MARK_OUTCOME, saver_id, transaction_id, status, orjson.dumps(explanation).decode(), receipt
    )
