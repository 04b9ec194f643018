"""What every request goes through: an id, a size limit, a count, a log line. Never a decision of a route's.

Pure ASGI: a BaseHTTPMiddleware layer costs about 240 µs a request, this about 30.
"""

import re
import time
import traceback
from collections.abc import Iterator
from enum import Enum, auto
from inspect import isroutine
from typing import Final, cast
from uuid import UUID

import structlog
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars

from zanari_api.kit.ids import new_id
from zanari_api.runtime.metrics import Metrics
from zanari_api.runtime.problems import BodyTooLarge, InternalError, answer, respond

REQUEST_ID_HEADER: Final = b"x-request-id"
REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}")
UNMATCHED: Final = "unmatched"
BODY_MAX_BYTES: Final = 64 * 1024

SUCCESS: Final = 200
CLIENT_ERROR: Final = 400
SERVER_ERROR: Final = 500
CLIENT_GONE: Final = 499
"""What is recorded when the caller hung up before there was an answer; nothing is sent."""

QUIET_ROUTES: Final = frozenset({"/health", "/health/ready", "/metrics"})
"""Asked every few seconds by machines; while all is well their lines are at debug level."""


def route_template(scope: Scope) -> str:
    """Return the template of the chosen route, UNMATCHED when there is none. Never a path with values."""
    # A router included under a prefix keeps its routes as they were; the whole template is in the context.
    context = cast("dict[str, object]", scope.get("fastapi") or {}).get("effective_route_context")
    for source in (context, scope.get("route")):
        template = getattr(source, "path_format", None)
        if isinstance(template, str):
            return template
    if isroutine(scope.get("endpoint")) and not scope.get("path_params"):
        # A plain route without parameters, such as /docs: its path is its template.
        return cast("str", scope["path"])
    return UNMATCHED


def known_routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Return the method and template of each route of `app`, as they are counted."""
    for route in iter_route_contexts(app.routes):
        for method in sorted(route.methods or ()):
            yield method, route.path_format or UNMATCHED


def known_answers(app: FastAPI) -> Iterator[tuple[str, str, int]]:
    """Return the method, the template and the status of success of each route of `app`, as they are counted."""
    for route in iter_route_contexts(app.routes):
        for method in sorted(route.methods or ()):
            # Routes that are not FastAPI's, such as /docs, name no status.
            yield method, route.path_format or UNMATCHED, getattr(route, "status_code", None) or SUCCESS


class Observe:
    """Gives each request an id, counts and times it, writes its access line, answers for bugs with a 500.

    With `debug` that answer has the traceback, which is for developers alone.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics, debug: bool = False) -> None:
        self._app = app
        self._metrics = metrics
        self._debug = debug
        self._log = structlog.get_logger(__name__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(send, request_id=_request_id(scope))
        clear_contextvars()
        bind_contextvars(request_id=exchange.request_id)
        try:
            await self._app(scope, receive, exchange.send)
        except Exception as error:  # noqa: BLE001 (whatever gets here is a bug)
            await self._answer_for(error, scope, receive, exchange)
        finally:
            self._record(scope, exchange)

    async def _answer_for(
        self, error: Exception, scope: Scope, receive: Receive, exchange: "_Exchange"
    ) -> None:
        self._log.error("request_failed", route=route_template(scope), exc_info=error)
        if not exchange.started:
            detail = "".join(traceback.format_exception(error)) if self._debug else None
            await respond(InternalError(detail))(scope, receive, exchange.send)
        # An answer that had begun cannot be taken back: the server closes the connection on it.
        exchange.status_code = SERVER_ERROR

    def _record(self, scope: Scope, exchange: "_Exchange") -> None:
        route = route_template(scope)
        duration_s = exchange.duration_s()
        self._metrics.count_request(
            method=scope["method"], route=route, status_code=exchange.status_code, duration_s=duration_s
        )
        state = cast("dict[str, object]", scope.get("state") or {})
        well = route in QUIET_ROUTES and exchange.status_code < CLIENT_ERROR
        write = self._log.debug if well or state.get("logged") is True else self._log.info
        fields: dict[str, object] = {
            "method": scope["method"],
            "route": route,
            "status_code": exchange.status_code,
            "duration_ms": round(duration_s * 1000, 2),
        }
        saver_id = state.get("saver_id")
        if isinstance(saver_id, UUID):
            fields["saver_id"] = saver_id
        write("request_handled", **fields)


class _Exchange:
    """What is known of one request while it is answered."""

    __slots__ = ("_finished_at", "_send", "_started_at", "request_id", "started", "status_code")

    def __init__(self, send: Send, *, request_id: str) -> None:
        self._send = send
        self._started_at = time.perf_counter()
        self._finished_at: float | None = None
        self.request_id = request_id
        self.started = False
        self.status_code = CLIENT_GONE

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status_code = message["status"]
            header = (REQUEST_ID_HEADER, self.request_id.encode())
            message["headers"] = [*message.get("headers", ()), header]
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._finished_at = time.perf_counter()

    def duration_s(self) -> float:
        return (self._finished_at or time.perf_counter()) - self._started_at


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == REQUEST_ID_HEADER and REQUEST_ID.fullmatch(value):
            return value.decode()
    return str(new_id())


class _Unread(Enum):
    """Why there is no body to hand on."""

    TOO_LARGE = auto()
    CALLER_GONE = auto()


class LimitBody:
    """Refuses bodies over `max_bytes`, declared or streamed, before a route sees any of it."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, max_bytes: int = BODY_MAX_BYTES) -> None:
        self._app = app
        self._metrics = metrics
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await self._read(scope, receive)
        if body is _Unread.TOO_LARGE:
            await answer(BodyTooLarge(), metrics=self._metrics)(scope, receive, send)
        elif body is not _Unread.CALLER_GONE:
            await self._app(scope, _replay(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | _Unread:
        """Return the whole body; what is small enough to be accepted is small enough to hold."""
        if _declared_length(scope) > self._max_bytes:
            return _Unread.TOO_LARGE
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return _Unread.CALLER_GONE
            chunk = cast("bytes", message.get("body", b""))
            # The declared length may lie or be absent, so the bytes themselves are counted.
            size += len(chunk)
            if size > self._max_bytes:
                return _Unread.TOO_LARGE
            chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks)


def _declared_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give the body that was read, once, and then whatever the server says."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
