"""Stops all money out, and lets it go again. Money in is never stopped, and what M-PESA has is not called back."""

from datetime import datetime

from zanari_api.payouts import freeze_queries
from zanari_api.runtime.db import Tx


async def frozen(tx: Tx) -> bool:
    """Tell whether money out is stopped: no payout is taken on, and none is sent. Any role may ask."""
    return await freeze_queries.are_frozen(tx)


async def freeze(tx: Tx, *, because: str, now: datetime) -> None:
    """Stop money out. Safe to repeat: the first moment and the newest reason stand. Runs as Role.SYSTEM."""
    await freeze_queries.freeze(tx, because=because, now=now)


async def lift(tx: Tx, *, because: str, now: datetime) -> bool:
    """Let money out again; False when nothing was stopped. Runs as Role.SYSTEM."""
    return await freeze_queries.lift_freeze(tx, because=because, now=now)
