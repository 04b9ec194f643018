"""Every statement of the doctor: on the catalogue and the server's own views, and none that changes anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString

from zanari_api.runtime.db import Tx

READ_SERVER: Final[LiteralString] = """
    SELECT current_setting('server_version') AS version,
           current_setting('server_version_num')::int AS version_number,
           pg_is_in_recovery() AS is_standby,
           clock_timestamp() AS told_at
"""

READ_CONNECTIONS: Final[LiteralString] = """
    SELECT current_setting('max_connections')::int
           - current_setting('superuser_reserved_connections')::int
           - coalesce(nullif(current_setting('reserved_connections', true), ''), '0')::int AS allowed,
           (SELECT count(*)::int FROM pg_stat_activity AS a WHERE a.datid IS NOT NULL) AS used,
           (SELECT r.rolconnlimit FROM pg_roles AS r WHERE r.rolname = session_user) AS login_allowed,
           (SELECT count(*)::int FROM pg_stat_activity AS a WHERE a.usename = session_user) AS login_used
"""

LIST_ROLES: Final[LiteralString] = """
    SELECT rolname AS name, rolcanlogin AS login, rolinherit AS inherit, rolsuper AS superuser,
           rolbypassrls AS bypass_rls, rolcreaterole AS create_role, rolcreatedb AS create_db,
           rolreplication AS replication
      FROM pg_roles
     WHERE rolname = ANY ($1::text[])
     ORDER BY rolname
"""

# Of ours: who may become whom. Whoever migrates may become the ledger's owner; nobody else may.
LIST_MEMBERS: Final[LiteralString] = """
    SELECT may.rolname || ' may become ' || whom.rolname AS membership
      FROM pg_roles AS may, pg_roles AS whom
     WHERE may.rolname = ANY ($1::text[]) AND whom.rolname = ANY ($2::text[])
       AND may.oid <> whom.oid AND pg_has_role(may.oid, whom.oid, 'MEMBER')
     ORDER BY 1
"""

# Of schemas, tables, views, sequences, columns and functions. What an owner may do is no grant.
LIST_GRANTS: Final[LiteralString] = """
    SELECT object, coalesce(r.rolname, 'PUBLIC') AS grantee,
           string_agg(DISTINCT privilege, ',' ORDER BY privilege) AS privileges
      FROM (
            SELECT n.nspname::text AS object, n.nspowner AS owner, (a).grantee, (a).privilege_type AS privilege
              FROM pg_namespace AS n, aclexplode(n.nspacl) AS a
             WHERE n.nspname = ANY ($1::text[])
             UNION ALL
            SELECT n.nspname || '.' || c.relname, c.relowner, (a).grantee, (a).privilege_type
              FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace, aclexplode(c.relacl) AS a
             WHERE n.nspname = ANY ($1::text[])
             UNION ALL
            SELECT n.nspname || '.' || c.relname || '.' || t.attname, c.relowner, (a).grantee, (a).privilege_type
              FROM pg_class AS c
              JOIN pg_namespace AS n ON n.oid = c.relnamespace
              JOIN pg_attribute AS t ON t.attrelid = c.oid, aclexplode(t.attacl) AS a
             WHERE n.nspname = ANY ($1::text[])
             UNION ALL
            SELECT n.nspname || '.' || p.proname || '/' || p.pronargs, p.proowner, (a).grantee, (a).privilege_type
              FROM pg_proc AS p
              JOIN pg_namespace AS n ON n.oid = p.pronamespace,
                   aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
             WHERE n.nspname = ANY ($1::text[])
           ) AS held
      LEFT JOIN pg_roles AS r ON r.oid = held.grantee
     WHERE held.grantee <> held.owner
     GROUP BY object, grantee, r.rolname
     ORDER BY object, grantee
"""

LIST_TABLES: Final[LiteralString] = """
    SELECT n.nspname || '.' || c.relname AS name, c.relrowsecurity AS secured, o.rolname AS owner
      FROM pg_class AS c
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
      JOIN pg_roles AS o ON o.oid = c.relowner
     WHERE n.nspname = ANY ($1::text[]) AND c.relkind IN ('r', 'p')
     ORDER BY name
"""


@dataclass(frozen=True, slots=True)
class Server:
    """The server, and what its clock said."""

    version: str
    version_number: int
    is_standby: bool
    told_at: datetime


@dataclass(frozen=True, slots=True)
class Connections:
    """Connections of the server and of our login; -1 where the login has no limit of its own."""

    allowed: int
    used: int
    login_allowed: int
    login_used: int


@dataclass(frozen=True, slots=True)
class RoleRow:
    """What a role is."""

    name: str
    login: bool
    inherit: bool
    superuser: bool
    bypass_rls: bool
    create_role: bool
    create_db: bool
    replication: bool


@dataclass(frozen=True, slots=True)
class Membership:
    """Who may become whom, in words."""

    membership: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What a role was given on one object."""

    object: str
    grantee: str
    privileges: str


@dataclass(frozen=True, slots=True)
class TableRow:
    """A table's owner, and whether row level security is on."""

    name: str
    secured: bool
    owner: str


async def read_server(tx: Tx) -> Server:
    (server,) = await tx.fetch_all(Server, READ_SERVER)
    return server


async def read_connections(tx: Tx) -> Connections:
    (connections,) = await tx.fetch_all(Connections, READ_CONNECTIONS)
    return connections


async def list_roles(tx: Tx, *, names: Sequence[str]) -> list[RoleRow]:
    return await tx.fetch_all(RoleRow, LIST_ROLES, names)


async def list_members(tx: Tx, *, members: Sequence[str], roles: Sequence[str]) -> list[Membership]:
    return await tx.fetch_all(Membership, LIST_MEMBERS, members, roles)


async def list_grants(tx: Tx, *, schemas: Sequence[str]) -> list[Grant]:
    return await tx.fetch_all(Grant, LIST_GRANTS, schemas)


async def list_tables(tx: Tx, *, schemas: Sequence[str]) -> list[TableRow]:
    return await tx.fetch_all(TableRow, LIST_TABLES, schemas)
