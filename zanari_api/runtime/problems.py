"""Turns refusals and bad requests into RFC 9457 problem documents. Never repeats what was sent."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Protocol, cast, runtime_checkable

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from zanari_api.kit.errors import FieldError, Problem, Refusal, Unavailable
from zanari_api.runtime.metrics import Metrics
from zanari_api.runtime.redaction import redact_text

MEDIA_TYPE: Final = "application/problem+json"
FIELD_ERRORS_MAX: Final = 50
PATH_MAX: Final = 200
SCHEMA_REF: Final = "#/components/schemas/Problem"

log = structlog.get_logger(__name__)


class FieldProblem(BaseModel):
    """One field that was refused."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    field: str
    """Where it is: `body.amount_cents`, `query.limit`, `path.goal_id`."""
    message: str
    code: str


class ProblemDocument(BaseModel):
    """What every failure looks like (RFC 9457)."""

    model_config = ConfigDict(title="Problem", use_attribute_docstrings=True)

    type: str
    title: str
    status: int
    code: str
    """Stable and documented: what a client decides by."""
    detail: str
    request_id: str | None
    """Quote it when asking for help."""
    errors: list[FieldProblem] | None = None
    """On 422: the fields that were refused."""


@runtime_checkable
class CarriesHeaders(Protocol):
    """A problem whose answer needs headers of its own, such as WWW-Authenticate."""

    @property
    def headers(self) -> Mapping[str, str]: ...


def keeps_own_log(problem: Problem) -> bool:
    """Say whether whoever raised the problem has logged it, within a budget: strangers can cause it at will."""
    return getattr(problem, "logged_by_budget", False) is True


class ValidationFailed(Refusal):
    """The request is not in the documented form."""

    code = "validation_failed"
    status = 422


class MalformedRequest(Refusal):
    """The request could not be read."""

    code = "malformed_request"
    status = 400


class RouteNotFound(Refusal):
    """There is nothing at this address."""

    code = "not_found"
    status = 404


class MethodNotAllowed(Refusal):
    """This address does not know this method."""

    code = "method_not_allowed"
    status = 405


class BodyTooLarge(Refusal):
    """The body is larger than this service accepts."""

    code = "body_too_large"
    status = 413


class InternalError(Problem):
    """Something went wrong on our side. It has been recorded under this request id."""

    code = "internal_error"
    status = 500


HTTP_PROBLEMS: Final[Mapping[int, type[Refusal]]] = {
    400: MalformedRequest,
    404: RouteNotFound,
    405: MethodNotAllowed,
    413: BodyTooLarge,
}

# Their messages are made of the schema alone; those of the other kinds may quote what was sent.
SCHEMA_MADE: Final = frozenset(
    {
        "bool_parsing", "bool_type", "date_from_datetime_inexact", "dict_type", "enum",
        "extra_forbidden", "finite_number", "float_type", "frozen_field", "greater_than",
        "greater_than_equal", "int_from_float", "int_parsing", "int_parsing_size", "int_type",
        "less_than", "less_than_equal", "list_type", "literal_error", "missing",
        "model_attributes_type", "model_type", "multiple_of", "string_pattern_mismatch",
        "string_too_long", "string_too_short", "string_type", "timezone_aware", "too_long",
        "too_short", "uuid_type", "uuid_version",
    }
)  # fmt: skip
FIXED_MESSAGES: Final[Mapping[str, str]] = {
    "json_invalid": "The body is not valid JSON.",
    "uuid_parsing": "Input should be a valid UUID",
}


def answer(problem: Problem, *, metrics: Metrics) -> Response:
    """Log and count a problem, and make its response. For code outside the reach of `install`."""
    metrics.count_problem(problem)
    if keeps_own_log(problem):
        return respond(problem)
    event, write = ("request_refused", log.info)
    if isinstance(problem, Unavailable):
        event, write = ("request_unavailable", log.warning)
    fields = {**problem.context, "code": problem.code, "status_code": problem.status}
    fields.pop("event", None)
    write(event, **fields)
    return respond(problem)


def refuse(request: Request, problem: Problem, *, metrics: Metrics) -> Response:
    """Answer a request with what its route raised. A problem that keeps its own log keeps the access line as well."""
    request.state.logged = keeps_own_log(problem)
    return answer(problem, metrics=metrics)


