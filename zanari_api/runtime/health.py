"""Whether the process lives, whether it may be sent traffic, and what it has counted."""

import hmac
from datetime import datetime
from typing import Annotated, Literal

import asyncpg
from fastapi import APIRouter, Header, Response
from fastapi.responses import PlainTextResponse

from zanari_api.kit.clock import utc_now
from zanari_api.kit.errors import Refusal, Unavailable
from zanari_api.kit.schema import Schema
from zanari_api.runtime import database_fitness, migrations
from zanari_api.runtime.db import DatabaseUnavailable, Role
from zanari_api.runtime.deps import Runtime, RuntimeOf
from zanari_api.runtime.problems import refuses

router = APIRouter(tags=["system"])


class NotReady(Unavailable):
    """This replica must not be sent traffic."""

    code = "not_ready"


class MetricsTokenWrong(Refusal):
    """Metrics need the bearer token of METRICS_TOKEN."""

    code = "metrics_token_wrong"
    status = 401


class Health(Schema):
    """The process answers; nothing else is said."""

    status: Literal["healthy"] = "healthy"
    timestamp: datetime


class Readiness(Schema):
    """This replica may be sent traffic."""

    status: Literal["ready"] = "ready"
    timestamp: datetime


@router.get("/health")
async def read_health() -> Health:
    """Tell that the process lives. Depends on nothing."""
    return Health(timestamp=utc_now())


@router.get("/health/ready", responses=refuses(NotReady, DatabaseUnavailable))
async def read_readiness(runtime: RuntimeOf) -> Readiness:
    """Tell whether this replica may be sent traffic: database there, migrated, and keeping what it commits.

    In production it may not until the database has answered that it is fit.
    """
    try:
        async with runtime.database.transaction(Role.SYSTEM) as tx:
            server = await database_fitness.read_server(tx)
            login = await database_fitness.read_login(tx)
            lacking = await migrations.pending(tx)
    except asyncpg.InsufficientPrivilegeError as error:
        raise NotReady("The database login may not take the service's roles; use zanari_service.") from error
    if login.too_strong is not None:
        raise NotReady("The database login may pass row security or owns the tables; use zanari_service.")
    if lacking:
        raise NotReady(f"The database lacks migrations that this version needs: {', '.join(lacking)}.")
    if server.may_lose_commits:
        raise NotReady(
            "The database may lose what it has committed: fsync must be on, and synchronous_commit not off."
        )
    return Readiness(timestamp=utc_now())


def metrics_router(token: str | None, *, counts_savers: bool = True) -> APIRouter:
    """Return the route of /metrics; with a token, the caller must bear it.

    Where it counts savers, a scrape brings that number up to date, at most every few seconds.
    """
    metrics = APIRouter(tags=["system"])

    @metrics.get("/metrics", response_class=PlainTextResponse, responses=refuses(MetricsTokenWrong))
    async def read_metrics(  # pyright: ignore[reportUnusedFunction]
        runtime: RuntimeOf, authorization: Annotated[str, Header()] = ""
    ) -> Response:
        """Read the metrics in Prometheus's text format."""
        if token is not None and not hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            raise MetricsTokenWrong
        if counts_savers:
            await runtime.activity.refresh()
        return _expose(runtime)

    return metrics


def _expose(runtime: Runtime) -> Response:
    body, content_type = runtime.metrics.expose()
    return Response(body, headers={"Content-Type": content_type})
