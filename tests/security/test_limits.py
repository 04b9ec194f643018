"""Limits and edges of the whole service: rates, origins, ids, paths and methods nobody serves."""

from pydantic import SecretStr

from tests.support.app import Api, Serve
from tests.support.savers import Saver, code_of


async def test_a_saver_over_the_limit_is_told_when_to_come_back(serve: Serve) -> None:
    async with serve(rate_limit_saver=3) as other:
        saver = await other.new_saver()
        responses = [await saver.get("/users/me") for _ in range(4)]
        assert code_of(responses[-1]) == (429, "rate_limited")
        assert int(responses[-1].headers["retry-after"]) >= 1
        assert responses[0].headers["ratelimit-limit"] == "3"
        assert responses[-1].headers["ratelimit-remaining"] == "0"


async def test_an_address_over_the_limit_is_refused_before_its_token_is_read(serve: Serve) -> None:
    async with serve(rate_limit_address=2) as other:
        statuses = [(await other.client.get("/api/v1/goals")).status_code for _ in range(3)]
        assert statuses == [401, 401, 429]
        assert (await other.client.get("/health")).status_code == 200


async def test_only_configured_origins_may_read(serve: Serve) -> None:
    async with serve(cors_origins=("https://app.zanari.test",)) as other:
        allowed = await other.client.get("/health", headers={"Origin": "https://app.zanari.test"})
        foreign = await other.client.get("/health", headers={"Origin": "https://evil.test"})
        assert allowed.headers["access-control-allow-origin"] == "https://app.zanari.test"
        assert "access-control-allow-origin" not in foreign.headers


async def test_a_request_id_goes_round_and_a_strange_one_is_replaced(api: Api) -> None:
    kept = await api.client.get("/health", headers={"X-Request-ID": "trace-1.2_3"})
    assert kept.headers["x-request-id"] == "trace-1.2_3"
    replaced = await api.client.get("/health", headers={"X-Request-ID": "a b\tc"})
    assert len(replaced.headers["x-request-id"]) == 36


async def test_unknown_paths_and_methods_are_problems(api: Api, saver: Saver) -> None:
    assert code_of(await saver.get("/nothing"))[0] == 404
    assert code_of(await saver.post("/users/me", {}))[0] == 405


async def test_a_disabled_feature_says_so(serve: Serve) -> None:
    async with serve(feature_goals_enabled=False) as other:
        saver = await other.new_saver()
        assert code_of(await saver.get("/goals")) == (403, "feature_disabled")
        assert (await saver.get("/users/me/wallet")).status_code == 200


async def test_metrics_ask_for_their_token_where_one_is_set(serve: Serve) -> None:
    async with serve(metrics_token=SecretStr("for prometheus")) as other:
        assert (await other.client.get("/metrics")).status_code == 401
        read = await other.client.get("/metrics", headers={"Authorization": "Bearer for prometheus"})
        assert "http_requests_total" in read.text


async def test_a_database_that_may_lose_commits_is_not_ready(api: Api) -> None:
    # The tests' server runs without fsync, which is just what readiness must refuse.
    response = await api.client.get("/health/ready")
    assert code_of(response) == (503, "not_ready")
    assert (await api.client.get("/health")).json()["status"] == "healthy"
