"""The emulator in a thread of its own, and its methods called from another loop."""

import asyncio

import httpx
import pytest

from tests.sandbox.safaricom.caller import PAYBILL, WANJIKU, Caller, Listener
from zanari_api.sandbox.safaricom.core import Delays
from zanari_api.sandbox.safaricom.emulator import SafaricomEmulator
from zanari_api.sandbox.safaricom.faults import Fault
from zanari_api.sandbox.safaricom.server import SafaricomServer


async def test_it_serves_from_its_own_thread_and_is_spoken_to_from_ours(listener: Listener) -> None:
    emulator = SafaricomEmulator(delays=Delays.none(), behaviour="ask")  # type: ignore[arg-type]
    with SafaricomServer(emulator) as server:
        async with httpx.AsyncClient(base_url=server.base_url, timeout=5) as client:
            caller = Caller(client, emulator, listener)
            await caller.register()
            await caller.push()
            assert emulator.loop is not asyncio.get_running_loop()
            await emulator.answer(WANJIKU, "approve")
            kinds = {kind for kind, _ in await caller.heard()}
            emulator.faults.next("stk", Fault.CUT_BEFORE)
            with pytest.raises(httpx.TransportError):
                await caller.push()
    assert kinds == {"stk_callback", "c2b_confirmation"}
    assert emulator.books.position()[PAYBILL].utility_cents == 10_000
    assert server.certificate_pem == emulator.certificate_pem
    assert emulator.loop is None


async def test_it_stops_at_once_whatever_waits(listener: Listener) -> None:
    emulator = SafaricomEmulator(behaviour="no_answer")  # type: ignore[arg-type]
    begun = asyncio.get_running_loop().time()
    with SafaricomServer(emulator) as server:
        async with httpx.AsyncClient(base_url=server.base_url, timeout=0.3) as client:
            caller = Caller(client, emulator, listener)
            await caller.push()
            emulator.faults.next("oauth", Fault.SLOW_REPLY, seconds=600)
            with pytest.raises(httpx.ReadTimeout):
                await caller.log_in()
    assert asyncio.get_running_loop().time() - begun < 5
    assert emulator.deliveries == []


def test_two_emulators_never_give_out_the_same_receipt() -> None:
    first, second = SafaricomEmulator(), SafaricomEmulator()
    assert first.seed != second.seed


def test_a_port_that_is_taken_is_said_at_once() -> None:
    server = SafaricomServer()
    with pytest.raises(OSError, match="in use"):
        SafaricomServer(port=server.port)
    with server:
        assert httpx.get(f"{server.base_url}/control").status_code == 200
