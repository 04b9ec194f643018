"""A route that is served directly: the same answers, counts and lines as by the framework's own way."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from tests.support.observed import Browse, Sample, Written
from zanari_api.kit.errors import Refusal
from zanari_api.runtime import problems
from zanari_api.runtime.direct import ServeDirectly, direct_routes
from zanari_api.runtime.metrics import Metrics
from zanari_api.runtime.middleware import BODY_MAX_BYTES, LimitBody, Observe

PATH = "/api/v1/spends"


class Strange(Refusal):
    """Nobody knows this."""

    code = "strange"
    status = 401


class Forged(Refusal):
    """This was not signed by anybody we know."""

    code = "forged"
    status = 401
    logged_by_budget = True


class Counter:
    """An endpoint that counts bytes, and the ways it was called."""

    def __init__(self) -> None:
        self.ways: list[str] = []

    async def count(self, request: Request) -> Response:
        # The framework leaves its own traces of a request that it has routed.
        self.ways.append("routed" if "path_params" in request.scope else "direct")
        match await request.body():
            case b"strange":
                raise Strange
            case b"forged":
                raise Forged
            case b"bug":
                raise RuntimeError("a mistake of ours")
            case body:
                return PlainTextResponse(f"{len(body)}")


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture(params=[True, False], ids=["direct", "routed"])
def app(request: pytest.FixtureRequest, metrics: Metrics, counter: Counter) -> FastAPI:
    app = FastAPI()
    router = APIRouter(prefix="/api/v1")
    router.post("/spends")(counter.count)
    router.get("/spends/{name}")(counter.count)
    app.include_router(router)
    problems.install(app, metrics=metrics)
    if request.param:
        app.add_middleware(ServeDirectly, routes=direct_routes(app, counter.count), metrics=metrics)
    app.add_middleware(LimitBody, metrics=metrics)
    app.add_middleware(Observe, metrics=metrics)
    return app


@pytest.fixture
async def client(app: FastAPI, browse: Browse) -> AsyncIterator[httpx.AsyncClient]:
    async with browse(app) as client:
        yield client


async def test_only_its_own_method_and_path_go_directly(
    client: httpx.AsyncClient, counter: Counter, request: pytest.FixtureRequest
) -> None:
    assert (await client.post(PATH, content=b"abc")).text == "3"
    assert (await client.get(f"{PATH}/mine")).text == "0"
    assert counter.ways == ["direct" if "[direct]" in request.node.name else "routed", "routed"]


async def test_both_ways_count_and_log_it_by_its_template(
    client: httpx.AsyncClient, sample: Sample, written: Written
) -> None:
    response = await client.post(f"{PATH}?q=1", content=b"abc", headers={"X-Request-ID": "mine"})
    assert response.headers["x-request-id"] == "mine"
    assert sample("http_requests_total", method="POST", route=PATH, status_code="200") == 1
    [line] = written.events("request_handled")
    assert (line["route"], line["status_code"], line["request_id"]) == (PATH, 200, "mine")


async def test_both_ways_answer_a_refusal_with_its_problem(
    client: httpx.AsyncClient, metrics: Metrics, written: Written
) -> None:
    response = await client.post(PATH, content=b"strange")
    assert (response.status_code, response.json()["code"]) == (401, "strange")
    assert response.headers["content-type"] == "application/problem+json"
    assert metrics.registry.get_sample_value("zanari_refusals_total", {"code": "strange"}) == 1
    assert [line["code"] for line in written.events("request_refused")] == ["strange"]


async def test_both_ways_keep_a_strangers_refusals_out_of_the_access_log(
    client: httpx.AsyncClient, written: Written
) -> None:
    assert (await client.post(PATH, content=b"forged")).status_code == 401
    assert written.events("request_refused") == []
    assert [line["level"] for line in written.events("request_handled")] == ["debug"]


async def test_both_ways_answer_a_bug_with_a_500(client: httpx.AsyncClient, written: Written) -> None:
    response = await client.post(PATH, content=b"bug")
    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
    assert [line["route"] for line in written.events("request_failed")] == [PATH]


async def test_both_ways_refuse_too_large_a_body_and_another_method(
    client: httpx.AsyncClient, counter: Counter
) -> None:
    assert (await client.post(PATH, content=b"x" * (BODY_MAX_BYTES + 1))).status_code == 413
    wrong = await client.put(PATH, content=b"abc")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert counter.ways == []


def test_an_endpoint_that_no_plain_path_leads_to_is_a_mistake(counter: Counter) -> None:
    app = FastAPI()
    app.get("/spends/{name}")(counter.count)
    with pytest.raises(LookupError):
        direct_routes(app, counter.count)
