"""The worker: works on what is due until it is told to stop, and outlives what goes wrong in one job."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from tests.support.clock import SettableClock
from tests.support.observed import Written, logging_as_the_service_does
from tests.support.postgres import Database
from zanari_api.kit.ids import new_id
from zanari_api.runtime import db
from zanari_api.runtime.db import DatabaseUnavailable, Tx
from zanari_api.runtime.jobs import Backlog, Claim, DeadRow, Postponement, RowJob
from zanari_api.runtime.metrics import Metrics
from zanari_api.runtime.schedules import Schedule
from zanari_api.worker import Work, Worker


@dataclass(frozen=True, slots=True)
class Letter:
    number: int
    lease_id: UUID
    attempts: int = 1


@dataclass
class Tray:
    """Letters to answer, in memory: what is tested is the worker, not a table."""

    letters: list[int] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    broken: Exception | None = None
    began: asyncio.Event = field(default_factory=asyncio.Event)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    endless: bool = False

    def __post_init__(self) -> None:
        self.goes_on.set()

    async def claim(self, _tx: Tx, claim: Claim) -> Sequence[Letter]:
        if self.broken is not None:
            raise self.broken
        if self.endless:
            self.letters.append(0)
        taken, self.letters = self.letters[: claim.limit], self.letters[claim.limit :]
        return [Letter(number, new_id()) for number in taken]

    async def work(self, row: Letter) -> None:
        self.began.set()
        await self.goes_on.wait()
        self.answered.append(row.number)

    async def postpone(self, _tx: Tx, row: Letter, _put_off: Postponement) -> None:
        self.letters.append(row.number)

    async def count(self, _tx: Tx, now: datetime) -> Backlog:
        return Backlog(len(self.letters), now - timedelta(seconds=90) if self.letters else None, 1)

    async def list_dead(self, _tx: Tx) -> Sequence[DeadRow]:
        return []

    async def revive(self, _tx: Tx, _row_id: UUID, _now: datetime) -> bool:
        return False

    def job(self, name: str = "letters") -> RowJob[Letter]:
        return RowJob(
            name=name,
            claim=self.claim,
            work=self.work,
            postpone=self.postpone,
            count=self.count,
            list_dead=self.list_dead,
            revive=self.revive,
        )


@pytest.fixture
async def opened(database: Database) -> AsyncIterator[db.Database]:
    made = db.Database(database.service_dsn)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def tray() -> Tray:
    return Tray()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def written() -> Iterator[Written]:
    with logging_as_the_service_does() as log:
        yield log


def worker(
    opened: db.Database,
    metrics: Metrics,
    *trays: Tray,
    schedules: Sequence[Schedule] = (),
    stop_timeout_s: float = 20,
) -> Worker:
    jobs = [tray.job(f"letters_{place}") for place, tray in enumerate(trays)]
    return Worker(
        Work(jobs=jobs, schedules=schedules, facts=[]),
        database=opened,
        clock=SettableClock(),
        metrics=metrics,
        stop_timeout_s=stop_timeout_s,
    )


async def eventually(what: asyncio.Event) -> None:
    await asyncio.wait_for(what.wait(), 10)


async def test_draining_works_until_nothing_is_due_and_counts_it(
    opened: db.Database, metrics: Metrics, tray: Tray
) -> None:
    tray.letters = list(range(25))
    ran: list[str] = []

    async def run() -> None:
        ran.append("digest")

    digest = Schedule(name="digest", run=run, every=timedelta(hours=1))
    assert await worker(opened, metrics, tray, schedules=[digest]).drain() == 26
    assert tray.answered == list(range(25))
    assert ran == ["digest"]
    sample = metrics.registry.get_sample_value
    assert sample("zanari_job_runs_total", {"job": "letters_0", "outcome": "done"}) == 25
    assert sample("zanari_schedule_runs_total", {"schedule": "digest", "outcome": "done"}) == 1


async def test_draining_what_never_ends_is_an_error(
    opened: db.Database, metrics: Metrics, tray: Tray
) -> None:
    tray.endless = True
    with pytest.raises(RuntimeError, match="still due"):
        await worker(opened, metrics, tray).drain()


async def test_what_is_being_worked_on_is_finished_before_the_worker_stops(
    opened: db.Database, metrics: Metrics, tray: Tray
) -> None:
    tray.letters = [1, 2, 3]
    tray.goes_on.clear()

    async def finish_soon() -> None:
        await asyncio.sleep(0.2)
        tray.goes_on.set()

    async with worker(opened, metrics, tray).running():
        await eventually(tray.began)
        finishing = asyncio.create_task(finish_soon())
    await finishing
    assert tray.answered == [1]


async def test_the_time_to_finish_runs_from_when_it_was_told(
    opened: db.Database, metrics: Metrics, tray: Tray, written: Written
) -> None:
    tray.letters, told_early_s = [1, 2], 0.4
    tray.goes_on.clear()
    slow = worker(opened, metrics, tray, stop_timeout_s=0.5)
    async with slow.running():
        await eventually(tray.began)
        slow.tell_to_stop()
        await asyncio.sleep(told_early_s)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < told_early_s
    assert [line["cut_short"] for line in written.events("worker_stopped")] == [1]
    assert tray.answered == []


async def test_nothing_new_is_taken_up_by_one_that_was_told_to_stop(
    opened: db.Database, metrics: Metrics, tray: Tray
) -> None:
    told = worker(opened, metrics, tray)
    async with told.running():
        told.tell_to_stop()
        tray.letters = [1]
        await asyncio.sleep(0.2)
    assert tray.answered == []


async def test_a_job_that_breaks_does_not_stop_the_others(
    opened: db.Database, metrics: Metrics, written: Written
) -> None:
    broken, well = Tray(broken=RuntimeError()), Tray(letters=[7])
    async with worker(opened, metrics, broken, well).running():
        await eventually(well.began)
    assert well.answered == [7]
    assert "job_round_failed" in {line["event"] for line in written.lines}


async def test_a_database_that_is_away_is_waited_for(
    opened: db.Database, metrics: Metrics, written: Written
) -> None:
    broken, well = Tray(broken=DatabaseUnavailable()), Tray(letters=[7])
    async with worker(opened, metrics, broken, well).running():
        await eventually(well.began)
    assert "job_waits_for_the_database" in {line["event"] for line in written.lines}


async def test_a_schedule_that_meets_an_unexpected_error_comes_again(
    opened: db.Database, metrics: Metrics, written: Written, database: Database
) -> None:
    ran = asyncio.Event()

    async def run() -> None:
        ran.set()

    brittle = Schedule(name="brittle", run=run, every=timedelta(seconds=1))
    async with database.connected("supabase_admin") as connection:
        await connection.execute("ALTER TABLE runtime.schedules RENAME TO away")
        try:
            async with worker(opened, metrics, schedules=[brittle]).running():
                while not written.events("schedule_round_failed"):  # noqa: ASYNC110 (the log has no event)
                    await asyncio.sleep(0.05)
                await connection.execute("ALTER TABLE runtime.away RENAME TO schedules")
                await eventually(ran)
        finally:
            await connection.execute("ALTER TABLE IF EXISTS runtime.away RENAME TO schedules")


async def test_the_backlog_is_shown(opened: db.Database, metrics: Metrics, tray: Tray) -> None:
    tray.letters = [1, 2]
    await worker(opened, metrics, tray).read_facts()
    sample = metrics.registry.get_sample_value
    labels = {"job": "letters_0"}
    assert sample("zanari_jobs_due", labels) == 2
    assert sample("zanari_jobs_dead", labels) == 1
    assert sample("zanari_job_lag_seconds", labels) == 90
    assert sample("zanari_facts_collected_timestamp_seconds") is not None
