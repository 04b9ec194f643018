"""Refuses requests over the limits per address and per saver. Never limits webhooks, callbacks or probes."""

import asyncio
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final, cast
from uuid import UUID

import structlog
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import RedisStorage, Storage
from limits.errors import ConfigurationError
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zanari_api.kit.errors import Refusal
from zanari_api.runtime.client_address import ClientAddresses
from zanari_api.runtime.log_budget import LogBudget
from zanari_api.runtime.metrics import Metrics
from zanari_api.runtime.problems import answer
from zanari_api.runtime.rate_limit_memory import MemoryCounters

LIMITED_PREFIX: Final = "/api/v1/"
SIGNED_PREFIX: Final = "/api/v1/mpesa/webhooks/"
"""What carries a signature answers 401 when it is wrong and is never answered 429."""
PIN_PREFIXES: Final = ("/api/v1/users/me/pin",)

SAVER_PER_MINUTE: Final = 600
ADDRESS_PER_MINUTE: Final = 6000
PIN_PER_MINUTE: Final = 10

STORE_TIMEOUT_S: Final = 0.25
STORE_REST_S: Final = 5.0
"""How long the counters are left alone after a failure, so that one slow Redis does not slow each request."""

ALLOWANCE: Final = "zanari.allowance"

log = structlog.get_logger(__name__)


class RateLimited(Refusal):
    """Too many requests. Wait as long as Retry-After says."""

    code = "rate_limited"
    status = 429


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of one limit."""

    limit: int
    remaining: int
    reset_s: int


class RateLimiter:
    """The limits and their counters: in memory, or shared by all replicas in Redis when `redis_url` is set.

    Counters that cannot be reached let requests pass: a limit protects the service, it must not be its end.
    """

    def __init__(
        self,
        *,
        metrics: Metrics,
        redis_url: str | None = None,
        saver_per_minute: int = SAVER_PER_MINUTE,
        address_per_minute: int = ADDRESS_PER_MINUTE,
        pin_per_minute: int = PIN_PER_MINUTE,
    ) -> None:
        self._metrics = metrics
        self._counters: Storage = _redis(redis_url) if redis_url else MemoryCounters()
        self._limits: dict[str, RateLimitItem] = {
            "saver": RateLimitItemPerMinute(saver_per_minute, namespace="zanari"),
            "address": RateLimitItemPerMinute(address_per_minute, namespace="zanari"),
            "pin": RateLimitItemPerMinute(pin_per_minute, namespace="zanari"),
        }
        self._rest_until = 0.0
        self._failures = LogBudget("rate_limit_store_failed", per_window=1)

    async def check_address(self, scope: Scope, address: str) -> None:
        """Count a request against its address. Raises RateLimited."""
        await self._check(scope, "address", address)

    async def check_saver(self, request: Request, saver_id: UUID) -> None:
        """Count a request against its saver, and against the stricter limit where a PIN is tried.

        Raises RateLimited.
        """
        await self._check(request.scope, "saver", str(saver_id))
        if _path(request.scope).startswith(PIN_PREFIXES):
            await self._check(request.scope, "pin", str(saver_id))

    async def close(self) -> None:
        if isinstance(self._counters, RedisStorage):
            cast("Any", self._counters.bridge).storage.connection_pool.disconnect()

    async def _check(self, scope: Scope, name: str, identity: str) -> None:
        allowance = await self._hit(self._limits[name], name, identity)
        if allowance is None:
            return
        # The last limit asked is the narrowest; its numbers are what the caller needs.
        cast("MutableMapping[str, object]", scope)[ALLOWANCE] = allowance
        if allowance.remaining < 0:
            self._metrics.rate_limited.labels(name).inc()
            raise RateLimited(retry_after=allowance.reset_s, limit=name)

    async def _hit(self, item: RateLimitItem, name: str, identity: str) -> Allowance | None:
        """Count one request; None when the counters are away. `remaining` is negative when it is over."""
        if time.monotonic() < self._rest_until:
            self._metrics.rate_limit_store_failures.inc()
            return None
        key = item.key_for(name, identity)
        try:
            async with asyncio.timeout(STORE_TIMEOUT_S):
                # The library's fixed-window strategy, without asking again for the count it was given.
                count = await self._counters.incr(key, item.get_expiry())
                reset_s = await self._counters.get_expiry(key) - time.time()
                if reset_s <= 0 and count > item.amount:
                    # A process that died between two commands left a counter that never ends.
                    await self._counters.clear(key)
                    count = 1
        except Exception as error:  # noqa: BLE001 (each client has its own errors)
            self._rest_until = time.monotonic() + STORE_REST_S
            self._metrics.rate_limit_store_failures.inc()
            self._failures.warning(error=type(error).__name__)
            return None
        return Allowance(item.amount, item.amount - count, max(1, ceil(reset_s)))


class LimitAddress:
    """Limits each address on the API's routes, and tells every limited caller what is left."""

    def __init__(
        self, app: ASGIApp, *, limiter: RateLimiter, addresses: ClientAddresses, metrics: Metrics
    ) -> None:
        self._app = app
        self._limiter = limiter
        self._addresses = addresses
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_limited(_path(scope)):
            await self._app(scope, receive, send)
            return
        send = _telling(scope, send)
        try:
            await self._limiter.check_address(scope, self._addresses.subscriber(scope))
        except RateLimited as refusal:
            await answer(refusal, metrics=self._metrics)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _is_limited(path: str) -> bool:
    return path.startswith(LIMITED_PREFIX) and not path.startswith(SIGNED_PREFIX)


def _path(scope: Scope) -> str:
    """Return the path below the mount point, as the router reads it."""
    return cast("str", scope["path"]).removeprefix(scope.get("root_path", ""))


def _telling(scope: Scope, send: Send) -> Send:
    """Add what is left of the last limit that was asked to the answer's headers."""

    async def send_with_headers(message: Message) -> None:
        allowance = scope.get(ALLOWANCE)
        if message["type"] == "http.response.start" and isinstance(allowance, Allowance):
            told = {
                b"ratelimit-limit": allowance.limit,
                b"ratelimit-remaining": max(0, allowance.remaining),
                b"ratelimit-reset": allowance.reset_s,
            }
            headers = [(name, str(value).encode()) for name, value in told.items()]
            message["headers"] = [*message.get("headers", ()), *headers]
        await send(message)

    return send_with_headers


def _redis(url: str) -> RedisStorage:
    """Raises ValueError, which never quotes the address: it may hold a password."""
    try:
        return RedisStorage(
            f"async+{url}",
            stream_timeout=STORE_TIMEOUT_S,
            connect_timeout=STORE_TIMEOUT_S,
            key_prefix="zanari",
        )
    except (ConfigurationError, ValueError):
        raise ValueError("is not a Redis address") from None
