"""Takes Daraja's HTTP requests: token, body, faults of the request, reply. What is asked for is decided elsewhere."""

import asyncio
import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from zanari_api.sandbox.safaricom.b2c import Paying
from zanari_api.sandbox.safaricom.c2b import CustomerPayments
from zanari_api.sandbox.safaricom.core import Core
from zanari_api.sandbox.safaricom.corrections import Corrections
from zanari_api.sandbox.safaricom.credentials import TOKEN_LASTS_S
from zanari_api.sandbox.safaricom.faults import HTTP_ERRORS, Armed, Fault, Flow, Place
from zanari_api.sandbox.safaricom.pull import Pulling
from zanari_api.sandbox.safaricom.requests import Api, ApiError, Fields, Reply
from zanari_api.sandbox.safaricom.status import Status
from zanari_api.sandbox.safaricom.stk import Prompting
from zanari_api.sandbox.safaricom.wire import JsonObject, dumps, loads_object

CUT: Final = "safaricom.cut"
"""The scope's extension that closes the connection: see server.py."""

RESULT_FIRST_WITHIN_S: Final = 20
OAUTH: Final = Api(flow=Flow.OAUTH, token_refusal=(400, "400.008.01"), methods=("GET",))
STK: Final = Api(flow=Flow.STK, token_refusal=(404, "404.001.03"))
QUERY: Final = Api(flow=Flow.QUERY, token_refusal=(404, "404.001.03"))
C2B: Final = Api(flow=Flow.C2B, token_refusal=(400, "400.003.01"), field_code="400.003.02")
B2C: Final = Api(flow=Flow.B2C, token_refusal=(401, "401.002.01"))
STATUS: Final = Api(flow=Flow.STATUS, token_refusal=(400, "400.003.01"))
BALANCE: Final = Api(flow=Flow.BALANCE, token_refusal=(401, "401.002.01"))
REVERSAL: Final = Api(flow=Flow.REVERSAL, token_refusal=(404, "404.001.03"))
PULL: Final = Api(flow=Flow.PULL, token_refusal=(401, "401.001"))
PULL_QUERY: Final = Api(flow=Flow.PULL, token_refusal=(401, "401.001"), methods=("GET", "POST"))

Handler = Callable[[Fields], Reply]


class Flows:
    """The emulator's APIs over one core."""

    def __init__(self, core: Core) -> None:
        self.payments = CustomerPayments(core)
        self.prompting = Prompting(core, self.payments)
        self.paying = Paying(core)
        self.status = Status(core)
        self.corrections = Corrections(core)
        self.pulling = Pulling(core)

    def handlers(self) -> Mapping[str, tuple[Api, Handler]]:
        """Return what answers each path."""
        return {
            "/mpesa/c2b/v1/registerurl": (C2B, lambda fields: self.payments.register(fields, version=1)),
            "/mpesa/c2b/v2/registerurl": (C2B, lambda fields: self.payments.register(fields, version=2)),
            "/mpesa/stkpush/v1/processrequest": (STK, self.prompting.push),
            "/mpesa/stkpushquery/v1/query": (QUERY, self.prompting.query),
            "/mpesa/b2c/v3/paymentrequest": (B2C, self.paying.pay),
            "/mpesa/transactionstatus/v1/query": (STATUS, self.status.ask),
            "/mpesa/accountbalance/v1/query": (BALANCE, self.corrections.balance),
            "/mpesa/reversal/v1/request": (REVERSAL, self.corrections.reversal),
            "/pulltransactions/v1/register": (PULL, self.pulling.register),
            "/pulltransactions/v1/query": (PULL_QUERY, self.pulling.answer),
        }


