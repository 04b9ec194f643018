"""The one way to the database: typed SQL on a transaction with a role and a saver. Decides nothing."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from functools import lru_cache
from inspect import signature
from typing import Final, LiteralString, Protocol, TypeVar, cast
from uuid import UUID

import asyncpg
import structlog
from asyncpg.pool import PoolConnectionProxy

from zanari_api.kit.errors import Unavailable
from zanari_api.runtime.database_tls import distrust

T = TypeVar("T")
Row = TypeVar("Row")

RERUNS_MAX: Final = 3
ACQUIRE_TIMEOUT_S: Final = 5.0
COMMAND_TIMEOUT_S: Final = 15.0
ROLLBACK_TIMEOUT_S: Final = 0.5

SET_STATEMENT_TIMEOUT: Final[LiteralString] = "SELECT set_config('statement_timeout', $1, true)"
CLOSE_TIMEOUT_S: Final = 3.0
STATEMENTS_KEPT: Final = 100
"""As many prepared statements a connection keeps; none behind a pooler, where the next transaction has another."""

# A plan that is kept may have been made when the tables were small, and be used when they have grown: then it must not
# read one whole. Where there is no index to use, Postgres does so all the same.
PLAN_ONCE_BY_KEYS: Final = (
    "SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off;"
    " SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;"
)

log = structlog.get_logger(__name__)


class Rerun(Exception):  # noqa: N818 (an instruction to the unit of work)
    """What the work read before it could lock is no longer so: run it again from its first line."""


CLASHES = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, Rerun)
"""40P01, 40001 and our own request: the transaction did nothing and may be run again from its first line."""

OUTAGES = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.ReadOnlySQLTransactionError,
)
"""What the driver raises when the database is away or too busy; none of them is the request's fault."""


class Role(StrEnum):
    """The database role a transaction runs as."""

    API = "zanari_api"
    "a saver's own request; row level security limits it to that saver"

    SYSTEM = "zanari_system"
    "webhooks, callbacks and the worker; spans savers"


class DatabaseUnavailable(Unavailable):
    """The service cannot reach its database. Send the same request again."""

    code = "database_unavailable"

    @property
    def is_locked(self) -> bool:
        """Tell whether only a lock was waited for in vain, and others may well be served."""
        return self.context.get("error") == asyncpg.LockNotAvailableError.__name__

    @property
    def reason(self) -> str | None:
        """Return what is wrong with DATABASE_URL, for operators; None where the database is merely away."""
        reason = self.context.get("reason")
        return reason if isinstance(reason, str) else None


class TryAgain(Unavailable):
    """Too many requests changed the same things at once. Nothing was changed; send the same request again."""

    code = "try_again"


class _Connection(asyncpg.Connection):  # pyright: ignore[reportMissingTypeArgument, reportUntypedBaseClass]
    """A connection without the reset query: nothing session-wide is ever set, and it costs a third of speed."""

    def get_reset_query(self) -> str:
        return ""


class _Driver(Protocol):
    """The part of asyncpg's connection that is used, typed so that only literal SQL passes."""

    async def fetch(
        self,
        query: LiteralString,
        *args: object,
        timeout: float | None = None,  # noqa: ASYNC109 (the driver's own: it cancels at the server, too)
    ) -> list[asyncpg.Record]: ...
    async def fetchrow(self, query: LiteralString, *args: object) -> asyncpg.Record | None: ...
    async def fetchval(self, query: LiteralString, *args: object) -> object: ...
    async def execute(self, query: LiteralString, *args: object) -> str: ...


@dataclass(frozen=True, slots=True)
class Fact:
    """Something a transaction did that is to be counted once it is committed, and never if it is not."""

    name: str
    labels: tuple[str, ...]
    value: int


def _build(row: Callable[..., Row], records: Sequence[asyncpg.Record]) -> list[Row]:
    """Return each record as a `row`, by the names of its columns, which all records of an answer share."""
    if not records:
        return []
    if tuple(records[0].keys()) == _fields(row):
        # The columns stand in the order of the fields: no need to look each name up for each row.
        return [row(*record) for record in records]
    return [row(**dict(record)) for record in records]


@lru_cache(maxsize=1024)
def _fields(row: Callable[..., object]) -> tuple[str, ...] | None:
    """Return what a row class takes by position, in order; None where that is not all of its fields."""
    if not is_dataclass(row) or any(field.kw_only for field in fields(row)):
        return None
    names = tuple(field.name for field in fields(row))
    return names if names == tuple(signature(cast("Callable[..., object]", row)).parameters) else None


