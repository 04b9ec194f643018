"""Rate limits: who is over is told when to come back; losing the counters costs nobody a request."""

import asyncio
import shutil
import socket
import time
from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI, Request

from tests.support.observed import Browse, Sample, Written
from zanari_api.kit.ids import new_id
from zanari_api.runtime import problems
from zanari_api.runtime.client_address import ClientAddresses
from zanari_api.runtime.log_budget import LogBudget
from zanari_api.runtime.metrics import Metrics
from zanari_api.runtime.middleware import Observe
from zanari_api.runtime.rate_limit import LimitAddress, RateLimiter
from zanari_api.runtime.rate_limit_memory import MemoryCounters

ONE, OTHER = new_id(), new_id()


def serve(limiter: RateLimiter, metrics: Metrics) -> FastAPI:
    """Make an application whose callers say which saver they are."""
    app = FastAPI()
    problems.install(app, metrics=metrics)
    app.add_middleware(
        LimitAddress, limiter=limiter, addresses=ClientAddresses(["198.51.100.7/32"]), metrics=metrics
    )
    app.add_middleware(Observe, metrics=metrics)

    @app.api_route("/{path:path}", methods=["GET", "PUT", "POST"])
    async def anything(request: Request, saver: UUID | None = None) -> str:
        if saver is not None:
            await limiter.check_saver(request, saver)
        return "served"

    return app


@pytest.fixture
async def client(metrics: Metrics, browse: Browse) -> AsyncIterator[httpx.AsyncClient]:
    limiter = RateLimiter(metrics=metrics, saver_per_minute=5, address_per_minute=8, pin_per_minute=2)
    async with browse(serve(limiter, metrics)) as client:
        yield client


async def statuses(client: httpx.AsyncClient, url: str, count: int, **options: object) -> list[int]:
    return [(await client.get(url, **options)).status_code for _ in range(count)]


async def test_an_address_is_served_up_to_its_limit_and_then_told_when_to_come_back(
    client: httpx.AsyncClient, sample: Sample
) -> None:
    assert await statuses(client, "/api/v1/goals", 9) == [200] * 8 + [429]
    refused = await client.get("/api/v1/goals")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "rate_limited"
    assert refused.json()["request_id"] == refused.headers["x-request-id"]
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["ratelimit-remaining"] == "0"
    assert sample("zanari_rate_limited_total", limit="address") == 2
    assert sample("zanari_refusals_total", code="rate_limited") == 2


async def test_a_served_request_says_what_is_left(client: httpx.AsyncClient) -> None:
    first, second = [await client.get("/api/v1/goals") for _ in range(2)]
    assert first.headers["ratelimit-limit"] == "8"
    assert [first.headers["ratelimit-remaining"], second.headers["ratelimit-remaining"]] == ["7", "6"]
    assert 1 <= int(first.headers["ratelimit-reset"]) <= 60


async def test_addresses_are_counted_apart_behind_a_trusted_proxy(client: httpx.AsyncClient) -> None:
    assert 429 in await statuses(client, "/api/v1/goals", 9, headers={"X-Forwarded-For": "203.0.113.1"})
    assert await statuses(client, "/api/v1/goals", 1, headers={"X-Forwarded-For": "203.0.113.2"}) == [200]


async def test_a_forged_hop_does_not_escape_the_limit(client: httpx.AsyncClient) -> None:
    served = [
        (
            await client.get("/api/v1/goals", headers={"X-Forwarded-For": f"192.0.2.{n}, 203.0.113.1"})
        ).status_code
        for n in range(9)
    ]
    assert served == [200] * 8 + [429]


async def test_savers_are_counted_apart_and_their_numbers_are_the_ones_told(
    client: httpx.AsyncClient, sample: Sample
) -> None:
    assert await statuses(client, f"/api/v1/goals?saver={ONE}", 6) == [200] * 5 + [429]
    response = await client.get(f"/api/v1/goals?saver={OTHER}")
    assert response.status_code == 200
    assert response.headers["ratelimit-limit"] == "5"
    assert response.headers["ratelimit-remaining"] == "4"
    assert sample("zanari_rate_limited_total", limit="saver") == 1


async def test_trying_pins_is_limited_more_strictly(client: httpx.AsyncClient, sample: Sample) -> None:
    url = f"/api/v1/users/me/pin/verifications?saver={ONE}"
    assert await statuses(client, url, 3) == [200, 200, 429]
    assert await statuses(client, f"/api/v1/users/me?saver={ONE}", 1) == [200]
    assert await statuses(client, f"/api/v1/users/me/pin?saver={OTHER}", 1) == [200]
    assert sample("zanari_rate_limited_total", limit="pin") == 1


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/mpesa/webhooks/roundup",
        "/callbacks/4f0c9d/c2b/confirmation",
        "/health",
        "/health/ready",
        "/metrics",
        "/docs2",
    ],
)
async def test_what_proves_itself_otherwise_is_never_limited(client: httpx.AsyncClient, path: str) -> None:
    answers = [await client.post(path) for _ in range(20)]
    assert {answer.status_code for answer in answers} == {200}
    assert "ratelimit-limit" not in answers[0].headers


