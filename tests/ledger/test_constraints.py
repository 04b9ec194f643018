"""Every guard of the books has a probe: one statement that breaks only this rule and is refused by its name.

With the guard dropped, in a transaction that is rolled back, the same statement goes through: so it is this
guard that refuses, and a guard that somebody drops makes a test fail. The probes are held equal to the
catalogue, so that no guard is without one.
"""

import re

import asyncpg
import pytest

from tests.ledger.probes import PROBES, Probe
from tests.support.postgres import Database

CATALOGUE = """
    SELECT c.conrelid::regclass::text || '.' || c.conname
      FROM pg_constraint AS c
     WHERE c.connamespace = 'ledger'::regnamespace AND c.contype IN ('c', 'u', 'p', 'f') AND c.conrelid <> 0
    UNION
    SELECT i.indrelid::regclass::text || '.' || c.relname
      FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
     WHERE c.relnamespace = 'ledger'::regnamespace AND i.indisunique
    UNION
    SELECT t.tgrelid::regclass::text || '.' || t.tgname
      FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
     WHERE c.relnamespace = 'ledger'::regnamespace AND NOT t.tgisinternal
"""

DROP = """
    SELECT CASE
               WHEN t.oid IS NOT NULL THEN format('DROP TRIGGER %I ON %s', t.tgname, t.tgrelid::regclass)
               WHEN c.oid IS NOT NULL
               THEN format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', c.conrelid::regclass, c.conname)
               ELSE format('DROP INDEX ledger.%I', $2::text)
           END
      FROM (SELECT 1) AS one
      LEFT JOIN pg_trigger AS t ON t.tgname = $2::name AND t.tgrelid = $1::regclass
      LEFT JOIN pg_constraint AS c ON c.conname = $2::name AND c.conrelid = $1::regclass
"""

NOT_NULL = """
    SELECT a.attrelid::regclass::text AS relation, a.attname AS name
      FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
     WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND a.attnotnull
       AND a.attidentity = ''
       AND NOT EXISTS (SELECT FROM pg_index AS i
                        WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey))
"""

NEEDED = {
    "ledger.accounts": {"kind", "normal_side", "currency", "opened_at"},
    "ledger.balances": {"saver_id", "kind", "balance_cents", "version"},
    "ledger.transfers": {"key", "kind", "event_at", "posted_at", "metadata", "xact"},
    "ledger.entries": {"transfer_id", "account_id", "amount_cents", "xact"},
    "ledger.snapshots": {"cluster_id", "consumed_below", "restored_through", "balance_cents", "taken_at"},
    "ledger.seals": {"sealed_at", "subject_id", "kind", "digest", "hash"},
    "ledger.sealing": {"transfer_xact", "transfer_id", "act_xact", "act_id", "length", "hash"},
}


async def _prepare(connection: "asyncpg.Connection[asyncpg.Record]", probe: Probe) -> None:
    if probe.past_triggers:
        await connection.execute("SET LOCAL session_replication_role = replica")
    if probe.given:
        await connection.execute(probe.given)


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: f"{probe.guard}-{probe.rule}")
async def test_what_breaks_a_rule_is_refused_by_its_name(database: Database, probe: Probe) -> None:
    async with database.connected("supabase_admin") as connection, connection.transaction():
        await _prepare(connection, probe)
        with pytest.raises(asyncpg.IntegrityConstraintViolationError) as raised:
            await connection.execute(probe.breaks)

    assert raised.value.constraint_name == probe.rule


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: f"{probe.guard}-{probe.rule}")
async def test_without_the_guard_the_same_statement_goes_through(database: Database, probe: Probe) -> None:
    async with database.connected("supabase_admin") as connection:
        transaction = connection.transaction()
        await transaction.start()
        await _prepare(connection, probe)
        relation, name = probe.guard.rsplit(".", 1)
        await connection.execute(await connection.fetchval(DROP, relation, name))
        await connection.execute(probe.breaks)
        await transaction.rollback()


async def test_every_guard_in_the_catalogue_has_a_probe(database: Database) -> None:
    async with database.connected("supabase_admin") as connection:
        catalogue = {row[0] for row in await connection.fetch(CATALOGUE)}

    assert {probe.guard for probe in PROBES} == catalogue


async def test_every_rule_a_guard_names_has_a_probe(database: Database) -> None:
    async with database.connected("supabase_admin") as connection:
        sources = await connection.fetch(
            "SELECT p.prosrc FROM pg_proc AS p"
            " WHERE p.pronamespace = 'ledger'::regnamespace AND p.proname LIKE 'guard%'"
        )
    named = {
        rule
        for row in sources
        for rule in re.findall(r"'((?:accounts|balances|transfers|entries)_[a-z_]+)'", row["prosrc"])
    }

    assert named
    assert named <= {probe.rule for probe in PROBES}


async def test_the_check_names_every_guard_that_is_dropped(database: Database) -> None:
    async with database.connected("supabase_admin") as connection:
        for guard in {probe.guard for probe in PROBES}:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(await connection.fetchval(DROP, *guard.rsplit(".", 1)))
            missing = await connection.fetch(
                "SELECT c.subject FROM ledger.check() AS c WHERE c.invariant = 'guard_missing'"
            )
            await transaction.rollback()
            assert guard.removeprefix("ledger.") in {row["subject"] for row in missing}


async def test_every_column_that_must_be_there_is_not_null(database: Database) -> None:
    async with database.connected("supabase_admin") as connection:
        found: dict[str, set[str]] = {}
        for row in await connection.fetch(NOT_NULL):
            found.setdefault(row["relation"], set()).add(row["name"])

    assert found == NEEDED
