"""Compares who may do what in the database with what the migrations define, which is kept beside this module.

`scripts/write_expected_access.py` writes `expected_access.json` from a database that was just migrated; a test holds
the two together. What a newer release has added is left to that release's doctor, but for what nobody may ever have.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from zanari_api.doctor import queries
from zanari_api.doctor.database import database_of
from zanari_api.doctor.findings import Finding, failed, passed
from zanari_api.doctor.patient import Patient
from zanari_api.runtime import migrations
from zanari_api.runtime.db import Role, Tx

FILE: Final = Path(__file__).with_name("expected_access.json")

SCHEMAS: Final = ("ledger", "mpesa", "runtime", "savings")
OURS: Final = ("zanari_api", "zanari_ledger_owner", "zanari_service", "zanari_system")
SUPABASES: Final = ("anon", "authenticated", "authenticator", "service_role")

WRITING: Final = frozenset({"INSERT", "UPDATE", "DELETE", "TRUNCATE"})
NAMED_AT_MOST: Final = 5

MIGRATIONS_CURE: Final = "find out who changed it (never by hand); put it back as the migrations have it"


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what: roles by name, memberships in words, grants by object and grantee, tables by name."""

    roles: Mapping[str, Mapping[str, bool]]
    members: Sequence[str]
    grants: Mapping[str, Mapping[str, str]]
    tables: Mapping[str, str]
    "each table's owner; row level security is on for all of them"

    @classmethod
    def load(cls) -> Self:
        """Read what the migrations define."""
        read: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
        return cls(**read)

    def as_text(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


async def read_access(tx: Tx) -> Access:
    """Read what is so."""
    roles = await queries.list_roles(tx, names=OURS)
    members = await queries.list_members(tx, members=(*OURS, *SUPABASES), roles=OURS)
    grants: dict[str, dict[str, str]] = {}
    for grant in await queries.list_grants(tx, schemas=SCHEMAS):
        grants.setdefault(grant.object, {})[grant.grantee] = grant.privileges
    tables = await queries.list_tables(tx, schemas=SCHEMAS)
    return Access(
        roles={
            role.name: {name: value for name, value in asdict(role).items() if name != "name"}
            for role in roles
        },
        members=[each.membership for each in members],
        grants=grants,
        tables={table.name: table.owner for table in tables},
    )


async def roles_are_right(patient: Patient) -> Finding:
    """Look whether our roles are what the migrations made them, and nobody else may become one of them."""
    async with database_of(patient).transaction(Role.SYSTEM) as tx:
        found = await read_access(tx)
    wrong = wrong_roles(found, Access.load())
    if wrong:
        return failed(_some(wrong), MIGRATIONS_CURE)
    return passed(f"{len(found.roles)} roles: one weak login, none a superuser, none passes row security")


async def grants_are_right(patient: Patient) -> Finding:
    """Look whether every grant is there, and no other."""
    async with database_of(patient).transaction(Role.SYSTEM) as tx:
        found = await read_access(tx)
        ahead = await _is_ahead(tx)
    wrong = wrong_grants(found, Access.load(), ahead=ahead)
    if wrong:
        return failed(_some(wrong), MIGRATIONS_CURE)
    return passed(
        f"on {len(found.grants)} objects they are the migrations'; nobody writes to the ledger's tables"
    )


async def rows_are_secured(patient: Patient) -> Finding:
    """Look whether row level security is on for every table, and its owner is nobody that the service can be.

    An owner is not held by it (it is not forced: the ledger's functions need that), so ownership is part of it.
    """
    async with database_of(patient).transaction(Role.SYSTEM) as tx:
        tables = await queries.list_tables(tx, schemas=SCHEMAS)
    if not tables:
        return failed("there is no table of ours", "zanari migrate")
    missing = Access.load().tables.keys() - {table.name for table in tables}
    open_to_all = [f"{table.name} has it off" for table in tables if not table.secured]
    owned = [
        f"{table.name} is owned by {table.owner}"
        for table in tables
        if table.owner in {"zanari_api", "zanari_system", "zanari_service"}
    ]
    wrong = [*open_to_all, *owned, *(f"{name} is not there" for name in sorted(missing))]
    if wrong:
        return failed(
            _some(wrong), f"ALTER TABLE ... ENABLE ROW LEVEL SECURITY at once, then {MIGRATIONS_CURE}"
        )
    return passed(f"on for all {len(tables)} tables, none owned by a role of the service")


def wrong_roles(found: Access, expected: Access) -> list[str]:
    """Return what differs of roles and memberships, each in words."""
    wrong = [f"{name} is not there" for name in expected.roles if name not in found.roles]
    for name, attributes in found.roles.items():
        for attribute, value in attributes.items():
            if expected.roles[name][attribute] != value:
                wrong.append(f"{name} has {attribute} {'on' if value else 'off'}")
    wrong += [each for each in found.members if each not in expected.members]
    wrong += [f"not any more: {each}" for each in expected.members if each not in found.members]
    return wrong


def wrong_grants(found: Access, expected: Access, *, ahead: bool) -> list[str]:
    """Return what differs of grants, each in words; `ahead` says that a newer release may have added objects."""
    wrong: list[str] = []
    for name in sorted(found.grants.keys() | expected.grants.keys()):
        has, wanted = found.grants.get(name, {}), expected.grants.get(name, {})
        known = name in expected.grants or name in expected.tables
        if known or not ahead:
            wrong += [
                f"{grantee} has {has.get(grantee, 'nothing')} on {name}, not {wanted.get(grantee, 'nothing')}"
                for grantee in sorted(has.keys() | wanted.keys())
                if has.get(grantee) != wanted.get(grantee)
            ]
        elif name.startswith("ledger."):
            # Whatever release made it: the books are written by their owner's functions alone.
            wrong += [
                f"{grantee} has {privileges} on {name}"
                for grantee, privileges in has.items()
                if WRITING & set(privileges.split(","))
            ]
    return wrong


async def _is_ahead(tx: Tx) -> bool:
    plan = await migrations.plan_seen_by(tx)
    return plan is not None and bool(plan.ahead)


def _some(wrong: Sequence[str]) -> str:
    rest = len(wrong) - NAMED_AT_MOST
    return "; ".join(wrong[:NAMED_AT_MOST]) + (f"; and {rest} more" if rest > 0 else "")
