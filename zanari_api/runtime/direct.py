"""Serves the busiest routes past the framework's routing, which costs such a route more than its own work does.

A route that is served directly stays declared to the framework like any other: there it gets its place in the API's
document, its template in logs and metrics, and its answers to other methods. What differs is the way a request takes.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from zanari_api.kit.errors import Problem
from zanari_api.runtime.metrics import Metrics
from zanari_api.runtime.problems import refuse

HTTP: Final = "http"

Endpoint = Callable[[Request], Awaitable[Response]]
"""What can be served directly: nothing is injected into it, it reads the request and makes the answer itself."""


@dataclass(frozen=True, slots=True)
class DirectRoute:
    """A route as it was declared. Its path has no parameters."""

    method: str
    path_format: str
    endpoint: Endpoint


def direct_routes(app: FastAPI, endpoint: Endpoint) -> tuple[DirectRoute, ...]:
    """Return how `app` declares this endpoint. Raises LookupError where no path without parameters leads to it."""
    routes = tuple(
        DirectRoute(method, context.path_format, endpoint)
        for context in iter_route_contexts(app.routes)
        if context.endpoint == endpoint and context.path_format is not None and not context.param_convertors
        for method in sorted(context.methods or ())
    )
    if not routes:
        # It would be served all the same, but slowly.
        raise LookupError("no route to serve directly")
    return routes


class ServeDirectly:
    """Hands a request for one of `routes` to its endpoint, and every other to the framework. The innermost layer."""

    def __init__(self, app: ASGIApp, *, routes: Sequence[DirectRoute], metrics: Metrics) -> None:
        self._app = app
        self._routes = {(route.method, route.path_format): route for route in routes}
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == HTTP else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        request = Request(scope, receive)
        try:
            response = await route.endpoint(request)
        except Problem as problem:
            response = refuse(request, problem, metrics=self._metrics)
        await response(scope, receive, send)
