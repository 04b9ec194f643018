"""Middleware: ids, limits, counts and access lines, and an answer for whatever goes wrong."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.types import Message

from tests.support.observed import Browse, Sample, Written
from zanari_api.kit.errors import Refusal
from zanari_api.kit.ids import new_id
from zanari_api.runtime import problems
from zanari_api.runtime.metrics import Metrics
from zanari_api.runtime.middleware import BODY_MAX_BYTES, LimitBody, Observe, known_routes

PHONE = "254712345678"


class Forged(Refusal):
    """This was not signed by anybody we know."""

    code = "forged"
    status = 401
    logged_by_budget = True


@pytest.fixture
def app(metrics: Metrics) -> FastAPI:
    app = FastAPI()
    problems.install(app, metrics=metrics)
    app.add_middleware(LimitBody, metrics=metrics)
    app.add_middleware(CORSMiddleware, allow_origins=["https://app.test"], allow_methods=["POST"])
    app.add_middleware(Observe, metrics=metrics)
    goals = APIRouter(prefix="/goals")

    @goals.get("/{goal_id}")
    async def goal(goal_id: str, request: Request) -> dict:
        request.state.saver_id = SAVER
        return {"goal_id": goal_id}

    api = APIRouter(prefix="/api/v1")
    api.include_router(goals)
    app.include_router(api)

    @app.get("/health")
    async def health() -> dict:
        return {}

    @app.get("/health/ready")
    async def ready() -> None:
        raise problems.RouteNotFound

    @app.post("/echo")
    async def echo(request: Request) -> int:
        return len(await request.body())

    @app.get("/broken/{phone}")
    async def broken(phone: str) -> None:
        raise RuntimeError(f"no such phone {phone}")

    @app.get("/forged")
    async def forged() -> None:
        raise Forged

    @app.get("/breaks")
    async def breaks() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"half"
            raise RuntimeError("the other half")

        return StreamingResponse(chunks())

    app.mount("/inner", Starlette(routes=[Route("/{what}", lambda _request: PlainTextResponse("in"))]))
    return app


SAVER = new_id()


@pytest.fixture
async def client(app: FastAPI, browse: Browse) -> AsyncIterator[httpx.AsyncClient]:
    async with browse(app) as client:
        yield client


async def test_a_request_without_an_id_is_given_one(client: httpx.AsyncClient) -> None:
    first, second = await client.get("/health"), await client.get("/health")
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


async def test_a_callers_request_id_is_used_and_returned(client: httpx.AsyncClient, written: Written) -> None:
    response = await client.get("/api/v1/goals/1", headers={"X-Request-ID": "app_1.2-3"})
    assert response.headers["x-request-id"] == "app_1.2-3"
    assert written.events("request_handled")[0]["request_id"] == "app_1.2-3"


@pytest.mark.parametrize("bad", ["", "a b", "x" * 129, "né".encode(), 'q"q', "a\tb"])
async def test_an_unfit_request_id_is_replaced(client: httpx.AsyncClient, bad: str | bytes) -> None:
    response = await client.get("/health", headers={"X-Request-ID": bad})
    returned = response.headers["x-request-id"]
    assert len(returned) == 36
    assert len(response.headers.get_list("x-request-id")) == 1


async def test_the_access_line_has_the_route_template_and_never_the_path(
    client: httpx.AsyncClient, written: Written
) -> None:
    await client.get(f"/api/v1/goals/{PHONE}?q={PHONE}")
    [line] = written.events("request_handled")
    assert line["route"] == "/api/v1/goals/{goal_id}"
    assert line["method"] == "GET"
    assert line["status_code"] == 200
    assert line["duration_ms"] >= 0
    assert line["saver_id"] == str(SAVER)
    assert PHONE not in written.text


async def test_requests_are_counted_and_timed_by_template(client: httpx.AsyncClient, sample: Sample) -> None:
    await client.get("/api/v1/goals/1")
    await client.get("/api/v1/goals/2")
    labels = {"method": "GET", "route": "/api/v1/goals/{goal_id}", "status_code": "200"}
    assert sample("http_requests_total", **labels) == 2
    assert sample("http_request_duration_seconds_count", **labels) == 2


@pytest.mark.parametrize(("method", "path", "route", "status"), [
    ("GET", f"/nowhere/{PHONE}", "unmatched", "404"),
    ("GET", f"/api/v1/goals/{PHONE}/more", "unmatched", "404"),
    ("DELETE", "/api/v1/goals/1", "/api/v1/goals/{goal_id}", "405"),
    ("GET", "/docs", "/docs", "200"),
    ("GET", "/openapi.json", "/openapi.json", "200"),
    ("GET", f"/inner/{PHONE}/deeper", "unmatched", "404"),
])  # fmt: skip
async def test_every_path_has_a_label_from_a_short_list(
    client: httpx.AsyncClient, sample: Sample, method: str, path: str, route: str, status: str
) -> None:
    await client.request(method, path)
    assert sample("http_requests_total", method=method, route=route, status_code=status) == 1


async def test_a_route_inside_a_mounted_application_never_shows_its_values(
    client: httpx.AsyncClient, written: Written, metrics: Metrics
) -> None:
    await client.get(f"/inner/{PHONE}")
    assert PHONE not in written.text
    assert PHONE.encode() not in metrics.expose()[0]


async def test_a_made_up_method_makes_no_series_of_its_own(client: httpx.AsyncClient, sample: Sample) -> None:
    await client.request("BREW", "/nowhere")
    assert sample("http_requests_total", method="other", route="unmatched", status_code="404") == 1


async def test_a_preflight_is_answered_and_counted(client: httpx.AsyncClient, sample: Sample) -> None:
    response = await client.options(
        "/echo", headers={"Origin": "https://app.test", "Access-Control-Request-Method": "POST"}
    )
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "https://app.test"
    assert sample("http_requests_total", method="OPTIONS", route="unmatched", status_code="200") == 1


async def test_probes_are_quiet_while_all_is_well(client: httpx.AsyncClient, written: Written) -> None:
    await client.get("/health")
    await client.get("/health/ready")
    levels = {line["route"]: line["level"] for line in written.events("request_handled")}
    assert levels == {"/health": "debug", "/health/ready": "info"}


def test_the_routes_are_known_by_the_templates_they_are_counted_under(app: FastAPI) -> None:
    assert {("GET", "/api/v1/goals/{goal_id}"), ("POST", "/echo"), ("GET", "/docs")} <= set(known_routes(app))


async def test_what_strangers_cause_at_will_writes_no_line_of_its_own(
    client: httpx.AsyncClient, written: Written, sample: Sample
) -> None:
    response = await client.get("/forged")
    assert response.status_code == 401
    assert {line["level"] for line in written.lines} == {"debug"}
    assert sample("zanari_refusals_total", code="forged") == 1


async def test_a_bug_is_a_500_problem_that_tells_the_caller_nothing(
    client: httpx.AsyncClient, written: Written, sample: Sample
) -> None:
    response = await client.get(f"/broken/{PHONE}")
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "internal_error"
    assert response.json()["request_id"] == response.headers["x-request-id"]
    assert sample("http_requests_total", method="GET", route="/broken/{phone}", status_code="500") == 1
    [line] = written.events("request_failed")
    assert line["level"] == "error"
    assert line["exception"]["type"] == "builtins.RuntimeError"
    assert PHONE not in response.text + written.text


async def test_a_bug_after_the_answer_began_is_recorded_as_a_500(
    app: FastAPI, client: httpx.AsyncClient, written: Written, sample: Sample
) -> None:
    with pytest.raises(AssertionError):  # the transport's: the answer never came to its end
        await client.get("/breaks")
    assert sample("http_requests_total", method="GET", route="/breaks", status_code="500") == 1
    assert len(written.events("request_failed")) == 1


async def test_what_one_request_bound_is_not_seen_by_the_next(
    client: httpx.AsyncClient, written: Written
) -> None:
    await client.get("/api/v1/goals/1")
    await client.get("/nowhere")
    first, second = written.events("request_handled")
    assert first["request_id"] != second["request_id"]
    assert "saver_id" not in second


@pytest.mark.parametrize(("size", "status"), [(0, 200), (BODY_MAX_BYTES, 200), (BODY_MAX_BYTES + 1, 413)])
async def test_bodies_are_accepted_up_to_the_limit(client: httpx.AsyncClient, size: int, status: int) -> None:
    response = await client.post("/echo", content=b"x" * size)
    assert response.status_code == status
    if status == 200:
        assert response.json() == size
    else:
        assert response.json()["code"] == "body_too_large"
        assert response.json()["request_id"] == response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("declared", "status"), [(None, 413), (b"10", 413), (b"-1", 413), (b"9" * 5000, 413)]
)
async def test_a_declared_length_is_not_believed(app: FastAPI, declared: bytes | None, status: int) -> None:
    answered, _ = await exchange(app, [b"x" * 40_000] * 2, declared=declared)
    assert answered == status


async def test_a_declared_length_over_the_limit_is_refused_before_a_byte_is_read(app: FastAPI) -> None:
    answered, read = await exchange(app, [b"x"], declared=str(BODY_MAX_BYTES + 1).encode())
    assert (answered, read) == (413, 0)


async def test_an_endless_body_is_cut_off_at_the_limit(app: FastAPI) -> None:
    answered, read = await exchange(app, [b"x" * 1000] * 10_000, declared=None)
    assert answered == 413
    assert read == 66


async def test_a_caller_who_hangs_up_is_recorded_and_is_no_bug(
    app: FastAPI, written: Written, sample: Sample
) -> None:
    answered, _ = await exchange(app, [b"x"], declared=None, hang_up=True)
    assert answered is None
    assert sample("http_requests_total", method="POST", route="unmatched", status_code="499") == 1
    assert written.events("request_failed") == []


async def exchange(
    app: FastAPI, chunks: list[bytes], *, declared: bytes | None, hang_up: bool = False
) -> tuple[int | None, int]:
    """Speak ASGI to `app` by hand; return the status it answered and how many messages it read."""
    read = 0
    status = None

    async def receive() -> Message:
        nonlocal read
        await asyncio.sleep(0)
        if hang_up and read == len(chunks):
            return {"type": "http.disconnect"}
        read += 1
        more = hang_up or read < len(chunks)
        return {"type": "http.request", "body": chunks[read - 1], "more_body": more}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]

    headers = [] if declared is None else [(b"content-length", declared)]
    scope = {
        "type": "http", "method": "POST", "path": "/echo", "raw_path": b"/echo", "query_string": b"",
        "headers": headers, "http_version": "1.1", "scheme": "http", "server": ("zanari.test", 80),
        "client": ("198.51.100.7", 1), "asgi": {"version": "3.0"},
    }  # fmt: skip
    await app(scope, receive, send)
    return status, read
