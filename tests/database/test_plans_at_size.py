"""What the statements of the service read once the tables have grown: whatever the size, only what they are about."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import pytest

from tests.database.test_explain import (
    COUNT_PARAMETERS,
    MIGRATOR_ONLY,
    OUR_SCHEMAS,
    PLANNED,
    READ_WHOLE,
    SYSTEM_ONLY,
    Statement,
    nodes,
)
from tests.support import app as support
from tests.support.app import Api, Auth, Serve
from tests.support.collecting import Collector
from tests.support.explained import Explained, explain_from_now_on, explained, own_blocks
from tests.support.filling import SAVERS, fill, fill_prepared, prepare
from tests.support.payouts import payer, until_it_ends, withdrawing
from tests.support.postgres import Cluster, Database
from tests.support.savers import Saver, answered, new_phone, new_receipt
from tests.users.telling import reset_pin
from zanari_api.ledger import balances, sealing
from zanari_api.runtime import db
from zanari_api.worker import worker_of

STAY_SMALL: Final = {
    "ledger.sealing",
    "ledger.snapshots",
    "mpesa.pulls",
    "runtime.chain_verification",
    "runtime.daraja_tokens",
    "runtime.data_keys",
    "runtime.schedules",
    "savings.payout_freeze",
}
"""Tables of one row, or of one for each schedule, key, shortcode or account of our own."""

HOLD_WHAT_IS_OPEN: Final = {"breaks_open_once", "collections_open", "payouts_open", "reversals_one_at_a_time"}
"""Indexes that may be read from end to end: of rows that have not ended, which are few however many have."""

READ_MUCH: Final = READ_WHOLE | {
    # An operator's, for one row that was given up.
    "deposits.step_queries.REVIVE",
    # An operator's, for one account at one moment.
    "ledger.as_of.FIND_HELD_AT",
    # Once an hour, for one shortcode: what was ever told of it, which are a few rows an hour.
    "mpesa.balance_queries.LIST_TOLD_ACCOUNTS",
}

READ_EVERYTHING: Final = ("books_check", "chain_verification", "reconcile_nightly")
"""Schedules that are about all of the books. They are not run here."""

OF_A_SPEND: Final = {
    "ledger.balances.LIST_BALANCES",
    "roundups.queries.FIND_SPENDS_OF_RECEIPTS",
    "roundups.queries.INSERT_SPENDS",
    "roundups.queries.SUM_USED",
    "roundups.rule_queries.FIND_RULES_AT",
    "transactions.receipts.FIND_RECEIPTS",
    "users.queries.LIST_LINKS",
    "users.queries.LOCK_SAVERS",
}

HOT: Final = {
    "deposits.step_queries.CLAIM_CHECKS",
    "deposits.step_queries.CLAIM_PROMPTS",
    "goals.queries.LIST_GOALS",
    "ledger.posting.POST",
    "ledger.sealing.FIND_LAG",
    "ledger.sealing.SEAL",
    "mpesa.inbox_queries.CLAIM",
    "mpesa.inbox_queries.STORE",
    "mpesa.reversal_queries.CLAIM_REVERSALS",
    "payouts.job_queries.CLAIM_CHECKS",
    "payouts.job_queries.CLAIM_SUBMISSIONS",
    "roundups.plan_queries.CLAIM_PLANS",
    *OF_A_SPEND,
    "transactions.queries.PAGE_TRANSACTIONS",
    "transactions.receipts.CLAIM_RECEIPTS",
    "transactions.receipts.FIND_RECEIPTS",
    "users.notice_queries.CLAIM_NOTICES",
    "users.queries.LOCK_SAVERS",
}
"""Run below, whatever else is: by a spend, a payment in, a page of the feed, or by the worker every second."""

KEPT_WRONGLY_ON_15: Final = "known := EXISTS (SELECT FROM ledger.transfers AS x WHERE x.key = ANY (t_key))"
"""Of ledger.post: Postgres 15 would rather read a small index than look some keys up in another, and keeps that plan
until the table is analysed again, which is a matter of minutes while it grows. From 17 on it looks them up."""

ROWS_MAX: Final = 500
"""Looked at by one step of a statement here; each table that grows has ten or twenty times as many."""


BLOCKS_A_LOOP: Final = 4
BLOCKS_A_ROW: Final = 5
BLOCKS_TO_SPARE: Final = 40
"""A look into an index and its table; and what a list of keys may look for in vain. A whole index has more."""


@dataclass(frozen=True, slots=True)
class Grown:
    """A database whose tables have grown: which they are, and the first column of each of our indexes."""

    database: Database
    tables: frozenset[str]
    first_columns: dict[str, str]


LIST_TABLES = """
    SELECT n.nspname || '.' || c.relname AS name
      FROM pg_class AS c
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = ANY ($1::text[]) AND c.relkind = 'r'
"""

LIST_INDEXES = """
    SELECT c.relname AS name, pg_get_indexdef(c.oid, 1, true) AS first_column
      FROM pg_index AS i
      JOIN pg_class AS c ON c.oid = i.indexrelid
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = ANY ($1::text[])
"""


async def look_at(database: Database) -> Grown:
    async with database.connected("supabase_admin") as connection:
        tables = {row["name"] for row in await connection.fetch(LIST_TABLES, list(OUR_SCHEMAS))}
        indexes = await connection.fetch(LIST_INDEXES, list(OUR_SCHEMAS))
    return Grown(
        database=database,
        tables=frozenset(tables - STAY_SMALL),
        first_columns={row["name"]: row["first_column"] for row in indexes},
    )


@pytest.fixture(scope="module")
async def filled(database: Database) -> Grown:
    """A database that was filled, all of it sealed and in a snapshot; its sessions explain what they run."""
    await fill(database)
    service = db.Database(database.service_dsn)
    await service.open()
    await sealing.seal_all(service, batches_max=100)
    await service.unit_of_work(balances.take_snapshots, role=db.Role.SYSTEM)
    await service.close()
    await explain_from_now_on(database)
    async with database.connected("supabase_admin") as connection:
        for name in READ_EVERYTHING:
            await connection.execute("INSERT INTO runtime.schedules VALUES ($1, 'infinity')", name)
    return await look_at(database)


@pytest.fixture(scope="module", params=["never analysed", "analysed"])
async def grown(filled: Grown, request: pytest.FixtureRequest) -> Grown:
    """As production meets it in its first days, when nothing is known of the tables yet, and later on."""
    if request.param == "analysed":
        async with filled.database.connected("supabase_admin") as connection:
            await connection.execute("ANALYZE")
    return filled


def reads_whole(node: dict[str, Any], grown: Grown) -> str | None:
    """Return what a step of a plan reads from end to end, if it does: a table, or an index."""
    if node["Node Type"] == "Seq Scan" and f"{node['Schema']}.{node['Relation Name']}" in grown.tables:
        return node["Relation Name"]
    index = node.get("Index Name")
    if index in grown.first_columns.keys() - HOLD_WHAT_IS_OPEN:
        searched = re.search(rf"\b{grown.first_columns[index]}\b", node.get("Index Cond", ""))
        return None if searched else index
    return None


def roles_of(statement: Statement) -> list[str]:
    return ["zanari_system"] if str(statement) in SYSTEM_ONLY else ["zanari_system", "zanari_api"]


async def test_every_table_that_grows_is_filled(filled: Grown) -> None:
    async with filled.database.connected("supabase_admin") as connection:
        rows = {table: await connection.fetchval(f"SELECT count(*) FROM {table}") for table in filled.tables}
    assert {table: count for table, count in rows.items() if count < SAVERS} == {}


async def test_no_statement_reads_a_table_that_grows_or_an_index_of_it_from_end_to_end(grown: Grown) -> None:
    found: dict[str, set[str]] = {}
    async with grown.database.connected("zanari_service") as connection:
        for statement in PLANNED:
            for role in roles_of(statement) if str(statement) not in READ_MUCH | MIGRATOR_ONLY else []:
                await connection.execute(f"SET ROLE {role}; PREPARE statement AS {statement.sql}")
                count = await connection.fetchval(COUNT_PARAMETERS)
                arguments = f"({', '.join(['NULL'] * count)})" if count else ""
                told = await connection.fetchval(
                    f"EXPLAIN (FORMAT JSON, VERBOSE) EXECUTE statement{arguments}"
                )
                await connection.execute("DEALLOCATE statement; RESET ROLE")
                if whole := {reads_whole(node, grown) for node in nodes(orjson.loads(told)[0]["Plan"])} - {
                    None
                }:
                    found.setdefault(str(statement), set()).update(str(each) for each in whole)
    assert found == {}, found


async def live(api: Api) -> None:
    """Have money come in, be spent, saved, asked for and paid out, as savers and the worker do it all day."""
    saver = await payer(api, goal_cents=50_000)
    goal = await saver.goal(target_cents=100_000)
    receipts = [new_receipt() for _ in range(3)]
    await asyncio.gather(*(saver.spend(14_700, receipt=receipt) for receipt in receipts))
    await saver.spend(14_700, receipt=receipts[0])
    await api.tell_spend(14_700, phone=new_phone())
    await api.pay_in(5_000, account_reference="nobody's")
    for path in ("/users/me", "/users/me/limits", "/users/me/wallet", "/goals", f"/goals/{goal['id']}"):
        answered(await saver.get(path))
    newest, *_ = await saver.feed(limit=5)
    assert await saver.feed(type="spend")
    await saver.transaction(newest)
    await saver.rule(step_cents=5_000, cap_per_day_cents=10_000)
    await saver.spend(14_700)
    answered(await saver.post(f"/goals/{goal['id']}/deposits", {"amount_cents": 1_000}), 201)
    answered(await saver.post(f"/goals/{goal['id']}/withdrawals", {"amount_cents": 500}), 201)
    answered(await saver.post("/mpesa/deposits", {"amount_cents": 20_000}), 202)
    assert await until_it_ends(await withdrawing(saver)) == "settled"
    await collect_from(await api.new_saver(), Collector(api))
    for path in ("deposits", "withdrawals", "collections"):
        assert answered(await saver.get(f"/mpesa/{path}"))["data"] or path == "collections"
    answered(await saver.post("/mpesa/accounts", {"phone": f"+{new_phone()}"}), 202)
    await reset_pin(saver)
    api.clock.advance(hours=2)
    await api.work()
    await worker_of(api.app.state.parts).read_facts()


async def collect_from(saver: Any, collect: Collector) -> None:
    await collect.noon()
    await collect.wait(saver, 6_000, 7_000)
    await collect.look()
    collect.api.clock.advance(minutes=2)
    await collect.api.work()
    assert [each["state"] for each in await collect.list(saver)] == ["settled"]


def looks_at_too_much(run: Explained, grown: Grown) -> set[str]:
    """Return the steps of what was run that looked at more rows, or more blocks, than what they found is worth."""
    names = grown.first_columns.keys() | {table.partition(".")[2] for table in grown.tables}
    found: set[str] = set()
    for node in run.nodes():
        read = node.get("Index Name", node.get("Relation Name"))
        if not node["Node Type"].endswith("Scan") or read not in names:
            continue
        loops = node["Actual Loops"]
        rows = loops * node["Actual Rows"]
        looked_at = rows + loops * node.get("Rows Removed by Filter", 0)
        blocks_max = BLOCKS_A_LOOP * loops + BLOCKS_A_ROW * rows + BLOCKS_TO_SPARE
        # One that was not come to this time, since there was nothing to look for, will be.
        would_read_all = node["Node Type"] == "Seq Scan" and read not in grown.first_columns
        if would_read_all or looked_at > ROWS_MAX or own_blocks(node) > blocks_max:
            found.add(f"{read}: {looked_at:.0f} rows and {own_blocks(node)} blocks for {rows:.0f}")
    return found


async def test_whatever_runs_all_day_looks_at_little_more_than_it_finds(grown: Grown, serve: Serve) -> None:
    names = {" ".join(statement.sql.split()): str(statement) for statement in PLANNED}
    async with explained(grown.database) as told, serve() as api:
        await api.alter(
            "UPDATE runtime.schedules SET next_run_at = '-infinity' WHERE next_run_at < 'infinity'"
        )
        await live(api)
    found: dict[str, set[str]] = {}
    for run in told.statements:
        sql = " ".join(run.sql.split())
        found.setdefault(names.get(sql, sql), set()).update(looks_at_too_much(run, grown))
    assert HOT - found.keys() == set()
    found = {name: steps for name, steps in found.items() if steps}
    assert found == {}, found


async def test_a_plan_from_when_tables_were_small_is_still_right_when_they_have_grown(
    cluster: Cluster, auth: Auth
) -> None:
    """Postgres keeps a plan until a table is analysed again; until then tens of thousands of rows may come."""
    database = await cluster.migrated_database()
    await prepare(database)
    await explain_from_now_on(database)
    names = {" ".join(statement.sql.split()): str(statement) for statement in PLANNED}
    async with support._serving(database, auth) as api:
        savers = [await payer(api) for _ in range(20)]
        for saver in savers:
            await saver.rule(cap_per_day_cents=10_000)
        await spend_and_pay_in(api, savers)
        await api.alter("ANALYZE")
        await spend_and_pay_in(api, savers)
        await fill_prepared(database)
        async with explained(database) as told:
            await spend_and_pay_in(api, savers)
    async with database.connected("supabase_admin") as connection:
        kept_wrongly = KEPT_WRONGLY_ON_15 if connection.get_server_version().major == 15 else None
    grown = await look_at(database)
    found: dict[str, set[str]] = {}
    for run in told.statements:
        sql = " ".join(run.sql.split())
        if kept_wrongly is not None and sql.startswith(kept_wrongly):
            continue
        found.setdefault(names.get(sql, sql), set()).update(looks_at_too_much(run, grown))
    assert OF_A_SPEND - found.keys() == set()
    found = {name: steps for name, steps in found.items() if steps}
    assert found == {}, found
    await cluster.drop(database)


async def spend_and_pay_in(api: Api, savers: Sequence[Saver]) -> None:
    """Have a few savers spend at once, and one pay in: all of it on the sessions that are there already."""
    await asyncio.gather(*(saver.spend(14_700) for saver in savers[:3]))
    await api.pay_in(5_000, account_reference=savers[0].member_code)
