"""The unit of work: committed before it returns, run again when it clashed, nothing left open, outages told."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.support import postgres
from zanari_api.kit.errors import Refusal
from zanari_api.runtime.db import Database, DatabaseUnavailable, Fact, Rerun, Role, TryAgain, Tx

INSERT = """
    INSERT INTO runtime.idempotency_keys (saver_id, key, fingerprint, status, body) VALUES ($1, 'k', '', 200, '')
"""
COUNT = "SELECT count(*) FROM runtime.idempotency_keys WHERE saver_id = $1"
LOCK = "SELECT pg_advisory_xact_lock($1)"
CLASH = "DO $$ BEGIN RAISE EXCEPTION 'as two writers would' USING ERRCODE = '40001'; END $$"


@dataclass(frozen=True, slots=True)
class Observed:
    """A database and what it told its owner."""

    db: Database
    reruns: list[None]
    committed: list[Sequence[Fact]]


@pytest.fixture
async def observed(database: postgres.Database) -> AsyncIterator[Observed]:
    reruns: list[None] = []
    committed: list[Sequence[Fact]] = []
    made = Database(
        database.service_dsn,
        pool_max=4,
        on_rerun=lambda: reruns.append(None),
        on_commit=lambda facts: committed.append(tuple(facts)),
    )
    await made.open()
    yield Observed(made, reruns, committed)
    await made.close()


@pytest.fixture
def db(observed: Observed) -> Database:
    return observed.db


async def test_work_is_committed_before_it_returns(db: Database) -> None:
    saver_id = uuid4()
    assert await db.unit_of_work(lambda tx: insert(tx, saver_id), role=Role.SYSTEM) == "done"
    assert await count(db, saver_id) == 1


async def test_work_that_raises_leaves_nothing(db: Database) -> None:
    saver_id = uuid4()

    async def refuse(tx: Tx) -> None:
        await insert(tx, saver_id)
        raise Refusal

    with pytest.raises(Refusal):
        await db.unit_of_work(refuse, role=Role.SYSTEM)
    assert await count(db, saver_id) == 0


async def test_a_statement_that_fails_leaves_nothing_and_is_told_as_it_is(db: Database) -> None:
    saver_id = uuid4()

    async def insert_twice(tx: Tx) -> None:
        await insert(tx, saver_id)
        await insert(tx, saver_id)

    with pytest.raises(asyncpg.UniqueViolationError):
        await db.unit_of_work(insert_twice, role=Role.SYSTEM)
    assert await count(db, saver_id) == 0


async def test_a_transaction_has_its_role_and_its_saver_and_the_next_one_has_neither(db: Database) -> None:
    saver_id = uuid4()
    who = "SELECT current_user || ' ' || current_setting('zanari.saver_id')"
    async with db.transaction(Role.API, saver_id) as tx:
        assert await tx.fetch_value(str, who) == f"zanari_api {saver_id}"
    for _ in range(5):
        async with db.transaction(Role.SYSTEM) as tx:
            assert await tx.fetch_value(str, who) == "zanari_system "


async def test_a_transaction_plans_for_its_own_arguments_unless_plans_are_to_be_reused(db: Database) -> None:
    how = "SELECT current_setting('plan_cache_mode') || ' ' || current_setting('enable_seqscan')"
    for _ in range(5):
        async with db.transaction(Role.SYSTEM, reuse_plans=True) as tx:
            assert await tx.fetch_value(str, how) == "force_generic_plan off"
        async with db.transaction(Role.SYSTEM) as tx:
            assert await tx.fetch_value(str, how) == "auto on"

    async def ask(tx: Tx) -> str | None:
        return await tx.fetch_value(str, how)

    assert await db.unit_of_work(ask, role=Role.SYSTEM, reuse_plans=True) == "force_generic_plan off"


async def test_a_saver_sees_their_own_rows_only_and_nobody_sees_none(db: Database) -> None:
    mine, theirs = uuid4(), uuid4()
    for saver_id in (mine, theirs):
        await db.unit_of_work(lambda tx, saver_id=saver_id: insert(tx, saver_id), role=Role.SYSTEM)
    async with db.transaction(Role.API, mine) as tx:
        assert await tx.fetch_value(int, COUNT, theirs) == 0
        assert await tx.fetch_value(int, COUNT, mine) == 1
    async with db.transaction(Role.API) as tx:
        assert await tx.fetch_value(int, "SELECT count(*) FROM runtime.idempotency_keys") == 0


async def test_a_real_deadlock_is_run_again_and_both_are_done(observed: Observed) -> None:
    savers = uuid4(), uuid4()
    runs = [0, 0]
    both_hold_one = asyncio.Barrier(2)

    async def work(tx: Tx, number: int) -> str:
        runs[number] += 1
        await tx.fetch_value(object, LOCK, 71 + number)
        if runs[number] == 1:
            await both_hold_one.wait()
        await tx.fetch_value(object, LOCK, 72 - number)
        return await insert(tx, savers[number])

    db = observed.db
    await asyncio.gather(
        *(db.unit_of_work(lambda tx, n=number: work(tx, n), role=Role.SYSTEM) for number in (0, 1))
    )
    assert sorted(runs) == [1, 2]
    assert len(observed.reruns) == 1
    assert [await count(db, saver_id) for saver_id in savers] == [1, 1]


@pytest.mark.parametrize("clashes", [1, 2])
async def test_a_clash_runs_the_whole_work_again_on_a_clean_slate(observed: Observed, clashes: int) -> None:
    saver_id = uuid4()
    runs = 0

    async def work(tx: Tx) -> int:
        nonlocal runs
        runs += 1
        tx.note("spend", "saved")
        await insert(tx, saver_id)
        if runs <= clashes:
            await tx.execute(CLASH)
        return runs

    assert await observed.db.unit_of_work(work, role=Role.SYSTEM) == clashes + 1
    assert len(observed.reruns) == clashes
    assert observed.committed == [(Fact("spend", ("saved",), 1),)]
    assert await count(observed.db, saver_id) == 1


@pytest.mark.parametrize("how", ["40001", "rerun"])
async def test_after_three_clashes_the_caller_is_asked_to_try_again(observed: Observed, how: str) -> None:
    saver_id = uuid4()
    runs = 0

    async def clash(tx: Tx) -> None:
        nonlocal runs
        runs += 1
        await insert(tx, saver_id)
        if how == "rerun":
            raise Rerun
        await tx.execute(CLASH)

    with pytest.raises(TryAgain) as refused:
        await observed.db.unit_of_work(clash, role=Role.SYSTEM)
    assert (refused.value.status, refused.value.code, refused.value.retry_after) == (503, "try_again", 1)
    assert (runs, len(observed.reruns), observed.committed) == (3, 2, [])
    assert await count(observed.db, saver_id) == 0


async def test_what_is_no_clash_is_not_run_again(observed: Observed) -> None:
    runs = 0

    async def fail(_: Tx) -> None:
        nonlocal runs
        runs += 1
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await observed.db.unit_of_work(fail, role=Role.SYSTEM)
    assert (runs, observed.reruns, observed.committed) == (1, [], [])


async def test_a_connection_that_dies_amid_work_is_an_outage_and_the_next_request_works(
    db: Database, database: postgres.Database
) -> None:
    saver_id = uuid4()

    async def die(tx: Tx) -> None:
        await insert(tx, saver_id)
        pid = await tx.fetch_value(int, "SELECT pg_backend_pid()")
        async with database.connected("supabase_admin") as connection:
            await connection.execute("SELECT pg_terminate_backend($1, 5000)", pid)
        await tx.execute("SELECT 1")

    with pytest.raises(DatabaseUnavailable) as outage:
        await db.unit_of_work(die, role=Role.SYSTEM)
    assert (outage.value.status, outage.value.code) == (503, "database_unavailable")
    assert await count(db, saver_id) == 0


async def test_a_server_that_ends_the_connection_amid_a_statement_is_an_outage(
    db: Database, database: postgres.Database
) -> None:
    with pytest.raises(DatabaseUnavailable):
        await asyncio.gather(db.unit_of_work(sleep, role=Role.SYSTEM), end_sleepers(database))
    assert await db.unit_of_work(lambda tx: insert(tx, uuid4()), role=Role.SYSTEM) == "done"


async def test_connections_that_died_in_the_pool_are_no_obstacle(
    db: Database, database: postgres.Database
) -> None:
    await asyncio.gather(*(db.unit_of_work(rest, role=Role.SYSTEM) for _ in range(4)))
    async with database.connected("supabase_admin") as connection:
        ended = await connection.fetch(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = 'zanari' AND datname = current_database()"
        )
    assert len(ended) >= 2
    saver_id = uuid4()
    answers = await asyncio.gather(
        *(db.unit_of_work(lambda tx: insert(tx, uuid4()), role=Role.SYSTEM) for _ in range(8)),
        return_exceptions=True,
    )
    assert all(answer == "done" or isinstance(answer, DatabaseUnavailable) for answer in answers)
    assert await db.unit_of_work(lambda tx: insert(tx, saver_id), role=Role.SYSTEM) == "done"


async def test_cancelled_work_leaves_no_transaction_open(db: Database, database: postgres.Database) -> None:
    saver_id = uuid4()

    async def wait(tx: Tx) -> None:
        await insert(tx, saver_id)
        await sleep(tx)

    task = asyncio.create_task(db.unit_of_work(wait, role=Role.SYSTEM))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await open_transactions(database) == 0
    assert await count(db, saver_id) == 0


async def test_work_cancelled_at_any_moment_leaves_no_transaction_open(
    db: Database, database: postgres.Database
) -> None:
    """From the first byte of BEGIN to the last of COMMIT; and what was not cancelled in time is whole."""
    savers = [uuid4() for _ in range(150)]

    async def cancel_soon(saver_id: UUID, *, after_s: float) -> bool:
        task = asyncio.create_task(db.unit_of_work(lambda tx: insert(tx, saver_id), role=Role.SYSTEM))
        await asyncio.sleep(after_s)
        task.cancel()
        try:
            return await task == "done"
        except asyncio.CancelledError:
            return False

    for start in range(0, len(savers), 4):
        group = savers[start : start + 4]
        done = await asyncio.gather(
            *(cancel_soon(saver_id, after_s=(start + n) * 0.00003) for n, saver_id in enumerate(group))
        )
        kept = [await count(db, saver_id) for saver_id in group]
        assert all(rows == 1 for rows, finished in zip(kept, done, strict=True) if finished)
    assert await open_transactions(database) == 0


async def test_a_statement_that_is_cancelled_by_the_server_is_an_outage(db: Database) -> None:
    async def slow(tx: Tx) -> None:
        await tx.execute("SET LOCAL statement_timeout = 20")
        await tx.execute("SELECT pg_sleep(5)")

    with pytest.raises(DatabaseUnavailable):
        await db.unit_of_work(slow, role=Role.SYSTEM)


async def test_a_database_that_is_away_does_not_stop_the_start_and_is_an_outage_for_requests() -> None:
    away = Database("postgresql://zanari_service@127.0.0.1:9/nowhere")
    await away.open()
    with pytest.raises(DatabaseUnavailable):
        await away.unit_of_work(rest, role=Role.SYSTEM)
    await away.close()


async def test_a_database_that_is_not_open_is_an_outage(database: postgres.Database) -> None:
    closed = Database(database.service_dsn)
    with pytest.raises(DatabaseUnavailable):
        await closed.unit_of_work(rest, role=Role.SYSTEM)
    await closed.close()


async def test_the_pool_in_use_is_told(db: Database) -> None:
    assert db.pool_use() == (0, 4)
    async with db.transaction(Role.SYSTEM):
        assert db.pool_use() == (1, 4)
    assert db.pool_use() == (0, 4)


async def test_who_waits_for_a_connection_is_told(db: Database) -> None:
    async def look() -> None:
        async with db.transaction(Role.SYSTEM):
            pass

    async with AsyncExitStack() as stack:
        for _ in range(4):
            await stack.enter_async_context(db.transaction(Role.SYSTEM))
        assert db.waiting() == 0
        late = [asyncio.create_task(look()) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert (db.pool_use(), db.waiting()) == ((4, 4), 3)
    await asyncio.gather(*late)
    assert db.waiting() == 0


async def test_a_value_of_another_type_than_asked_for_is_a_bug(db: Database) -> None:
    async with db.transaction(Role.SYSTEM) as tx:
        assert await tx.fetch_value(int, "SELECT NULL::integer") is None
        assert await tx.fetch_value(int, "SELECT 1 WHERE false") is None
        with pytest.raises(TypeError, match="returned str, not int"):
            await tx.fetch_value(int, "SELECT 'one'")


async def test_rows_are_built_by_column_name(db: Database) -> None:
    async with db.transaction(Role.SYSTEM) as tx:
        assert await tx.fetch_one(Pair, "SELECT 2 AS second, 1 AS first") == Pair(1, 2)
        assert await tx.fetch_one(Pair, "SELECT 2 AS second, 1 AS first WHERE false") is None
        assert await tx.fetch_all(
            Pair, "SELECT n AS first, n * n AS second FROM generate_series(1, 2) AS n"
        ) == [
            Pair(1, 1),
            Pair(2, 4),
        ]
        assert await tx.fetch_all(Pair, "SELECT 2 AS second, 1 AS first") == [Pair(1, 2)]
        assert await tx.fetch_one(NamedPair, "SELECT 1 AS first, 2 AS second") == NamedPair(first=1, second=2)
        with pytest.raises(TypeError):
            await tx.fetch_one(Pair, "SELECT 1 AS first, 2 AS other")


@dataclass(frozen=True, slots=True)
class Pair:
    first: int
    second: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPair:
    first: int
    second: int


async def insert(tx: Tx, saver_id: UUID) -> str:
    await tx.execute(INSERT, saver_id)
    return "done"


async def rest(tx: Tx) -> None:
    await tx.execute("SELECT pg_sleep(0.02)")


async def sleep(tx: Tx) -> None:
    await tx.execute("SELECT pg_sleep(30)")


async def end_sleepers(database: postgres.Database) -> None:
    """End the service's connections as soon as one of them sleeps."""
    async with database.connected("supabase_admin") as connection:
        while not await connection.fetchval(  # noqa: ASYNC110 (the server tells nobody)
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE application_name = 'zanari' AND datname = current_database() AND wait_event = 'PgSleep'"
        ):
            await asyncio.sleep(0.01)


async def count(db: Database, saver_id: UUID) -> int | None:
    async with db.transaction(Role.SYSTEM) as tx:
        return await tx.fetch_value(int, COUNT, saver_id)


async def open_transactions(database: postgres.Database) -> int:
    """Count the service's transactions that are open though nobody works on them, or still run a statement."""
    async with database.connected("supabase_admin") as connection:
        return await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name = 'zanari' AND datname = current_database() AND state <> 'idle'"
        )
