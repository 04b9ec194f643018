"""Looks whether the database is there, migrated, keeping what it commits, with room, and at our time."""

from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg

from zanari_api.doctor import queries
from zanari_api.doctor.findings import Finding, failed, passed
from zanari_api.doctor.patient import Patient
from zanari_api.kit.errors import Unavailable
from zanari_api.runtime import database_fitness, migrations
from zanari_api.runtime.db import Database, Role
from zanari_api.runtime.migrations import MigrationRefused

OLDEST_VERSION: Final = 150_000
SKEW_MAX: Final = timedelta(seconds=2)
BUSY_PERCENT: Final = 80


def database_of(patient: Patient) -> Database:
    """Return the database; only called where it was reached."""
    if patient.database is None:
        raise LookupError("there is no database to look at")
    return patient.database


async def reached(patient: Patient) -> Finding:
    """Look whether the database lets us in, and which version it is."""
    if patient.database is None:
        return failed(
            "DATABASE_URL is not set, and no development service runs here", "set it, or `zanari dev`"
        )
    began = datetime.now(UTC)
    server = await _let_in(patient.database)
    if isinstance(server, Finding):
        return server
    if server.version_number < OLDEST_VERSION:
        return failed("it is older than Postgres 15", "upgrade it")
    if server.is_standby:
        return failed("it is a standby, which takes no writes", "let DATABASE_URL lead to the primary")
    took = (datetime.now(UTC) - began) // timedelta(milliseconds=1)
    return passed(f"Postgres {server.version.split()[0]} answers in {took} ms, connecting included")


async def _let_in(database: Database) -> queries.Server | Finding:
    """Return what the server says of itself, or why it does not let us in."""
    try:
        async with database.transaction(Role.SYSTEM) as tx:
            return await queries.read_server(tx)
    except Unavailable as error:
        return failed(
            f"it does not answer ({error.context.get('error', 'no connection')})",
            "see DATABASE_URL, the network between, and whether Postgres runs",
        )
    except asyncpg.InsufficientPrivilegeError:
        return failed("the login may not take the service's roles", "log in as zanari_service: DATABASE_URL")
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        # Its text may quote what it was given.
        return failed(
            f"it does not let us in ({type(error).__name__})",
            "see DATABASE_URL: login, password, database, TLS",
        )


async def migrated(patient: Patient) -> Finding:
    """Look whether the database has what this build needs, as this build has it, and nothing unknown in between."""
    async with database_of(patient).transaction(Role.SYSTEM) as tx:
        try:
            plan = await migrations.plan_seen_by(tx)
        except MigrationRefused as refused:
            return failed(
                str(refused), "deploy the build that the database was migrated by; see `zanari migrate`"
            )
    if plan is None:
        return failed("it has none of our migrations", "zanari migrate")
    if plan.pending:
        return failed(f"lacks {', '.join(each.label for each in plan.pending)}", "zanari migrate")
    newest = migrations.needed_versions()[-1]
    if plan.ahead:
        return passed(f"all of this build's are applied; it is ahead by {', '.join(plan.ahead)}")
    return passed(f"all {len(migrations.needed_versions())} are applied, the newest is {newest}")


async def durable(patient: Patient) -> Finding:
    """Look whether the server keeps what it commits."""
    async with database_of(patient).transaction(Role.SYSTEM) as tx:
        server = await database_fitness.read_server(tx)
    if server.not_durable:
        return failed(
            f"{', '.join(server.not_durable)}: what was committed may be lost",
            "set what is named to on, for the login too",
        )
    if server.cluster_name == database_fitness.EMBEDDED_CLUSTER and patient.environment != "development":
        return failed(
            "it is an embedded Postgres, which is for development", "let DATABASE_URL lead to the real one"
        )
    return passed(f"fsync and full_page_writes are on, synchronous_commit is {server.synchronous_commit}")


async def login_is_weak(patient: Patient) -> Finding:
    """Look whether the login may do no more than its work."""
    async with database_of(patient).transaction(Role.SYSTEM) as tx:
        login = await database_fitness.read_login(tx)
    if login.too_strong is not None:
        return failed(login.too_strong, "log in as zanari_service: DATABASE_URL")
    return passed("no superuser, no owner, and row security holds for it")


async def has_room(patient: Patient) -> Finding:
    """Look whether another process of ours would find its connections."""
    async with database_of(patient).transaction(Role.SYSTEM) as tx:
        now = await queries.read_connections(tx)
    allowed, used = now.allowed, now.used
    if 0 <= now.login_allowed < allowed:
        allowed, used = now.login_allowed, now.login_used
    said = f"{used} of {allowed} connections are in use; each process takes up to {patient.pool_max}"
    if allowed - used < patient.pool_max or used * 100 > allowed * BUSY_PERCENT:
        return failed(
            said, "find who holds them, run fewer processes, or raise max_connections (or the pooler's)"
        )
    return passed(said)


async def at_our_time(patient: Patient) -> Finding:
    """Look how far the database's clock is from this machine's, as far as the way between lets it be known."""
    before = datetime.now(UTC)
    async with database_of(patient).transaction(Role.SYSTEM) as tx:
        before = datetime.now(UTC)
        server = await queries.read_server(tx)
        after = datetime.now(UTC)
    return judge_skew(server.told_at, before=before, after=after, limit=SKEW_MAX)


def judge_skew(told: datetime, *, before: datetime, after: datetime, limit: timedelta) -> Finding:
    """Judge a time that was told between two moments of ours: outside of them by more than the limit is wrong."""
    apart = max(before - told, told - after, timedelta(0))
    said = f"{apart / timedelta(seconds=1):.1f} s apart at least"
    if apart > limit:
        return failed(said, f"set both clocks by NTP; they may differ by {limit / timedelta(seconds=1):g} s")
    return passed(f"within {max(apart, after - before) / timedelta(seconds=1):.1f} s of ours")
