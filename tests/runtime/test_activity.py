"""Activity: seen savers reach the database in batches, replicas count the same, and nothing fails for it."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.support.observed import Sample, Written
from tests.support.postgres import Cluster
from tests.support.postgres import Database as Served
from zanari_api.kit.clock import utc_now
from zanari_api.kit.ids import new_id
from zanari_api.runtime.activity import Activity
from zanari_api.runtime.db import Database
from zanari_api.runtime.metrics import Metrics

Last = Callable[[UUID], Any]


@pytest.fixture(scope="module")
async def pool(database: Served) -> AsyncIterator[Database]:
    pool = Database(database.service_dsn)
    await pool.open()
    yield pool
    await pool.close()


@pytest.fixture
async def away() -> AsyncIterator[Database]:
    """A database that nothing answers for."""
    pool = Database("postgresql://zanari_service@127.0.0.1:1/zanari")
    await pool.open()
    yield pool
    await pool.close()


@pytest.fixture
def last_seen(database: Served) -> Last:
    async def read(saver_id: UUID) -> datetime | None:
        async with database.connected("postgres") as connection:
            return await connection.fetchval(
                "SELECT last_seen_at FROM savings.saver_activity WHERE saver_id = $1", saver_id
            )

    return read


async def set_last_seen(database: Served, saver_id: UUID, ago: timedelta) -> None:
    async with database.connected("postgres") as connection:
        await connection.execute(
            "INSERT INTO savings.saver_activity VALUES ($1, $2)"
            " ON CONFLICT (saver_id) DO UPDATE SET last_seen_at = EXCLUDED.last_seen_at",
            saver_id,
            utc_now() - ago,
        )


async def test_a_seen_saver_is_written(pool: Database, metrics: Metrics, last_seen: Last) -> None:
    activity, saver = Activity(pool, metrics=metrics), new_id()
    activity.seen(saver)
    assert await last_seen(saver) is None
    await activity.flush()
    assert utc_now() - await last_seen(saver) < timedelta(seconds=10)


async def test_a_saver_is_written_at_most_once_a_minute(
    pool: Database, metrics: Metrics, database: Served, last_seen: Last
) -> None:
    activity, saver = Activity(pool, metrics=metrics), new_id()
    activity.seen(saver)
    await activity.flush()
    await set_last_seen(database, saver, timedelta(hours=1))
    for _ in range(100):
        activity.seen(saver)
    await activity.flush()
    assert utc_now() - await last_seen(saver) > timedelta(minutes=59)


async def test_another_replica_does_not_write_within_the_minute_either(
    pool: Database, metrics: Metrics, database: Served, last_seen: Last
) -> None:
    saver = new_id()
    for ago, written in ((timedelta(seconds=50), False), (timedelta(seconds=61), True)):
        await set_last_seen(database, saver, ago)
        before = await last_seen(saver)
        replica = Activity(pool, metrics=metrics)
        replica.seen(saver)
        await replica.flush()
        assert (await last_seen(saver) != before) is written


async def test_a_saver_seen_after_the_minute_is_written_again(
    pool: Database, metrics: Metrics, database: Served, last_seen: Last
) -> None:
    activity, saver = Activity(pool, metrics=metrics, write_every_s=0.05), new_id()
    activity.seen(saver)
    await activity.flush()
    await set_last_seen(database, saver, timedelta(hours=1))
    await asyncio.sleep(0.06)
    activity.seen(saver)
    await activity.flush()
    assert utc_now() - await last_seen(saver) < timedelta(seconds=10)


async def test_many_savers_are_written_in_a_few_statements(
    pool: Database, metrics: Metrics, database: Served
) -> None:
    activity, savers = Activity(pool, metrics=metrics), [new_id() for _ in range(2500)]
    for saver in savers:
        activity.seen(saver)
    await activity.flush()
    async with database.connected("postgres") as connection:
        transactions = (
            "SELECT count(DISTINCT xmin::text) FROM savings.saver_activity WHERE saver_id = ANY($1)"
        )
        assert await connection.fetchval(transactions, savers) == 3


async def test_while_it_runs_savers_are_written_without_being_asked(
    pool: Database, metrics: Metrics, last_seen: Last
) -> None:
    early, late = new_id(), new_id()
    activity = Activity(pool, metrics=metrics, flush_every_s=0.05)
    async with activity.running():
        activity.seen(early)
        await asyncio.sleep(0.3)
        assert await last_seen(early) is not None
        activity.seen(late)
    assert await last_seen(late) is not None


async def test_replicas_that_write_the_same_savers_at_once_do_not_clash(
    database: Served, metrics: Metrics
) -> None:
    clashes: list[None] = []
    pool = Database(database.service_dsn, on_rerun=lambda: clashes.append(None))
    await pool.open()
    for _ in range(4):
        savers = [new_id() for _ in range(900)]
        replicas = [Activity(pool, metrics=metrics) for _ in range(8)]
        for number, replica in enumerate(replicas):
            for saver in savers[:: (-1) ** number]:
                replica.seen(saver)
        await asyncio.gather(*(replica.flush() for replica in replicas))
    await pool.close()
    assert clashes == []


async def test_active_users_are_those_seen_in_the_last_15_minutes_by_any_replica(
    cluster: Cluster, metrics: Metrics, sample: Sample
) -> None:
    database = await cluster.migrated_database()
    pool = Database(database.service_dsn)
    await pool.open()
    for minutes in (1, 14, 16, 60):
        await set_last_seen(database, new_id(), timedelta(minutes=minutes))
    activity = Activity(pool, metrics=metrics)
    activity.seen(new_id())
    await activity.refresh()
    assert sample("active_users") == 3
    collected = sample("zanari_facts_collected_timestamp_seconds") or 0
    assert abs(collected - utc_now().timestamp()) < 10
    await pool.close()


async def test_scrapes_close_together_ask_the_database_once(
    pool: Database, metrics: Metrics, sample: Sample
) -> None:
    activity = Activity(pool, metrics=metrics)
    await activity.refresh()
    before = sample("active_users")
    activity.seen(new_id())
    await asyncio.gather(*(activity.refresh() for _ in range(5)))
    assert sample("active_users") == before


async def test_without_the_database_nothing_fails_and_the_last_known_number_stands(
    away: Database, metrics: Metrics, sample: Sample, written: Written
) -> None:
    metrics.active_users.set(42)
    activity = Activity(away, metrics=metrics)
    activity.seen(new_id())
    await activity.refresh()
    assert sample("active_users") == 42
    assert sample("zanari_facts_collected_timestamp_seconds") == 0
    assert written.events("activity_kept_for_later")


async def test_a_database_that_hangs_does_not_hold_up_a_scrape(
    metrics: Metrics, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    monkeypatch.setattr("zanari_api.runtime.activity.SCRAPE_TIMEOUT_S", 0.1)
    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    pool = Database(f"postgresql://zanari_service@127.0.0.1:{server.sockets[0].getsockname()[1]}/zanari")
    await pool.open()
    activity = Activity(pool, metrics=metrics)
    activity.seen(new_id())
    async with asyncio.timeout(3):
        await activity.refresh()
    assert math.isnan(sample("active_users") or 0)
    assert len(activity._pending) == 1
    await pool.close()
    server.close()


async def test_what_was_seen_while_the_database_was_away_is_written_when_it_is_back(
    away: Database, pool: Database, metrics: Metrics, last_seen: Last
) -> None:
    activity, saver = Activity(away, metrics=metrics), new_id()
    activity.seen(saver)
    await activity.flush()
    activity._database = pool
    await activity.flush()
    assert await last_seen(saver) is not None


async def test_what_can_never_be_written_is_dropped_and_does_not_stop_the_rest(
    database: Served, pool: Database, metrics: Metrics, written: Written, last_seen: Last
) -> None:
    saver = new_id()
    async with database.connected("postgres") as connection:
        await connection.execute(
            "ALTER TABLE savings.saver_activity ADD CONSTRAINT nobody CHECK (false) NOT VALID"
        )
    activity = Activity(pool, metrics=metrics)
    activity.seen(new_id())
    await activity.flush()
    [line] = written.events("activity_dropped")
    assert line["exception"]["constraint_name"] == "nobody"
    async with database.connected("postgres") as connection:
        await connection.execute("ALTER TABLE savings.saver_activity DROP CONSTRAINT nobody")
    activity.seen(saver)
    await activity.flush()
    assert await last_seen(saver) is not None


async def test_the_buffer_has_an_end(
    away: Database, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zanari_api.runtime.activity.PENDING_MAX", 10)
    activity = Activity(away, metrics=metrics)
    for _ in range(50):
        activity.seen(new_id())
    assert len(activity._pending) == 10


async def test_old_savers_are_forgotten(pool: Database, metrics: Metrics) -> None:
    activity = Activity(pool, metrics=metrics, write_every_s=0.01)
    for _ in range(50):
        activity.seen(new_id())
    await asyncio.sleep(0.02)
    await activity.flush()
    assert activity._noted == {}
