"""The whole service in this process, on a database of the test module's own, and the fixtures that act on it."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Protocol
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import stamina
from fastapi import FastAPI
from pydantic import SecretStr

from tests.support.books import Books
from tests.support.clock import HurriedClock, SettableClock
from tests.support.daraja import certificate_pem
from tests.support.loopback import kept_port, served
from tests.support.postgres import Database
from tests.support.savers import Saver, answered, kes, new_phone, new_receipt
from zanari_api.assembly import Stead
from zanari_api.daraja.session import ATTEMPTS
from zanari_api.kit.clock import EAT
from zanari_api.main import create_app
from zanari_api.mpesa.signature import sign
from zanari_api.runtime import db
from zanari_api.runtime.deps import Runtime
from zanari_api.sandbox.auth import TokenMint
from zanari_api.sandbox.auth_server import AuthServer
from zanari_api.sandbox.safaricom.core import Delays
from zanari_api.sandbox.safaricom.emulator import SafaricomEmulator
from zanari_api.sandbox.safaricom.server import serving
from zanari_api.sandbox.sms import PATH as SMS_PATH
from zanari_api.sandbox.sms import TOKEN as SMS_TOKEN
from zanari_api.sandbox.sms import SmsEmulator
from zanari_api.settings import Environment, Settings
from zanari_api.worker import worker_of

ISSUER: Final = "http://auth.zanari.test/auth/v1"
SHORTCODE: Final = "600000"
CALLBACK_TOKEN: Final = "c0ffee" * 8
B2C_SHORTCODE: Final = "600001"
CONSUMER_KEY: Final = "the tests' consumer key"
CONSUMER_SECRET: Final = "the tests' consumer secret"
PASSKEY: Final = "the tests' passkey"
INITIATOR_NAME: Final = "zanari"
INITIATOR_PASSWORD: Final = "the initiator's password"
WEBHOOK_SECRET: Final = "a webhook secret of the tests"
ROUNDS_MAX: Final = 50
HURRIED_TIMES: Final = 10
"""How much faster the service waits, above all for an answer; what its Safaricom is late by stays as it is."""

PII_KEYS: Final = "tests:" + base64.b64encode(bytes(range(32))).decode()


@dataclass(frozen=True, slots=True)
class Auth:
    """The emulator of Supabase Auth that the run's applications trust."""

    mint: TokenMint
    auth_url: str


