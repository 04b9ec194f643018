"""The bootstrap: what Supabase gives and our migrations and policies lean on, on a plain Postgres."""

import json
import re

import asyncpg
import pytest

from tests.support.postgres import Cluster, Database
from zanari_api.runtime.migrations import read_migrations, supabase_dir
from zanari_api.sandbox import database as development
from zanari_api.sandbox.database import bootstrap

SAVER = "aaaaaaaa-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
async def bare(cluster: Cluster) -> Database:
    return await cluster.bare_database()


async def test_it_may_be_repeated(bare: Database) -> None:
    await bootstrap(bare.server, bare.name)
    await bootstrap(bare.server, bare.name)


async def test_the_migrations_role_may_make_schemas_and_is_no_superuser(bare: Database) -> None:
    async with bare.connected("postgres") as connection:
        assert not await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        await connection.execute("CREATE SCHEMA made_by_postgres")


async def test_the_login_of_supabase_becomes_its_three_roles_and_inherits_none(bare: Database) -> None:
    async with bare.connected("authenticator") as connection:
        for role in ("anon", "authenticated", "service_role"):
            await connection.execute(f"SET ROLE {role}")
        await connection.execute("RESET ROLE")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT * FROM auth.users")


@pytest.mark.parametrize("bypasses", [("service_role", True), ("authenticated", False), ("anon", False)])
async def test_only_the_service_role_passes_row_level_security(
    bare: Database, bypasses: tuple[str, bool]
) -> None:
    async with bare.connected("postgres") as connection:
        found = await connection.fetchval("SELECT rolbypassrls FROM pg_roles WHERE rolname = $1", bypasses[0])
    assert found is bypasses[1]


async def test_the_claims_of_a_token_say_who_calls(bare: Database) -> None:
    claims = json.dumps({"sub": SAVER, "role": "authenticated", "phone": "254700000000"})
    async with bare.connected("authenticator") as connection, connection.transaction():
        await connection.execute("SET LOCAL ROLE authenticated")
        await connection.execute("SELECT set_config('request.jwt.claims', $1, true)", claims)
        assert str(await connection.fetchval("SELECT auth.uid()")) == SAVER
        assert await connection.fetchval("SELECT auth.role()") == "authenticated"
        assert await connection.fetchval("SELECT auth.jwt() ->> 'phone'") == "254700000000"


@pytest.mark.parametrize("claims", ["", "{}"])
async def test_without_a_token_nobody_calls(bare: Database, claims: str) -> None:
    async with bare.connected("authenticator") as connection, connection.transaction():
        await connection.execute("SET LOCAL ROLE anon")
        await connection.execute("SELECT set_config('request.jwt.claims', $1, true)", claims)
        assert await connection.fetchval("SELECT auth.uid()") is None
        assert await connection.fetchval("SELECT auth.role()") is None


async def test_a_file_is_not_deleted_by_sql(bare: Database) -> None:
    async with bare.connected("supabase_admin") as connection:
        await connection.execute("INSERT INTO storage.buckets (id, name) VALUES ('kyc', 'kyc')")
        await connection.execute("INSERT INTO storage.objects (bucket_id, name) VALUES ('kyc', 'a/b.pdf')")
        assert await connection.fetchval("SELECT path_tokens FROM storage.objects") == ["a", "b.pdf"]
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="Storage API"):
            await connection.execute("DELETE FROM storage.objects")


async def test_the_migrations_role_may_publish_to_realtime(bare: Database) -> None:
    async with bare.connected("postgres") as connection:
        await connection.execute("CREATE SCHEMA published")
        await connection.execute("CREATE TABLE published.t (id int PRIMARY KEY)")
        await connection.execute("ALTER PUBLICATION supabase_realtime ADD TABLE published.t")


async def test_every_function_pins_its_search_path(bare: Database) -> None:
    async with bare.connected("postgres") as connection:
        loose = await connection.fetch(
            """
            SELECT p.oid::regprocedure::text
              FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
             WHERE n.nspname IN ('auth', 'storage')
               AND NOT coalesce(p.proconfig::text LIKE '%search_path=%', false)
            """
        )
    assert loose == []


async def test_a_superuser_named_postgres_stays_one(bare: Database) -> None:
    async with bare.connected("supabase_admin") as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("ALTER ROLE postgres SUPERUSER")
        await connection.execute((supabase_dir() / "bootstrap.sql").read_text())
        assert await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = 'postgres'")
        await transaction.rollback()


async def test_the_development_database_is_made_once_and_then_found_up_to_date(cluster: Cluster) -> None:
    told: list[str] = []
    first = await development.prepare(cluster.server, "made for development", on_progress=told.append)
    again = await development.prepare(cluster.server, "made for development", on_progress=told.append)
    assert [f"Applying {migration.label}" for migration in first.pending] == told
    assert again.pending == ()


def test_no_migration_makes_anything_in_supabases_own_schemas() -> None:
    theirs = re.compile(
        r"create\s+(or\s+replace\s+)?(table|function|view|type)\s+(if\s+not\s+exists\s+)?"
        r"(auth|storage|realtime|extensions)\.",
        re.IGNORECASE,
    )
    made = [migration.label for migration in read_migrations() if theirs.search(migration.sql)]
    assert made == []
