"""`zanari doctor` at the terminal: a line for each look, an exit code by failures, and nothing secret."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command, CommandBeside
from tests.support.app import Api
from tests.support.postgres import Database
from zanari_api.cli.doctor import patient_of
from zanari_api.doctor.looks import LOOKS
from zanari_api.runtime.db import Role
from zanari_api.settings import Settings

SHOWN = "hunter2-must-not-be-shown"


async def lines_of(operator: CommandBeside, *, code: int = 1) -> dict[str, dict[str, str]]:
    done = await operator("doctor", "--json")
    assert done.code == code, done.err
    report = json.loads(done.out)
    assert report["failed"] == sum(line["outcome"] == "failed" for line in report["lines"])
    return {line["name"]: line for line in report["lines"]}


async def test_a_running_service_is_well_but_for_what_tests_do_without(
    operator: CommandBeside, api: Api
) -> None:
    lines = await lines_of(operator)
    failed = {name for name, line in lines.items() if line["outcome"] == "failed"}
    # The tests' server waits for no disk, no worker has proved the books, and nothing answers outside.
    assert failed <= {
        "durability",
        "books",
        "chain",
        "jwks",
        "callback_url",
        "daraja",
        "daraja_token",
        "settings",
        "sms_gateway",
    }
    assert "durability" in failed
    for name in ("database", "migrations", "login", "roles", "grants", "row_security", "webhook"):
        assert lines[name]["outcome"] == "passed", lines[name]


async def test_the_table_says_the_same_and_counts(operator: CommandBeside, api: Api) -> None:
    done = await operator("doctor")
    assert done.code == 1
    table, _, summary = done.out.rstrip().rpartition("\n")
    for look in LOOKS:
        assert look.name in table
    assert "FAILED" in table
    assert "fsync=off" in table
    assert "not checked" in summary
    assert "Traceback" not in done.err


async def test_variables_that_production_refuses_are_a_line_and_the_rest_is_still_looked_at(
    operator: CommandBeside, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("MPESA_WEBHOOK_SECRET", SHOWN)
    lines = await lines_of(operator)
    assert lines["settings"]["outcome"] == "failed"
    assert "MPESA_ENVIRONMENT: " in lines["settings"]["found"]
    assert "MPESA_WEBHOOK_SECRET: " in lines["settings"]["found"]
    assert lines["database"]["outcome"] == lines["grants"]["outcome"] == "passed"
    assert SHOWN not in json.dumps(lines)


async def test_keys_that_cannot_be_read_leave_the_database_to_be_looked_at(
    operator: CommandBeside, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PII_KEYS", SHOWN)
    lines = await lines_of(operator)
    assert lines["settings"]["found"].startswith("PII_KEYS: ")
    assert lines["database"]["outcome"] == "passed"
    assert lines["pii_keys"]["outcome"] == lines["daraja_token"]["outcome"] == "not_checked"
    assert SHOWN not in json.dumps(lines)


async def test_behind_a_pooler_no_statement_is_prepared_by_name_although_the_keys_cannot_be_read(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.service_dsn)
    monkeypatch.setenv("PII_KEYS", SHOWN)
    for pooler, prepared in (("true", False), ("false", True)):
        monkeypatch.setenv("DATABASE_POOLER", pooler)
        async with patient_of(Settings.load(), []) as patient:
            assert patient.keyring is None
            assert patient.database is not None
            async with patient.database.transaction(Role.SYSTEM) as tx:
                assert await tx.fetch_value(int, "SELECT $1::int", 1) == 1
                count = await tx.fetch_value(
                    int, "SELECT count(*) FROM pg_prepared_statements WHERE name <> ''"
                )
                assert bool(count) is prepared


def test_a_value_that_is_no_such_thing_is_told_and_nothing_else_can_be(
    zanari: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", SHOWN)
    done = zanari("doctor", "--json")
    assert done.code == 1
    report = json.loads(done.out)
    assert report["environment"] == "unknown"
    assert report["lines"][0]["found"].startswith("PORT: ")
    assert SHOWN not in done.out + done.err


def test_where_nothing_runs_the_database_fails_and_nothing_is_made(zanari: Command, directory: Path) -> None:
    done = zanari("doctor")
    assert done.code == 1
    assert "zanari dev" in done.out
    assert list(directory.iterdir()) == []