@dataclass(frozen=True, slots=True)
class Api:
    """A running service: its client, its database, and M-PESA's and the relay's side of the conversation."""

    app: FastAPI
    client: httpx.AsyncClient
    database: Database
    auth: Auth
    books: Books
    emulator: SafaricomEmulator
    handsets: SmsEmulator
    """What text messages came to."""

    clock: SettableClock
    variables: Mapping[str, str]
    """The environment that a command of this service runs in."""

    async def work(self) -> None:
        """Do everything that is due now, and let Safaricom say what it has to say, until neither has more to do."""
        worker = worker_of(self.app.state.parts)
        for _ in range(ROUNDS_MAX):
            await self.emulator.quiet()
            told = len(self.emulator.deliveries)
            if await worker.drain() == 0 and told == len(self.emulator.deliveries):
                return
        raise AssertionError("there is always more to do")

    @property
    def runtime(self) -> Runtime:
        return self.app.state.runtime

    @property
    def db(self) -> db.Database:
        """The pool that the service itself uses."""
        return self.runtime.database

    async def new_saver(
        self, *, phone: str | None = "", joined: datetime | None = None, saver_id: UUID | None = None
    ) -> Saver:
        """Make a saver by a first call. A new number unless `phone` gives one; None for none."""
        saver_id = saver_id or uuid4()
        phone = new_phone() if phone == "" else phone
        token = self.token(saver_id, phone)
        response = await self.client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"})
        code = answered(response)["member_code"]
        saver = Saver(api=self, id=saver_id, phone=phone, token=token, member_code=code)
        if joined is not None:
            await saver.joined(joined)
        return saver

    def token(self, saver_id: UUID | str, phone: str | None = None, **claims: Any) -> str:
        """Mint an access token; `claims` replace those that Auth would write, None leaves one out."""
        return self.auth.mint.mint(saver_id, phone, **claims)

    async def tell_spend(
        self,
        cents: int,
        *,
        phone: str,
        receipt: str | None = None,
        kind: str = "buy_goods",
        at: datetime | None = None,
        **more: object,
    ) -> httpx.Response:
        """Deliver a spend by the signed webhook; `more` are further fields of the record."""
        record = {
            "transaction_id": receipt or new_receipt(),
            "transaction_type": kind,
            "amount": kes(cents),
            "phone_number": phone,
            "transaction_time": (at or datetime.now(UTC)).isoformat(timespec="seconds"),
            "merchant_name": "Mama Njeri Shop",
            **more,
        }
        return await self.deliver(json.dumps({"record": record}).encode())

    async def deliver(self, body: bytes, *, signature: str | None = "") -> httpx.Response:
        """Send a body to the signed webhook: signed now, or with `signature`, or with none where it is None."""
        headers = {"Content-Type": "application/json"}
        if signature is not None:
            headers["X-Mpesa-Signature"] = signature or sign(WEBHOOK_SECRET, body, datetime.now(UTC))
        return await self.client.post("/api/v1/mpesa/webhooks/roundup", content=body, headers=headers)

    async def pay_in(
        self, cents: int, *, account_reference: str, receipt: str | None = None, **more: object
    ) -> httpx.Response:
        """Have M-PESA confirm a payment into our paybill; `more` are wire fields."""
        payment = {
            "TransactionType": "Pay Bill",
            "TransID": receipt or new_receipt(),
            "TransTime": datetime.now(EAT).strftime("%Y%m%d%H%M%S"),
            "TransAmount": kes(cents),
            "BusinessShortCode": SHORTCODE,
            "BillRefNumber": account_reference,
            "MSISDN": "2547 ***** 126",
            "FirstName": "JANE",
            **more,
        }
        response = await self.call_back("/c2b/confirmation", json.dumps(payment).encode())
        assert response.status_code == 200, response.text
        return response

    async def call_back(
        self, path: str, body: bytes, *, callback_token: str = CALLBACK_TOKEN
    ) -> httpx.Response:
        """Post a callback as Safaricom does; `path` is below the secret token."""
        return await self.client.post(f"/callbacks/{callback_token}{path}", content=body)

    async def rows(self, sql: str, *args: object) -> list[asyncpg.Record]:
        """Look into the tables, past every policy."""
        async with self.database.connected("supabase_admin") as connection:
            return await connection.fetch(sql, *args)

    async def alter(self, sql: str, *args: object) -> None:
        """Change what no saver could: the past, mostly."""
        async with self.database.connected("supabase_admin") as connection:
            await connection.execute(sql, *args)

    async def until_a_statement_waits(self) -> None:
        """Return as soon as one of the database's statements waits for a lock that another one holds."""
        waits = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        while not await self.rows(waits):  # noqa: ASYNC110 (the server tells nobody)
            await asyncio.sleep(0.01)


class Serve(Protocol):
    """Runs one more service on the module's database, with some settings of its own."""

    def __call__(self, **settings: object) -> AbstractAsyncContextManager[Api]: ...


@pytest.fixture(scope="session")
def auth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Auth]:
    """The run's emulator of Supabase Auth, serving its keys on a loopback port."""
    mint = TokenMint(tmp_path_factory.mktemp("auth"), issuer=ISSUER)
    with AuthServer(mint) as server:
        yield Auth(mint, server.auth_url)


@pytest.fixture(scope="module")
def serve(database: Database, auth: Auth) -> Serve:
    """Run services beside the module's own, e.g. `async with serve(feature_goals_enabled=False) as other`."""
    return partial(_serving, database, auth)


@pytest.fixture(scope="module")
async def module_api(serve: Serve) -> AsyncIterator[Api]:
    """The module's service. Tests ask for `api`, which proves the books after each of them."""
    async with serve() as running:
        yield running


@pytest.fixture
async def api(module_api: Api) -> AsyncIterator[Api]:
    """The service of the test's module; when the test is over, every promise of the books must still hold."""
    yield module_api
    await module_api.books.check()


