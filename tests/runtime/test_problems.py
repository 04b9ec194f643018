"""Problems: what is refused is told in one form, counted, logged, documented, and repeats nothing."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, ClassVar
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Query
from pydantic import AfterValidator
from starlette.exceptions import HTTPException

from tests.support.observed import Browse, Sample, Written
from zanari_api.kit.errors import Refusal, Unavailable
from zanari_api.kit.schema import Cents, Schema, Text
from zanari_api.runtime import problems
from zanari_api.runtime.metrics import Metrics
from zanari_api.runtime.middleware import Observe
from zanari_api.runtime.problems import MEDIA_TYPE, refuses

SENT = "0712345678"


class GoalLocked(Refusal):
    """This goal is locked."""

    code = "goal_locked"


class GoalGone(Refusal):
    """This goal is no more."""

    code = "goal_gone"


class NeedsKey(Refusal):
    """Bring a key."""

    code = "needs_key"
    status = 401
    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": "Bearer"}


class BooksClosed(Unavailable):
    """The books are closed."""

    code = "books_closed"


def not_lucky(value: str) -> str:
    if value == "unlucky":
        raise ValueError("must bring luck")
    if value == "parrot":
        raise ValueError(f"{value} is what you sent")
    return value


class Body(Schema):
    amount_cents: Cents
    name: Annotated[Text, AfterValidator(not_lucky)] = "Shoes"
    goal_id: UUID | None = None


@pytest.fixture
def app(metrics: Metrics) -> FastAPI:
    app = FastAPI()
    problems.install(app, metrics=metrics)
    app.add_middleware(Observe, metrics=metrics)
    router = APIRouter(prefix="/goals")

    @router.post("/{goal_id}", responses=refuses(GoalLocked, GoalGone, NeedsKey, BooksClosed))
    async def save(goal_id: UUID, body: Body, limit: Annotated[int, Query(ge=1)] = 1) -> dict:
        return {"goal_id": str(goal_id), "name": body.name, "limit": limit}

    @router.get("/1/locked")
    async def locked() -> None:
        raise GoalLocked(goal_id="g1")

    @router.get("/key")
    async def key() -> None:
        raise NeedsKey

    @router.get("/closed")
    async def closed() -> None:
        raise BooksClosed(retry_after=7)

    @router.get("/http/{status}")
    async def http(status: int) -> None:
        raise HTTPException(status, "someone's words")

    app.include_router(router)
    return app


@pytest.fixture
async def client(app: FastAPI, browse: Browse) -> AsyncIterator[httpx.AsyncClient]:
    async with browse(app) as client:
        yield client


def is_problem(response: httpx.Response, *, status: int, code: str) -> dict:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == MEDIA_TYPE
    document = response.json()
    assert document["status"] == status
    assert document["code"] == code
    assert document["type"] == f"urn:zanari:problem:{code}"
    assert document["title"]
    assert document["detail"]
    assert document["request_id"] == response.headers["x-request-id"]
    return document


async def test_a_refusal_is_a_problem_document_with_its_docstring_as_detail(
    client: httpx.AsyncClient,
) -> None:
    document = is_problem(await client.get("/goals/1/locked"), status=409, code="goal_locked")
    assert document["detail"] == "This goal is locked."
    assert "errors" not in document


async def test_a_refusal_is_counted_by_code_and_logged_with_its_context(
    client: httpx.AsyncClient, written: Written, sample: Sample
) -> None:
    await client.get("/goals/1/locked")
    assert sample("zanari_refusals_total", code="goal_locked") == 1
    [line] = written.events("request_refused")
    assert line["level"] == "info"
    assert (line["code"], line["goal_id"], line["status_code"]) == ("goal_locked", "g1", 409)


async def test_unavailable_answers_503_with_retry_after_and_is_a_warning(
    client: httpx.AsyncClient, written: Written, sample: Sample
) -> None:
    response = await client.get("/goals/closed")
    is_problem(response, status=503, code="books_closed")
    assert response.headers["retry-after"] == "7"
    assert sample("zanari_unavailable_total", code="books_closed") == 1
    assert written.events("request_unavailable")[0]["level"] == "warning"


async def test_a_problem_may_carry_headers_of_its_own(client: httpx.AsyncClient) -> None:
    response = await client.get("/goals/key")
    is_problem(response, status=401, code="needs_key")
    assert response.headers["www-authenticate"] == "Bearer"


async def test_an_unknown_path_is_not_found(client: httpx.AsyncClient) -> None:
    is_problem(await client.get("/nowhere"), status=404, code="not_found")


async def test_a_wrong_method_is_refused_and_names_the_right_one(client: httpx.AsyncClient) -> None:
    response = await client.delete("/goals/1/locked")
    is_problem(response, status=405, code="method_not_allowed")
    assert response.headers["allow"] == "GET"


@pytest.mark.parametrize(("raised", "status", "code"), [
    (400, 400, "malformed_request"), (413, 413, "body_too_large"), (418, 400, "malformed_request"),
])  # fmt: skip
async def test_the_frameworks_refusals_are_problems_without_its_words(
    client: httpx.AsyncClient, raised: int, status: int, code: str
) -> None:
    document = is_problem(await client.get(f"/goals/http/{raised}"), status=status, code=code)
    assert "someone" not in document["detail"]


async def test_a_5xx_of_the_framework_is_a_bug(client: httpx.AsyncClient) -> None:
    is_problem(await client.get("/goals/http/500"), status=500, code="internal_error")


GOAL = "/goals/0190f3a2-0000-7000-8000-000000000001"


@pytest.mark.parametrize(("body", "field", "code"), [
    ({}, "body.amount_cents", "missing"),
    ({"amount_cents": "12"}, "body.amount_cents", "int_type"),
    ({"amount_cents": 0}, "body.amount_cents", "greater_than"),
    ({"amount_cents": 1, "surprise": SENT}, "body.surprise", "extra_forbidden"),
    ({"amount_cents": 1, "name": ""}, "body.name", "string_too_short"),
    ({"amount_cents": 1, "name": "unlucky"}, "body.name", "value_error"),
    ({"amount_cents": 1, "goal_id": SENT}, "body.goal_id", "uuid_parsing"),
    ([], "body", "model_attributes_type"),
    ("text", "body", "model_attributes_type"),
])  # fmt: skip
async def test_a_wrong_body_names_the_field_and_repeats_nothing(
    client: httpx.AsyncClient, body: object, field: str, code: str
) -> None:
    response = await client.post(GOAL, json=body)
    document = is_problem(response, status=422, code="validation_failed")
    [error] = document["errors"]
    assert (error["field"], error["code"]) == (field, code)
    assert error["message"]
    assert SENT not in response.text


async def test_a_validators_own_words_are_kept_unless_they_repeat_what_was_sent(
    client: httpx.AsyncClient,
) -> None:
    kept = await client.post(GOAL, json={"amount_cents": 1, "name": "unlucky"})
    assert kept.json()["errors"][0]["message"] == "must bring luck"
    dropped = await client.post(GOAL, json={"amount_cents": 1, "name": "parrot"})
    assert "parrot" not in dropped.text


async def test_path_and_query_are_named_in_errors(client: httpx.AsyncClient) -> None:
    document = is_problem(
        await client.post("/goals/xyz?limit=0", json={"amount_cents": 1}),
        status=422,
        code="validation_failed",
    )
    assert {error["field"] for error in document["errors"]} == {"path.goal_id", "query.limit"}


@pytest.mark.parametrize("body", [
    b"{", b"nonsense", b'{"amount_cents": 1', b"\xff\xfe{}", b'{"name": "\xff"}', b"[" * 50_000,
    b'{"amount_cents": ' + b"9" * 6000 + b"}", b"",
], ids=["open", "word", "cut", "bom", "bytes", "deep", "huge number", "empty"])  # fmt: skip
async def test_unreadable_json_is_one_and_the_same_problem(client: httpx.AsyncClient, body: bytes) -> None:
    response = await client.post(GOAL, content=body, headers={"content-type": "application/json"})
    document = is_problem(response, status=422, code="validation_failed")
    assert document["errors"]


async def test_a_key_no_encoder_can_write_is_answered_all_the_same(client: httpx.AsyncClient) -> None:
    body = b'{"amount_cents": 1, "\\ud800": 1, "0712 345 678": 2}'
    response = await client.post(GOAL, content=body, headers={"content-type": "application/json"})
    is_problem(response, status=422, code="validation_failed")
    assert "345" not in response.text


async def test_the_list_of_errors_has_an_end(client: httpx.AsyncClient) -> None:
    body = {f"key{number}": 1 for number in range(500)}
    document = is_problem(await client.post(GOAL, json=body), status=422, code="validation_failed")
    assert len(document["errors"]) == 50


def test_refuses_groups_problems_by_status_with_an_example_each() -> None:
    documented = refuses(GoalLocked, GoalGone, NeedsKey)
    assert set(documented) == {401, 409}
    content = documented[409]["content"][MEDIA_TYPE]
    assert set(content["examples"]) == {"goal_locked", "goal_gone"}
    assert content["examples"]["goal_locked"]["value"]["detail"] == "This goal is locked."
    assert "goal_gone" in documented[409]["description"]


async def test_openapi_describes_problems_and_nothing_of_the_frameworks_own(
    client: httpx.AsyncClient,
) -> None:
    document = (await client.get("/openapi.json")).json()
    text = json.dumps(document)
    assert "HTTPValidationError" not in text
    assert {"Problem", "FieldProblem"} <= set(document["components"]["schemas"])
    responses = document["paths"]["/goals/{goal_id}"]["post"]["responses"]
    assert {"200", "401", "409", "422", "503", "default"} <= set(responses)
    for status in ("409", "422", "default"):
        assert list(responses[status]["content"]) == [MEDIA_TYPE]


async def test_an_answer_holds_exactly_what_the_schema_documents(client: httpx.AsyncClient) -> None:
    schema = (await client.get("/openapi.json")).json()["components"]["schemas"]["Problem"]
    document = (await client.post(GOAL, json={})).json()
    assert set(document) == set(schema["properties"])
    assert set(schema["required"]) == set(document) - {"errors"}
