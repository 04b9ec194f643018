"""Sends prepared requests over kept-alive connections to loopback: as fast as answers come, or at a given rate."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of sending requests: how many a second were answered, and how long each took."""

    rate: float
    seconds: Sequence[float]

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000

    @property
    def median_ms(self) -> float:
        return statistics.median(self.seconds) * 1000

    def line(self) -> str:
        p50, p99 = self.median_ms, self.percentile_ms(0.99)
        return f"{self.rate:7.0f}/s   p50 {p50:7.2f} ms   p99 {p99:7.2f} ms"


class Connection:
    """One client. Raises RuntimeError for any answer but 200."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def to(cls, port: int) -> "Connection":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, request: bytes) -> None:
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        body = await self._reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError((head + body).decode())

    def close(self) -> None:
        self._writer.close()


async def closed_loop(port: int, requests: Sequence[bytes], *, clients: int) -> Measured:
    """Send all requests; each client sends its next as soon as it has its answer."""
    took: list[float] = []
    rest = iter(requests)

    async def client() -> None:
        connection = await Connection.to(port)
        with suppress(StopIteration):
            while True:
                request = next(rest)
                began = time.perf_counter()
                await connection.send(request)
                took.append(time.perf_counter() - began)
        connection.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return Measured(len(requests) / (time.perf_counter() - began), took)


async def open_loop(port: int, requests: Sequence[bytes], *, rate: int, clients: int = 256) -> Measured:
    """Send requests at a rate, whatever the answers do. Times run from when a request was meant to leave."""
    took: list[float] = []
    due: asyncio.Queue[tuple[bytes, float] | None] = asyncio.Queue()

    async def client() -> None:
        connection = await Connection.to(port)
        while (job := await due.get()) is not None:
            request, meant = job
            await connection.send(request)
            took.append(time.perf_counter() - meant)
        connection.close()

    senders = [asyncio.create_task(client()) for _ in range(clients)]
    await asyncio.sleep(0.2)
    began = time.perf_counter()
    for number, request in enumerate(requests):
        meant = began + number / rate
        if (ahead := meant - time.perf_counter()) > 0:
            await asyncio.sleep(ahead)
        due.put_nowait((request, meant))
    for _ in senders:
        due.put_nowait(None)
    await asyncio.gather(*senders)
    return Measured(len(requests) / (time.perf_counter() - began), took)
