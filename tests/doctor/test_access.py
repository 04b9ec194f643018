"""Who may do what is compared with what the migrations define, and each thing that differs is named."""

from dataclasses import replace

import pytest

from tests.doctor.conftest import Healthy
from tests.support.postgres import Cluster, Database
from zanari_api.doctor import access
from zanari_api.doctor.access import FILE, Access, read_access, wrong_grants, wrong_roles
from zanari_api.doctor.findings import Outcome
from zanari_api.runtime.db import Database as Service
from zanari_api.runtime.db import Role


async def access_of(database: Database) -> Access:
    service = Service(database.service_dsn)
    await service.open()
    try:
        async with service.transaction(Role.SYSTEM) as tx:
            return await read_access(tx)
    finally:
        await service.close()


async def test_what_is_expected_is_what_the_migrations_define(cluster: Cluster) -> None:
    # After a migration that grants something: scripts/write_expected_access.py, and read what changed.
    fresh = await access_of(await cluster.migrated_database())
    assert fresh.as_text() == FILE.read_text()


async def test_nobody_is_expected_to_write_to_the_ledger() -> None:
    expected = Access.load()
    ledger = {name: held for name, held in expected.grants.items() if name.startswith("ledger.")}
    assert ledger
    for held in ledger.values():
        assert not any(access.WRITING & set(privileges.split(",")) for privileges in held.values())


async def test_a_database_as_migrated_passes(on_database: Healthy) -> None:
    async with on_database() as patient:
        for look in (access.roles_are_right, access.grants_are_right, access.rows_are_secured):
            seen = await look(patient)
            assert seen.outcome is Outcome.PASSED, seen


@pytest.mark.parametrize(
    ("done", "named"),
    [
        (
            "GRANT INSERT ON ledger.entries TO zanari_system",
            "zanari_system has INSERT,SELECT on ledger.entries",
        ),
        ("REVOKE SELECT ON savings.goals FROM zanari_api", "zanari_api has "),
        ("REVOKE SELECT ON savings.goals FROM zanari_api", "savings.goals"),
        ("GRANT SELECT ON savings.savers TO PUBLIC", "PUBLIC has SELECT on savings.savers, not nothing"),
        (
            "GRANT SELECT (msisdn) ON savings.mpesa_accounts TO anon",
            "anon has SELECT on savings.mpesa_accounts.msisdn",
        ),
        ("GRANT USAGE ON SCHEMA runtime TO authenticated", "authenticated has USAGE on runtime"),
        (
            "GRANT EXECUTE ON FUNCTION ledger.take_snapshots() TO PUBLIC",
            "PUBLIC has EXECUTE on ledger.take_snapshots",
        ),
        ("CREATE TABLE savings.by_hand (); GRANT SELECT ON savings.by_hand TO anon", "savings.by_hand"),
    ],
    ids=["ledger", "revoked", "revoked-where", "public", "column", "schema", "function", "by-hand"],
)
async def test_a_grant_that_is_not_the_migrations_is_named(
    on_database: Healthy, cluster: Cluster, done: str, named: str
) -> None:
    made = await cluster.migrated_database()
    async with made.connected("supabase_admin") as superuser:
        await superuser.execute(done)
    async with on_database(made.service_dsn) as patient:
        seen = await access.grants_are_right(patient)
    assert seen.outcome is Outcome.FAILED
    assert named in seen.found


async def test_what_a_newer_release_has_added_is_left_to_its_doctor_but_for_writing_to_the_ledger() -> None:
    expected = Access.load()
    newer = replace(
        expected,
        grants={
            **expected.grants,
            "savings.later": {"zanari_api": "SELECT"},
            "ledger.later": {"zanari_system": "INSERT,SELECT"},
        },
    )
    assert wrong_grants(newer, expected, ahead=True) == ["zanari_system has INSERT,SELECT on ledger.later"]
    assert len(wrong_grants(newer, expected, ahead=False)) == 2


@pytest.mark.parametrize(
    ("done", "undone", "named"),
    [
        ("ALTER ROLE zanari_api LOGIN", "ALTER ROLE zanari_api NOLOGIN", "zanari_api has login on"),
        (
            "ALTER ROLE zanari_service INHERIT",
            "ALTER ROLE zanari_service NOINHERIT",
            "zanari_service has inherit on",
        ),
        (
            "ALTER ROLE zanari_system BYPASSRLS",
            "ALTER ROLE zanari_system NOBYPASSRLS",
            "zanari_system has bypass_rls on",
        ),
        (
            "GRANT zanari_ledger_owner TO zanari_service",
            "REVOKE zanari_ledger_owner FROM zanari_service",
            "zanari_service may become zanari_ledger_owner",
        ),
        ("GRANT zanari_api TO anon", "REVOKE zanari_api FROM anon", "anon may become zanari_api"),
    ],
    ids=["login", "inherit", "bypassrls", "owner", "anon"],
)
async def test_a_role_that_is_not_the_migrations_is_named(
    on_database: Healthy, database: Database, done: str, undone: str, named: str
) -> None:
    async with database.connected("supabase_admin") as superuser:
        await superuser.execute(done)
        try:
            async with on_database() as patient:
                seen = await access.roles_are_right(patient)
        finally:
            await superuser.execute(undone)
    assert seen.outcome is Outcome.FAILED
    assert named in seen.found


def test_a_role_or_a_membership_that_is_gone_is_named() -> None:
    expected = Access.load()
    bare = replace(expected, roles={}, members=[])
    told = wrong_roles(bare, expected)
    assert "zanari_api is not there" in told
    assert "not any more: zanari_service may become zanari_api" in told


@pytest.mark.parametrize(
    ("done", "named"),
    [
        ("ALTER TABLE savings.goals DISABLE ROW LEVEL SECURITY", "savings.goals has it off"),
        ("ALTER TABLE savings.goals OWNER TO zanari_api", "savings.goals is owned by zanari_api"),
        ("DROP TABLE savings.goal_milestones", "savings.goal_milestones is not there"),
    ],
    ids=["off", "owned", "gone"],
)
async def test_a_table_whose_rows_are_not_secured_is_named(
    on_database: Healthy, cluster: Cluster, done: str, named: str
) -> None:
    made = await cluster.migrated_database()
    async with made.connected("supabase_admin") as superuser:
        await superuser.execute(done)
    async with on_database(made.service_dsn) as patient:
        seen = await access.rows_are_secured(patient)
    assert seen.outcome is Outcome.FAILED
    assert named in seen.found


async def test_a_database_without_tables_of_ours_fails(on_database: Healthy, cluster: Cluster) -> None:
    made = await cluster.bare_database()
    async with on_database(made.service_dsn) as patient:
        seen = await access.rows_are_secured(patient)
    assert (seen.outcome, seen.cure) == (Outcome.FAILED, "zanari migrate")
