"""Makes a database on the embedded server what a Supabase project's is, then migrates it. Seeds nothing."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, LiteralString

import asyncpg

from zanari_api.runtime import migrations
from zanari_api.sandbox.postgres import EmbeddedPostgres

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

MIGRATOR: Final = "postgres"
"The role that migrates, on Supabase too: it owns our schemas and is no superuser."

DATABASE_EXISTS: Final[LiteralString] = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"


async def prepare(
    server: EmbeddedPostgres, database: str, *, on_progress: Callable[[str], None] = lambda _message: None
) -> migrations.Plan:
    """Create `database` where it is absent, bring it up to this build, and return what was applied.

    Raises migrations.MigrationError, as when the database was made by files that have changed since.
    """
    await create(server, database)
    await bootstrap(server, database)
    conn: Connection = await asyncpg.connect(server.dsn(database, MIGRATOR))
    try:
        return await migrations.apply(conn, lambda migration: on_progress(f"Applying {migration.label}"))
    finally:
        await conn.close()


async def create(server: EmbeddedPostgres, database: str) -> None:
    """Create an empty `database` unless it is there."""
    conn: Connection = await asyncpg.connect(server.superuser_dsn())
    try:
        if not await conn.fetchval(DATABASE_EXISTS, database):
            # A database's name cannot be a parameter. This one is ours, and quoted all the same.
            name = database.replace('"', '""')
            await conn.execute(f'CREATE DATABASE "{name}"')
    finally:
        await conn.close()


async def bootstrap(server: EmbeddedPostgres, database: str) -> None:
    """Give `database` the roles, schemas and functions that Supabase gives; safe to repeat."""
    sql = (migrations.supabase_dir() / "bootstrap.sql").read_text(encoding="utf-8")
    conn: Connection = await asyncpg.connect(server.superuser_dsn(database))
    try:
        async with conn.transaction():
            await conn.execute(sql)
    finally:
        await conn.close()
