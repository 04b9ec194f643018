"""Rows that are jobs: leased to one worker, tried again with growing pauses, given up in the open."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, LiteralString
from uuid import UUID

import pytest

from tests.support.clock import SettableClock
from tests.support.postgres import Database
from zanari_api.kit.errors import Unavailable
from zanari_api.kit.ids import new_id
from zanari_api.runtime import db
from zanari_api.runtime.db import Role, Tx
from zanari_api.runtime.jobs import (
    Backlog,
    Claim,
    DeadRow,
    JobOutcome,
    Postponement,
    RowJob,
    backoff,
    run_round,
)

CLAIM: Final[LiteralString] = """
    UPDATE public.errands SET lease_id = $1, lease_until = $2, attempts = attempts + 1
     WHERE id IN (
        SELECT id FROM public.errands
         WHERE due_at <= $3 AND dead_at IS NULL AND (lease_until IS NULL OR lease_until <= $3)
         ORDER BY due_at
           FOR UPDATE SKIP LOCKED
         LIMIT $4
    )
    RETURNING id, lease_id, attempts
"""
FINISH: Final[LiteralString] = """
    UPDATE public.errands SET due_at = NULL, lease_until = NULL, runs = runs + 1
     WHERE id = $1 AND lease_id = $2 RETURNING id
"""
POSTPONE: Final[LiteralString] = """
    WITH put_off AS (
        UPDATE public.errands SET due_at = $3, lease_until = NULL, last_error = $4,
               dead_at = CASE WHEN $5 THEN $3::timestamptz END
         WHERE id = $1 AND lease_id = $2
        RETURNING id, last_error, dead_at
    )
    SELECT id, 0 AS amount_cents, last_error AS error, dead_at AS since FROM put_off WHERE dead_at IS NOT NULL
"""
LIST_DEAD: Final[LiteralString] = """
    SELECT id, 0 AS amount_cents, last_error AS error, dead_at AS since FROM public.errands WHERE dead_at IS NOT NULL
"""
REVIVE: Final[LiteralString] = """
    UPDATE public.errands SET due_at = $2, dead_at = NULL, attempts = 0 WHERE id = $1 AND dead_at IS NOT NULL
    RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Errand:
    id: UUID
    lease_id: UUID
    attempts: int


class Away(Unavailable):
    """Somebody else is away."""

    code = "away"


