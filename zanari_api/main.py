"""Puts the service together from its settings: parts, middleware, routes, refusals. Reads no environment itself."""

import gc
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

import structlog
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.middleware.cors import CORSMiddleware

from zanari_api.goals.router import router as goals_router
from zanari_api.kit.clock import utc_now
from zanari_api.me.provisioning import provision
from zanari_api.me.router import router as me_router
from zanari_api.mpesa.c2b_service import Outcome as CallbackOutcome
from zanari_api.mpesa.callback_router import router as callback_router
from zanari_api.mpesa.config import CallbackTokens, MpesaConfig
from zanari_api.mpesa.router import router as mpesa_router
from zanari_api.mpesa.signature import SignatureVerifier
from zanari_api.roundups.router import router as rule_router
from zanari_api.roundups.rules import Outcome as SpendOutcome
from zanari_api.roundups.rules import Reason
from zanari_api.runtime import health, problems
from zanari_api.runtime.activity import Activity
from zanari_api.runtime.auth import TokenVerifier
from zanari_api.runtime.client_address import ClientAddresses
from zanari_api.runtime.crypto import Keyring, ServiceKeyStore
from zanari_api.runtime.db import Database, Fact
from zanari_api.runtime.deps import Features, Runtime
from zanari_api.runtime.log_budget import LogBudget
from zanari_api.runtime.metrics import Metrics
from zanari_api.runtime.middleware import LimitBody, Observe, known_routes
from zanari_api.runtime.rate_limit import LimitAddress, RateLimiter
from zanari_api.settings import Settings, SettingsInvalid
from zanari_api.transactions.router import router as transactions_router
from zanari_api.users.router import router as users_router

Part = TypeVar("Part")

log = structlog.get_logger(__name__)

RATE_LIMIT_HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")

DESCRIPTION = """
Zanari rounds up what you spend with M-PESA and saves the difference in your goals.

Amounts are integer cents of KES, times RFC 3339 in UTC. Errors are `application/problem+json` with a stable `code`.
Routes that move money take an `Idempotency-Key`.
"""


def create_app(settings: Settings, *, issuer: str | None = None, jwks_url: str | None = None) -> FastAPI:
    """Build the service. `issuer` and `jwks_url` replace those of SUPABASE_URL, for the sandbox's emulator.

    Connects to nothing yet. Raises SettingsInvalid for what is missing or wrong, by name and without the value.
    """
    missing = settings.missing()
    if issuer and jwks_url and "SUPABASE_URL" in missing:
        missing.remove("SUPABASE_URL")
    if missing:
        raise SettingsInvalid(f"not set: {', '.join(missing)}")
    auth_url = f"{(settings.supabase_url or '').rstrip('/')}/auth/v1"
    metrics = Metrics()
    runtime = _runtime(
        settings,
        metrics,
        issuer=issuer or auth_url,
        jwks_url=jwks_url or f"{auth_url}/.well-known/jwks.json",
    )
    mpesa = _mpesa_config(settings)
    app = FastAPI(
        title="Zanari",
        version=settings.app_version,
        description=DESCRIPTION,
        lifespan=_lifespan(runtime, mpesa),
        redoc_url=None,
    )
    app.state.runtime = runtime
    app.state.mpesa = mpesa
    for router in (
        users_router,
        me_router,
        rule_router,
        transactions_router,
        goals_router,
        mpesa_router,
        callback_router,
        health.router,
        health.metrics_router(_open(settings.metrics_token)),
    ):
        app.include_router(router)
    problems.install(app, metrics=metrics)
    _start_at_zero(app, metrics)
    _add_middleware(app, settings, runtime)
    return app


def _add_middleware(app: FastAPI, settings: Settings, runtime: Runtime) -> None:
    """Wrap the app, innermost first: what is outermost sees every request and every answer."""
    app.add_middleware(LimitBody, metrics=runtime.metrics)
    app.add_middleware(
        LimitAddress,
        limiter=runtime.limiter,
        addresses=_checked("TRUSTED_PROXIES", lambda: ClientAddresses(settings.trusted_proxies)),
        metrics=runtime.metrics,
    )
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After", "Idempotent-Replayed", *RATE_LIMIT_HEADERS],
        )
    app.add_middleware(Observe, metrics=runtime.metrics)


