"""Applies `supabase/migrations` in the Supabase CLI's own bookkeeping. Never edits, reverts or skips one.

Because the bookkeeping is shared, `zanari migrate` and `supabase db push` may take turns on one database.
What a migration says is compared by its normalised statements: a comment may be mended, a statement may not.

MigrationError            nothing was changed
  MigrationRefused        the tree and the database tell different histories
    MigrationChanged      applied, but the file says something else now
    MigrationMissing      applied, but older than our newest file and not among our files
    MigrationOutOfOrder   not applied, but something newer is
  MigrationFailed         Postgres refused a statement; the file's transaction was rolled back
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, LiteralString

import asyncpg

from zanari_api.runtime.sql_text import normalised, split_statements

if TYPE_CHECKING:
    from zanari_api.runtime.db import Tx

    # Not a generic class when the program runs, only in its stubs.
    Connection = asyncpg.Connection[asyncpg.Record]

FILE_NAME: Final = re.compile(r"(?P<version>\d{14})_(?P<name>[a-z][a-z0-9_]*)\.sql")

# The table is the Supabase CLI's own; the advisory lock only keeps two of us from creating it at once.
CREATE_BOOKKEEPING: Final[LiteralString] = """
    SELECT pg_advisory_xact_lock(7242026112300);
    CREATE SCHEMA IF NOT EXISTS supabase_migrations;
    CREATE TABLE IF NOT EXISTS supabase_migrations.schema_migrations (version text NOT NULL PRIMARY KEY);
    ALTER TABLE supabase_migrations.schema_migrations ADD COLUMN IF NOT EXISTS statements text[];
    ALTER TABLE supabase_migrations.schema_migrations ADD COLUMN IF NOT EXISTS name text;
"""
BOOKKEEPING_EXISTS: Final[LiteralString] = """
    SELECT to_regclass('supabase_migrations.schema_migrations') IS NOT NULL
"""
LIST_APPLIED: Final[LiteralString] = """
    SELECT version, statements FROM supabase_migrations.schema_migrations ORDER BY version
"""
LIST_APPLIED_VERSIONS: Final[LiteralString] = """
    SELECT version FROM supabase_migrations.schema_migrations
"""
# Held until the file is committed. It conflicts with every writer of the table, the CLI included, and lets
# readers (readiness) pass. Whoever comes second waits here and then finds the work done.
LOCK_BOOKKEEPING: Final[LiteralString] = """
    SET LOCAL lock_timeout = '60s';
    LOCK TABLE supabase_migrations.schema_migrations IN SHARE ROW EXCLUSIVE MODE;
    SET LOCAL lock_timeout = '5s';
"""
INSERT_APPLIED: Final[LiteralString] = """
    INSERT INTO supabase_migrations.schema_migrations (version, name, statements) VALUES ($1, $2, $3)
"""


class MigrationError(Exception):
    """The database was not migrated."""


class MigrationRefused(MigrationError):  # noqa: N818 (a refusal, and what it refused follows)
    """The tree and the database tell different histories."""


class MigrationChanged(MigrationRefused):
    """A migration that was applied says something else now."""


class MigrationMissing(MigrationRefused):
    """A migration that was applied is not in the tree."""


class MigrationOutOfOrder(MigrationRefused):
    """A migration that was not applied is older than one that was."""


class MigrationFailed(MigrationError):  # noqa: N818 (named for what happened)
    """Postgres refused a migration; nothing of it was kept."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: a UTC time, a name, and the SQL that runs as one transaction."""

    version: str
    name: str
    sql: str

    @property
    def label(self) -> str:
        return f"{self.version}_{self.name}"


@dataclass(frozen=True, slots=True)
class Applied:
    """One row of the bookkeeping; `statements` is null where an operator marked it applied by hand."""

    version: str
    statements: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What `apply` would do. `ahead`: versions newer than this build, which it can serve from."""

    pending: tuple[Migration, ...]
    ahead: tuple[str, ...]


def supabase_dir() -> Path:
    """Return the `supabase` directory: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "supabase"
    return installed if installed.exists() else package.parent / "supabase"


@cache
def read_migrations(directory: Path | None = None) -> tuple[Migration, ...]:
    """Return this build's migrations, oldest first. Raises MigrationError on a file not named as one."""
    found: dict[str, Migration] = {}
    folder = directory or supabase_dir() / "migrations"
    for file in sorted(folder.glob("*.sql")):
        named = FILE_NAME.fullmatch(file.name)
        if named is None:
            raise MigrationError(f"{file.name} is not named <14 digits of UTC time>_<verb>_<noun>.sql")
        if named["version"] in found:
            raise MigrationError(f"{file.name} has the version of {found[named['version']].label}")
        found[named["version"]] = Migration(named["version"], named["name"], file.read_text(encoding="utf-8"))
    if not found:
        raise MigrationError(f"There are no migrations in {folder}: the installation is incomplete.")
    return tuple(found.values())


