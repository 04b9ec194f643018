"""The `zanari` command: what each verb says, how it ends, and that no mistake of its user shows a traceback."""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.cli.conftest import Command, CommandBeside
from tests.support.app import WEBHOOK_SECRET, Api
from tests.support.loopback import served
from tests.support.postgres import Cluster
from tests.support.processes import Place, new_place, refusal
from tests.support.savers import Saver
from zanari_api import serving
from zanari_api.cli import app as cli
from zanari_api.runtime.migrations import read_migrations, supabase_dir
from zanari_api.sandbox import demo
from zanari_api.sandbox.auth import TokenMint

COMMANDS = {
    command.name or command.callback.__name__: command
    for command in cli.app.registered_commands
    if command.callback
}
VERBS = ["simulate", "doctor", "reconcile", "serve", "dev", "worker", "migrate", "token", "spend", "openapi"]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with new_place() as made:
        yield made


# Help and exit codes


def test_the_verbs_are_all_here() -> None:
    assert list(COMMANDS) == VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_explains_itself(zanari: Command, verb: str) -> None:
    done = zanari(verb, "--help")
    command = COMMANDS[verb]
    assert done.code == 0
    first_words = " ".join(str(command.callback.__doc__).split()[:4])
    assert first_words in done.out
    assert f"zanari {verb} [OPTIONS]" in done.out


def test_the_command_alone_lists_its_verbs(zanari: Command) -> None:
    listed = zanari("--help")
    assert listed.code == 0
    assert all(verb in listed.out for verb in VERBS)
    assert zanari().out.strip() == listed.out.strip()


@pytest.mark.parametrize("arguments", [["nonsense"], ["serve", "--nonsense"], ["token", "--saver", "nobody"]])
def test_what_is_not_understood_is_a_usage_error(zanari: Command, arguments: list[str]) -> None:
    done = zanari(*arguments)
    assert done.code == 2
    assert "Usage: zanari" in done.err


# serve and dev


def test_production_names_what_is_missing_and_does_not_start(place: Place) -> None:
    done = place.run("serve", ENVIRONMENT="production", PORT="0")
    assert refusal(done).startswith("not set: DATABASE_URL, SUPABASE_URL, PII_KEYS")
    assert not (place.directory / ".zanari").exists()


def test_a_wrong_variable_stops_the_start_with_its_name(
    zanari: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "eighty")
    assert zanari("serve").failure.startswith("PORT: ")


def test_the_demo_is_for_development(zanari: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "staging")
    assert zanari("dev").failure == "dev is for ENVIRONMENT=development; use serve"