class Office:
    """A table of errands, and a job over it whose work a test chooses."""

    def __init__(self, database: db.Database, clock: SettableClock) -> None:
        self.database = database
        self.clock = clock
        self.done: list[UUID] = []
        self.raises: Exception | None = None
        self.outcomes: list[JobOutcome] = []
        self.given_up: list[DeadRow] = []
        self.cannot_tell: Exception | None = None
        self.began = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def add(self, *, due_in_s: int = 0) -> UUID:
        errand_id = new_id()
        due_at = self.clock.now() + timedelta(seconds=due_in_s)
        async with self.database.transaction(Role.SYSTEM) as tx:
            await tx.execute("INSERT INTO public.errands (id, due_at) VALUES ($1, $2)", errand_id, due_at)
        return errand_id

    async def claim(self, tx: Tx, claim: Claim) -> Sequence[Errand]:
        return await tx.fetch_all(Errand, CLAIM, claim.lease_id, claim.lease_until, claim.now, claim.limit)

    async def work(self, row: Errand) -> None:
        self.began.set()
        await self.goes_on.wait()
        if self.raises is not None:
            raise self.raises
        async with self.database.transaction(Role.SYSTEM) as tx:
            if await tx.fetch_value(UUID, FINISH, row.id, row.lease_id) is not None:
                self.done.append(row.id)

    async def postpone(self, tx: Tx, row: Errand, put_off: Postponement) -> DeadRow | None:
        return await tx.fetch_one(
            DeadRow, POSTPONE, row.id, row.lease_id, put_off.due_at, put_off.error, put_off.dead
        )

    async def list_dead(self, tx: Tx) -> Sequence[DeadRow]:
        return await tx.fetch_all(DeadRow, LIST_DEAD)

    async def revive(self, tx: Tx, errand_id: UUID, now: datetime) -> bool:
        return await tx.fetch_value(UUID, REVIVE, errand_id, now) is not None

    async def on_dead(self, tx: Tx, dead: DeadRow) -> None:
        """Leave a trace in the same transaction, and fail where the test wants that."""
        self.given_up.append(dead)
        await tx.execute("UPDATE public.errands SET runs = runs - 1 WHERE id = $1", dead.id)
        if self.cannot_tell is not None:
            raise self.cannot_tell

    async def count(self, tx: Tx, now: datetime) -> Backlog:
        due = await tx.fetch_value(int, "SELECT count(*) FROM public.errands WHERE due_at <= $1", now)
        return Backlog(due or 0, None, 0)

    def job(self, *, attempts_max: int = 3, batch: int = 10) -> RowJob[Errand]:
        return RowJob(
            name="errands", claim=self.claim, work=self.work, postpone=self.postpone, count=self.count,
            list_dead=self.list_dead, revive=self.revive, on_dead=self.on_dead, attempts_max=attempts_max, batch=batch,
        )  # fmt: skip

    async def round(self, job: RowJob[Errand] | None = None) -> int:
        return await run_round(
            job or self.job(),
            database=self.database,
            clock=self.clock,
            on_outcome=lambda _job, outcome: self.outcomes.append(outcome),
        )

    async def row(self, errand_id: UUID) -> tuple[datetime | None, str | None, datetime | None, int]:
        async with self.database.transaction(Role.SYSTEM) as tx:
            found = await tx.fetch_one(
                dict, "SELECT due_at, last_error, dead_at, runs FROM public.errands WHERE id = $1", errand_id
            )
        assert found is not None
        return found["due_at"], found["last_error"], found["dead_at"], found["runs"]


@pytest.fixture(scope="module", autouse=True)
async def _errands(database: Database) -> None:
    async with database.connected("supabase_admin") as connection:
        await connection.execute(
            "CREATE TABLE public.errands (id uuid PRIMARY KEY, due_at timestamptz, attempts int NOT NULL DEFAULT 0,"
            " lease_until timestamptz, lease_id uuid, dead_at timestamptz, last_error text,"
            " runs int NOT NULL DEFAULT 0);"
            " GRANT ALL ON public.errands TO zanari_system; GRANT USAGE ON SCHEMA public TO zanari_system"
        )


@pytest.fixture
async def office(database: Database) -> AsyncIterator[Office]:
    async with database.connected("supabase_admin") as connection:
        await connection.execute("TRUNCATE public.errands")
    opened = db.Database(database.service_dsn)
    await opened.open()
    yield Office(opened, SettableClock())
    await opened.close()


async def test_what_is_due_is_worked_on_once_and_what_is_not_waits(office: Office) -> None:
    first, later = await office.add(), await office.add(due_in_s=60)
    assert await office.round() == 1
    assert await office.round() == 0
    office.clock.advance(minutes=2)
    assert await office.round() == 1
    assert office.done == [first, later]
    assert office.outcomes == [JobOutcome.DONE, JobOutcome.DONE]


async def test_a_batch_takes_the_oldest_first_and_no_more_than_it_may(office: Office) -> None:
    errands = [await office.add(due_in_s=-place) for place in (1, 3, 2)]
    assert await office.round(office.job(batch=2)) == 2
    assert set(office.done) == {errands[1], errands[2]}


async def test_two_workers_never_work_on_one_row(office: Office) -> None:
    errands = {await office.add() for _ in range(30)}
    rounds = await asyncio.gather(*(office.round(office.job(batch=7)) for _ in range(8)))
    while await office.round():
        pass
    assert sum(rounds) > 0
    assert len(office.done) == 30
    assert set(office.done) == errands


async def test_what_raises_is_put_off_by_name_and_tried_again_later(office: Office) -> None:
    errand = await office.add()
    office.raises = ValueError("holds a secret")
    assert await office.round() == 1
    due_at, error, dead_at, _ = await office.row(errand)
    assert due_at is not None
    assert due_at > office.clock.now()
    assert (error, dead_at) == ("ValueError", None)
    assert await office.round() == 0
    office.clock.advance(minutes=1)
    office.raises = None
    assert await office.round() == 1
    assert office.done == [errand]
    assert office.outcomes == [JobOutcome.FAILED, JobOutcome.DONE]


