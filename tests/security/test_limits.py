"""What holds for every request: rate limits, CORS, request ids, sizes, and problems where there is no route."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr

from tests.security.routes import savers_routes
from tests.support.app import Api, Serve
from tests.support.observed import logging_as_the_service_does
from tests.support.postgres import Database
from tests.support.savers import Saver, code_of
from zanari_api.runtime.middleware import BODY_MAX_BYTES

APP = "https://app.zanari.test"


def as_saver(saver: Saver) -> dict[str, str]:
    return {"Authorization": f"Bearer {saver.token}"}


# Rate limits


async def test_a_saver_over_the_limit_is_told_when_to_come_back(serve: Serve, saver: Saver) -> None:
    async with serve(rate_limit_saver=3) as limited:
        answers = [
            await limited.client.get("/api/v1/users/me/wallet", headers=as_saver(saver)) for _ in range(5)
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0", "0"]
        assert {answer.headers["ratelimit-limit"] for answer in answers} == {"3"}
        refused = answers[-1]
        assert code_of(refused) == (429, "rate_limited")
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert 0 < int(refused.headers["ratelimit-reset"]) <= 60
        other = await saver.api.new_saver()
        assert (await limited.client.get("/api/v1/goals", headers=as_saver(other))).status_code == 200


async def test_a_saver_is_limited_over_all_routes_together(serve: Serve, saver: Saver) -> None:
    async with serve(rate_limit_saver=2) as limited:
        paths = ("/api/v1/goals", "/api/v1/transactions", "/api/v1/users/me")
        answers = [await limited.client.get(path, headers=as_saver(saver)) for path in paths]
        assert [answer.status_code for answer in answers] == [200, 200, 429]


async def test_an_address_over_the_limit_is_refused_whoever_asks(serve: Serve, saver: Saver) -> None:
    async with serve(rate_limit_address=2) as limited:
        await limited.client.get("/api/v1/goals")
        await limited.client.get("/api/v1/nothing/here")
        refused = await limited.client.get("/api/v1/goals", headers=as_saver(saver))
        assert code_of(refused) == (429, "rate_limited")
        assert refused.headers["x-request-id"]
        for free in ("/health", "/metrics", "/openapi.json"):
            assert (await limited.client.get(free)).status_code == 200
        transport = httpx.ASGITransport(limited.app, client=("198.51.100.8", 40000))
        async with httpx.AsyncClient(transport=transport, base_url="http://zanari.test") as elsewhere:
            assert (await elsewhere.get("/api/v1/goals", headers=as_saver(saver))).status_code == 200


async def test_only_a_known_proxy_may_say_for_whom_it_asks(serve: Serve) -> None:
    async def statuses(limited: Api) -> list[int]:
        return [
            (
                await limited.client.get("/api/v1/goals", headers={"X-Forwarded-For": f"203.0.113.{n}"})
            ).status_code
            for n in range(4)
        ]

    async with serve(rate_limit_address=2) as limited:
        assert await statuses(limited) == [401, 401, 429, 429]
    async with serve(rate_limit_address=2, trusted_proxies=("198.51.100.0/24",)) as limited:
        assert await statuses(limited) == [401, 401, 401, 401]


async def test_what_is_refused_by_a_limit_is_counted_by_limit(serve: Serve, saver: Saver) -> None:
    async with serve(rate_limit_saver=1) as limited:
        for _ in range(3):
            await limited.client.get("/api/v1/goals", headers=as_saver(saver))
        registry = limited.runtime.metrics.registry
        assert registry.get_sample_value("zanari_rate_limited_total", {"limit": "saver"}) == 2
        assert registry.get_sample_value("zanari_refusals_total", {"code": "rate_limited"}) == 2


# CORS


async def preflight(api: Api, origin: str) -> httpx.Response:
    return await api.client.options(
        "/api/v1/goals",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, idempotency-key, content-type",
        },
    )


async def test_a_browser_is_let_in_from_the_configured_origins_only(serve: Serve, saver: Saver) -> None:
    async with serve(cors_origins=(APP,)) as open_to_app:
        allowed = await preflight(open_to_app, APP)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == APP
        assert "POST" in allowed.headers["access-control-allow-methods"]
        assert "Idempotency-Key" in allowed.headers["access-control-allow-headers"]
        stranger = await preflight(open_to_app, "https://elsewhere.test")
        assert "access-control-allow-origin" not in stranger.headers
        answer = await open_to_app.client.get("/api/v1/goals", headers=as_saver(saver) | {"Origin": APP})
        assert answer.headers["access-control-allow-origin"] == APP
        assert "access-control-allow-credentials" not in answer.headers
        exposed = answer.headers["access-control-expose-headers"]
        for header in ("X-Request-ID", "Retry-After", "Idempotent-Replayed", "RateLimit-Remaining"):
            assert header.lower() in exposed.lower()


async def test_a_browser_can_read_refusals_too(serve: Serve) -> None:
    async with serve(cors_origins=(APP,), rate_limit_address=1) as open_to_app:
        for code in (401, 429):
            refused = await open_to_app.client.get("/api/v1/goals", headers={"Origin": APP})
            assert refused.status_code == code
            assert refused.headers["access-control-allow-origin"] == APP


async def test_without_configured_origins_no_browser_is_let_in(api: Api) -> None:
    assert code_of(await preflight(api, APP)) == (405, "method_not_allowed")
    assert (
        "access-control-allow-origin"
        not in (await api.client.get("/health", headers={"Origin": APP})).headers
    )


# Request ids


async def test_a_callers_request_id_is_used_and_given_back(api: Api) -> None:
    with logging_as_the_service_does() as log:
        answer = await api.client.get("/api/v1/goals", headers={"X-Request-ID": "app-7f.3_a"})
    assert answer.headers["x-request-id"] == "app-7f.3_a"
    assert answer.json()["request_id"] == "app-7f.3_a"
    assert {line["request_id"] for line in log.lines} == {"app-7f.3_a"}


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "<script>", 'a"b', None])
async def test_an_unusable_request_id_is_replaced(api: Api, given: str | None) -> None:
    headers = {} if given is None else {"X-Request-ID": given}
    first, second = [(await api.client.get("/health", headers=headers)).headers for _ in range(2)]
    assert re.fullmatch(r"[0-9a-f-]{36}", first["x-request-id"])
    assert first["x-request-id"] != second["x-request-id"]


# Where there is no route


@pytest.mark.parametrize(
    "path", ["/", "/api/v1", "/api/v1/nothing", "/callbacks", "/callbacks/x/y", "/..%2f.env"]
)
async def test_where_there_is_nothing_the_answer_is_a_problem(api: Api, path: str) -> None:
    answer = await api.client.get(path)
    assert code_of(answer) == (404, "not_found")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/health"),
        ("POST", "/api/v1/users/me"),
        ("GET", "/api/v1/mpesa/webhooks/roundup"),
        ("TRACE", "/api/v1/goals"),
        ("BREW", "/api/v1/goals"),
    ],
)
async def test_a_method_that_a_route_does_not_know_is_405_with_those_it_does(
    api: Api, method: str, path: str
) -> None:
    answer = await api.client.request(method, path)
    assert code_of(answer) == (405, "method_not_allowed")
    assert answer.headers["allow"]


async def test_unknown_paths_and_methods_make_no_new_series(serve: Serve) -> None:
    async with serve() as fresh:
        for n in range(5):
            await fresh.client.get(f"/made-up/{n}")
            await fresh.client.request(f"BREW{n}", "/health")
        series = (await fresh.client.get("/metrics")).text
    assert 'http_requests_total{method="GET",route="unmatched",status_code="404"} 5.0' in series
    assert "made-up" not in series
    assert "BREW" not in series


# Sizes


async def test_a_body_over_64_kib_is_413_on_any_route_before_anything_else(api: Api, saver: Saver) -> None:
    too_large = b'{"name": "' + b"x" * BODY_MAX_BYTES + b'"}'
    for headers in (as_saver(saver), {}):
        for path in ("/api/v1/goals", "/api/v1/nothing"):
            answer = await api.client.post(path, content=too_large, headers=headers)
            assert code_of(answer) == (413, "body_too_large")


async def test_a_body_that_lies_about_its_length_is_413_when_it_goes_on(api: Api, saver: Saver) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 10_000

    answer = await api.client.post(
        "/api/v1/goals", content=endless(), headers=as_saver(saver) | {"Content-Length": "10"}
    )
    assert code_of(answer) == (413, "body_too_large")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b"null", b'{"name": 1e999}'])
async def test_a_body_that_is_no_json_object_is_422(api: Api, saver: Saver, body: bytes) -> None:
    answer = await api.client.post(
        "/api/v1/goals", content=body, headers=as_saver(saver) | {"Content-Type": "application/json"}
    )
    assert code_of(answer) == (422, "validation_failed")


async def test_an_unknown_key_is_refused_by_its_name(api: Api, saver: Saver) -> None:
    answer = await saver.post("/goals", {"name": "Roof", "saved_cents": 1_000_000})
    assert code_of(answer) == (422, "validation_failed")
    assert [error["field"] for error in answer.json()["errors"]] == ["body.saved_cents"]
    assert len(await saver.goals()) == 1


# Switches and probes


async def test_a_disabled_feature_says_so_on_each_of_its_routes(serve: Serve, saver: Saver) -> None:
    async with serve(feature_goals_enabled=False) as off:
        for route in savers_routes(off.app):
            answer = await off.client.request(
                route.method, route.path(), headers=as_saver(saver) | {"Idempotency-Key": "one"}, json={}
            )
            is_goals = route.template.startswith("/api/v1/goals")
            assert (answer.status_code == 403) == is_goals, route
            assert not is_goals or code_of(answer) == (403, "feature_disabled")
        assert (await off.client.get("/api/v1/users/me/wallet", headers=as_saver(saver))).status_code == 200


async def test_a_database_that_may_lose_what_it_commits_is_not_ready(api: Api) -> None:
    answer = await api.client.get("/health/ready")
    assert code_of(answer) == (503, "not_ready")
    assert "fsync" in answer.json()["detail"]
    assert (await api.client.get("/health")).json()["status"] == "healthy"


# Metrics


async def test_metrics_ask_for_the_token_where_one_is_set(api: Api, serve: Serve) -> None:
    assert (await api.client.get("/metrics")).status_code == 200
    async with serve(metrics_token=SecretStr("a scraper's token")) as guarded:
        for authorization in ("", "Bearer", "Bearer wrong", "Basic a scraper's token", "Bearer \u00e9"):
            refused = await guarded.client.get("/metrics", headers={"Authorization": authorization.encode()})
            assert code_of(refused) == (401, "metrics_token_wrong")
        allowed = await guarded.client.get("/metrics", headers={"Authorization": "Bearer a scraper's token"})
        assert allowed.status_code == 200
        assert "http_requests_total" in allowed.text


@pytest.mark.parametrize("login", ["postgres", "supabase_admin"])
async def test_a_login_that_row_security_does_not_hold_is_not_ready(
    serve: Serve, database: Database, login: str
) -> None:
    dsn = database.migrator_dsn if login == "postgres" else database.superuser_dsn
    async with serve(database_url=SecretStr(dsn)) as other:
        response = await other.client.get("/health/ready")
        assert code_of(response) == (503, "not_ready")
        assert "zanari_service" in response.json()["detail"]