class Cut(Response):
    """No reply at all: the connection is closed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (nothing is sent)
        close = cast("Callable[[], None] | None", scope.get("extensions", {}).get(CUT))
        if close is None:
            raise ConnectionAbortedError("this server cannot cut connections")
        close()
        # The server answers for an application that says nothing, until it knows that nobody is there.
        while (await receive())["type"] != "http.disconnect":
            pass


class WireJson(Response):
    """JSON with amounts by their digits."""

    media_type = "application/json"

    def render(self, content: JsonObject) -> bytes:
        return dumps(content)


class Gate:
    """The door every request of Daraja's comes through."""

    def __init__(self, core: Core, flows: Flows) -> None:
        self._core = core
        self._flows = flows

    def routes(self) -> list[BaseRoute]:
        routes: list[BaseRoute] = [
            Route("/oauth/v1/generate", self._endpoint(OAUTH, self._token), methods=["GET"])
        ]
        for path, (api, handler) in self._flows.handlers().items():
            endpoint = self._endpoint(api, self._authenticated(api, handler))
            routes.append(Route(path, endpoint, methods=list(api.methods)))
        return routes

    def no_such_path(self) -> Response:
        return self._error(ApiError(404, "404.001.01", "Resource not found"))

    def no_such_method(self) -> Response:
        return self._error(ApiError(405, "405.001", "Method Not Allowed"))

    def _endpoint(
        self, api: Api, answer: Callable[[Request, bool], Awaitable[Reply]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            armed = self._core.faults.take(api.flow, Place.REQUEST)
            fault = armed.fault if armed else None
            if fault is Fault.CUT_BEFORE:
                return Cut()
            if fault is Fault.REVOKE_TOKEN:
                self._core.tokens.revoke()
            try:
                if armed and fault is Fault.HTTP_ERROR:
                    raise _error_of(armed)
                reply = await answer(request, fault is Fault.RESULT_FIRST)
            except ApiError as error:
                return self._error(error)
            return await self._reply(reply, armed)

        return endpoint

    async def _reply(self, reply: Reply, armed: Armed | None) -> Response:
        core = self._core
        match armed.fault if armed else None:
            case Fault.RESULT_FIRST if reply.goes_on is not None:
                await core.either(asyncio.shield(reply.goes_on), RESULT_FIRST_WITHIN_S, parked=False)
            case Fault.SLOW_REPLY:
                wait_s = armed.seconds if armed and armed.seconds is not None else core.delays.slow_reply_s
                await core.pause(wait_s)
            case Fault.CUT_AFTER:
                return Cut()
            case Fault.HTTP_ERROR_AFTER if armed:
                return self._error(_error_of(armed))
            case _:
                pass
        return WireJson(reply.body, reply.status)

    def _authenticated(self, api: Api, handler: Handler) -> Callable[[Request, bool], Awaitable[Reply]]:
        async def answer(request: Request, hurry: bool) -> Reply:  # noqa: FBT001 (the fault, or not)
            body = await request.body()
            self._check_token(api, request)
            try:
                fields = loads_object(body)
            except ValueError as error:
                raise ApiError(400, "400.002.05", "Invalid Request Payload") from error
            return handler(Fields(fields, api, hurry))

        return answer

    def _check_token(self, api: Api, request: Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise ApiError(404, "404.001.04", "Invalid Authentication Header")
        if not self._core.tokens.is_valid(token, now=self._core.clock.now()):
            status, code = api.token_refusal
            # This API's message repeats the token, as Safaricom's does.
            echo = f" - {token}" if code == "401.002.01" else ""
            raise ApiError(status, code, f"Error Occurred - Invalid Access Token{echo}")

    async def _token(self, request: Request, _hurry: bool) -> Reply:  # noqa: FBT001 (as the other answers)
        core = self._core
        wanted = f"{core.secrets.consumer_key}:{core.secrets.consumer_secret}"
        if _basic(request.headers.get("Authorization", "")) != wanted:
            raise ApiError(400, "400.008.01", "Bad Request - invalid credentials")
        if request.query_params.get("grant_type") != "client_credentials":
            raise ApiError(400, "400.008.02", "Invalid grant type passed")
        token = core.ids.token()
        core.tokens.begin(token, now=core.clock.now())
        armed = core.faults.take(Flow.OAUTH, Place.ANSWER)
        as_text = armed is not None and armed.fault is Fault.EXPIRES_IN_TEXT
        return Reply({"access_token": token, "expires_in": str(TOKEN_LASTS_S) if as_text else TOKEN_LASTS_S})

    def _error(self, error: ApiError) -> Response:
        body = {
            "requestId": self._core.ids.request(),
            "errorCode": error.code,
            "errorMessage": error.message,
        }
        return WireJson(body, error.status)


def _error_of(armed: Armed) -> ApiError:
    code = armed.code or "500.002.1001"
    # Most codes begin with their HTTP status.
    status = int(code[:3]) if re.match(r"[45][0-9]{2}\.", code) else 500
    return ApiError(status, code, armed.message or HTTP_ERRORS.get(code, "Error Occurred"))


def _basic(header: str) -> str | None:
    scheme, _, sealed = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(sealed, validate=True).decode()
    except (ValueError, binascii.Error):
        return None
