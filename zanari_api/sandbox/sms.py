"""An emulator of a text message gateway for development and tests: keeps what handsets got. Sends nothing anywhere."""

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from zanari_api.kit.clock import utc_now

TOKEN: Final = "emulated"  # noqa: S105 (opens an emulator on loopback)
PATH: Final = "/messages"
KEPT_MAX: Final = 1000
LISTED: Final = 20
HUNG_UP_LOOKED_S: Final = 0.05


class SmsFault(StrEnum):
    """What goes wrong with the next messages."""

    AWAY = "away"
    "503, and nothing is taken on"

    REFUSE = "refuse"
    "422: the gateway will not have the message"

    LOSE_ANSWER = "lose_answer"
    "taken on, and never answered"


@dataclass(frozen=True, slots=True)
class Received:
    """A message as a handset got it; `to` has a plus."""

    id: str
    to: str
    text: str
    at: datetime


@dataclass
class SmsEmulator:
    """The gateway. A message whose id is known reaches its handset once, and is refused where its text is another."""

    messages: deque[Received] = field(default_factory=lambda: deque(maxlen=KEPT_MAX))
    """What handsets got, oldest first."""

    requests: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_MAX))
    """The id of each request that came with the token, whatever became of it."""

    faults: deque[SmsFault] = field(default_factory=deque[SmsFault])
    """What goes wrong next, one request each."""

    def app(self) -> Starlette:
        return Starlette(
            routes=[Route(PATH, self._take, methods=["POST"]), Route(PATH, self._list, methods=["GET"])]
        )

    def received_by(self, msisdn: str) -> list[str]:
        """Return the texts that one handset got, oldest first."""
        return [each.text for each in self.messages if each.to == f"+{msisdn}"]

    async def _take(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return JSONResponse({"error": "the token is not ours"}, 401)
        try:
            body: Mapping[str, Any] = json.loads(await request.body())
            message = Received(body["id"], body["to"], body["text"], utc_now())
        except (ValueError, KeyError, TypeError):
            return JSONResponse({"error": "id, to and text are needed"}, 400)
        if request.headers.get("idempotency-key") != message.id:
            return JSONResponse({"error": "the Idempotency-Key is not the id"}, 400)
        self.requests.append(message.id)
        fault = self.faults.popleft() if self.faults else None
        if fault is SmsFault.AWAY:
            return JSONResponse({"error": "come again"}, 503)
        known = [each for each in self.messages if each.id == message.id]
        is_anothers = any((each.to, each.text) != (message.to, message.text) for each in known)
        if fault is SmsFault.REFUSE or is_anothers:
            return JSONResponse({"error": "the id is another's" if is_anothers else "no such number"}, 422)
        if not known:
            self.messages.append(message)
        if fault is SmsFault.LOSE_ANSWER:
            while not await request.is_disconnected():  # noqa: ASYNC110 (the server has no event for it)
                await asyncio.sleep(HUNG_UP_LOOKED_S)
        return JSONResponse({"id": message.id}, 202)

    async def _list(self, request: Request) -> Response:
        last = request.query_params.get("last", str(LISTED))
        if not last.isdigit():
            return JSONResponse({"error": "last: a number"}, 400)
        to = request.query_params.get("to")
        wanted = [each for each in self.messages if to in {None, each.to}]
        shown = wanted[-int(last) :] if int(last) else []
        return JSONResponse([{"to": one.to, "text": one.text, "at": one.at.isoformat()} for one in shown])
