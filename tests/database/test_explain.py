"""Every SQL text of the service, planned by Postgres against the migrated schema as the role that runs it."""

import ast
import importlib
import pkgutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

import zanari_api
from tests.support.postgres import Database


@dataclass(frozen=True, slots=True)
class Statement:
    """A SQL constant: where it is written, and its text."""

    module: str
    name: str
    sql: str

    def __str__(self) -> str:
        return f"{self.module.removeprefix('zanari_api.')}.{self.name}"


def statements() -> list[Statement]:
    """Return every module-level `NAME: Final[LiteralString]` of the package."""
    found: list[Statement] = []
    for info in pkgutil.walk_packages(zanari_api.__path__, "zanari_api."):
        if info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        found += [
            Statement(info.name, node.target.id, getattr(module, node.target.id))
            for node in tree.body
            if isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and ast.unparse(node.annotation) == "Final[LiteralString]"
        ]
    return found


# Not planned: they change settings, locks and schemas. Every migration of every test run executes them.
UTILITY = {"runtime.migrations.CREATE_BOOKKEEPING", "runtime.migrations.LOCK_BOOKKEEPING"}

MIGRATOR_ONLY = {"runtime.migrations.INSERT_APPLIED"}

# What a saver's request never runs, and may not: it is the webhook's, a callback's or the provisioning's.
SYSTEM_ONLY = {
    "daraja.queries.CLAIM_LEASE",
    "daraja.queries.FIND_CURRENT",
    "daraja.queries.RELEASE_LEASE",
    "daraja.queries.STORE_NEXT",
    "deposits.booking_queries.LIST_BOOKED",
    "deposits.comparison_queries.LIST_HELD",
    "deposits.comparison_queries.LIST_RETURNED",
    "deposits.comparison_queries.LIST_SUSPENSE_ITEMS",
    "deposits.correction_queries.INSERT_REVERSAL",
    "deposits.holding_queries.FIND_ITEM",
    "deposits.holding_queries.FIND_RETURNED_BY",
    "deposits.holding_queries.LIST_ITEMS",
    "deposits.holding_queries.RETURN_ITEM",
    "deposits.queries.ATTACH_RECEIPT",
    "deposits.queries.FIND_BOOKED_AMOUNT",
    "deposits.queries.FIND_HELD_ITEM",
    "deposits.queries.INSERT_DEPOSIT",
    "deposits.queries.INSERT_SUSPENSE_ITEM",
    "deposits.queries.RESOLVE_ITEM",
    "deposits.step_queries.ATTACH_RECEIPT",
    "deposits.step_queries.CLAIM_CHECKS",
    "deposits.step_queries.CLAIM_PROMPTS",
    "deposits.step_queries.LOOK_AT",
    "deposits.step_queries.MARK_FAILED",
    "deposits.step_queries.MARK_NOT_SENT",
    "deposits.step_queries.MARK_PROMPTED",
    "deposits.step_queries.MARK_SETTLED",
    "deposits.step_queries.MARK_SUBMITTING",
    "deposits.step_queries.MARK_UNRESOLVED",
    "deposits.step_queries.POSTPONE",
    "deposits.step_queries.PUT_OFF",
    "deposits.step_queries.REST",
    "deposits.step_queries.REVIVE",
    "ledger.accounts.OPEN_FLOATS",
    "ledger.as_of.FIND_HELD_AT",
    "ledger.as_of.LIST_HELD_AT",
    "ledger.balances.TAKE_SNAPSHOTS",
    "ledger.chain_queries.FIND_END",
    "ledger.chain_queries.FIND_SEAL",
    "ledger.chain_queries.FIND_SEAL_BEFORE",
    "ledger.chain_queries.LIST_ACTS_PASSED",
    "ledger.chain_queries.LIST_SEALED",
    "ledger.chain_queries.LIST_TRANSFERS_PASSED",
    "ledger.invariants.CHECK_BOOKS",
    "ledger.invariants.COUNT_TRANSFERS",
    "ledger.moments.LIST_CHANGES",
    "ledger.moments.LIST_HELD_BEFORE",
    "ledger.moments.LIST_MOVED",
    "ledger.chain_queries.LIST_ENTRIES",
    "ledger.sealing.FIND_HEAD",
    "ledger.sealing.FIND_LAG",
    "ledger.sealing.SEAL",
    "mpesa.balance_queries.FIND_HORIZON",
    "mpesa.balance_queries.FIND_LAST_REPORTED",
    "mpesa.balance_queries.FIND_REQUEST",
    "mpesa.balance_queries.FIND_UNNAMED",
    "mpesa.balance_queries.INSERT_REPORTS",
    "mpesa.balance_queries.INSERT_REQUEST",
    "mpesa.balance_queries.LIST_REPORTS",
    "mpesa.balance_queries.LIST_TOLD_ACCOUNTS",
    "mpesa.balance_queries.LOCK_REQUEST",
    "mpesa.balance_queries.MARK_FINISHED",
    "mpesa.balance_queries.MARK_SUBMITTED",
    "mpesa.break_queries.CLOSE_BREAK",
    "mpesa.break_queries.COUNT_OPEN",
    "mpesa.break_queries.LIST_CLOSED_SINCE",
    "mpesa.break_queries.LIST_OPEN",
    "mpesa.break_queries.LIST_OPEN_OF_KINDS",
    "mpesa.break_queries.LOCK_BREAK",
    "mpesa.break_queries.NOTE_BREAK",
    "mpesa.fee_queries.INSERT_FEE",
    "mpesa.fee_queries.LIST_FEES",
    "mpesa.fee_queries.LOCK_FEE",
    "mpesa.fee_queries.UPDATE_FEE",
    "mpesa.float_queries.FIND_MOVE",
    "mpesa.float_queries.INSERT_MOVE",
    "mpesa.float_queries.LIST_MOVES",
    "mpesa.inbox_queries.CLAIM",
    "mpesa.inbox_queries.CONCLUDE",
    "mpesa.inbox_queries.COUNT_DEAD",
    "mpesa.inbox_queries.COUNT_DUE",
    "mpesa.inbox_queries.COUNT_QUARANTINED",
    "mpesa.inbox_queries.ERASE_BODIES",
    "mpesa.inbox_queries.FIND",
    "mpesa.inbox_queries.LIST",
    "mpesa.inbox_queries.LIST_DEAD",
    "mpesa.inbox_queries.LOCK",
    "mpesa.inbox_queries.LOCK_LEASED",
    "mpesa.inbox_queries.POSTPONE",
    "mpesa.inbox_queries.READ",
    "mpesa.inbox_queries.REVIVE",
    "mpesa.inbox_queries.STORE",
    "mpesa.inbox_queries.WAKE",
    "mpesa.pull_queries.FIND",
    "mpesa.pull_queries.INSERT",
    "mpesa.pull_queries.LIST",
    "mpesa.pull_queries.MARK_PULLED",
    "mpesa.queries.DELETE_UNMATCHED",
    "mpesa.queries.INSERT_DISCREPANCIES",
    "mpesa.queries.NOTE_UNMATCHED",
    "mpesa.reversal_queries.CLAIM_REVERSALS",
    "mpesa.reversal_queries.COUNT_DEAD",
    "mpesa.reversal_queries.COUNT_DUE",
    "mpesa.reversal_queries.FIND_BY_CONVERSATION",
    "mpesa.reversal_queries.FIND_NEWEST",
    "mpesa.reversal_queries.INSERT_EVENT",
    "mpesa.reversal_queries.INSERT_REVERSAL",
    "mpesa.reversal_queries.LIST_DEAD",
    "mpesa.reversal_queries.LIST_EVENTS",
    "mpesa.reversal_queries.LIST_RECENT",
    "mpesa.reversal_queries.LOCK_REVERSAL",
    "mpesa.reversal_queries.MARK_FINISHED",
    "mpesa.reversal_queries.MARK_REQUESTED",
    "mpesa.reversal_queries.MARK_SUBMITTED",
    "mpesa.reversal_queries.MARK_SUBMITTING",
    "mpesa.reversal_queries.MARK_UNRESOLVED",
    "mpesa.reversal_queries.POSTPONE_REVERSAL",
    "mpesa.reversal_queries.REVIVE_REVERSAL",
    "payouts.doubt_queries.CLAIM_IN_DOUBT",
    "payouts.doubt_queries.COUNT_QUESTIONS",
    "payouts.freeze_queries.FREEZE",
    "payouts.freeze_queries.LIFT_FREEZE",
    "payouts.job_queries.CLAIM_CHECKS",
    "payouts.job_queries.CLAIM_SUBMISSIONS",
    "payouts.job_queries.POSTPONE_PAYOUT",
    "payouts.job_queries.RELEASE_PAYOUT",
    "payouts.job_queries.REVIVE_PAYOUT",
    "payouts.queries.HASTEN",
    "payouts.queries.HASTEN_ALL",
    "payouts.queries.NAME_PAYOUT",
    "payouts.queries.SAVE_PAYOUT",
    "payouts.question_queries.FIND_BY_CONVERSATION",
    "payouts.question_queries.FIND_BY_ORIGINATOR",
    "payouts.question_queries.FIND_QUERY",
    "payouts.question_queries.FIND_UNNAMED",
    "payouts.question_queries.FINISH_QUERY",
    "payouts.question_queries.INSERT_QUERY",
    "payouts.question_queries.LIST_QUERIES",
    "payouts.question_queries.NAME_QUERY",
    "payouts.question_queries.TIME_OUT_NEWEST",
    "payouts.question_queries.TRY_UNSENT",
    "reconciliation.chain_queries.FIND_VERIFICATION",
    "reconciliation.chain_queries.NOTE_BAD",
    "reconciliation.chain_queries.UPDATE_VERIFICATION",
    "reconciliation.queries.INSERT_STATEMENT",
    "roundups.accrual_queries.CANCEL_ACCRUAL",
    "roundups.collection_queries.ATTACH_RECEIPT",
    "roundups.collection_queries.MARK_FAILED",
    "roundups.collection_queries.MARK_ITEMS",
    "roundups.collection_queries.MARK_SETTLED",
    "roundups.own_reversal_queries.LIST_OWN_REVERSALS",
    "roundups.own_reversal_queries.NOTE_OWN_REVERSAL",
    "roundups.plan_queries.CLAIM_PLANS",
    "roundups.plan_queries.FINISH_PLAN",
    "roundups.plan_queries.POSTPONE_PLAN",
    "roundups.plan_queries.REVIVE_PLAN",
    "roundups.queries.INSERT_SPENDS",
    "roundups.queries.MARK_UNDONE",
    "runtime.activity.COUNT_ACTIVE",
    "runtime.activity.WRITE_LAST_SEEN",
    "runtime.crypto.FIND_DATA_KEYS",
    "runtime.crypto.INSERT_DATA_KEY",
    "runtime.migrations.LIST_APPLIED",
    "runtime.migrations.LIST_APPLIED_VERSIONS",
    "runtime.audit.FIND_ACT",
    "runtime.audit.INSERT_ACT",
    "runtime.audit.LIST_ACTS",
    "runtime.idempotency.DELETE_ANSWERS",
    "runtime.schedules.LEASE",
    "runtime.schedules.FIND_FINISHED",
    "runtime.schedules.LIST_LATE",
    "runtime.schedules.REGISTER",
    "runtime.schedules.RELEASE",
    "simulation.queries.LIST_BREAKS",
    "simulation.queries.LIST_FORGOTTEN_CALLBACKS",
    "simulation.queries.LIST_RECEIPTS",
    "transactions.receipts.CLAIM_RECEIPTS",
    "transactions.receipts.FIND_RECEIPTS",
    "users.link_queries.RENEW_PROOF",
    "users.notice_queries.CLAIM_NOTICES",
    "users.notice_queries.COUNT_DEAD",
    "users.notice_queries.COUNT_DUE",
    "users.notice_queries.COUNT_WAITING",
    "users.notice_queries.FIND_LEASED",
    "users.notice_queries.FINISH_NOTICE",
    "users.notice_queries.LIST_DEAD",
    "users.notice_queries.POSTPONE_NOTICE",
    "users.notice_queries.REVIVE_NOTICE",
    "users.queries.INSERT_LINK",
    "users.queries.INSERT_SAVER",
    "users.step_up_queries.DELETE_STEP_UPS",
}

