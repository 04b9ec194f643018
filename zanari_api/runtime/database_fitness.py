"""Asks the database whether the service may be served from it: as this login, on this server. Changes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, LiteralString

import asyncpg

from zanari_api.runtime.db import Database, Role, Tx

FLUSHED: Final = frozenset({"on", "remote_apply", "remote_write", "local"})
"""Each `synchronous_commit` that waits until this server's own disk has the commit: all but `off`.

They differ in what they wait for at standbys, which is a matter of failing over and not of a crash; a server that
names no synchronous standby treats all four alike.
"""

EMBEDDED_CLUSTER: Final = "zanari_embedded"
"""What the embedded Postgres calls itself: no server with people's money does."""

READ_SERVER: Final[LiteralString] = """
    SELECT current_setting('fsync') AS fsync,
           current_setting('synchronous_commit') AS synchronous_commit,
           current_setting('full_page_writes') AS full_page_writes,
           current_setting('cluster_name') AS cluster_name
"""

# A role that the login may become counts as the login: SET ROLE is one statement away.
READ_LOGIN: Final[LiteralString] = """
    SELECT r.rolsuper AS is_superuser,
           EXISTS (
               SELECT FROM pg_roles AS any_role
                WHERE (any_role.rolsuper OR any_role.rolbypassrls)
                  AND pg_has_role(session_user, any_role.oid, 'MEMBER')
           ) AS passes_row_security,
           EXISTS (
               SELECT FROM pg_namespace AS n
                WHERE n.nspname IN ('ledger', 'savings', 'mpesa', 'runtime')
                  AND (pg_has_role(session_user, n.nspowner, 'MEMBER') OR EXISTS (
                          SELECT FROM pg_class AS c
                           WHERE c.relnamespace = n.oid AND pg_has_role(session_user, c.relowner, 'MEMBER')
                      ))
           ) AS owns_tables
      FROM pg_roles AS r
     WHERE r.rolname = session_user
"""


@dataclass(frozen=True, slots=True)
class Server:
    """The server's settings without which a commit may be lost, and what it calls itself."""

    fsync: str
    synchronous_commit: str
    full_page_writes: str
    cluster_name: str

    @property
    def not_durable(self) -> tuple[str, ...]:
        """Return each setting that may lose what was committed, as `fsync=off`."""
        told = (
            ("fsync", self.fsync, self.fsync == "on"),
            ("synchronous_commit", self.synchronous_commit, self.synchronous_commit in FLUSHED),
            ("full_page_writes", self.full_page_writes, self.full_page_writes == "on"),
        )
        return tuple(f"{name}={value}" for name, value, is_kept in told if not is_kept)

    @property
    def may_lose_commits(self) -> bool:
        """Tell whether a commit that was answered may be gone after a crash, whatever the disks are."""
        return self.fsync != "on" or self.synchronous_commit not in FLUSHED


@dataclass(frozen=True, slots=True)
class Login:
    """What the login may do beyond its work."""

    is_superuser: bool
    passes_row_security: bool
    owns_tables: bool

    @property
    def too_strong(self) -> str | None:
        """Return what makes the login too strong; None where nothing does."""
        if self.is_superuser:
            return "the login is a superuser"
        if self.passes_row_security:
            return "the login passes row security (BYPASSRLS), itself or as a role that it may take"
        return (
            "the login owns tables of ours, itself or as a role that it may take"
            if self.owns_tables
            else None
        )


async def read_server(tx: Tx) -> Server:
    server = await tx.fetch_one(Server, READ_SERVER)
    if server is None:
        raise LookupError("the server told no settings")
    return server


async def read_login(tx: Tx) -> Login:
    login = await tx.fetch_one(Login, READ_LOGIN)
    if login is None:
        raise LookupError("the login is none of the server's roles")
    return login


async def unfit_for_production(database: Database) -> tuple[str, ...]:
    """Return why nobody's money may be served from this database; empty where it may.

    Raises DatabaseUnavailable when it cannot be asked, which says nothing of it.
    """
    try:
        async with database.transaction(Role.SYSTEM) as tx:
            login, server = await read_login(tx), await read_server(tx)
    except asyncpg.InsufficientPrivilegeError:
        return ("the login may not take the role zanari_system; it has to be zanari_service",)
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        # Its text may quote what it was given.
        return (f"the server or what it is reached by is not as it says ({type(error).__name__})",)
    return tuple(_reasons(login, server))


def _reasons(login: Login, server: Server) -> Iterator[str]:
    if login.too_strong is not None:
        yield f"{login.too_strong}; it has to be zanari_service"
    for setting in server.not_durable:
        yield f"the server runs with {setting}, which may lose what was committed"
    if server.cluster_name == EMBEDDED_CLUSTER:
        yield "it is an embedded Postgres, which is for development"