def needed_versions() -> tuple[str, ...]:
    """Return the versions this build cannot serve without."""
    return tuple(migration.version for migration in read_migrations())


async def pending(tx: "Tx") -> list[str]:
    """Return the versions this build needs and the database lacks; a database that is ahead lacks nothing."""
    try:
        applied = await tx.fetch_all(_Version, LIST_APPLIED_VERSIONS)
    except (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError):
        # Our roles may read the bookkeeping only once the migration that grants it is applied.
        return list(needed_versions())
    done = {row.version for row in applied}
    return [version for version in needed_versions() if version not in done]


async def plan_seen_by(tx: "Tx") -> Plan | None:
    """Return what `apply` would do, as the service may see it; None where nothing was ever applied.

    Raises MigrationRefused. Before the migration that lets us read the bookkeeping it looks as if there was none.
    """
    try:
        applied = await tx.fetch_all(Applied, LIST_APPLIED)
    except (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError):
        return None
    return compare(read_migrations(), applied) if applied else None


@dataclass(frozen=True, slots=True)
class _Version:
    version: str


def compare(local: Sequence[Migration], applied: Sequence[Applied]) -> Plan:
    """Decide what is left to apply. Raises MigrationRefused where the two histories differ."""
    by_version = {migration.version: migration for migration in local}
    newest_local = local[-1].version
    newest_applied = applied[-1].version if applied else ""
    for row in applied:
        known = by_version.get(row.version)
        if known is None and row.version < newest_local:
            raise MigrationMissing(
                f"The database has migration {row.version}, which is not among our files. "
                "Deploy a build that holds it, or find out who applied it."
            )
        if known is not None and _differs(known, row):
            raise MigrationChanged(
                f"{known.label} was applied and then edited. Restore it, and put the change in a new file."
            )
    done = {row.version for row in applied}
    left = tuple(migration for migration in local if migration.version not in done)
    for migration in left:
        if migration.version < newest_applied:
            raise MigrationOutOfOrder(
                f"{migration.label} is older than {newest_applied}, which is applied already. "
                "Give it a newer time."
            )
    return Plan(pending=left, ahead=tuple(row.version for row in applied if row.version > newest_local))


def _differs(migration: Migration, row: Applied) -> bool:
    # A semicolon on a line of its own: a statement may end in a line comment.
    return row.statements is not None and _meaning(migration.sql) != _meaning("\n;\n".join(row.statements))


@cache
def _meaning(sql: str) -> str:
    """Normalise what is compared again before each file: as often as there are files, squared."""
    return normalised(sql)


async def plan(conn: "Connection", migrations: Sequence[Migration] | None = None) -> Plan:
    """Return what `apply` would do, changing nothing. Raises MigrationRefused."""
    local = read_migrations() if migrations is None else migrations
    if not await conn.fetchval(BOOKKEEPING_EXISTS):
        return Plan(pending=tuple(local), ahead=())
    rows = await conn.fetch(LIST_APPLIED)
    return compare(local, [Applied(row["version"], row["statements"]) for row in rows])


async def apply(
    conn: "Connection",
    on_progress: Callable[[Migration], None] = lambda _migration: None,
    migrations: Sequence[Migration] | None = None,
) -> Plan:
    """Apply what is pending, each file in one transaction, and return the plan that was carried out.

    Safe against another migrator at the same moment, ours or the Supabase CLI: the plan is read again
    under the lock that each file's transaction holds. Raises MigrationRefused before anything is
    changed, and MigrationFailed when Postgres refuses a file; the files before it stay applied.
    """
    await plan(conn, migrations)
    async with conn.transaction():
        await conn.execute(CREATE_BOOKKEEPING)
    carried_out: list[Migration] = []
    while True:
        async with conn.transaction():
            await conn.execute(LOCK_BOOKKEEPING)
            current = await plan(conn, migrations)
            if not current.pending:
                return Plan(pending=tuple(carried_out), ahead=current.ahead)
            migration = current.pending[0]
            on_progress(migration)
            await _run(conn, migration)
            carried_out.append(migration)


async def _run(conn: "Connection", migration: Migration) -> None:
    try:
        await conn.execute(migration.sql)
        # As with the CLI, this fails where the file has taken another role and not given it back.
        await conn.execute(INSERT_APPLIED, migration.version, migration.name, split_statements(migration.sql))
    except asyncpg.PostgresError as error:
        raise MigrationFailed(f"{migration.label}: {_explained(error, migration.sql)}") from error


def _explained(error: asyncpg.PostgresError, sql: str) -> str:
    """Say what Postgres said, and on which line where it knows."""
    position: str | None = error.position
    if position is None:
        return str(error)
    return f"line {sql.count(chr(10), 0, int(position) - 1) + 1}: {error}"
