"""What reconciliation does by itself: every night, every hour, and the check of the books. Decides nothing itself."""

from dataclasses import replace
from datetime import time, timedelta
from typing import Final

import structlog

from zanari_api.ledger import balances, invariants
from zanari_api.reconciliation import checks
from zanari_api.reconciliation.service import Reconciling, reconcile
from zanari_api.runtime.db import Role, Tx
from zanari_api.runtime.schedules import Schedule

log = structlog.get_logger(__name__)

NIGHTLY_AT: Final = time(2, 30)
"""In Nairobi: after the day's end, before people wake."""

BOOKS_CHECK: Final = "books_check"
BOOKS_CHECKED_EVERY: Final = timedelta(minutes=15)
BOOKS_CHECK_LEASE: Final = timedelta(seconds=2 * invariants.PATIENCE_S)


def schedules_of(parts: Reconciling) -> list[Schedule]:
    """Return the schedules. The hourly comparison is the light one: it recovers nothing."""
    hourly = replace(parts, recover=None)

    async def nightly() -> None:
        await reconcile(parts)

        async def tidy(tx: Tx) -> None:
            await balances.take_snapshots(tx)
            await checks.note_old_suspense(tx, now=parts.clock.now())

        await parts.database.unit_of_work(tidy, role=Role.SYSTEM)

    async def every_hour() -> None:
        await reconcile(hourly)

    async def check() -> None:
        async def prove(tx: Tx) -> int:
            return await checks.check_books(tx, now=parts.clock.now())

        broken = await parts.database.unit_of_work(prove, role=Role.SYSTEM)
        if broken:
            log.error("books_broken", broken=broken)

    return [
        Schedule(name="reconcile_nightly", run=nightly, daily_at=NIGHTLY_AT),
        Schedule(name="reconcile_hourly", run=every_hour, every=timedelta(hours=1)),
        Schedule(name=BOOKS_CHECK, run=check, every=BOOKS_CHECKED_EVERY, lease=BOOKS_CHECK_LEASE),
    ]
