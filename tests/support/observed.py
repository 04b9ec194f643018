"""What a test sees from outside: the lines the service logs, the values it exposes, a client of an application."""

import io
from collections.abc import Callable
from typing import Any

import httpx
import orjson
from starlette.types import ASGIApp

Browse = Callable[[ASGIApp], httpx.AsyncClient]
Sample = Callable[..., float | None]


class Written:
    """What the log holds by now."""

    def __init__(self, stream: io.BytesIO) -> None:
        self._stream = stream

    @property
    def text(self) -> str:
        return self._stream.getvalue().decode()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self._stream.getvalue().splitlines()]

    def events(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]
