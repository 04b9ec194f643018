"""Every statement on savings.step_up_tokens; no decisions, no commits."""

from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.runtime.db import Tx

INSERT_STEP_UP: Final[LiteralString] = """
    INSERT INTO savings.step_up_tokens (saver_id, token_hash, purpose, pin_version, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6)
"""

# Two that spend one token at once: the second waits for the row, reads it again and finds it spent.
SPEND_STEP_UP: Final[LiteralString] = """
    UPDATE savings.step_up_tokens AS t
       SET spent_at = $4
      FROM savings.pins AS p
     WHERE t.saver_id = $1 AND t.token_hash = $2 AND t.purpose = $3
       AND t.spent_at IS NULL AND t.expires_at > $4
       AND p.saver_id = t.saver_id AND p.version = t.pin_version
    RETURNING t.saver_id
"""

DELETE_STEP_UPS: Final[LiteralString] = "SELECT savings.forget_step_up_tokens($1, $2)"


async def insert_token(
    tx: Tx,
    *,
    saver_id: UUID,
    token_hash: bytes,
    purpose: str,
    pin_version: int,
    created_at: datetime,
    expires_at: datetime,
) -> None:
    await tx.execute(INSERT_STEP_UP, saver_id, token_hash, purpose, pin_version, created_at, expires_at)


async def spend_token(tx: Tx, *, saver_id: UUID, token_hash: bytes, purpose: str, now: datetime) -> bool:
    """Spend a token; False when there is none that is good for this."""
    return await tx.fetch_value(UUID, SPEND_STEP_UP, saver_id, token_hash, purpose, now) is not None


async def delete_tokens(tx: Tx, *, before: datetime, limit: int) -> int:
    """Delete tokens that ran out before then, spent or not, and return how many; rows that are locked wait."""
    return await tx.fetch_value(int, DELETE_STEP_UPS, before, limit) or 0