def respond(problem: Problem) -> Response:
    """Make a problem's response, without a trace in logs or metrics."""
    document: dict[str, object] = {
        "type": f"urn:zanari:problem:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "request_id": structlog.contextvars.get_contextvars().get("request_id"),
    }
    if problem.field_errors:
        document["errors"] = [
            {"field": error.field, "message": error.message, "code": error.code}
            for error in problem.field_errors
        ]
    headers = dict(problem.headers) if isinstance(problem, CarriesHeaders) else {}
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    return Response(orjson.dumps(document), problem.status, headers, media_type=MEDIA_TYPE)


def install(app: FastAPI, *, metrics: Metrics) -> None:
    """Answer every expected failure of `app` with a problem document, and say so in its OpenAPI document."""

    async def refuse_expected(request: Request, error: Exception) -> Response:
        return refuse(request, cast("Problem", error), metrics=metrics)

    async def refuse_invalid(_request: Request, error: Exception) -> Response:
        return answer(_invalid(cast("RequestValidationError", error)), metrics=metrics)

    async def refuse_http(_request: Request, error: Exception) -> Response:
        error = cast("HTTPException", error)
        response = answer(_http_problem(error), metrics=metrics)
        response.headers.update(error.headers or {})
        return response

    handlers: Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
        Problem: refuse_expected,
        RequestValidationError: refuse_invalid,
        HTTPException: refuse_http,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
    _document(app)


def _invalid(error: RequestValidationError) -> ValidationFailed:
    found = cast("Iterable[Mapping[str, Any]]", error.errors())
    return ValidationFailed(
        field_errors=[_field_error(one) for one, _ in zip(found, range(FIELD_ERRORS_MAX), strict=False)]
    )


def _field_error(error: Mapping[str, Any]) -> FieldError:
    kind = str(error["type"])
    location: tuple[object, ...] = ("body",) if kind == "json_invalid" else tuple(error["loc"])
    field = ".".join(str(part) for part in location)
    return FieldError(field=redact_text(field)[:PATH_MAX], message=_message(kind, error), code=kind)


def _message(kind: str, error: Mapping[str, Any]) -> str:
    if kind in FIXED_MESSAGES:
        return FIXED_MESSAGES[kind]
    message = str(error["msg"])
    if kind in SCHEMA_MADE:
        return message
    if kind == "value_error":
        # One of our validators; held to its own words all the same.
        message = message.removeprefix("Value error, ")
        sent = str(error.get("input", ""))
        if sent and sent not in message:
            return redact_text(message)
    return "Input is not valid"


def _http_problem(error: HTTPException) -> Problem:
    if error.status_code == MalformedRequest.status and error.__cause__ is not None:
        # The framework could not decode the body: to the caller the same as JSON that does not parse.
        unreadable = FieldError("body", FIXED_MESSAGES["json_invalid"], "json_invalid")
        return ValidationFailed(field_errors=[unreadable])
    if error.status_code >= InternalError.status:
        # Nothing here or in the framework raises one on purpose: a bug, answered as such.
        raise error
    return HTTP_PROBLEMS.get(error.status_code, MalformedRequest)()


def refuses(*problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """Return the `responses=` of a route that may answer with these problems."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for status in sorted({problem.status for problem in problems}):
        same = sorted((each for each in problems if each.status == status), key=lambda each: each.code)
        by_status[status] = {
            "description": " ".join(f"`{each.code}`: {each.message()}" for each in same),
            "content": {MEDIA_TYPE: {"schema": {"$ref": SCHEMA_REF}, "examples": _examples(same)}},
        }
    return by_status


def _examples(problems: Iterable[type[Problem]]) -> dict[str, Any]:
    return {problem.code: {"value": orjson.loads(bytes(respond(problem()).body))} for problem in problems}


def _document(app: FastAPI) -> None:
    """Describe problems in the OpenAPI document, in place of the framework's own validation errors."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        document = make()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        model = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(model.pop("$defs"))
        schemas["Problem"] = model
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for operations in document.get("paths", {}).values():
            for operation in operations.values():
                _document_operation(operation["responses"])
        return document

    app.openapi = openapi


def _document_operation(responses: dict[str, Any]) -> None:
    described = refuses(ValidationFailed)[ValidationFailed.status]
    if "HTTPValidationError" in str(responses.get("422", "")):
        responses["422"] = described
    responses.setdefault(
        "default",
        {
            "description": "Any other failure, as a problem document.",
            "content": {MEDIA_TYPE: {"schema": {"$ref": SCHEMA_REF}}},
        },
    )
