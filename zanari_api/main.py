"""Puts the service together from its settings: parts, middleware, routes, refusals. Reads no environment itself."""

import gc
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

import structlog
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from zanari_api.assembly import Parts, Stead, assemble, checked, reveal
from zanari_api.goals.router import router as goals_router
from zanari_api.kit.clock import Clock
from zanari_api.me.router import router as me_router
from zanari_api.mpesa.account_router import router as account_router
from zanari_api.mpesa.callback_router import router as callback_router
from zanari_api.mpesa.deposit_router import router as deposit_router
from zanari_api.mpesa.router import SpendWebhook, webhook_router
from zanari_api.mpesa.spend_batching import SpendBatcher, batcher_of
from zanari_api.mpesa.withdrawal_router import router as withdrawal_router
from zanari_api.roundups.collection_router import router as collection_router
from zanari_api.roundups.router import router as rule_router
from zanari_api.runtime import health, problems
from zanari_api.runtime.client_address import ClientAddresses
from zanari_api.runtime.deps import Runtime
from zanari_api.runtime.direct import ServeDirectly, direct_routes
from zanari_api.runtime.metrics import Metrics
from zanari_api.runtime.middleware import LimitBody, Observe, known_answers, known_routes
from zanari_api.runtime.rate_limit import LimitAddress
from zanari_api.settings import Settings
from zanari_api.transactions.router import router as transactions_router
from zanari_api.users.router import router as users_router
from zanari_api.worker import Worker, worker_of

log = structlog.get_logger(__name__)

DRAIN_S = 3
"""Spends that were handed in when the service stops have so long to be committed, after the server's own bound."""

RATE_LIMIT_HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")

DESCRIPTION = """
Zanari rounds up what you spend with M-PESA and saves the difference in your goals.

Amounts are integer cents of KES, times RFC 3339 in UTC. Errors are `application/problem+json` with a stable `code`.
Routes that move money take an `Idempotency-Key`.
"""


def create_app(
    settings: Settings,
    *,
    stead: Stead | None = None,
    clock: Clock | None = None,
    with_worker: bool = False,
) -> FastAPI:
    """Build the service. `stead` replaces SUPABASE_URL, for the sandbox's emulator; a simulation brings its clock.

    With a worker, what runs by itself runs in this process too: for development, where one process is handier.

    Connects to nothing yet. Raises SettingsInvalid for what is missing or wrong, by name and without the value.
    """
    parts = assemble(settings, stead=stead, clock=clock)
    runtime, mpesa = parts.runtime, parts.mpesa
    worker = worker_of(parts) if with_worker else None
    spends = batcher_of(runtime.database, parts.intake, metrics=runtime.metrics)
    webhook = SpendWebhook(mpesa, spends, clock=runtime.clock, metrics=runtime.metrics)
    app = FastAPI(
        title="Zanari",
        version=settings.app_version,
        description=DESCRIPTION,
        lifespan=_lifespan(parts, worker, spends),
        redoc_url=None,
        # What we tell is in our own metrics and lines; looking for somebody who wants more costs each request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.parts = parts
    app.state.worker = worker
    app.state.runtime = runtime
    app.state.mpesa = mpesa
    app.state.spends = spends
    app.state.intake = parts.intake
    app.state.collection_terms = parts.collection_terms
    addresses = checked("TRUSTED_PROXIES", lambda: ClientAddresses(settings.trusted_proxies))
    app.state.addresses = addresses
    # Routes are looked at in this order, one by one, and each look costs: what is asked most comes first.
    for router in (
        webhook_router(webhook),
        callback_router,
        transactions_router,
        goals_router,
        me_router,
        users_router,
        rule_router,
        collection_router,
        deposit_router,
        account_router,
        withdrawal_router,
        health.router,
        health.metrics_router(reveal(settings.metrics_token)),
    ):
        app.include_router(router)
    problems.install(app, metrics=runtime.metrics)
    _start_at_zero(app, runtime.metrics)
    runtime.metrics.tell_build(version=settings.app_version, process="api")
    routes = direct_routes(app, webhook.receive_spend)
    app.add_middleware(ServeDirectly, routes=routes, metrics=runtime.metrics)
    _add_middleware(app, settings, runtime, addresses)
    return app


def _add_middleware(app: FastAPI, settings: Settings, runtime: Runtime, addresses: ClientAddresses) -> None:
    """Wrap the app, innermost first: what is outermost sees every request and every answer."""
    app.add_middleware(LimitBody, metrics=runtime.metrics)
    app.add_middleware(
        LimitAddress,
        limiter=runtime.limiter,
        addresses=addresses,
        metrics=runtime.metrics,
    )
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=[
                "Authorization",
                "Content-Type",
                "Idempotency-Key",
                "X-Request-ID",
                "X-Step-Up-Token",
            ],
            expose_headers=["X-Request-ID", "Retry-After", "Idempotent-Replayed", *RATE_LIMIT_HEADERS],
        )
    app.add_middleware(Observe, metrics=runtime.metrics, debug=settings.debug)


def _lifespan(
    parts: Parts, worker: Worker | None, spends: SpendBatcher
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None, None]:
        async with parts.opened():
            if not parts.mpesa.signature.configured:
                log.warning("webhook_not_configured")
            if parts.unfit_for_production:
                log.warning("unfit_for_production", variables=parts.unfit_for_production)
            async with parts.runtime.activity.running(), worker.running() if worker else nullcontext():
                # What start-up made stays for good: keeping it out of collections shortens the tail.
                gc.collect()
                gc.freeze()
                yield
                # What a caller that was cut off had handed in is still worked on while there is a database.
                await spends.stop(within_s=DRAIN_S)

    return lifespan


def _start_at_zero(app: FastAPI, metrics: Metrics) -> None:
    """Expose what requests will be counted as before one comes; the rest, `zeroes` did."""
    metrics.start_problems_at_zero()
    metrics.start_routes_at_zero(known_routes(app))
    metrics.start_answers_at_zero(known_answers(app))
