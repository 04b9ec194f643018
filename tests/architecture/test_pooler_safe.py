"""No statement leaves anything behind in its session: a pooler gives the next transaction to another one."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import zanari_api
from zanari_api.runtime.sql_text import split_statements

PACKAGE = Path(zanari_api.__file__).parent

# The embedded database is migrated and served directly; nothing there goes through a pooler.
DIRECT = ("sandbox", "simulation")

OF_A_SESSION = re.compile(
    r"""
    ^\s*(SET\s+(?!LOCAL\b|CONSTRAINTS\b)|RESET\b|LISTEN\b|UNLISTEN\b|NOTIFY\b|DISCARD\b|PREPARE\b|DEALLOCATE\b
        |LOAD\b|CREATE\s+(LOCAL\s+|GLOBAL\s+)?TEMP|DECLARE\b.*\bWITH\s+HOLD\b)
    |\bpg_(try_)?advisory_(lock|unlock)
    |\bset_config\s*\([^()]*,\s*false\s*\)
    """,
    re.VERBOSE | re.DOTALL,
)
BEGINS_SQL = re.compile(
    r"\s*(BEGIN|SELECT|INSERT|UPDATE|DELETE|WITH|LOCK|SET|RESET|LISTEN|CREATE|NOTIFY|DO|MERGE)\b"
)


def statements(source: str) -> Iterator[str]:
    """Yield the statements among the strings of a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and BEGINS_SQL.match(node.value):
            yield from split_statements(node.value)


def of_a_session(source: str) -> list[str]:
    return [each for each in statements(source) if OF_A_SESSION.search(each)]


def modules() -> list[Path]:
    return [
        each for each in sorted(PACKAGE.rglob("*.py")) if each.relative_to(PACKAGE).parts[0] not in DIRECT
    ]


def test_no_statement_of_ours_outlives_its_transaction() -> None:
    found = {str(each.relative_to(PACKAGE)): of_a_session(each.read_text()) for each in modules()}
    assert {where: what for where, what in found.items() if what} == {}
    assert sum(len(list(statements(each.read_text()))) for each in modules()) > 200


@pytest.mark.parametrize(
    "statement",
    [
        "SET statement_timeout = '5s'",
        "SELECT 1; SET ROLE zanari_api",
        "LISTEN callbacks",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_try_advisory_lock(1)",
        "SELECT set_config('zanari.saver_id', $1, false)",
        "CREATE TEMP TABLE kept (id int)",
    ],
)
def test_what_outlives_a_transaction_is_found(statement: str) -> None:
    assert of_a_session(f"SQL = {statement!r}")


@pytest.mark.parametrize(
    "statement",
    [
        "SET LOCAL lock_timeout = '5s'",
        "BEGIN; SET LOCAL ROLE zanari_api; SELECT set_config('zanari.saver_id', '', true)",
        "SELECT pg_advisory_xact_lock(1)",
        "UPDATE savings.goals SET name = $1",
    ],
)
def test_what_ends_with_its_transaction_is_not(statement: str) -> None:
    assert of_a_session(f"SQL = {statement!r}") == []