class Tx:
    """One open transaction. Every statement is a literal: a built string does not type-check."""

    def __init__(self, driver: _Driver) -> None:
        self._driver = driver
        self.facts: list[Fact] = []

    def note(self, name: str, *labels: str, value: int = 1) -> None:
        """Remember a fact for the metrics; a transaction that is rolled back or run again counts nothing."""
        self.facts.append(Fact(name, labels, value))

    async def fetch_one(self, row: Callable[..., Row], sql: LiteralString, *args: object) -> Row | None:
        """Return the first row as a `row`, built by column name; None when there is none."""
        record = await self._driver.fetchrow(sql, *args)
        return None if record is None else _build(row, [record])[0]

    async def fetch_all(
        self, row: Callable[..., Row], sql: LiteralString, *args: object, patience_s: int | None = None
    ) -> list[Row]:
        """Return all rows, each built by column name.

        `patience_s` is for what reads whole tables and may take longer than COMMAND_TIMEOUT_S.
        """
        if patience_s is not None:
            await self._driver.execute(SET_STATEMENT_TIMEOUT, f"{patience_s}s")
        return _build(row, await self._driver.fetch(sql, *args, timeout=patience_s))

    async def fetch_value(self, kind: type[T], sql: LiteralString, *args: object) -> T | None:
        """Return the first column of the first row, which must be a `kind` or null."""
        value = await self._driver.fetchval(sql, *args)
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"the statement returned {type(value).__name__}, not {kind.__name__}")
        return value

    async def execute(self, sql: LiteralString, *args: object) -> str:
        """Run a statement and return its command tag."""
        return await self._driver.execute(sql, *args)


async def _roll_back(connection: "PoolConnectionProxy[asyncpg.Record]") -> None:
    """Leave no transaction open on a connection that returns to the pool: no reset query would end it."""
    if _is_gone(connection):
        return
    try:
        async with asyncio.timeout(ROLLBACK_TIMEOUT_S):
            await connection.execute("ROLLBACK")
    except TimeoutError:
        # A database that has gone silent: whoever gave up waiting for it is not made to wait again.
        connection.terminate()
    except BaseException:
        if not _is_gone(connection):
            connection.terminate()
        raise


def _is_gone(connection: "PoolConnectionProxy[asyncpg.Record]") -> bool:
    """Tell whether the connection was lost. The pool may have taken it back already: it then answers nothing."""
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        return True


