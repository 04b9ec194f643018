"""Lets go of what is kept for so many days only, a few rows at a time. What goes, and when, is its owner's to say."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from zanari_api.kit.clock import Clock
from zanari_api.runtime.db import Database, Role, Tx
from zanari_api.runtime.schedules import Schedule

log = structlog.get_logger(__name__)

EVERY: Final = timedelta(hours=1)

BATCH: Final = 500
"""Rows of one transaction: few enough that whoever needs one of them does not wait."""

BATCHES_MAX: Final = 100
"""What is left after so many goes with the next run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Age:
    """What one statement lets go of: `limit` rows at most, of those from before `before`, as of `now`."""

    before: datetime
    now: datetime
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Purge:
    """One kind of rows that do not stay. `batch` skips what is locked and returns how many rows it let go of."""

    name: str
    kept_for: timedelta
    batch: Callable[[Tx, Age], Awaitable[int]]


def schedule(purge: Purge, *, database: Database, clock: Clock) -> Schedule:
    """Return what lets go of these rows, once an hour."""

    async def run() -> None:
        await let_go(purge, database=database, now=clock.now())

    return Schedule(name=purge.name, run=run, every=EVERY)


async def let_go(
    purge: Purge, *, database: Database, now: datetime, limit: int = BATCH, batches_max: int = BATCHES_MAX
) -> int:
    """Let go of all that is old by now, each batch in a transaction of its own; return how many rows that were."""
    age = Age(before=now - purge.kept_for, now=now, limit=limit)

    async def batch(tx: Tx) -> int:
        return await purge.batch(tx, age)

    gone = 0
    for _ in range(batches_max):
        rows = await database.unit_of_work(batch, role=Role.SYSTEM)
        gone += rows
        if rows < limit:
            break
    if gone:
        log.info("rows_purged", purge=purge.name, rows=gone)
    return gone