def _runtime(settings: Settings, metrics: Metrics, *, issuer: str, jwks_url: str) -> Runtime:
    database = Database(
        _open(settings.database_url) or "",
        on_rerun=metrics.reruns.inc,
        on_commit=_counting(metrics),
    )
    metrics.watch_pool(database.pool_use)
    keyring = _checked("PII_KEYS", lambda: Keyring.parse(_open(settings.pii_keys) or ""))
    return Runtime(
        database=database,
        keyring=keyring,
        service_keys=ServiceKeyStore(database, keyring),
        verifier=_checked(
            "SUPABASE_JWT_SECRET",
            lambda: TokenVerifier(
                issuer=issuer,
                jwks_url=jwks_url,
                metrics=metrics,
                hs256_secret=_open(settings.supabase_jwt_secret),
            ),
        ),
        limiter=_checked(
            "REDIS_URL",
            lambda: RateLimiter(
                metrics=metrics,
                redis_url=_open(settings.redis_url),
                saver_per_minute=settings.rate_limit_saver,
                address_per_minute=settings.rate_limit_address,
            ),
        ),
        activity=Activity(database, metrics=metrics),
        metrics=metrics,
        features=Features(round_ups=settings.feature_rollup_enabled, goals=settings.feature_goals_enabled),
        provision=provision,
    )


def _mpesa_config(settings: Settings) -> MpesaConfig:
    return MpesaConfig(
        signature=_checked(
            "MPESA_WEBHOOK_SECRET or MPESA_WEBHOOK_PUBLIC_KEY",
            lambda: SignatureVerifier(
                secrets=_entries(settings.mpesa_webhook_secret),
                public_key_pem=settings.mpesa_webhook_public_key,
                allow_untimed=settings.mpesa_webhook_allow_untimed,
                clock=utc_now,
            ),
        ),
        tokens=_checked(
            "MPESA_CALLBACK_TOKENS", lambda: CallbackTokens.parse(_entries(settings.mpesa_callback_tokens))
        ),
        shortcodes=frozenset(_entries(SecretStr(settings.mpesa_shortcode or ""))),
        refused_log=LogBudget("credential_refused"),
    )


def _lifespan(runtime: Runtime, mpesa: MpesaConfig) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None, None]:
        await runtime.database.open()
        if not mpesa.signature.configured:
            log.warning("webhook_not_configured")
        try:
            async with runtime.activity.running():
                # What start-up made stays for good: keeping it out of collections shortens the tail.
                gc.collect()
                gc.freeze()
                yield
        finally:
            await runtime.verifier.close()
            await runtime.limiter.close()
            await runtime.database.close()

    return lifespan


def _start_at_zero(app: FastAPI, metrics: Metrics) -> None:
    """Expose what will be counted before it is: `increase()` cannot see a counter that is born at 1."""
    metrics.start_problems_at_zero()
    metrics.start_routes_at_zero(known_routes(app))
    metrics.start_at_zero(metrics.spends, SpendOutcome, ("none", *Reason))
    metrics.start_at_zero(metrics.callbacks, ("c2b_validation", "c2b_confirmation"), CallbackOutcome)


def _counting(metrics: Metrics) -> Callable[[Sequence[Fact]], None]:
    """Return what turns the facts of a committed transaction into metrics."""

    def count(facts: Sequence[Fact]) -> None:
        for fact in facts:
            match fact.name:
                case "spend":
                    metrics.spends.labels(*fact.labels).inc(fact.value)
                case "ledger_post":
                    metrics.ledger_posts.labels(*fact.labels).inc(fact.value)
                case "transaction":
                    metrics.observe_transaction(fact.labels[0], fact.value)
                case _:
                    raise ValueError(f"no metric counts {fact.name}")

    return count


def _checked(name: str, make: Callable[[], Part]) -> Part:
    """Make a part of the service from a variable; a wrong value becomes an error that names the variable alone."""
    try:
        return make()
    except ValueError as error:
        raise SettingsInvalid(f"{name}: {error}") from None


def _entries(text: SecretStr | None) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in (_open(text) or "").split(","))))


def _open(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
