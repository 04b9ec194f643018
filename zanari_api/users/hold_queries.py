"""Every statement on savings.payout_holds; no decisions, no commits."""

from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.kit.ids import new_id
from zanari_api.runtime.db import Tx

INSERT_HOLD: Final[LiteralString] = """
    INSERT INTO savings.payout_holds (saver_id, id, cause, held_until, created_at) VALUES ($1, $2, $3, $4, $5)
"""

FIND_LATEST_END: Final[LiteralString] = """
    SELECT max(held_until) FROM savings.payout_holds WHERE saver_id = $1 AND held_until > $2
"""

HAS_HAD_NUMBER: Final[LiteralString] = """
    SELECT EXISTS (SELECT FROM savings.mpesa_accounts WHERE saver_id = $1)
"""


async def insert_hold(
    tx: Tx, *, saver_id: UUID, cause: str, held_until: datetime, created_at: datetime
) -> UUID:
    """Insert a hold and return its id."""
    hold_id = new_id()
    await tx.execute(INSERT_HOLD, saver_id, hold_id, cause, held_until, created_at)
    return hold_id


async def find_latest_end(tx: Tx, *, saver_id: UUID, now: datetime) -> datetime | None:
    return await tx.fetch_value(datetime, FIND_LATEST_END, saver_id, now)


async def has_had_number(tx: Tx, *, saver_id: UUID) -> bool:
    """Say whether the saver ever held a number, one that is theirs no more included."""
    return bool(await tx.fetch_value(bool, HAS_HAD_NUMBER, saver_id))
