"""Every statement on the freeze of money out; no decisions, no commits."""

from datetime import datetime
from typing import Final, LiteralString

from zanari_api.runtime.db import Tx

ARE_FROZEN: Final[LiteralString] = "SELECT savings.payouts_frozen()"

# A freeze that lasts keeps its beginning; its newest reason stands.
FREEZE: Final[LiteralString] = """
    INSERT INTO savings.payout_freeze AS f (id, frozen_at, because)
    VALUES (1, $1, $2)
    ON CONFLICT (id) DO UPDATE
       SET frozen_at = CASE WHEN f.lifted_at IS NULL THEN f.frozen_at ELSE excluded.frozen_at END,
           because = excluded.because, lifted_at = NULL, lifted_because = NULL
"""

LIFT_FREEZE: Final[LiteralString] = """
    UPDATE savings.payout_freeze SET lifted_at = $1, lifted_because = $2 WHERE id = 1 AND lifted_at IS NULL
    RETURNING true
"""


async def are_frozen(tx: Tx) -> bool:
    return await tx.fetch_value(bool, ARE_FROZEN) is True


async def freeze(tx: Tx, *, because: str, now: datetime) -> None:
    await tx.execute(FREEZE, now, because)


async def lift_freeze(tx: Tx, *, because: str, now: datetime) -> bool:
    """Lift the freeze; False when there is none."""
    return await tx.fetch_value(bool, LIFT_FREEZE, now, because) is not None