@pytest.fixture
def books(api: Api) -> Books:
    """The ledger, past every saver's own view."""
    return api.books


@pytest.fixture
async def saver(api: Api) -> Saver:
    """A saver who has just joined, with a number and nothing saved."""
    return await api.new_saver()


@asynccontextmanager
async def _serving(
    database: Database, auth: Auth, *, times: int = HURRIED_TIMES, **settings: object
) -> AsyncGenerator[Api, None]:
    """Run a service and, beside it, an emulator of Safaricom that answers at once and calls back over HTTP.

    The service waits so many `times` faster than it would, and asks again without the pause before it.
    """
    clock, kept = SettableClock(), kept_port()
    port = kept.getsockname()[1]
    emulator = SafaricomEmulator(
        clock=clock,
        consumer_key=CONSUMER_KEY,
        consumer_secret=CONSUMER_SECRET,
        passkey=PASSKEY,
        initiator_name=INITIATOR_NAME,
        initiator_password=INITIATOR_PASSWORD,
        delays=Delays.none(),
    )
    handsets = SmsEmulator()
    with stamina.set_testing(True, attempts=ATTEMPTS, cap=True):
        async with serving(emulator) as safaricom_url, served(handsets.app()) as sms_url:
            at = {
                "sms_gateway_url": sms_url + SMS_PATH,
                "sms_gateway_token": SecretStr(SMS_TOKEN),
                "mpesa_base_url": safaricom_url,
                "mpesa_certificate": emulator.certificate_pem,
                "mpesa_callback_base_url": f"http://127.0.0.1:{port}",
            }
            complete = settings_for(database, **{**at, **settings})
            hurried = HurriedClock(clock, times=times)
            app = create_app(complete, stead=Stead(ISSUER, auth.auth_url), clock=hurried)
            transport = httpx.ASGITransport(app, client=("198.51.100.7", 40000))
            async with (
                app.router.lifespan_context(app),
                served(app, on=kept),
                httpx.AsyncClient(transport=transport, base_url="http://zanari.test") as client,
            ):
                books = Books(app.state.runtime.database)
                told = variables_of(complete)
                yield Api(app, client, database, auth, books, emulator, handsets, clock, told)


def settings_for(database: Database, **overrides: object) -> Settings:
    """Return complete settings for a service on this database; what the machine's environment says is ignored."""
    settings = Settings(
        environment=Environment.STAGING,
        database_url=SecretStr(database.service_dsn),
        pii_keys=SecretStr(PII_KEYS),
        mpesa_shortcode=SHORTCODE,
        mpesa_webhook_secret=SecretStr(WEBHOOK_SECRET),
        mpesa_callback_tokens=SecretStr(CALLBACK_TOKEN),
        mpesa_base_url="http://127.0.0.1:9",
        mpesa_callback_base_url="http://callbacks.zanari.test",
        mpesa_consumer_key=SecretStr(CONSUMER_KEY),
        mpesa_consumer_secret=SecretStr(CONSUMER_SECRET),
        mpesa_passkey=SecretStr(PASSKEY),
        mpesa_b2c_shortcode=B2C_SHORTCODE,
        mpesa_initiator_name=INITIATOR_NAME,
        mpesa_initiator_password=SecretStr(INITIATOR_PASSWORD),
        mpesa_certificate=certificate_pem(),
        supabase_jwt_secret=None,
        redis_url=None,
        rate_limit_saver=1_000_000,
        rate_limit_address=1_000_000,
        rate_limit_pin=1_000_000,
    )
    return settings.model_copy(update={"feature_rollup_enabled": True, **overrides})


def variables_of(settings: Settings) -> dict[str, str]:
    """Return settings as the variables that they would be read from."""
    variables: dict[str, str] = {
        "SUPABASE_URL": "http://supabase.zanari.test",
        "SUPABASE_ANON_KEY": "a publishable key",
    }
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if isinstance(value, tuple):
            value = ",".join(value)
        if value is not None:
            variables[name.upper()] = str(value)
    return variables
