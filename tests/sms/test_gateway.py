"""The client of a text message gateway: one message, one id, and what each answer allows next."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.support.loopback import served
from zanari_api.kit.ids import new_id
from zanari_api.sms.gateway import GatewayRefused, GatewayUnavailable, SmsGateway, TextMessage

MESSAGE = TextMessage(UUID(int=7), "254712345126", "Zanari: hello.")


@dataclass
class Recorder:
    """A gateway that answers as it is told, and keeps what came."""

    status: int = 202
    requests: list[tuple[dict[str, str], Any]] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        self.requests.append((dict(request.headers), await request.json()))
        if self.status == 307:
            return RedirectResponse("/elsewhere", 307)
        return JSONResponse({"to": "+254712345126"}, self.status)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def gateway(recorder: Recorder) -> AsyncIterator[SmsGateway]:
    routes = [Route(path, recorder.answer, methods=["POST"]) for path in ("/messages", "/elsewhere")]
    async with served(Starlette(routes=routes)) as url:
        made = SmsGateway(f"{url}/messages", "a token")
        yield made
        await made.close()


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_a_message_is_posted_once_with_its_id_and_a_yes_is_a_yes(
    gateway: SmsGateway, recorder: Recorder, status: int
) -> None:
    recorder.status = status
    await gateway.send(MESSAGE)
    ((headers, body),) = recorder.requests
    assert body == {"id": str(MESSAGE.id), "to": "+254712345126", "text": "Zanari: hello."}
    assert headers["idempotency-key"] == str(MESSAGE.id)
    assert headers["authorization"] == "Bearer a token"
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize("status", [400, 410, 422])
async def test_what_speaks_of_the_message_refuses_it_for_ever(
    gateway: SmsGateway, recorder: Recorder, status: int
) -> None:
    recorder.status = status
    with pytest.raises(GatewayRefused, match=f"^HTTP {status}$"):
        await gateway.send(MESSAGE)


@pytest.mark.parametrize("status", [401, 402, 403, 404, 408, 409, 413, 418, 423, 425, 429, 500, 502, 503])
async def test_what_speaks_of_us_or_of_the_moment_leaves_it_to_be_sent_again(
    gateway: SmsGateway, recorder: Recorder, status: int
) -> None:
    recorder.status = status
    with pytest.raises(GatewayUnavailable, match=f"^HTTP {status}$"):
        await gateway.send(MESSAGE)


async def test_a_redirect_is_not_followed(gateway: SmsGateway, recorder: Recorder) -> None:
    recorder.status = 307
    with pytest.raises(GatewayUnavailable):
        await gateway.send(MESSAGE)
    assert len(recorder.requests) == 1


async def test_a_gateway_that_is_not_there_is_unavailable_and_its_error_shows_nobody() -> None:
    gateway = SmsGateway("http://127.0.0.1:9/messages", "a token")
    with pytest.raises(GatewayUnavailable) as away:
        await gateway.send(MESSAGE)
    await gateway.close()
    assert str(away.value) == "ConnectError"
    assert MESSAGE.msisdn not in repr(MESSAGE)
    assert MESSAGE.text not in repr(MESSAGE)


async def test_a_connection_that_is_cut_leaves_it_to_be_sent_again() -> None:
    async def cut(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with await asyncio.start_server(cut, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        gateway = SmsGateway(f"http://127.0.0.1:{port}/messages", "a token")
        with pytest.raises(GatewayUnavailable):
            await gateway.send(TextMessage(new_id(), "254712345126", "Zanari: hello."))
        await gateway.close()
