"""An emulator over real HTTP with no delays, a caller, and a listener for its callbacks."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.sandbox.safaricom.caller import PAYBILL, PAYER, Caller, HandClock, Listener, acknowledge
from tests.support.loopback import served
from zanari_api.sandbox.safaricom.books import Opening
from zanari_api.sandbox.safaricom.core import Delays
from zanari_api.sandbox.safaricom.emulator import SafaricomEmulator
from zanari_api.sandbox.safaricom.server import serving

TLS = httpx.create_ssl_context()


@pytest.fixture(scope="session")
async def ear() -> AsyncIterator[Listener]:
    """The one listener of all these tests: starting one takes longer than most of them."""
    made = Listener()

    async def take(request: Request) -> Response:
        path = request.url.path.removeprefix("/")
        made.heard.append((path, await request.body()))
        return await made.answer(path)

    async with served(Starlette(routes=[Route("/{path:path}", take, methods=["POST"])])) as url:
        made.base_url = url
        yield made


@pytest.fixture
def listener(ear: Listener) -> Listener:
    ear.heard, ear.answer = [], acknowledge
    return ear


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def emulator(clock: HandClock) -> SafaricomEmulator:
    return SafaricomEmulator(
        clock=clock,
        seed=7,
        delays=Delays.none(),
        shortcodes={
            PAYBILL: Opening(utility_cents=50_000),
            PAYER: Opening(utility_cents=10_000_000, working_cents=300_000, charges_paid_cents=-1_000),
        },
    )


@pytest.fixture
async def caller(emulator: SafaricomEmulator, listener: Listener) -> AsyncIterator[Caller]:
    async with serving(emulator) as url, httpx.AsyncClient(base_url=url, timeout=5, verify=TLS) as client:
        yield Caller(client, emulator, listener)
