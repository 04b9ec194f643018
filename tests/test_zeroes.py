"""What a fresh API and a fresh worker expose before anything happened: every series that will be counted, at 0."""

import ast
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

import zanari_api
from tests.support.app import Auth, settings_for
from tests.support.daraja import certificate_pem
from tests.support.postgres import Database
from zanari_api.assembly import Stead
from zanari_api.daraja.credential import expires_at
from zanari_api.kit.clock import eat_day_start
from zanari_api.main import create_app
from zanari_api.settings import Settings
from zanari_api.worker import create_worker
from zanari_api.zeroes import TRANSFER_KINDS

PACKAGE: Final = Path(str(zanari_api.__file__)).parent

COUNTED_BY_BOTH: Final = (
    ("zanari_payouts_total", {"state": "unknown"}),
    ("zanari_collections_total", {"state": "failed"}),
    ("zanari_intents_total", {"purpose": "collection", "state": "failed"}),
    ("zanari_callbacks_total", {"kind": "b2c_result", "outcome": "quarantined"}),
    ("zanari_callbacks_source_refused_total", {"flow": "b2c", "mode": "enforced"}),
    ("zanari_ledger_posts_total", {"kind": "deposit", "outcome": "unknown_account"}),
    ("zanari_daraja_calls_total", {"operation": "stk_push", "outcome": "unavailable"}),
    ("zanari_daraja_breaker_open", {"operation_group": "money_out"}),
    ("zanari_daraja_call_seconds_count", {"operation": "b2c"}),
    ("zanari_spends_total", {"outcome": "saved", "reason": "none"}),
)


def built(settings: Settings, auth: Auth, process: str) -> FastAPI:
    make = {"api": create_app, "worker": create_worker}[process]
    return make(settings, stead=Stead("http://issuer.test", auth.auth_url))


def exposed(app: FastAPI, name: str, **labels: str) -> float | None:
    value: float | None = app.state.runtime.metrics.registry.get_sample_value(name, labels)
    return value


@pytest.fixture(params=["api", "worker"])
def process(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.mark.parametrize(("name", "labels"), COUNTED_BY_BOTH, ids=[name for name, _labels in COUNTED_BY_BOTH])
def test_a_fresh_process_exposes_at_zero_what_it_may_count(
    database: Database, auth: Auth, process: str, name: str, labels: dict[str, str]
) -> None:
    assert exposed(built(settings_for(database), auth, process), name, **labels) == 0


def test_a_fresh_api_exposes_the_answers_that_an_error_ratio_is_of(database: Database, auth: Auth) -> None:
    app = built(settings_for(database), auth, "api")
    route = {"method": "POST", "route": "/api/v1/mpesa/deposits"}
    for status_code in ("202", "500", "503"):
        assert exposed(app, "http_requests_total", **route, status_code=status_code) == 0
    quick = exposed(app, "http_request_duration_seconds_bucket", **route, status_code="202", le="0.5")
    assert quick == 0


def test_no_counter_of_a_fresh_process_has_counted_anything(
    database: Database, auth: Auth, process: str
) -> None:
    body, _type = built(settings_for(database), auth, process).state.runtime.metrics.expose()
    families = list(text_string_to_metric_families(body.decode()))
    ours = [each for each in families if not each.name.startswith("process_")]
    counted = [sample for each in ours if each.type == "counter" for sample in each.samples if sample.value]
    assert len(ours) > 20
    assert counted == []


def test_a_process_tells_what_it_is(database: Database, auth: Auth, process: str) -> None:
    app = built(settings_for(database, app_version="7.8.9"), auth, process)
    assert exposed(app, "zanari_build_info", version="7.8.9", process=process) == 1


def test_a_process_tells_when_its_certificate_and_its_password_expire(
    database: Database, auth: Auth, process: str
) -> None:
    password = ("zanari_key_expiry_timestamp_seconds", {"key": "mpesa_initiator_password"})
    set_on = date(2026, 11, 25)
    told = built(settings_for(database, mpesa_initiator_password_set_on=set_on), auth, process)
    untold = built(settings_for(database), auth, process)
    expiry = eat_day_start(set_on + timedelta(days=90)).timestamp()
    assert exposed(told, password[0], **password[1]) == expiry
    assert exposed(untold, password[0], **password[1]) == 0
    shown = exposed(told, "zanari_certificate_expiry_timestamp_seconds", certificate="mpesa")
    assert shown == expires_at(certificate_pem()).timestamp()


async def test_facts_of_the_database_are_told_by_workers_alone_and_not_by_a_scrape(
    database: Database, auth: Auth
) -> None:
    async def scrape(process: str) -> str:
        app = built(settings_for(database), auth, process)
        await app.state.runtime.database.open()
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://zanari.test") as client:
            text = (await client.get("/metrics")).text
        await app.state.runtime.database.close()
        return text

    api, worker = await scrape("api"), await scrape("worker")
    for text in (api, worker):
        assert "zanari_ledger_imbalance" not in text
        assert "zanari_jobs_due" not in text
    # The worker's own reading sets it; a scrape would hide that this has stopped.
    assert "zanari_facts_collected_timestamp_seconds 0.0" in worker
    assert "zanari_facts_collected_timestamp_seconds 0.0" not in api


def kinds_in(tree: ast.Module) -> set[str]:
    """Return the kinds of all transfers that a module makes; one that it cannot name is an error."""
    given = [
        keyword.value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Transfer"
        for keyword in call.keywords
        if keyword.arg == "kind"
    ]
    found: set[str] = set()
    for value in given:
        if isinstance(value, ast.Constant):
            found.add(str(value.value))
            continue
        assert isinstance(value, ast.Name), ast.dump(value)
        assigned = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            and ast.dump(node.targets[0]) == ast.dump(ast.Name(value.id, ast.Store()))
        ]
        assert assigned, f"nothing says what {value.id} is"
        for each in assigned:
            assert isinstance(each, ast.IfExp), ast.dump(each)
            found |= {str(side.value) for side in (each.body, each.orelse) if isinstance(side, ast.Constant)}
    return found


def test_every_kind_of_transfer_starts_at_zero() -> None:
    found: set[str] = set()
    for file in PACKAGE.rglob("*.py"):
        if "simulation" not in file.parts:
            found |= kinds_in(ast.parse(file.read_text(encoding="utf-8")))
    assert found == set(TRANSFER_KINDS)
