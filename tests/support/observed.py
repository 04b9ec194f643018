"""What a test sees from outside: the lines the service logs, the values it exposes, a client of an application."""

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import orjson
import structlog
from starlette.types import ASGIApp

from zanari_api.runtime import logs

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


@contextmanager
def logging_as_the_service_does() -> Iterator[Written]:
    """Send the log to where the test can read it; afterwards it goes where it went before."""
    root = logging.getLogger()
    handlers, level, show_warning = root.handlers, root.level, warnings.showwarning
    stream = io.BytesIO()
    logs.configure(level="debug", environment="staging", version="1.2.3", stream=stream)
    try:
        yield Written(stream)
    finally:
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
        warnings.showwarning = show_warning
        root.handlers, root.level = handlers, level
