"""Posts callbacks to the addresses the other side gave, with the faults that befall them, and keeps a log of each."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Final, Protocol
from urllib.parse import urlsplit

import httpx

from zanari_api.kit.clock import Clock
from zanari_api.sandbox.safaricom.faults import Armed, Fault, Flow
from zanari_api.sandbox.safaricom.wire import JsonObject, JsonValue, dumps, loads_object

GARBAGE: Final = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
DELAY_S: Final = 60
OVERTAKEN_WITHIN_S: Final = 30
ECHO_BEFORE_RESULT_S: Final = 5
TIMEOUT_S: Final = 30


@dataclass(slots=True)
class Delivery:
    """One callback, sent or lost. `status` is None until it is answered; `genuine` is False for a stranger's."""

    number: int
    flow: Flow
    kind: str
    url: str
    body: bytes
    at: datetime
    genuine: bool = True
    lost: bool = False
    status: int | None = None
    error: str | None = None
    answer: bytes = field(default=b"", repr=False)

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    def fields(self) -> Mapping[str, JsonValue]:
        """Return the body as JSON. Raises ValueError for garbage."""
        return loads_object(self.body)


@dataclass(frozen=True, slots=True)
class Extra:
    """Another body that a fault sends before or after the true one."""

    body: JsonObject
    url: str | None = None
    kind: str | None = None
    after: bool = False
    genuine: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A callback to deliver, with what the faults that can befall it would send beside it."""

    flow: Flow
    kind: str
    url: str
    body: JsonObject
    extras: Mapping[Fault, Extra] = field(default_factory=dict[Fault, Extra])


class Pause(Protocol):
    """Waits by the emulator's clock; ends early when the emulator closes."""

    async def __call__(self, seconds: float, *, parked: bool = False) -> None: ...


class Courier:
    """Delivers what it is given, once, unless a fault says otherwise. Nothing is tried again."""

    def __init__(self, clock: Clock, pause: Pause) -> None:
        self._clock = clock
        self._pause = pause
        self._client: httpx.AsyncClient | None = None
        self._held: list[asyncio.Event] = []
        self.deliveries: list[Delivery] = []

    async def deliver(self, message: Message, armed: Armed | None) -> None:
        """Deliver `message` as the fault has it."""
        fault = armed.fault if armed else None
        seconds = armed.seconds if armed else None
        extra = message.extras.get(fault) if fault else None
        if fault is Fault.LOSE_CALLBACK:
            self._log(message, message.body, lost=True)
            return
        if fault is Fault.DELAY_CALLBACK:
            await self._pause(DELAY_S if seconds is None else seconds, parked=True)
        if fault is Fault.REORDER_CALLBACK:
            await self._wait_to_be_overtaken(OVERTAKEN_WITHIN_S if seconds is None else seconds)
        if fault is Fault.GARBAGE_CALLBACK:
            await self._post(self._log(message, GARBAGE, genuine=False))
        if extra and not extra.after:
            await self._send_extra(message, extra)
        if fault in {Fault.TIMEOUT_ECHO, Fault.TIMEOUT_UNDONE} and extra:
            return
        if fault is Fault.TIMEOUT_THEN_RESULT and extra:
            await self._pause(ECHO_BEFORE_RESULT_S if seconds is None else seconds, parked=True)
        copies = armed.times if armed and fault is Fault.DUPLICATE_CALLBACK else 1
        answers = await self._send(message, copies=copies)
        # A stranger who came first would be believed of a payment that nobody has told of yet.
        arrived = any(answer is not None and answer.is_success for answer in answers)
        if extra and extra.after and (extra.genuine or arrived):
            await self._send_extra(message, extra)

    async def ask(self, message: Message, *, timeout_s: float) -> httpx.Response | None:
        """Post and return the answer; None where there was none in time."""
        return await self._post(self._log(message, message.body), timeout_s=timeout_s)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _send(self, message: Message, *, copies: int) -> Sequence[httpx.Response | None]:
        logged = [self._log(message, message.body) for _ in range(copies)]
        answers = await asyncio.gather(*(self._post(one) for one in logged))
        for waiting in self._held:
            waiting.set()
        return answers

    async def _send_extra(self, message: Message, extra: Extra) -> None:
        url, kind = extra.url or message.url, extra.kind or message.kind
        relabelled = Message(flow=message.flow, kind=kind, url=url, body=extra.body)
        await self._post(self._log(relabelled, extra.body, genuine=extra.genuine))

    async def _wait_to_be_overtaken(self, seconds: float) -> None:
        overtaken = asyncio.Event()
        self._held.append(overtaken)
        waits = [
            asyncio.ensure_future(overtaken.wait()),
            asyncio.ensure_future(self._pause(seconds, parked=True)),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._held.remove(overtaken)
            for wait in waits:
                wait.cancel()

    def _log(
        self, message: Message, body: "JsonObject | bytes", *, genuine: bool = True, lost: bool = False
    ) -> Delivery:
        delivery = Delivery(
            number=len(self.deliveries) + 1,
            flow=message.flow,
            kind=message.kind,
            url=message.url,
            body=body if isinstance(body, bytes) else dumps(body),
            at=self._clock.now(),
            genuine=genuine,
            lost=lost,
        )
        self.deliveries.append(delivery)
        return delivery

    async def _post(self, delivery: Delivery, *, timeout_s: float = TIMEOUT_S) -> httpx.Response | None:
        if self._client is None:
            self._client = httpx.AsyncClient(trust_env=False, verify=_tls())
        try:
            response = await self._client.post(
                delivery.url,
                content=delivery.body,
                headers={"Content-Type": "application/json"},
                timeout=timeout_s,
            )
        except httpx.HTTPError as error:
            delivery.error = type(error).__name__
            return None
        delivery.answer = response.content
        delivery.status = response.status_code
        return response


@cache
def _tls() -> ssl.SSLContext:
    """Make the context once: it takes longer than all else that an emulator needs."""
    return httpx.create_ssl_context(trust_env=False)
