"""Migrations: what is applied, what is refused, and that two at once are as good as one."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.postgres import Cluster, Database
from zanari_api.runtime import migrations
from zanari_api.runtime.db import Database as Pool
from zanari_api.runtime.db import Role
from zanari_api.runtime.migrations import (
    Migration,
    MigrationChanged,
    MigrationError,
    MigrationFailed,
    MigrationMissing,
    MigrationOutOfOrder,
    Plan,
)

FIRST = Migration("20260101000100", "create_a", "CREATE TABLE public.a (id int);\n")
SECOND = Migration(
    "20260101000200", "fill_a", "INSERT INTO public.a VALUES (1);\nINSERT INTO public.a VALUES (2);"
)
THIRD = Migration("20260101000300", "create_b", "CREATE TABLE public.b (id int);")


@pytest.fixture
async def bare(cluster: Cluster) -> AsyncIterator[Database]:
    made = await cluster.bare_database()
    yield made
    await cluster.drop(made)


async def apply(database: Database, *local: Migration) -> Plan:
    async with database.connected("postgres") as connection:
        return await migrations.apply(connection, migrations=local)


async def fetch_value(database: Database, sql: str) -> object:
    async with database.connected("postgres") as connection:
        return await connection.fetchval(sql)


async def test_what_is_pending_is_applied_once_and_in_order(bare: Database) -> None:
    told: list[str] = []
    async with bare.connected("postgres") as connection:
        done = await migrations.apply(connection, lambda m: told.append(m.label), [FIRST, SECOND])
        again = await migrations.apply(connection, lambda m: told.append(m.label), [FIRST, SECOND])
    assert done == Plan(pending=(FIRST, SECOND), ahead=())
    assert again == Plan(pending=(), ahead=())
    assert told == [FIRST.label, SECOND.label]
    assert await fetch_value(bare, "SELECT array_agg(id ORDER BY id) FROM public.a") == [1, 2]


async def test_the_bookkeeping_is_the_supabase_clis(bare: Database) -> None:
    await apply(bare, FIRST, SECOND)
    async with bare.connected("postgres") as connection:
        rows = await connection.fetch(
            "SELECT version, name, statements FROM supabase_migrations.schema_migrations ORDER BY version"
        )
    assert [tuple(row) for row in rows] == [
        ("20260101000100", "create_a", ["CREATE TABLE public.a (id int)"]),
        ("20260101000200", "fill_a", ["INSERT INTO public.a VALUES (1)", "INSERT INTO public.a VALUES (2)"]),
    ]


async def test_planning_changes_nothing(bare: Database) -> None:
    async with bare.connected("postgres") as connection:
        assert await migrations.plan(connection, [FIRST]) == Plan(pending=(FIRST,), ahead=())
        assert not await connection.fetchval("SELECT to_regnamespace('supabase_migrations') IS NOT NULL")


async def test_an_edited_comment_is_no_change(bare: Database) -> None:
    await apply(bare, FIRST)
    mended = Migration(FIRST.version, FIRST.name, f"-- why it is here\n{FIRST.sql}")
    assert await apply(bare, mended) == Plan(pending=(), ahead=())


async def test_an_edited_statement_is_refused(bare: Database) -> None:
    await apply(bare, FIRST)
    edited = Migration(FIRST.version, FIRST.name, "CREATE TABLE public.a (id bigint);")
    with pytest.raises(MigrationChanged, match=FIRST.label):
        await apply(bare, edited, SECOND)
    assert await fetch_value(bare, "SELECT count(*) FROM public.a") == 0


async def test_a_migration_that_is_gone_from_the_tree_is_refused(bare: Database) -> None:
    await apply(bare, FIRST, SECOND)
    with pytest.raises(MigrationMissing, match=SECOND.version):
        await apply(bare, FIRST, THIRD)
    assert await fetch_value(bare, "SELECT to_regclass('public.b') IS NULL")


async def test_a_migration_older_than_an_applied_one_is_refused(bare: Database) -> None:
    await apply(bare, FIRST, THIRD)
    with pytest.raises(MigrationOutOfOrder, match=SECOND.label):
        await apply(bare, FIRST, SECOND, THIRD)
    assert await fetch_value(bare, "SELECT count(*) FROM public.a") == 0


async def test_a_database_that_is_ahead_is_left_alone(bare: Database) -> None:
    await apply(bare, FIRST, SECOND, THIRD)
    assert await apply(bare, FIRST, SECOND) == Plan(pending=(), ahead=(THIRD.version,))


async def test_one_marked_applied_by_hand_is_taken_at_its_word(bare: Database) -> None:
    await apply(bare, FIRST)
    await fetch_value(bare, "UPDATE supabase_migrations.schema_migrations SET statements = NULL RETURNING 1")
    assert await apply(bare, FIRST) == Plan(pending=(), ahead=())


async def test_a_failing_file_leaves_nothing_of_itself_and_keeps_those_before_it(bare: Database) -> None:
    broken = Migration(
        SECOND.version, "break_a", "INSERT INTO public.a VALUES (1);\nSELECT\n  no_such_thing;"
    )
    with pytest.raises(MigrationFailed, match=r"break_a: line 3: .*no_such_thing"):
        await apply(bare, FIRST, broken, THIRD)
    assert await fetch_value(bare, "SELECT count(*) FROM public.a") == 0
    assert await apply(bare, FIRST, SECOND, THIRD) == Plan(pending=(SECOND, THIRD), ahead=())


async def test_a_file_that_keeps_another_role_fails_as_it_does_with_the_cli(bare: Database) -> None:
    keeps = Migration(SECOND.version, "keep_role", "SET LOCAL ROLE anon;")
    with pytest.raises(MigrationFailed, match="permission denied"):
        await apply(bare, FIRST, keeps)


async def test_two_migrators_at_once_apply_each_file_once(bare: Database) -> None:
    slow = Migration(SECOND.version, SECOND.name, f"SELECT pg_sleep(0.2);{SECOND.sql}")
    plans = await asyncio.gather(*(apply(bare, FIRST, slow, THIRD) for _ in range(4)))
    assert sorted(migration.label for plan in plans for migration in plan.pending) == [
        FIRST.label,
        SECOND.label,
        THIRD.label,
    ]
    assert await fetch_value(bare, "SELECT count(*) FROM public.a") == 2


KILLED = """
import asyncio, sys
import asyncpg
from zanari_api.runtime import migrations
from zanari_api.runtime.migrations import Migration

