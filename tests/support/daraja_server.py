"""Safaricom's side of a call, scripted by the test: what it received, what it answers, and how it breaks off.

The emulator in the sandbox behaves; this one does as it is told, once per told answer, and then well again.
"""

import asyncio
import base64
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from tests.support.loopback import served

OAUTH: Final = "/oauth/v1/generate"
STK: Final = "/mpesa/stkpush/v1/processrequest"
STK_QUERY: Final = "/mpesa/stkpushquery/v1/query"
B2C: Final = "/mpesa/b2c/v3/paymentrequest"
STATUS: Final = "/mpesa/transactionstatus/v1/query"
BALANCE: Final = "/mpesa/accountbalance/v1/query"
REVERSAL: Final = "/mpesa/reversal/v1/request"
REGISTER: Final = "/mpesa/c2b/v2/registerurl"
PULL: Final = "/pulltransactions/v1/query"
PULL_REGISTER: Final = "/pulltransactions/v1/register"

TAKEN_ON: Final = {
    "ConversationID": "AG_20261125_2010364430d9bbdaf872",
    "OriginatorConversationID": "53e3-4aa8-9fe0-8fb5e4092cdd3533373",
    "ResponseCode": "0",
    "ResponseDescription": "Accept the service request successfully.",
}
WELL: Final[Mapping[str, Any]] = {
    STK: {
        "MerchantRequestID": "29115-34620561-1",
        "CheckoutRequestID": "ws_CO_25112026093005123708374149",
        "ResponseCode": "0",
        "ResponseDescription": "Success. Request accepted for processing",
        "CustomerMessage": "Success. Request accepted for processing",
    },
    STK_QUERY: {"ResponseCode": "0", "ResultCode": "1032", "ResultDesc": "Request cancelled by user"},
    B2C: TAKEN_ON,
    STATUS: TAKEN_ON,
    BALANCE: TAKEN_ON,
    REVERSAL: TAKEN_ON,
    REGISTER: {"OriginatorCoversationID": "6e86-45dd", "ResponseCode": "0", "ResponseDescription": "Success"},
    PULL: {"ResponseRefID": "26178-42530161-2", "ResponseCode": "1001", "Response": "[[]]"},
    PULL_REGISTER: {"ResponseRefID": "feb5", "ResponseStatus": "1000", "ShortCode": "600000"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One answer. `cut` breaks off in the middle of the body; `delay_s` comes before the first byte."""

    status: int = 200
    body: bytes = b"{}"
    delay_s: float = 0
    cut: bool = False


def error(code: str, message: str, status: int) -> Told:
    """The shape of Safaricom's errors."""
    told = {"requestId": "93975-16241949-2", "errorCode": code, "errorMessage": message}
    return Told(status=status, body=json.dumps(told).encode())


@dataclass(frozen=True, slots=True)
class Received:
    """One request, as it came."""

    verb: str
    path: str
    authorization: str
    body: dict[str, Any]


@dataclass(slots=True)
class ScriptedSafaricom:
    """An application that checks tokens as Safaricom does: a new one ends the one before."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    script: dict[str, deque[Told]] = field(default_factory=lambda: defaultdict(deque))
    tokens: list[str] = field(default_factory=list)
    expires_in: object = 3599
    invalid_token: Told = field(default_factory=lambda: error("404.001.03", "Invalid Access Token", 404))

    def reset(self) -> None:
        """Forget everything, for the next test."""
        self.received, self.tokens = [], []
        self.script.clear()
        self.expires_in = 3599
        self.invalid_token = error("404.001.03", "Invalid Access Token", 404)

    def will(self, path: str, *answers: Told) -> None:
        """Answer the next requests to `path` with these, in order."""
        self.script[path].extend(answers)

    def calls(self, path: str) -> list[Received]:
        return [each for each in self.received if each.path == path]

    def forget_tokens(self) -> None:
        """Let no token be valid any more, as when another program asked for one."""
        self.tokens.append("of somebody else")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        path = request.url.path
        self.received.append(
            Received(request.method, path, request.headers["authorization"], json.loads(body) if body else {})
        )
        told = self.script[path].popleft() if self.script[path] else self._well(self.received[-1])
        await asyncio.sleep(told.delay_s)
        promised = len(told.body) + (100 if told.cut else 0)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(promised).encode())]
        await send({"type": "http.response.start", "status": told.status, "headers": headers})
        # A body shorter than promised makes the server close the connection.
        await send({"type": "http.response.body", "body": told.body})

    def _well(self, request: Received) -> Told:
        if request.path == OAUTH:
            return self._new_token()
        if not self.tokens or request.authorization != f"Bearer {self.tokens[-1]}":
            return self.invalid_token
        # The other versions of an address answer as the one that is known.
        return Told(
            body=json.dumps(WELL[request.path.replace("/v1/registerurl", "/v2/registerurl")]).encode()
        )

    def _new_token(self) -> Told:
        self.tokens.append(base64.urlsafe_b64encode(f"a token, number {len(self.tokens)}".encode()).decode())
        told = {"access_token": self.tokens[-1], "expires_in": self.expires_in}
        return Told(body=json.dumps(told).encode())


@asynccontextmanager
async def scripted_safaricom() -> AsyncIterator[ScriptedSafaricom]:
    """Run one on a loopback port."""
    app = ScriptedSafaricom()
    async with served(app) as url:
        app.url = url
        yield app