class Database:
    """A small pool of connections and the transactions made on it.

    `pool_max`: about 8 is the measured optimum; more connections contend for the same rows.
    `pooled`: the connections are a pooler's, which lends a server for one transaction at a time: no statement may
    be prepared by name. Costs a round trip for each statement.
    `on_commit` is handed the facts of each transaction, after its commit.
    """

    def __init__(
        self,
        dsn: str,
        *,
        pool_max: int = 8,
        pooled: bool = False,
        on_rerun: Callable[[], None] = lambda: None,
        on_commit: Callable[[Sequence[Fact]], None] = lambda _: None,
    ) -> None:
        self._dsn = dsn
        self._pool_max = pool_max
        self._pooled = pooled
        self._on_rerun = on_rerun
        self._on_commit = on_commit
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._waiting = 0
        self._is_held = False

    async def open(self) -> None:
        """Prepare the pool. Connects lazily, so that a service can start before its database does."""
        self._pool = await asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=self._pool_max,
            connection_class=cast("type[asyncpg.Connection[asyncpg.Record]]", _Connection),
            timeout=ACQUIRE_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
            statement_cache_size=0 if self._pooled else STATEMENTS_KEPT,
            server_settings={"application_name": "zanari", "timezone": "UTC"},
        )

    async def close(self) -> None:
        """Close the pool. What still uses a connection after CLOSE_TIMEOUT_S loses it: nobody waits for ever."""
        if self._pool is None:
            return
        pool, self._pool = self._pool, None
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await pool.close()
        except TimeoutError:
            log.warning("database_pool_cut_short")
            pool.terminate()

    def hold(self) -> None:
        """Refuse every transaction from now on, until `release`: it is not known yet what database this is."""
        self._is_held = True

    def release(self) -> None:
        """Let transactions through again."""
        self._is_held = False

    def beside(self) -> "Database":
        """Return another way to the same database, of one connection, that is neither open nor held."""
        return Database(self._dsn, pool_max=1, pooled=self._pooled)

    def pool_use(self) -> tuple[int, int]:
        """Return (connections in use, connections at most)."""
        if self._pool is None:
            return 0, self._pool_max
        return self._pool.get_size() - self._pool.get_idle_size(), self._pool_max

    def waiting(self) -> int:
        """Return how many transactions wait for a connection."""
        return self._waiting

    @asynccontextmanager
    async def transaction(
        self,
        role: Role,
        saver_id: UUID | None = None,
        *,
        lock_patience_ms: int | None = None,
        reuse_plans: bool = False,
    ) -> AsyncGenerator[Tx, None]:
        """Open a READ COMMITTED transaction as `role`, for `saver_id` where row level security needs one.

        `lock_patience_ms` bounds the wait for each lock; without it a statement's own limit does.
        `reuse_plans` has Postgres plan each statement for all arguments, once, and find rows by keys alone: for what
        runs so often that planning it for each call's own arguments costs as much as running it.

        Commits when the block ends, rolls back when it raises. Raises DatabaseUnavailable when the
        database cannot be reached, or goes away meanwhile, or is held.
        """
        if self._is_held:
            raise DatabaseUnavailable(
                "It is not known yet whether the database is fit to serve from.", error="Held"
            )
        if self._pool is None:
            raise DatabaseUnavailable("The database pool is not open.")
        patience = "" if lock_patience_ms is None else f" SET LOCAL lock_timeout = {lock_patience_ms:d};"
        plans = f" {PLAN_ONCE_BY_KEYS}" if reuse_plans else ""
        try:
            async with self._lent(self._pool) as connection:
                try:
                    # The only built SQL text: an enum member, a UUID and a number, none of which can carry a quote.
                    await connection.execute(
                        f"BEGIN; SET LOCAL ROLE {role.value};{patience}{plans}"
                        f" SELECT set_config('zanari.saver_id', '{saver_id or ''}', true)"
                    )
                    tx = Tx(cast("_Driver", cast("object", connection)))
                    yield tx
                    await connection.execute("COMMIT")
                except asyncpg.InterfaceError as error:
                    # The driver uses one class for its caller's mistakes and for a connection that is gone.
                    if _is_gone(connection):
                        raise ConnectionResetError from error
                    await _roll_back(connection)
                    raise
                except BaseException:
                    await _roll_back(connection)
                    raise
            self._on_commit(tx.facts)
        except (*OUTAGES, asyncpg.ClientConfigurationError) as error:
            kind, why = type(error).__name__, distrust(error)
            reason = None if why is None else f"DATABASE_URL: {why}"
            log.warning("database_unavailable", error=kind, reason=reason)
            raise DatabaseUnavailable(error=kind, reason=reason) from error

    @asynccontextmanager
    async def _lent(
        self, pool: "asyncpg.Pool[asyncpg.Record]"
    ) -> "AsyncGenerator[PoolConnectionProxy[asyncpg.Record], None]":
        self._waiting += 1
        try:
            connection = await pool.acquire(timeout=ACQUIRE_TIMEOUT_S)
        finally:
            self._waiting -= 1
        try:
            yield connection
        finally:
            await pool.release(connection)

    async def unit_of_work(
        self,
        work: Callable[[Tx], Awaitable[T]],
        *,
        role: Role,
        saver_id: UUID | None = None,
        lock_patience_ms: int | None = None,
        reuse_plans: bool = False,
    ) -> T:
        """Run `work` in one transaction and return what it returned, after the commit.

        A deadlock or serialisation failure re-runs `work` whole, so it must have no effect outside
        the database. Raises TryAgain when three runs clashed, DatabaseUnavailable as `transaction`.
        """
        for attempt in range(1, RERUNS_MAX + 1):
            try:
                async with self.transaction(
                    role, saver_id, lock_patience_ms=lock_patience_ms, reuse_plans=reuse_plans
                ) as tx:
                    return await work(tx)
            except CLASHES:
                if attempt == RERUNS_MAX:
                    break
                self._on_rerun()
                await asyncio.sleep(random.uniform(0.005, 0.05) * attempt)  # noqa: S311 (jitter, not a secret)
        raise TryAgain