def test_an_address_that_is_not_ours_is_a_clear_error(
    zanari: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST", "203.0.113.1")
    assert zanari("serve").failure.startswith("cannot listen on 203.0.113.1:8000")


def test_of_two_that_want_one_port_the_second_knows_at_once() -> None:
    with serving.bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(serving.PortInUse, match=f"cannot listen on 127.0.0.1:{port}"):
            serving.bind("127.0.0.1", port)


# openapi


def test_openapi_prints_the_document(zanari: Command) -> None:
    done = zanari("openapi")
    document = json.loads(done.out)
    assert document["info"]["title"] == "Zanari"
    assert "/api/v1/mpesa/webhooks/roundup" in document["paths"]
    assert done.err == ""


def test_openapi_writes_the_document_to_a_file(zanari: Command, directory: Path) -> None:
    done = zanari("openapi", "--output", "api.json")
    assert done.code == 0
    assert json.loads((directory / "api.json").read_text()) == json.loads(zanari("openapi").out)


def test_openapi_says_where_it_could_not_write(zanari: Command) -> None:
    assert "nowhere/api.json" in zanari("openapi", "--output", "nowhere/api.json").failure


# token


def test_a_token_is_one_of_the_emulator_in_this_directory(zanari: Command, directory: Path) -> None:
    saver_id = uuid4()
    done = zanari("token", "--saver", str(saver_id), "--phone", "0722 000 111", "--expires-in", "60")
    key = jwt.PyJWK(TokenMint(directory / ".zanari", issuer="").jwks()["keys"][0])
    claims: dict[str, Any] = jwt.decode(
        done.out.strip(), key, audience="authenticated", issuer=serving.EMULATED_ISSUER
    )
    assert claims["sub"] == str(saver_id)
    assert claims["phone"] == "254722000111"
    assert claims["exp"] - claims["iat"] == 60


def test_a_token_is_the_demo_savers_unless_told_otherwise(zanari: Command) -> None:
    claims = jwt.decode(zanari("token").out.strip(), options={"verify_signature": False})
    assert (claims["sub"], claims["phone"]) == (str(demo.DEMO_SAVER), demo.DEMO_PHONE)


def test_a_token_needs_a_phone_number_where_it_is_given_one(zanari: Command) -> None:
    assert zanari("token", "--phone", "12").failure.startswith("--phone: ")


def test_there_are_no_tokens_of_the_emulator_outside_development(
    zanari: Command, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    assert "ENVIRONMENT=development" in zanari("token").failure
    assert list(directory.iterdir()) == []


# spend


@pytest.fixture
def signing(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """Sign as the relay that the service trusts."""
    monkeypatch.setenv("ENVIRONMENT", "staging")
    monkeypatch.setenv("MPESA_WEBHOOK_SECRET", f"{WEBHOOK_SECRET}, a newer one")


async def test_a_spend_is_sent_signed_and_its_answer_printed(saver: Saver, api: Api, place: Place) -> None:
    await saver.deposit(1_000)
    async with served(api.app) as url:
        done = await beside(place, "spend", "147", "--phone", f"+{saver.phone}", "--url", url)
    assert done.returncode == 0
    answer = json.loads(done.stdout)
    assert (answer["status"], answer["round_up"]["amount_cents"]) == ("processed", 300)
    assert await saver.holds() == (700, 300, 0)


async def test_a_spend_goes_to_host_and_port_unless_told_otherwise(api: Api, place: Place) -> None:
    spend = ("spend", "23.73", "--phone", "0733999888", "--receipt", "TKCLI00001")
    async with served(api.app) as url:
        done = await beside(place, *spend, PORT=url.rpartition(":")[2])
    assert done.returncode == 0
    assert json.loads(done.stdout) == {
        "status": "unmatched",
        "transaction_id": "TKCLI00001",
        "round_up": None,
    }


async def test_a_spend_that_is_refused_prints_the_problem_and_fails(api: Api, place: Place) -> None:
    async with served(api.app) as url:
        done = await beside(place, "spend", "--url", url, MPESA_WEBHOOK_SECRET="some other one")
    assert done.returncode == 1
    assert json.loads(done.stdout)["code"] == "invalid_signature"
    assert done.stderr == ""


async def beside(place: Place, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run the real command while this loop serves, signing as the relay we trust unless told otherwise."""
    trusted = {"ENVIRONMENT": "staging", "MPESA_WEBHOOK_SECRET": f"{WEBHOOK_SECRET}, a newer one"}
    return await asyncio.to_thread(place.run, *arguments, **trusted | variables)


async def test_an_answer_of_something_else_is_told_apart_from_ours(
    zanari_beside: CommandBeside, signing: None
) -> None:
    def greet(_request: object) -> PlainTextResponse:
        return PlainTextResponse("It works!")

    async with served(Starlette(routes=[Route("/{path:path}", greet, methods=["POST"])])) as url:
        done = await zanari_beside("spend", "--url", url)
    assert done.failure == f"{url} answered 200 and no JSON: it is not the API"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://[::1", "ftp://127.0.0.1", "nonsense"])
def test_a_spend_that_nobody_answers_says_so(zanari: Command, signing: None, url: str) -> None:
    failure = zanari("spend", "--url", url).failure
    assert failure.startswith(f"no answer from {url}: ")
    assert failure.endswith("Is the API running (zanari dev)?")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["a lot"], "a lot is not an amount"), (["10", "--phone", "12"], "--phone: not a phone number")],
)
def test_a_spend_is_looked_at_before_it_is_sent(
    zanari: Command, signing: None, arguments: list[str], told: str
) -> None:
    assert zanari("spend", *arguments).failure == told


def test_a_spend_needs_a_secret_and_makes_none_outside_development(
    zanari: Command, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "staging")
    assert "MPESA_WEBHOOK_SECRET is not set" in zanari("spend").failure
    assert list(directory.iterdir()) == []


def test_no_spend_is_made_up_in_production(
    zanari: Command, signing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    assert "ENVIRONMENT=production" in zanari("spend", "--url", "http://127.0.0.1:1").failure


# migrate


async def test_migrating_can_be_tried_first_then_done_once(
    cluster: Cluster, zanari_beside: CommandBeside, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = await cluster.bare_database()
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nowhere")
    monkeypatch.setenv("DATABASE_MIGRATION_URL", bare.migrator_dsn)
    count = len(read_migrations(supabase_dir() / "migrations"))

    tried = await zanari_beside("migrate", "--dry-run")
    assert (tried.code, tried.out, tried.err) == (0, f"{count} would be applied.\n", "")
    async with bare.connected("postgres") as connection:
        assert await connection.fetchval("SELECT to_regnamespace('ledger')") is None

    done = await zanari_beside("migrate")
    assert (done.code, done.out) == (0, f"{count} applied.\n")
    assert len(re.findall(r"^Applying \d{14}_\w+$", done.err, re.MULTILINE)) == count

    again = await zanari_beside("migrate")
    assert (again.code, again.out, again.err) == (0, "Nothing to do: the database is up to date.\n", "")


async def test_an_edited_migration_is_refused_in_one_line(
    cluster: Cluster, zanari_beside: CommandBeside, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrated = await cluster.migrated_database()
    async with migrated.connected("supabase_admin") as connection:
        await connection.execute(
            "UPDATE supabase_migrations.schema_migrations SET statements = ARRAY['SELECT 1'] WHERE version = $1",
            "20261123000200",
        )
    monkeypatch.setenv("DATABASE_URL", migrated.migrator_dsn)
    assert "20261123000200_create_schemas" in (await zanari_beside("migrate")).failure


def test_migrating_needs_a_database_that_answers(zanari: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://zanari:hunter2@127.0.0.1:1/zanari")
    failure = zanari("migrate").failure
    assert "ConnectionRefusedError" in failure
    assert "hunter2" not in failure


def test_migrating_needs_to_be_told_which_database_in_production(
    zanari: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    assert zanari("migrate").failure == "DATABASE_MIGRATION_URL or DATABASE_URL is not set"


def test_a_dry_run_never_touches_the_embedded_database(zanari: Command, directory: Path) -> None:
    assert "--dry-run" in zanari("migrate", "--dry-run").failure
    assert list(directory.iterdir()) == []
