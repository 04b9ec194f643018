"""The routes of the running application, so that a new one cannot be forgotten by the tests that walk over them."""

import re
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from fastapi import FastAPI

from zanari_api.runtime.middleware import known_routes

PUBLIC: Final = frozenset(
    {
        "/health",
        "/health/ready",
        "/metrics",
        "/docs",
        "/docs/oauth2-redirect",
        "/openapi.json",
        "/api/v1/mpesa/webhooks/roundup",
        "/callbacks/{token}/stk",
        "/callbacks/{token}/c2b/confirmation",
        "/callbacks/{token}/c2b/validation",
        "/callbacks/{token}/b2c/result",
        "/callbacks/{token}/b2c/timeout",
        "/callbacks/{token}/status/result",
        "/callbacks/{token}/status/timeout",
        "/callbacks/{token}/balance/result",
        "/callbacks/{token}/balance/timeout",
        "/callbacks/{token}/reversal/result",
        "/callbacks/{token}/reversal/timeout",
        "/callbacks/{token}/pull",
    }
)
"""What needs no access token: probes, documentation, and what carries a signature or a secret token instead."""


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one template."""

    method: str
    template: str

    def __str__(self) -> str:
        return f"{self.method} {self.template}"

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.template)

    def path(self, **values: object) -> str:
        """Fill in the template; what is not given is an id that nobody has."""
        return self.template.format_map({name: uuid4() for name in self.parameters} | values)


def savers_routes(app: FastAPI) -> list[Route]:
    """Return every route that only a saver may call."""
    routes = [Route(method, template) for method, template in known_routes(app)]
    assert {route.template for route in routes} >= PUBLIC
    found = [route for route in routes if route.template not in PUBLIC and route.method != "HEAD"]
    assert len(found) > 15
    return found


def wants_body(app: FastAPI, route: Route) -> bool:
    operation: dict[str, Any] = app.openapi()["paths"][route.template][route.method.lower()]
    return "requestBody" in operation
