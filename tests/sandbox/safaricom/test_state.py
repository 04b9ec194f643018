"""The emulator's memory between runs: books, handsets, requests and the certificate; and what a restart interrupts."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.sandbox.safaricom.caller import PAYBILL, PAYER, WANJIKU, Caller, HandClock, Listener
from zanari_api.sandbox.safaricom.books import Opening, Position
from zanari_api.sandbox.safaricom.core import Delays
from zanari_api.sandbox.safaricom.emulator import SafaricomEmulator
from zanari_api.sandbox.safaricom.server import serving


@asynccontextmanager
async def run(path: Path, listener: Listener, clock: HandClock, **options: Any) -> AsyncIterator[Caller]:
    opening = {PAYBILL: Opening(utility_cents=50_000), PAYER: Opening(utility_cents=10_000_000)}
    given = {"shortcodes": opening, "delays": Delays.none()} | options
    emulator = SafaricomEmulator(clock=clock, state_file=path, seed=7, **given)
    async with serving(emulator) as url, httpx.AsyncClient(base_url=url, timeout=5) as client:
        yield Caller(client, emulator, listener)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made on demand" / "safaricom.json"


async def test_everything_is_there_after_a_restart(path: Path, listener: Listener, clock: HandClock) -> None:
    async with run(path, listener, clock) as caller:
        await caller.register(version=1)
        await caller.register_pull()
        await caller.emulator.set_handset(WANJIKU, behaviour="cancel", reachable=False)
        await caller.pay(OriginatorConversationID="ours-1", Amount="10")
        payment = await caller.emulator.pay_bill(amount_cents=100, account_reference="A", msisdn=WANJIKU)
        checkout = (await caller.push()).json()["CheckoutRequestID"]
        await caller.heard()
        before = caller.emulator.books.position()
        certificate = caller.emulator.certificate_pem
        handset = caller.emulator.handset(WANJIKU)
    async with run(path, listener, clock) as caller:
        emulator = caller.emulator
        assert emulator.books.position() == before
        assert emulator.handset(WANJIKU) == handset
        assert (await caller.query(checkout)).json()["ResultCode"] == "1037"
        assert "Duplicate" in (await caller.pay(OriginatorConversationID="ours-1")).text
        assert payment.receipt in (await caller.pull("2026-11-25 00:00:00", "2026-11-25 23:00:00")).text
        await emulator.reverse(payment.receipt)
        second = await emulator.pay_bill(amount_cents=100, account_reference="A", msisdn=WANJIKU)
        assert second.receipt != payment.receipt
        [(_, confirmed)] = await caller.heard()
        assert len(confirmed["MSISDN"]) == 64
        # A credential made with the certificate of the first run is still good.
        assert _public_key(certificate) == _public_key(emulator.certificate_pem)


def _public_key(pem: str) -> Any:
    from cryptography import x509  # noqa: PLC0415

    return x509.load_pem_x509_certificate(pem.encode()).public_key().public_numbers()  # type: ignore[union-attr]


async def test_an_interrupted_prompt_ends_unanswered_and_an_interrupted_payout_goes_on(
    path: Path, listener: Listener, clock: HandClock
) -> None:
    slow = Delays(prompt_s=10, process_s=10, callback_s=0)
    async with run(path, listener, clock, delays=slow) as caller:
        checkout = (await caller.push()).json()["CheckoutRequestID"]
        await caller.pay(OriginatorConversationID="ours-1")
    assert listener.heard == []
    async with run(path, listener, clock) as caller:
        heard = dict(await caller.heard())
        assert heard["stk_callback"]["Body"]["stkCallback"]["ResultCode"] == 1037
        assert heard["b2c_result"]["Result"]["OriginatorConversationID"] == "ours-1"
        assert (await caller.query(checkout)).json()["ResultCode"] == "1037"
        position = caller.emulator.books.position()
        assert (position[PAYBILL].utility_cents, position[PAYER].utility_cents) == (50_000, 9_950_000)
    async with run(path, listener, clock) as caller:
        assert await caller.heard() == []
        assert caller.emulator.books.position() == position


async def test_a_known_shortcode_keeps_its_opening_and_a_new_one_brings_its_own(
    path: Path, listener: Listener, clock: HandClock
) -> None:
    async with run(path, listener, clock) as caller:
        await caller.emulator.deposit_float(PAYBILL, 100)
    changed = {PAYBILL: Opening(utility_cents=9), "600002": Opening(utility_cents=7)}
    async with run(path, listener, clock, shortcodes=changed) as caller:
        position = caller.emulator.books.position()
        assert position[PAYBILL] == Position(utility_cents=50_100)
        assert position["600002"] == Position(utility_cents=7)


def test_the_file_is_its_owner_s_alone_and_always_whole(path: Path) -> None:
    emulator = SafaricomEmulator(state_file=path)
    for number in range(3):
        asyncio.run(emulator.deposit_float(PAYBILL, 100))
        assert len(json.loads(path.read_text())["movements"]) == number + 1
    assert [one.name for one in path.parent.iterdir()] == ["safaricom.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "safaricom.json"
    path.write_text('{"version": 0}')
    with pytest.raises(ValueError, match="not of version 1"):
        SafaricomEmulator(state_file=path)


def test_another_kind_of_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "safaricom.json"
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    path.write_text(json.dumps({"version": 1, "private_key_pem": pem.decode()}))
    with pytest.raises(TypeError, match="not RSA"):
        SafaricomEmulator(state_file=path)