OUR_SCHEMAS = {"ledger", "savings", "mpesa", "runtime"}

READ_WHOLE = {
    # An operator's, who asks what every account held at a moment, or has all of the books checked.
    "ledger.as_of.LIST_HELD_AT",
    "ledger.invariants.COUNT_TRANSFERS",
    # Two rows, read once by each process.
    "runtime.crypto.FIND_DATA_KEYS",
    # A row for each schedule, of which there are a dozen.
    "runtime.schedules.LIST_LATE",
    # A simulation's own database, which is read from end to end when the simulation is over.
    "simulation.queries.LIST_BREAKS",
    "simulation.queries.LIST_FEED_IDS",
    "simulation.queries.LIST_FORGOTTEN_CALLBACKS",
    "simulation.queries.LIST_INTENTS",
    "simulation.queries.LIST_OVERSETTLED",
    "simulation.queries.LIST_PAYOUTS",
    "simulation.queries.LIST_RECEIPTS",
    "simulation.queries.LIST_SPENDS",
    # The doctor's, when an operator calls it: which PII keys anybody's data still needs. No request runs it.
    "users.queries.LIST_KEY_IDS",
}

COUNT_PARAMETERS = """
    SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'statement'
"""

STATEMENTS = statements()
PLANNED = [statement for statement in STATEMENTS if str(statement) not in UTILITY]