async def test_a_limit_ends_with_its_window() -> None:
    counters = MemoryCounters()
    assert [await counters.incr("a", 1) for _ in range(3)] == [1, 2, 3]
    assert await counters.get("a") == 3
    assert 0 < await counters.get_expiry("a") - time.time() <= 1
    await asyncio.sleep(1.01)
    assert await counters.get("a") == 0
    assert await counters.incr("a", 1) == 1


async def test_counters_that_ended_are_swept_away() -> None:
    counters = MemoryCounters()
    for number in range(100):
        await counters.incr(f"old:{number}", 0)
    await counters.incr("live", 60)
    counters._sweep_at = 0.0
    await counters.incr("live", 60)
    assert set(counters._windows) == {"live"}


async def test_counters_can_be_cleared() -> None:
    counters = MemoryCounters()
    await counters.incr("a", 60)
    await counters.incr("b", 60)
    await counters.clear("a")
    assert (await counters.get("a"), await counters.get("b")) == (0, 1)
    assert await counters.reset() == 1
    assert await counters.check()
    assert await counters.get_expiry("a") <= time.time()


# --- Redis ---


@pytest.fixture(scope="module")
async def redis_url() -> AsyncIterator[str]:
    """A Redis of the tests' own, where one is installed."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("NOT RUN: no redis-server on the PATH")
    port = free_port()
    server = await asyncio.create_subprocess_exec(
        program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await listening(port)
        yield f"redis://127.0.0.1:{port}"
    finally:
        server.terminate()
        await server.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def listening(port: int) -> None:
    for _ in range(100):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            await writer.wait_closed()
            return
    pytest.fail("the server did not start")


async def test_two_replicas_share_their_counters_in_redis(
    redis_url: str, metrics: Metrics, browse: Browse
) -> None:
    saver = new_id()
    replicas = [RateLimiter(metrics=metrics, redis_url=redis_url, saver_per_minute=4) for _ in range(2)]
    served = []
    for turn in range(6):
        async with browse(serve(replicas[turn % 2], metrics)) as client:
            served.append(await client.get(f"/api/v1/goals?saver={saver}"))
    assert [response.status_code for response in served] == [200] * 4 + [429] * 2
    assert 1 <= int(served[-1].headers["retry-after"]) <= 60
    for replica in replicas:
        await replica.close()


async def test_a_counter_that_lost_its_end_does_not_limit_for_ever(
    redis_url: str, metrics: Metrics, browse: Browse
) -> None:
    saver = new_id()
    limiter = RateLimiter(metrics=metrics, redis_url=redis_url, saver_per_minute=2)
    key = limiter._limits["saver"].key_for("saver", str(saver))
    # What a process leaves that dies between counting and setting the expiry.
    await limiter._counters.bridge.storage.incrby(limiter._counters.bridge.prefixed_key(key), 100)
    async with browse(serve(limiter, metrics)) as client:
        assert await statuses(client, f"/api/v1/goals?saver={saver}", 3) == [200, 200, 200]
    await limiter.close()


async def test_without_redis_requests_pass_counted_and_the_log_is_not_flooded(
    metrics: Metrics, browse: Browse, sample: Sample, written: Written
) -> None:
    limiter = RateLimiter(metrics=metrics, redis_url=f"redis://127.0.0.1:{free_port()}", address_per_minute=1)
    async with browse(serve(limiter, metrics)) as client:
        assert await statuses(client, "/api/v1/goals", 20) == [200] * 20
    assert sample("zanari_rate_limit_store_failures_total") == 20
    [line] = written.events("rate_limit_store_failed")
    assert line["level"] == "warning"
    await limiter.close()


async def test_a_redis_that_hangs_delays_one_request_and_not_each(
    metrics: Metrics, browse: Browse, sample: Sample
) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    limiter = RateLimiter(metrics=metrics, redis_url=f"redis://127.0.0.1:{port}")
    started = time.monotonic()
    async with browse(serve(limiter, metrics)) as client:
        assert await statuses(client, "/api/v1/goals", 20) == [200] * 20
    assert time.monotonic() - started < 1.5
    assert sample("zanari_rate_limit_store_failures_total") == 20
    await limiter.close()
    server.close()


# --- the log's budget ---


async def test_a_budget_bounds_the_lines_and_says_once_how_many_it_kept_back(written: Written) -> None:
    budget = LogBudget("signature_refused", per_window=3, window_s=0.1)
    for number in range(50):
        budget.warning(number=number)
    assert [line["number"] for line in written.events("signature_refused")] == [0, 1, 2]
    assert written.events("log_lines_suppressed") == []
    await asyncio.sleep(0.15)
    [line] = written.events("log_lines_suppressed")
    assert (line["of"], line["suppressed"]) == ("signature_refused", 47)
    budget.warning(number=50)
    assert len(written.events("signature_refused")) == 4
    await asyncio.sleep(0.15)
    assert len(written.events("log_lines_suppressed")) == 1
