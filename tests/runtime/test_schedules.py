"""Work at times of its own: one of many workers runs it, and a failed run comes again soon."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta

import pytest

from tests.support.clock import SettableClock
from tests.support.postgres import Database
from zanari_api.kit.clock import EAT
from zanari_api.runtime import db, schedules
from zanari_api.runtime.db import Role
from zanari_api.runtime.schedules import Schedule


class Errand:
    """Something that is run now and then, and may fail."""

    def __init__(self) -> None:
        self.runs = 0
        self.fails = False
        self.pause_s = 0
        self.began = asyncio.Event()

    async def __call__(self) -> None:
        self.runs += 1
        self.began.set()
        await asyncio.sleep(self.pause_s)
        if self.fails:
            raise RuntimeError


@pytest.fixture
async def opened(database: Database) -> AsyncIterator[db.Database]:
    made = db.Database(database.service_dsn)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


async def test_a_schedule_runs_at_once_and_then_each_time_it_is_due(
    opened: db.Database, clock: SettableClock
) -> None:
    errand = Errand()
    schedule = Schedule(name="hourly", run=errand, every=timedelta(hours=1))
    await schedules.register(opened, [schedule], now=clock.now())
    assert await schedules.run_if_due(schedule, database=opened, clock=clock) is True
    assert await schedules.run_if_due(schedule, database=opened, clock=clock) is None
    clock.advance(minutes=59)
    assert await schedules.run_if_due(schedule, database=opened, clock=clock) is None
    clock.advance(minutes=2)
    assert await schedules.run_if_due(schedule, database=opened, clock=clock) is True
    assert errand.runs == 2


async def test_registering_again_changes_nothing(opened: db.Database, clock: SettableClock) -> None:
    errand = Errand()
    schedule = Schedule(name="kept", run=errand, every=timedelta(hours=1))
    await schedules.register(opened, [schedule], now=clock.now())
    await schedules.run_if_due(schedule, database=opened, clock=clock)
    await schedules.register(opened, [schedule], now=clock.now())
    assert await schedules.run_if_due(schedule, database=opened, clock=clock) is None


async def test_of_many_workers_one_runs_it(opened: db.Database, clock: SettableClock) -> None:
    errand = Errand()
    errand.pause_s = 1
    schedule = Schedule(name="shared", run=errand, every=timedelta(hours=1))
    await schedules.register(opened, [schedule], now=clock.now())
    ran = await asyncio.gather(
        *(schedules.run_if_due(schedule, database=opened, clock=clock) for _ in range(6))
    )
    assert sorted(ran, key=str) == [None] * 5 + [True]
    assert errand.runs == 1


async def test_a_run_that_fails_is_named_and_comes_again_soon(
    opened: db.Database, clock: SettableClock
) -> None:
    errand = Errand()
    errand.fails = True
    schedule = Schedule(name="failing", run=errand, every=timedelta(days=1))
    await schedules.register(opened, [schedule], now=clock.now())
    assert await schedules.run_if_due(schedule, database=opened, clock=clock) is False
    clock.advance(minutes=2)
    errand.fails = False
    assert await schedules.run_if_due(schedule, database=opened, clock=clock) is True


async def test_a_worker_that_died_in_a_run_is_replaced_when_its_lease_is_over(
    opened: db.Database, clock: SettableClock
) -> None:
    errand = Errand()
    errand.pause_s = 60
    schedule = Schedule(name="orphaned", run=errand, every=timedelta(hours=1), lease=timedelta(minutes=5))
    await schedules.register(opened, [schedule], now=clock.now())
    dying = asyncio.create_task(schedules.run_if_due(schedule, database=opened, clock=clock))
    await errand.began.wait()
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    errand.pause_s = 0
    assert await schedules.run_if_due(schedule, database=opened, clock=clock) is None
    clock.advance(minutes=6)
    async with opened.transaction(Role.SYSTEM) as tx:
        assert "orphaned" in {late.name for late in await schedules.list_late(tx, due_before=clock.now())}
    assert await schedules.run_if_due(schedule, database=opened, clock=clock) is True


async def test_a_daily_schedule_waits_for_its_hour_in_nairobi(
    opened: db.Database, clock: SettableClock
) -> None:
    errand = Errand()
    in_an_hour = clock.now().astimezone(EAT) + timedelta(hours=1)
    schedule = Schedule(name="nightly", run=errand, daily_at=in_an_hour.time())
    await schedules.register(opened, [schedule], now=clock.now())
    assert await schedules.run_if_due(schedule, database=opened, clock=clock) is None
    clock.advance(hours=1)
    assert await schedules.run_if_due(schedule, database=opened, clock=clock) is True


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (datetime(2026, 11, 25, 22, 59, tzinfo=UTC), datetime(2026, 11, 25, 23, 0, tzinfo=UTC)),
        (datetime(2026, 11, 25, 23, 0, tzinfo=UTC), datetime(2026, 11, 26, 23, 0, tzinfo=UTC)),
        (datetime(2026, 11, 25, 23, 1, tzinfo=UTC), datetime(2026, 11, 26, 23, 0, tzinfo=UTC)),
    ],
)
def test_the_next_hour_is_always_ahead(now: datetime, due: datetime) -> None:
    assert Schedule(name="nightly", run=Errand(), daily_at=time(2, 0)).after(now) == due
