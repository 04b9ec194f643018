"""One Postgres server for the run, and databases cloned from a migrated template. Holds no test data."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import asyncpg

from zanari_api.runtime import migrations
from zanari_api.sandbox.database import bootstrap
from zanari_api.sandbox.postgres import EmbeddedPostgres

TEMPLATE: Final = "zanari_template"

# Nothing a test writes has to outlive the machine. synchronous_commit stays on: readiness reports it.
TEST_OPTIONS: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "autovacuum": "off",
    "jit": "off",
}


@dataclass(frozen=True, slots=True)
class Database:
    """One database of the test server, and how each role reaches it."""

    server: EmbeddedPostgres
    name: str

    @property
    def service_dsn(self) -> str:
        "what the service itself logs in as"
        return self.server.dsn(self.name, "zanari_service")

    @property
    def migrator_dsn(self) -> str:
        "`postgres`, which owns our schemas and is no superuser"
        return self.server.dsn(self.name, "postgres")

    @property
    def authenticator_dsn(self) -> str:
        "what PostgREST and Realtime log in as"
        return self.server.dsn(self.name, "authenticator")

    @property
    def superuser_dsn(self) -> str:
        return self.server.superuser_dsn(self.name)

    @asynccontextmanager
    async def connected(self, user: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """Connect as `user`: zanari_service, postgres, authenticator or supabase_admin."""
        connection = await asyncpg.connect(self.server.dsn(self.name, user))
        try:
            yield connection
        finally:
            await connection.close()


class Cluster:
    """The test server: makes databases, bare or migrated. Those that nobody drops go when the server does."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server
        self._numbers = itertools.count(1)

    async def bare_database(self) -> Database:
        """Make a database with the bootstrap and nothing of ours."""
        database = await self._create("template1")
        await bootstrap(self.server, database.name)
        return database

    async def migrated_database(self) -> Database:
        """Make a database with every migration applied, by copying the template."""
        return await self._create(TEMPLATE)

    async def drop(self, database: Database) -> None:
        """Take a database away, with whoever is still connected: what it took on the disk serves the next one."""
        async with Database(self.server, "postgres").connected("supabase_admin") as connection:
            await connection.execute(f"DROP DATABASE {database.name} WITH (FORCE)")

    async def make_template(self) -> None:
        """Migrate one database as `postgres`, the way an operator would."""
        made = await self.bare_database()
        async with made.connected("postgres") as connection:
            await migrations.apply(connection)
        async with Database(self.server, "postgres").connected("supabase_admin") as connection:
            await connection.execute(f"ALTER DATABASE {made.name} RENAME TO {TEMPLATE}")

    async def _create(self, template: str) -> Database:
        name = f"zanari_{next(self._numbers)}"
        async with Database(self.server, "postgres").connected("supabase_admin") as connection:
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
            # A copy takes along everything but the grants on the database itself.
            if template == TEMPLATE:
                await connection.execute(f"GRANT ALL ON DATABASE {name} TO postgres")
        return Database(self.server, name)
