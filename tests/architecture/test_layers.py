"""The layers of ARCHITECTURE.md hold, and each of their contracts notices when it is broken."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import zanari_api

PACKAGE = Path(zanari_api.__file__).parent
PYPROJECT = PACKAGE.parent / "pyproject.toml"
CONTRACTS: list[dict[str, Any]] = tomllib.loads(PYPROJECT.read_text())["tool"]["importlinter"]["contracts"]


def lint_imports(tree: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    return subprocess.run(  # noqa: S603 (our own interpreter and text)
        [*command, "--no-logo", "--no-cache"], cwd=tree, capture_output=True, text=True, check=False
    )


def broken_contracts(said: str) -> set[str]:
    """Return the ids of the contracts that the linter's report calls broken; names may run over lines."""
    report = " ".join(said.split())
    return {str(one["id"]) for one in CONTRACTS if re.search(re.escape(one["name"]) + r" ?BROKEN", report)}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package and its contracts, to break."""
    shutil.copytree(PACKAGE, tmp_path / "zanari_api", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PYPROJECT, tmp_path)
    return tmp_path


def test_every_contract_is_kept() -> None:
    linted = lint_imports(PACKAGE.parent)
    assert linted.returncode == 0, linted.stdout + linted.stderr
    assert f"{len(CONTRACTS)} kept, 0 broken" in linted.stdout


@pytest.mark.parametrize(
    ("module", "planted", "contract"),
    [
        ("kit/money.py", "zanari_api.runtime.db", "layers"),
        ("users/service.py", "zanari_api.goals.service", "layers"),
        ("ledger/posting.py", "zanari_api.daraja.answers", "layers"),
        ("sms/gateway.py", "zanari_api.daraja.answers", "layers"),
        ("serving.py", "zanari_api.cli", "layers"),
        ("helpers.py", "zanari_api.kit.money", "layers"),
        ("runtime/db.py", "zanari_api.settings", "settings"),
        ("goals/rules.py", "fastapi", "no-http-inside"),
        ("roundups/deciding.py", "zanari_api.runtime.deps", "no-http-inside"),
        ("kit/money.py", "starlette.requests", "no-http-inside"),
        ("goals/movements.py", "zanari_api.users.queries", "users-queries"),
        ("mpesa/c2b_service.py", "zanari_api.roundups.rule_queries", "roundups-queries"),
        ("roundups/service.py", "zanari_api.transactions.router", "routers"),
    ],
)
def test_a_planted_import_breaks_its_contract(copy: Path, module: str, planted: str, contract: str) -> None:
    with (copy / "zanari_api" / module).open("a") as file:
        file.write(f"\nimport {planted}\n")
    linted = lint_imports(copy)
    assert linted.returncode != 0
    assert contract in broken_contracts(linted.stdout), linted.stdout + linted.stderr


def test_every_slice_keeps_its_statements_to_itself() -> None:
    kept = {module for one in CONTRACTS if one["type"] == "protected" for module in one["protected_modules"]}
    statements = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for path in PACKAGE.glob("*/*queries.py")
    }
    assert "zanari_api.goals.queries" in statements
    assert statements <= kept


LEDGER_BY_OTHERS = re.compile(r"(?<![\w.])ledger\.(?!balances\b)[a-z_]+|(?:INTO|UPDATE|FROM ONLY)\s+ledger\.")


def ledger_beyond_its_view(source: str) -> Iterator[str]:
    """Find SQL that names anything of schema `ledger` but the view of balances, or that would write to that."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and re.search(r"[A-Z]{4}", node.value)
        ):
            yield from LEDGER_BY_OTHERS.findall(node.value)


def test_only_the_ledger_says_anything_to_its_schema_but_reading_balances() -> None:
    outside = [path for path in PACKAGE.rglob("*.py") if path.parent.name != "ledger"]
    found = {path.name: list(ledger_beyond_its_view(path.read_text())) for path in outside}
    assert {name: sql for name, sql in found.items() if sql} == {}
    # The same search finds what the ledger itself does, so it looks in the right place.
    assert list(ledger_beyond_its_view((PACKAGE / "ledger" / "posting.py").read_text()))


@pytest.mark.parametrize(
    "planted",
    [
        "INSERT INTO ledger.entries (amount_cents) VALUES (1)",
        "UPDATE ledger.balances SET balance_cents = 0",
        "SELECT p.outcome FROM ledger.post($1::jsonb) AS p",
        "DELETE FROM ledger.transfers",
        "SELECT e.amount_cents FROM savings.goals AS g JOIN ledger.entries AS e ON true",
    ],
)
def test_planted_sql_on_the_ledger_is_found(planted: str) -> None:
    assert list(ledger_beyond_its_view(f'SQL = """{planted}"""'))


def test_reading_balances_is_allowed() -> None:
    assert not list(ledger_beyond_its_view('SQL = "SELECT b.balance_cents FROM ledger.balances AS b"'))