async def main():
    connection = await asyncpg.connect(sys.argv[1])
    await migrations.apply(connection, migrations=[
        Migration("20260101000100", "create_a", "CREATE TABLE public.a (id int);"),
        Migration("20260101000200", "fill_a", "INSERT INTO public.a VALUES (1); SELECT pg_sleep(60);"),
    ])

asyncio.run(main())
"""


async def test_a_migrator_killed_half_way_leaves_nothing_of_that_file(bare: Database) -> None:
    victim = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, bare.migrator_dsn)
    async with bare.connected("supabase_admin") as connection:
        sleeping = (
            f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{bare.name}' AND wait_event = 'PgSleep'"
        )
        while await connection.fetchval(sleeping) == 0:
            assert victim.returncode is None
            await asyncio.sleep(0.02)
        victim.send_signal(signal.SIGKILL)
        await victim.wait()
        # The server notices a dead client only when it next speaks to it; an operator would not wait either.
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event = 'PgSleep'"
        )
    assert await apply(bare, FIRST, SECOND) == Plan(pending=(SECOND,), ahead=())
    assert await fetch_value(bare, "SELECT count(*) FROM public.a") == 2


async def test_this_builds_migrations_are_all_applied_and_readable_by_the_service(database: Database) -> None:
    pool = Pool(database.service_dsn)
    await pool.open()
    try:
        async with pool.transaction(Role.SYSTEM) as tx:
            assert await migrations.pending(tx) == []
    finally:
        await pool.close()


async def test_a_database_that_lacks_what_this_build_needs_says_which(bare: Database) -> None:
    await apply(bare, *migrations.read_migrations()[:-1])
    pool = Pool(bare.service_dsn)
    await pool.open()
    try:
        async with pool.transaction(Role.SYSTEM) as tx:
            assert migrations.needed_versions()[-1] in await migrations.pending(tx)
    finally:
        await pool.close()


def test_a_file_that_is_not_named_as_a_migration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "20260101_short.sql").write_text("SELECT 1")
    with pytest.raises(MigrationError, match=r"20260101_short\.sql is not named"):
        migrations.read_migrations(tmp_path)


def test_two_files_of_one_version_are_refused(tmp_path: Path) -> None:
    (tmp_path / "20260101000100_a.sql").write_text("SELECT 1")
    (tmp_path / "20260101000100_b.sql").write_text("SELECT 1")
    with pytest.raises(MigrationError, match="has the version of 20260101000100_a"):
        migrations.read_migrations(tmp_path)


def test_an_installation_without_migrations_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="incomplete"):
        migrations.read_migrations(tmp_path)


# The inbox takes callbacks while its index is built.

INDEX_BODIES = "20261125001130"
BUILD_BESIDE_WRITERS = (
    "CREATE INDEX CONCURRENTLY callbacks_with_body ON mpesa.callbacks (received_at) WHERE erased_at IS NULL"
)


async def with_inbox(bare: Database) -> list[Migration]:
    """Apply what comes before the index over the inbox; return all of it up to that index."""
    wanted = [each for each in migrations.read_migrations() if each.version <= INDEX_BODIES]
    await apply(bare, *wanted[:-1])
    return wanted


async def test_an_inbox_that_is_written_to_is_not_kept_waiting_for_its_index(bare: Database) -> None:
    wanted = await with_inbox(bare)
    async with bare.connected("supabase_admin") as writer, writer.transaction():
        await writer.execute("LOCK TABLE mpesa.callbacks IN ROW EXCLUSIVE MODE")
        with pytest.raises(MigrationFailed, match=f"(?s)too busy.*HINT:  {re.escape(BUILD_BESIDE_WRITERS)}"):
            await asyncio.wait_for(apply(bare, *wanted), timeout=10)


async def test_an_index_that_was_built_beside_the_writers_is_taken_without_a_lock(bare: Database) -> None:
    wanted = await with_inbox(bare)
    async with bare.connected("postgres") as operator:
        await operator.execute(BUILD_BESIDE_WRITERS)
    async with bare.connected("supabase_admin") as writer, writer.transaction():
        await writer.execute("LOCK TABLE mpesa.callbacks IN ROW EXCLUSIVE MODE")
        assert await apply(bare, *wanted) == Plan(pending=(wanted[-1],), ahead=())


@pytest.mark.parametrize(
    "mistake",
    [
        pytest.param(
            f"{BUILD_BESIDE_WRITERS};"
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'mpesa.callbacks_with_body'::regclass",
            id="built-halfway",
        ),
        pytest.param("CREATE INDEX callbacks_with_body ON mpesa.callbacks (received_at)", id="another-index"),
    ],
)
async def test_an_index_that_is_not_the_one_is_refused(bare: Database, mistake: str) -> None:
    wanted = await with_inbox(bare)
    async with bare.connected("supabase_admin") as operator:
        for statement in mistake.split(";"):
            await operator.execute(statement)
    with pytest.raises(MigrationFailed, match=r"(?s)built halfway.*DROP INDEX CONCURRENTLY"):
        await apply(bare, *wanted)