async def test_something_that_is_away_is_no_fault(office: Office) -> None:
    await office.add()
    office.raises = Away()
    await office.round()
    assert office.outcomes == [JobOutcome.POSTPONED]


async def test_a_row_that_was_tried_often_enough_is_given_up_and_stays_to_be_seen(office: Office) -> None:
    errand = await office.add()
    office.raises = ValueError()
    for _ in range(5):
        await office.round()
        office.clock.advance(hours=1)
    _, error, dead_at, _ = await office.row(errand)
    assert error == "ValueError"
    assert dead_at is not None
    assert office.outcomes == [JobOutcome.FAILED, JobOutcome.FAILED, JobOutcome.DEAD]


async def test_what_is_given_up_is_told_in_the_transaction_that_gives_it_up(office: Office) -> None:
    errand = await office.add()
    office.raises = ValueError()
    await office.round(office.job(attempts_max=1))
    due_at, _, dead_at, runs = await office.row(errand)
    assert dead_at is not None
    assert dead_at <= office.clock.now()
    assert office.given_up == [DeadRow(errand, 0, "ValueError", dead_at)]
    assert (due_at, runs) == (dead_at, -1)


async def test_what_cannot_be_told_of_is_not_given_up(office: Office) -> None:
    errand = await office.add()
    office.raises = ValueError()
    office.cannot_tell = LookupError()
    with pytest.raises(LookupError):
        await office.round(office.job(attempts_max=1))
    _, error, dead_at, runs = await office.row(errand)
    assert (error, dead_at, runs) == (None, None, 0)
    # Its lease runs out by itself, and it is tried once more.
    office.cannot_tell = None
    office.clock.advance(minutes=2)
    await office.round(office.job(attempts_max=1))
    _, error, dead_at, runs = await office.row(errand)
    assert dead_at is not None
    assert (error, runs) == ("ValueError", -1)


async def test_what_is_tried_again_or_was_lost_to_another_is_not_told(office: Office) -> None:
    await office.add()
    office.raises = ValueError()
    await office.round()
    assert office.given_up == []
    office.clock.advance(minutes=1)
    office.goes_on.clear()
    office.began.clear()
    slow = asyncio.create_task(office.round(office.job(attempts_max=2)))
    await office.began.wait()
    office.clock.advance(minutes=5)
    async with office.database.transaction(Role.SYSTEM) as tx:
        await office.claim(
            tx, Claim(new_id(), office.clock.now(), office.clock.now() + timedelta(minutes=1), 1)
        )
    office.goes_on.set()
    await slow
    assert office.outcomes[-1] is JobOutcome.DEAD
    assert office.given_up == []


async def test_a_worker_that_lost_its_lease_changes_nothing(office: Office) -> None:
    errand = await office.add()
    office.goes_on.clear()
    slow = asyncio.create_task(office.round())
    await office.began.wait()
    office.clock.advance(minutes=5)
    office.goes_on.set()
    assert await office.round() == 1
    assert await slow == 1
    assert (await office.row(errand))[3] == 1
    assert office.done == [errand]


async def test_a_worker_that_is_told_to_stop_leaves_what_it_has_not_begun(office: Office) -> None:
    await office.add()
    await office.add()
    claimed = await run_round(
        office.job(), database=office.database, clock=office.clock, stopping=lambda: len(office.done) == 1
    )
    assert claimed == 2
    assert len(office.done) == 1
    office.clock.advance(minutes=2)
    assert await office.round() == 1
    assert len(office.done) == 2


async def test_pauses_grow_up_to_a_bound() -> None:
    pauses = [backoff(attempts).total_seconds() for attempts in range(1, 40)]
    assert all(1.6 <= pauses[0] <= 2.4 for _ in range(1))
    assert pauses[4] > pauses[1]
    assert all(240 <= pause <= 360 for pause in pauses[10:])
