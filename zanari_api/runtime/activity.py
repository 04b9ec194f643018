"""Remembers when each saver was last seen, and counts who is active. Never holds up a request."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from itertools import islice
from typing import Final, LiteralString
from uuid import UUID

import asyncpg
import structlog

from zanari_api.kit.clock import utc_now
from zanari_api.kit.errors import Unavailable
from zanari_api.runtime.db import Database, Role, Tx
from zanari_api.runtime.metrics import Metrics

FLUSH_EVERY_S: Final = 3.0
WRITE_EVERY_S: Final = 60.0
"""A saver is written at most once in this time; the window that is counted is fifteen times as long."""
COUNT_EVERY_S: Final = 10.0
SCRAPE_TIMEOUT_S: Final = 3.0
"""A scrape answers without the database rather than late."""
BATCH_MAX: Final = 1000
PENDING_MAX: Final = 50_000

# Sorted, so that two replicas never wait for each other's rows. The minute also holds between replicas.
WRITE_LAST_SEEN: Final[LiteralString] = """
    INSERT INTO savings.saver_activity AS known (saver_id, last_seen_at)
    SELECT seen.saver_id, seen.last_seen_at
      FROM unnest($1::uuid[], $2::timestamptz[]) AS seen (saver_id, last_seen_at)
     ORDER BY seen.saver_id
    ON CONFLICT (saver_id) DO UPDATE
       SET last_seen_at = EXCLUDED.last_seen_at
     WHERE known.last_seen_at <= EXCLUDED.last_seen_at - interval '1 minute'
"""

COUNT_ACTIVE: Final[LiteralString] = """
    SELECT count(*) FROM savings.saver_activity WHERE last_seen_at > now() - interval '15 minutes'
"""

log = structlog.get_logger(__name__)


class Activity:
    """The last-seen times of savers, buffered here and kept in the database, where all replicas count."""

    def __init__(
        self,
        database: Database,
        *,
        metrics: Metrics,
        flush_every_s: float = FLUSH_EVERY_S,
        write_every_s: float = WRITE_EVERY_S,
        count_every_s: float = COUNT_EVERY_S,
    ) -> None:
        self._database = database
        self._metrics = metrics
        self._flush_every_s = flush_every_s
        self._write_every_s = write_every_s
        self._count_every_s = count_every_s
        self._pending: dict[UUID, datetime] = {}
        self._noted: dict[UUID, float] = {}
        self._counted_at = -count_every_s
        self._counting = asyncio.Lock()
        self._flushing = asyncio.Lock()

    def seen(self, saver_id: UUID) -> None:
        """Note that a saver made an authenticated request. Costs a dictionary look-up, and never fails."""
        now = time.monotonic()
        if now - self._noted.get(saver_id, -self._write_every_s) < self._write_every_s:
            return
        if len(self._pending) < PENDING_MAX:
            self._noted[saver_id] = now
            self._pending[saver_id] = utc_now()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Flush every few seconds while the block runs, and once more at its end."""
        flusher = asyncio.create_task(self._flush_for_ever())
        try:
            yield
        finally:
            flusher.cancel()
            with suppress(asyncio.CancelledError):
                await flusher
            await self.flush()

    async def flush(self) -> None:
        """Write what is pending. Without the database it stays pending, and the next flush tries again."""
        async with self._flushing:
            self._forget_old()
            waiting, self._pending = self._pending, {}
            try:
                await self._write(waiting)
            except Unavailable:
                log.warning("activity_kept_for_later", savers=len(waiting))
            finally:
                # Whatever ended the writing, cancellation too. A newer time for the same saver wins.
                self._pending = waiting | self._pending

    async def refresh(self) -> None:
        """Bring the metrics that come from the database up to date, at most every few seconds.

        Without the database the last known values stand, and their age shows in the timestamp beside them.
        """
        async with self._counting:
            if time.monotonic() - self._counted_at < self._count_every_s:
                return
            self._counted_at = time.monotonic()
            try:
                async with asyncio.timeout(SCRAPE_TIMEOUT_S):
                    await self.flush()
                    active = await self._count()
            except (Unavailable, TimeoutError) as error:
                log.warning("facts_not_collected", error=type(error).__name__)
            else:
                self._metrics.active_users.set(active)
                self._metrics.facts_collected.set_to_current_time()

    async def _count(self) -> int:
        async with self._database.transaction(Role.SYSTEM) as tx:
            return await tx.fetch_value(int, COUNT_ACTIVE) or 0

    async def _flush_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._flush_every_s)
            await self.flush()

    async def _write(self, waiting: dict[UUID, datetime]) -> None:
        """Write some savers at a time, and take out of `waiting` what was written or never can be."""
        while batch := dict(islice(waiting.items(), BATCH_MAX)):

            async def work(tx: Tx, batch: dict[UUID, datetime] = batch) -> None:
                await tx.execute(WRITE_LAST_SEEN, list(batch), list(batch.values()))

            try:
                await self._database.unit_of_work(work, role=Role.SYSTEM)
            except asyncpg.PostgresError:
                # Kept, it would fail for ever and keep the others waiting.
                log.exception("activity_dropped", savers=len(batch))
            for saver_id in batch:
                del waiting[saver_id]

    def _forget_old(self) -> None:
        oldest = time.monotonic() - self._write_every_s
        self._noted = {saver_id: noted for saver_id, noted in self._noted.items() if noted > oldest}
