"""Sends one request to Safaricom once: in its turn, unless the breaker is open, and tells what is known after it."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

import httpx
import structlog

from zanari_api.daraja.breaker import Breaker
from zanari_api.daraja.config import DarajaConfig
from zanari_api.daraja.errors import (
    DarajaError,
    DarajaRefused,
    DarajaUnavailable,
    DarajaUnresolved,
    Doubt,
    Hindrance,
    Operation,
    RefusalReason,
)
from zanari_api.daraja.limiter import Limiter
from zanari_api.daraja.observing import GROUPS, CallOutcome, Group, Observer
from zanari_api.kit.clock import Clock
from zanari_api.runtime import trust

T = TypeVar("T")

KEEPALIVE_S: Final = 5.0
"""An idle connection is dropped before the other side does: a request lost to that would be unresolved."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. `authorization` is the header of that name."""

    operation: Operation
    path: str
    verb: str = "POST"
    body: Mapping[str, str | int] | None = field(default=None, repr=False)
    authorization: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes = field(repr=False)


class Transport:
    """A pool of connections to Safaricom, with a limiter for the process and a breaker for each group."""

    def __init__(self, config: DarajaConfig, *, clock: Clock, observer: Observer) -> None:
        self._observer = observer
        self._limiter = Limiter(
            clock=clock, per_second=config.requests_per_second, longest_wait=config.limiter_wait
        )
        self._breakers = {group: self._breaker(group, config, clock) for group in Group}
        self._exchange_timeout_s = config.exchange_timeout_s
        self._http = httpx.AsyncClient(
            base_url=config.base_url,
            verify=trust.authorities(),
            timeout=httpx.Timeout(
                config.read_timeout_s, connect=config.connect_timeout_s, pool=config.connect_timeout_s
            ),
            limits=httpx.Limits(max_connections=config.connections_max, keepalive_expiry=KEEPALIVE_S),
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def send(self, request: Request, read: Callable[[Answer], T]) -> T:
        """Send once, and return what `read` makes of the answer; `read` raises a DarajaError for a bad one.

        Raises DarajaUnavailable when nothing was sent, DarajaUnresolved when nobody can tell.
        """
        started = time.perf_counter()
        try:
            got = await self._send_if_admitted(request, read)
        except DarajaError as error:
            self._tell(request.operation, error, duration_s=time.perf_counter() - started)
            raise
        self._tell(request.operation, None, duration_s=time.perf_counter() - started)
        return got

    async def _send_if_admitted(self, request: Request, read: Callable[[Answer], T]) -> T:
        permit = self._breakers[GROUPS[request.operation]].admit()
        if permit is None:
            raise DarajaUnavailable(request.operation, Hindrance.BREAKER_OPEN)
        healthy: bool | None = None
        try:
            await self._take_turn(request.operation)
            got = read(await self._exchange(request))
            healthy = True
        except DarajaError as error:
            healthy = _health(error)
            raise
        finally:
            permit.end(healthy=healthy)
        return got

    async def _take_turn(self, operation: Operation) -> None:
        waited = await self._limiter.take()
        if waited is None:
            raise DarajaUnavailable(operation, Hindrance.OVER_LIMIT)
        if waited:
            self._observer.limiter_waited(operation)

    async def _exchange(self, request: Request) -> Answer:
        operation = request.operation
        try:
            async with asyncio.timeout(self._exchange_timeout_s):
                response = await self._http.request(
                    request.verb,
                    request.path,
                    json=request.body,
                    headers={"Authorization": request.authorization},
                )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise DarajaUnavailable(operation, Hindrance.NOT_REACHED) from error
        except (httpx.TimeoutException, TimeoutError) as error:
            raise DarajaUnresolved(operation, Doubt.TIMED_OUT) from error
        except httpx.HTTPError as error:
            # Broken off while it was written or read: how much of it arrived is not known.
            raise DarajaUnresolved(operation, Doubt.CUT) from error
        return Answer(response.status_code, response.content)

    def _tell(self, operation: Operation, error: DarajaError | None, *, duration_s: float) -> None:
        outcome = _outcome(error)
        self._observer.called(operation, outcome, duration_s=duration_s)
        write = log.info if error is None else log.warning
        write(
            "daraja_called",
            operation=operation,
            outcome=outcome,
            duration_ms=round(duration_s * 1000),
            why=None if error is None else error.why,
            error_code=None if error is None else error.error_code,
            http_status=None if error is None else error.http_status,
        )

    def _breaker(self, group: Group, config: DarajaConfig, clock: Clock) -> Breaker:
        def turned(is_open: bool) -> None:  # noqa: FBT001 (the breaker knows one thing to tell)
            log.warning("daraja_breaker_turned", group=group, is_open=is_open)
            self._observer.breaker_turned(group, is_open=is_open)

        return Breaker(
            clock=clock, failures_max=config.breaker_failures, pause=config.breaker_pause, on_turn=turned
        )


def _health(error: DarajaError) -> bool | None:
    """Return what an error says of the other side: healthy, not, or nothing."""
    match error:
        case DarajaUnresolved() | DarajaUnavailable(cause=Hindrance.NOT_REACHED):
            return False
        case DarajaRefused(reason=RefusalReason.THROTTLED):
            return False
        case DarajaRefused(reason=RefusalReason.INVALID_TOKEN) | DarajaUnavailable():
            return None
        case _:
            return True


def _outcome(error: DarajaError | None) -> CallOutcome:
    match error:
        case None:
            return CallOutcome.OK
        case DarajaRefused():
            return CallOutcome.REFUSED
        case DarajaUnresolved():
            return CallOutcome.UNRESOLVED
        case _:
            return CallOutcome.UNAVAILABLE