async def plan(database: Database, statement: Statement, role: str) -> dict[str, Any]:
    """Return the generic plan, the one that is kept for all arguments. Raises what Postgres has against it."""
    login = "postgres" if role == "postgres" else "zanari_service"
    async with database.connected(login) as connection:
        # Without rows a sequential scan is always cheapest; with it made dear, one is chosen where there is no index.
        await connection.execute(
            f"SET ROLE {role}; SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off"
        )
        await connection.execute(f"PREPARE statement AS {statement.sql}")
        count = await connection.fetchval(COUNT_PARAMETERS)
        arguments = f"({', '.join(['NULL'] * count)})" if count else ""
        told = await connection.fetchval(f"EXPLAIN (FORMAT JSON, VERBOSE) EXECUTE statement{arguments}")
    found: dict[str, Any] = orjson.loads(told)[0]["Plan"]
    return found


def nodes(tree: dict[str, Any]) -> list[dict[str, Any]]:
    return [tree, *(node for child in tree.get("Plans", []) for node in nodes(child))]


def test_the_statements_are_found() -> None:
    names = {str(statement) for statement in STATEMENTS}
    assert len(names) > 50
    assert names >= UTILITY | MIGRATOR_ONLY | SYSTEM_ONLY | READ_WHOLE


@pytest.mark.parametrize("statement", PLANNED, ids=str)
async def test_postgres_plans_the_statement_as_the_role_that_runs_it(
    database: Database, statement: Statement
) -> None:
    if str(statement) in MIGRATOR_ONLY:
        roles = ["postgres"]
    elif str(statement) in SYSTEM_ONLY:
        roles = ["zanari_system"]
    else:
        roles = ["zanari_system", "zanari_api"]
    for role in roles:
        assert await plan(database, statement, role)


@pytest.mark.parametrize("statement", [one for one in STATEMENTS if str(one) in SYSTEM_ONLY], ids=str)
async def test_a_savers_request_may_not_run_what_is_the_systems(
    database: Database, statement: Statement
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await plan(database, statement, "zanari_api")


@pytest.mark.parametrize(
    "statement", [one for one in PLANNED if str(one) not in READ_WHOLE | MIGRATOR_ONLY], ids=str
)
async def test_the_statement_reads_no_table_of_savers_from_end_to_end(
    database: Database, statement: Statement
) -> None:
    for node in nodes(await plan(database, statement, "zanari_system")):
        if node.get("Schema") in OUR_SCHEMAS and "Relation Name" in node and "Scan" in node["Node Type"]:
            assert {"Index Cond", "Recheck Cond"} & node.keys(), node
