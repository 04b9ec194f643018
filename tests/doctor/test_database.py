"""What the doctor sees of a database: there, migrated, durable, with room, at our time, and its books."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.doctor.conftest import Healthy
from tests.support.postgres import Cluster, Database
from zanari_api.doctor import books
from zanari_api.doctor import database as looks
from zanari_api.doctor.findings import Outcome
from zanari_api.kit.clock import utc_now
from zanari_api.runtime import migrations

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
HIDDEN = "hunter2"


async def test_a_database_that_is_there_tells_its_version(on_database: Healthy) -> None:
    async with on_database() as patient:
        seen = await looks.reached(patient)
    assert seen.outcome is Outcome.PASSED
    assert seen.found.startswith("Postgres 1")


async def test_a_database_that_is_away_says_so_without_its_address(on_database: Healthy) -> None:
    async with on_database(f"postgresql://zanari_service:{HIDDEN}@127.0.0.1:1/zanari") as patient:
        seen = await looks.reached(patient)
    assert seen.outcome is Outcome.FAILED
    assert "does not answer" in seen.found
    assert HIDDEN not in f"{seen}"


async def test_a_database_that_does_not_let_us_in_says_so(on_database: Healthy, database: Database) -> None:
    async with on_database(database.server.dsn("hunter2", "zanari_service")) as patient:
        seen = await looks.reached(patient)
    assert seen.outcome is Outcome.FAILED
    assert "InvalidCatalogNameError" in seen.found
    assert HIDDEN not in f"{seen}"


async def test_a_login_that_may_not_take_our_roles_is_named(on_database: Healthy, database: Database) -> None:
    async with on_database(database.authenticator_dsn) as patient:
        seen = await looks.reached(patient)
    assert seen.outcome is Outcome.FAILED
    assert "zanari_service" in (seen.cure or "")


async def test_a_migrated_database_passes(on_database: Healthy) -> None:
    async with on_database() as patient:
        seen = await looks.migrated(patient)
    assert (seen.outcome, migrations.needed_versions()[-1] in seen.found) == (Outcome.PASSED, True)


async def test_a_migration_that_is_not_applied_is_named(on_database: Healthy, cluster: Cluster) -> None:
    made = await cluster.migrated_database()
    newest = migrations.read_migrations()[-1]
    async with made.connected("postgres") as connection:
        await connection.execute(
            "DELETE FROM supabase_migrations.schema_migrations WHERE version = $1", newest.version
        )
    async with on_database(made.service_dsn) as patient:
        seen = await looks.migrated(patient)
    assert seen.outcome is Outcome.FAILED
    assert newest.label in seen.found
    assert seen.cure == "zanari migrate"


@pytest.mark.parametrize(
    ("version", "outcome"),
    [("20261124000000", Outcome.FAILED), ("20991231000000", Outcome.PASSED)],
    ids=["in-between", "ahead"],
)
async def test_an_unknown_migration_is_named_and_only_one_ahead_of_us_is_served(
    on_database: Healthy, cluster: Cluster, version: str, outcome: Outcome
) -> None:
    made = await cluster.migrated_database()
    async with made.connected("postgres") as connection:
        await connection.execute("INSERT INTO supabase_migrations.schema_migrations VALUES ($1)", version)
    async with on_database(made.service_dsn) as patient:
        seen = await looks.migrated(patient)
    assert seen.outcome is outcome
    assert version in seen.found


async def test_a_database_without_our_migrations_is_told_so(on_database: Healthy, cluster: Cluster) -> None:
    made = await cluster.bare_database()
    async with on_database(made.service_dsn) as patient:
        seen = await looks.migrated(patient)
    assert (seen.outcome, seen.cure) == (Outcome.FAILED, "zanari migrate")


async def test_a_server_that_may_lose_commits_fails(on_database: Healthy) -> None:
    async with on_database() as patient:
        seen = await looks.durable(patient)
    # The tests' own server does not wait for its disk.
    assert seen.outcome is Outcome.FAILED
    assert "fsync=off" in seen.found


async def test_the_login_is_judged(on_database: Healthy, database: Database) -> None:
    async with on_database() as patient:
        assert (await looks.login_is_weak(patient)).outcome is Outcome.PASSED
    async with on_database(database.superuser_dsn) as patient:
        seen = await looks.login_is_weak(patient)
    assert seen.outcome is Outcome.FAILED
    assert "superuser" in seen.found


async def test_connections_that_are_left_are_counted(on_database: Healthy) -> None:
    async with on_database() as patient:
        assert (await looks.has_room(patient)).outcome is Outcome.PASSED
    async with on_database(pool_max=500) as patient:
        seen = await looks.has_room(patient)
    assert seen.outcome is Outcome.FAILED
    assert "each process takes up to 500" in seen.found


async def test_a_logins_own_limit_counts(on_database: Healthy, database: Database) -> None:
    async with database.connected("supabase_admin") as superuser:
        await superuser.execute("ALTER ROLE zanari_service CONNECTION LIMIT 5")
        try:
            async with on_database() as patient:
                seen = await looks.has_room(patient)
        finally:
            await superuser.execute("ALTER ROLE zanari_service CONNECTION LIMIT -1")
    assert seen.outcome is Outcome.FAILED
    assert "of 5 connections" in seen.found


async def test_the_servers_clock_is_compared_with_ours(on_database: Healthy) -> None:
    async with on_database() as patient:
        assert (await looks.at_our_time(patient)).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        (NOW, Outcome.PASSED),
        (NOW - timedelta(seconds=2), Outcome.PASSED),
        (NOW + timedelta(seconds=5), Outcome.PASSED),
        (NOW - timedelta(seconds=2.1), Outcome.FAILED),
        (NOW + timedelta(seconds=5.1), Outcome.FAILED),
    ],
)
def test_a_clock_is_wrong_when_the_way_there_does_not_explain_it(told: datetime, outcome: Outcome) -> None:
    # Asked at NOW and answered three seconds later: whatever was told in between may be right.
    seen = looks.judge_skew(told, before=NOW, after=NOW + timedelta(seconds=3), limit=timedelta(seconds=2))
    assert seen.outcome is outcome


# Books


async def test_books_that_were_never_proved_are_no_good_news(on_database: Healthy) -> None:
    async with on_database() as patient:
        seen = await books.books_hold(patient)
    assert seen.outcome is Outcome.FAILED
    assert "never" in seen.found


@pytest.mark.parametrize(("minutes", "outcome"), [(10, Outcome.PASSED), (46, Outcome.FAILED)])
async def test_the_age_of_the_last_proof_is_judged(
    on_database: Healthy, database: Database, minutes: int, outcome: Outcome
) -> None:
    async with database.connected("postgres") as connection:
        await connection.execute(
            """INSERT INTO runtime.schedules (name, next_run_at, last_finished_at) VALUES ('books_check', now(), $1)
               ON CONFLICT (name) DO UPDATE SET last_finished_at = excluded.last_finished_at""",
            utc_now() - timedelta(minutes=minutes),
        )
    async with on_database() as patient:
        seen = await books.books_hold(patient)
    assert seen.outcome is outcome
    assert f"{minutes} minutes ago" in seen.found


# The chain


async def test_a_chain_that_was_never_verified_is_no_good_news(on_database: Healthy) -> None:
    async with on_database() as patient:
        seen = await books.chain_holds(patient)
    assert seen.outcome is Outcome.FAILED
    assert "never" in seen.found


@pytest.mark.parametrize(
    ("hours", "bad_rows", "outcome", "word"),
    [
        (1, 0, Outcome.PASSED, "60 minutes ago"),
        (7, 0, Outcome.FAILED, "420 minutes ago"),
        (1, 2, Outcome.FAILED, "2 rows are not what was sealed"),
    ],
    ids=["lately", "long-ago", "broken"],
)
async def test_the_last_verification_of_the_chain_is_judged(
    on_database: Healthy, database: Database, hours: int, bad_rows: int, outcome: Outcome, word: str
) -> None:
    async with database.connected("postgres") as connection:
        await connection.execute(
            "UPDATE runtime.chain_verification SET finished_at = $1, bad_rows = $2",
            utc_now() - timedelta(hours=hours),
            bad_rows,
        )
    async with on_database() as patient:
        seen = await books.chain_holds(patient)
    assert seen.outcome is outcome
    assert word in seen.found
