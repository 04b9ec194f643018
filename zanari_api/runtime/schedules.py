"""Work at times of its own, guarded by a row each: of many workers, one runs it. Does none of the work itself."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final, LiteralString
from uuid import UUID

import structlog

from zanari_api.kit.clock import EAT, Clock
from zanari_api.kit.ids import new_id
from zanari_api.runtime.db import Database, Role, Tx

log = structlog.get_logger(__name__)

RETRY_AFTER: Final = timedelta(minutes=1)
"""A run that failed comes again soon, whatever its rhythm."""

REGISTER: Final[LiteralString] = """
    INSERT INTO runtime.schedules (name, next_run_at)
    SELECT name, next_run_at FROM unnest($1::text[], $2::timestamptz[]) AS wanted (name, next_run_at)
     ORDER BY name
    ON CONFLICT (name) DO NOTHING
"""

LEASE: Final[LiteralString] = """
    UPDATE runtime.schedules SET lease_id = $2, lease_until = $3, last_started_at = $4
     WHERE name = $1 AND next_run_at <= $4 AND (lease_until IS NULL OR lease_until <= $4)
    RETURNING name
"""

RELEASE: Final[LiteralString] = """
    UPDATE runtime.schedules
       SET lease_id = NULL, lease_until = NULL, next_run_at = $3, last_error = $4,
           last_finished_at = CASE WHEN $4::text IS NULL THEN $5 ELSE last_finished_at END
     WHERE name = $1 AND lease_id = $2
"""

LIST_LATE: Final[LiteralString] = """
    SELECT name FROM runtime.schedules
     WHERE next_run_at <= $1 AND (lease_until IS NULL OR lease_until <= $1)
     ORDER BY name
"""

FIND_FINISHED: Final[LiteralString] = "SELECT last_finished_at FROM runtime.schedules WHERE name = $1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Work that comes round: each `every`, or once a day at `daily_at` in Nairobi.

    `lease` must be longer than a run takes: when it is over, another worker may start the next one.
    """

    name: str
    run: Callable[[], Awaitable[None]]
    every: timedelta = timedelta(days=1)
    daily_at: time | None = None
    lease: timedelta = timedelta(minutes=15)

    def after(self, now: datetime) -> datetime:
        """Return when it is due next, seen from `now`."""
        if self.daily_at is None:
            return now + self.every
        today = now.astimezone(EAT).replace(
            hour=self.daily_at.hour, minute=self.daily_at.minute, second=0, microsecond=0
        )
        return today if today > now else today + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LateSchedule:
    """A schedule whose time has come and that nobody runs."""

    name: str


async def register(database: Database, schedules: Sequence[Schedule], *, now: datetime) -> None:
    """Give each schedule its row, once; a new one that has no hour of its own is due at once."""

    async def insert(tx: Tx) -> None:
        first = [now if each.daily_at is None else each.after(now) for each in schedules]
        await tx.execute(REGISTER, [each.name for each in schedules], first)

    await database.unit_of_work(insert, role=Role.SYSTEM)


async def run_if_due(schedule: Schedule, *, database: Database, clock: Clock) -> bool | None:
    """Run a schedule that is due and that nobody else runs. Return whether it went well; None when it was not ours.

    Raises Unavailable when the database cannot be asked.
    """
    lease_id, now = new_id(), clock.now()

    async def lease(tx: Tx) -> bool:
        leased = await tx.fetch_value(str, LEASE, schedule.name, lease_id, now + schedule.lease, now)
        return leased is not None

    if not await database.unit_of_work(lease, role=Role.SYSTEM):
        return None
    failure: str | None = None
    try:
        await schedule.run()
    except Exception as error:
        failure = type(error).__name__
        log.exception("schedule_failed", schedule=schedule.name)
    await _release(database, schedule, lease_id, finished_at=clock.now(), failure=failure)
    return failure is None


async def list_late(tx: Tx, *, due_before: datetime) -> list[LateSchedule]:
    """Return the schedules that were due then and that nobody runs."""
    return await tx.fetch_all(LateSchedule, LIST_LATE, due_before)


async def find_finished(tx: Tx, *, name: str) -> datetime | None:
    """Return when a schedule's last run ended that went well; None before the first."""
    return await tx.fetch_value(datetime, FIND_FINISHED, name)


async def _release(
    database: Database, schedule: Schedule, lease_id: UUID, *, finished_at: datetime, failure: str | None
) -> None:
    soon = min(finished_at + RETRY_AFTER, schedule.after(finished_at))
    due_at = schedule.after(finished_at) if failure is None else soon

    async def release(tx: Tx) -> None:
        await tx.execute(RELEASE, schedule.name, lease_id, due_at, failure, finished_at)

    await database.unit_of_work(release, role=Role.SYSTEM)
