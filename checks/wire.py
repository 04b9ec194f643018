"""A wire to Postgres: delays what goes over it, each way, and counts how often an answer was waited for."""

import asyncio
import socket
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, urlsplit

CHUNK: Final = 65_536
HEADER: Final = 5
"""Octets before a message's body: its type, and its length with itself counted in."""

READY: Final = ord("Z")
"""What the server ends every answer with (ReadyForQuery): one a round trip, and one when a client has come in."""

START_TIMEOUT_S: Final = 10
STOP_TIMEOUT_S: Final = 10


@dataclass(slots=True)
class Wire:
    """The near end of a wire: where to connect, and what has gone over it."""

    dsn: str
    round_trips: int = 0
    """Answers since the start, over all connections; letting a connection in is not counted."""


@dataclass(slots=True)
class _Reader:
    """Finds the answers in what a server sends, however it is cut up."""

    wire: Wire
    rest: bytearray = field(default_factory=bytearray)
    let_in: bool = False

    def read(self, chunk: bytes) -> None:
        self.rest += chunk
        while len(self.rest) >= HEADER:
            length = 1 + int.from_bytes(self.rest[1:HEADER])
            if len(self.rest) < length:
                return
            if self.rest[0] == READY:
                self.wire.round_trips += self.let_in
                self.let_in = True
            del self.rest[:length]


@contextmanager
def wire(dsn: str, *, each_way_s: float = 0) -> Generator[Wire, None, None]:
    """Lay a wire in front of the server that `dsn` leads to, for as long as the block runs. TLS does not go over it."""
    listener = socket.create_server(("127.0.0.1", 0))
    made = Wire(_near(dsn, listener.getsockname()[1]))
    started: Future[Callable[[], object]] = Future()

    async def run() -> None:
        loop, stopping = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(
            lambda near, back: _connect(dsn, made, each_way_s, near, back), sock=listener
        )
        started.set_result(lambda: loop.call_soon_threadsafe(stopping.set))
        await stopping.wait()
        server.close()

    def serve() -> None:
        try:
            # This also waits until what is under way when it ends has been cancelled.
            asyncio.run(run())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=serve, name="wire", daemon=True)
    thread.start()
    stop = started.result(START_TIMEOUT_S)
    try:
        yield made
    finally:
        stop()
        thread.join(STOP_TIMEOUT_S)
        if thread.is_alive():
            raise TimeoutError("the wire does not stop")


def _near(dsn: str, port: int) -> str:
    """Return the URL with the wire's own address in it."""
    parts = urlsplit(dsn)
    login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return parts._replace(netloc=f"{login}127.0.0.1:{port}", query="sslmode=disable").geturl()


async def _far(dsn: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(dsn)
    asked = parse_qs(parts.query)
    if "host" in asked:
        return await asyncio.open_unix_connection(f"{asked['host'][0]}/.s.PGSQL.{asked['port'][0]}")
    return await asyncio.open_connection(parts.hostname, parts.port)


async def _connect(
    dsn: str, made: Wire, each_way_s: float, near: asyncio.StreamReader, back: asyncio.StreamWriter
) -> None:
    far, onward = await _far(dsn)
    answers = _Reader(made)
    try:
        async with asyncio.TaskGroup() as pumps:
            pumps.create_task(_pump(near, onward, each_way_s, None))
            pumps.create_task(_pump(far, back, each_way_s, answers))
    finally:
        for each in (back, onward):
            each.close()


async def _pump(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, delay_s: float, answers: _Reader | None
) -> None:
    """Carry octets, each as long under way as the wire is; what follows does not wait for what went before."""
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def arrive() -> None:
        while True:
            due, chunk = await under_way.get()
            await asyncio.sleep(due - loop.time())
            if not chunk:
                break
            target.write(chunk)
            with suppress(ConnectionError):
                await target.drain()
        target.close()

    arriving = asyncio.create_task(arrive())
    chunk = b"begun"
    while chunk:
        try:
            chunk = await source.read(CHUNK)
        except ConnectionError:
            chunk = b""
        if answers is not None:
            answers.read(chunk)
        under_way.put_nowait((loop.time() + delay_s, chunk))
    await arriving
