"""The other side of the wire, by hand: a caller that knows the secrets, a listener, a clock that is moved."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.responses import JSONResponse, Response

from zanari_api.kit.clock import Clock
from zanari_api.sandbox.safaricom.emulator import SafaricomEmulator

PAYBILL, PAYER = "600000", "600001"
WANJIKU, OTIENO = "254712345678", "254110000001"
TIMESTAMP = "20261125101500"


class HandClock(Clock):
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self._now = datetime(2026, 11, 25, 7, 15, tzinfo=UTC)
        self._sleepers: list[tuple[datetime, asyncio.Event]] = []

    def now(self) -> datetime:
        return self._now

    async def sleep(self, seconds: float) -> None:
        if seconds > 0:
            woken = asyncio.Event()
            self._sleepers.append((self._now + timedelta(seconds=seconds), woken))
            await woken.wait()

    async def move(self, seconds: float) -> None:
        """Move on, and let those who wake up do something."""
        self._now += timedelta(seconds=seconds)
        for until, woken in self._sleepers:
            if until <= self._now:
                woken.set()
        await asyncio.sleep(0.005)


async def acknowledge(_path: str) -> Response:
    return JSONResponse({"ResultCode": 0, "ResultDesc": "Accepted"})


@dataclass
class Listener:
    """Takes callbacks and answers them; `heard` is what came: path and body."""

    base_url: str = ""
    heard: list[tuple[str, bytes]] = field(default_factory=list)
    answer: Callable[[str], Awaitable[Response]] = acknowledge

    def url(self, path: str) -> str:
        return f"{self.base_url}/{path}"


class Caller:
    """Asks for things as our side would."""

    def __init__(self, client: httpx.AsyncClient, emulator: SafaricomEmulator, listener: Listener) -> None:
        self.client = client
        self.emulator = emulator
        self.listener = listener
        self.token = ""

    async def log_in(self) -> httpx.Response:
        secrets = self.emulator.secrets
        response = await self.client.get(
            "/oauth/v1/generate",
            params={"grant_type": "client_credentials"},
            auth=(secrets.consumer_key, secrets.consumer_secret),
        )
        self.token = response.json().get("access_token", "")
        return response

    async def post(self, path: str, body: Any, *, method: str = "POST") -> httpx.Response:
        if not self.token:
            await self.log_in()
        headers = {"Authorization": f"Bearer {self.token}"}
        return await self.client.request(method, path, json=body, headers=headers)

    def credential(self, password: str | None = None) -> str:
        certificate = x509.load_pem_x509_certificate(self.emulator.certificate_pem.encode())
        key = certificate.public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        secret = self.emulator.secrets.initiator_password if password is None else password
        return base64.b64encode(key.encrypt(secret.encode(), padding.PKCS1v15())).decode()

    def password(self) -> dict[str, str]:
        text = f"{PAYBILL}{self.emulator.secrets.passkey}{TIMESTAMP}"
        return {
            "BusinessShortCode": PAYBILL,
            "Password": base64.b64encode(text.encode()).decode(),
            "Timestamp": TIMESTAMP,
        }

    def push_body(self, **changes: Any) -> dict[str, Any]:
        body = {
            **self.password(),
            "TransactionType": "CustomerPayBillOnline",
            "Amount": 100,
            "PartyA": WANJIKU,
            "PartyB": PAYBILL,
            "PhoneNumber": WANJIKU,
            "CallBackURL": self.listener.url("stk"),
            "AccountReference": "12345674",
            "TransactionDesc": "Savings",
        }
        return body | changes

    async def push(self, **changes: Any) -> httpx.Response:
        return await self.post("/mpesa/stkpush/v1/processrequest", self.push_body(**changes))

    async def query(self, checkout_request_id: str) -> httpx.Response:
        body = {**self.password(), "CheckoutRequestID": checkout_request_id}
        return await self.post("/mpesa/stkpushquery/v1/query", body)

    async def register(self, *, version: int = 2, **changes: Any) -> httpx.Response:
        body = {
            "ShortCode": PAYBILL,
            "ResponseType": "Completed",
            "ConfirmationURL": self.listener.url("confirmation"),
            "ValidationURL": self.listener.url("validation"),
        }
        return await self.post(f"/mpesa/c2b/v{version}/registerurl", body | changes)

    def asking(self, **changes: Any) -> dict[str, Any]:
        body = {
            "SecurityCredential": self.credential(),
            "ResultURL": self.listener.url("result"),
            "QueueTimeOutURL": self.listener.url("timeout"),
            "Remarks": "Zanari",
        }
        return body | changes

    async def pay(self, **changes: Any) -> httpx.Response:
        body = {
            "OriginatorConversationID": str(uuid4()),
            "InitiatorName": self.emulator.secrets.initiator_name,
            "CommandID": "BusinessPayment",
            "Amount": 500,
            "PartyA": PAYER,
            "PartyB": WANJIKU,
            "Occassion": "",
        }
        return await self.post("/mpesa/b2c/v3/paymentrequest", self.asking(**body) | changes)

    async def ask_status(self, **changes: Any) -> httpx.Response:
        body = {
            "Initiator": self.emulator.secrets.initiator_name,
            "CommandID": "TransactionStatusQuery",
            "PartyA": PAYER,
            "IdentifierType": "4",
        }
        return await self.post("/mpesa/transactionstatus/v1/query", self.asking(**body) | changes)

    async def ask_balance(self, **changes: Any) -> httpx.Response:
        body = {
            "Initiator": self.emulator.secrets.initiator_name,
            "CommandID": "AccountBalance",
            "PartyA": PAYER,
            "IdentifierType": "4",
        }
        return await self.post("/mpesa/accountbalance/v1/query", self.asking(**body) | changes)

    async def ask_reversal(self, receipt: str, **changes: Any) -> httpx.Response:
        body = {
            "Initiator": self.emulator.secrets.initiator_name,
            "CommandID": "TransactionReversal",
            "TransactionID": receipt,
            "Amount": 100,
            "ReceiverParty": PAYBILL,
            "RecieverIdentifierType": "11",
        }
        return await self.post("/mpesa/reversal/v1/request", self.asking(**body) | changes)

    async def register_pull(self) -> httpx.Response:
        body = {
            "ShortCode": PAYBILL,
            "RequestType": "Pull",
            "NominatedNumber": WANJIKU,
            "CallBackURL": self.listener.url("pull"),
        }
        return await self.post("/pulltransactions/v1/register", body)

    async def pull(self, start: str, end: str, *, offset: str = "0", method: str = "POST") -> httpx.Response:
        body = {"ShortCode": PAYBILL, "StartDate": start, "EndDate": end, "OffSetValue": offset}
        return await self.post("/pulltransactions/v1/query", body, method=method)

    async def heard(self) -> list[tuple[str, Any]]:
        """What has been delivered so far, once nothing more is on its way."""
        await self.emulator.quiet()
        return [(one.kind, one.fields()) for one in self.emulator.deliveries if not one.lost]
