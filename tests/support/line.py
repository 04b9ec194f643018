"""The line between a service and its Postgres, which a test can cut or block. Reads nothing of what goes over it."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qs, quote, urlsplit

SOCKET: Final = ".s.PGSQL.5432"


class Line:
    """A unix socket of its own in front of the one that `dsn` leads to."""

    def __init__(self, dsn: str) -> None:
        parts = urlsplit(dsn)
        self._far_end = f"{parse_qs(parts.query)['host'][0]}/{SOCKET}"
        self._directory = Path(tempfile.mkdtemp(prefix="zanari-line-"))
        host = quote(str(self._directory), safe="")
        self.dsn = parts._replace(query=f"host={host}&port=5432").geturl()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flows.set()
        await self.cut()
        shutil.rmtree(self._directory)

    async def mend(self) -> None:
        """Let connections through."""
        if self._server is None:
            self._server = await asyncio.start_unix_server(self._connect, self._directory / SOCKET)

    async def cut(self) -> None:
        """End every connection and refuse new ones, as a server that is gone does."""
        if self._server is not None:
            self._server.close()
            self._server = None
        (self._directory / SOCKET).unlink(missing_ok=True)
        for writer in tuple(self._writers):
            writer.transport.abort()

    @asynccontextmanager
    async def blocked(self) -> AsyncIterator[None]:
        """Keep connections open and let nothing through, as a network that swallows packets does."""
        self._flows.clear()
        try:
            yield
        finally:
            self._flows.set()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(self._far_end)
        self._writers |= {writer, far_writer}
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, far_writer))
                pumps.create_task(self._pump(far_reader, writer))
        finally:
            self._writers -= {writer, far_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while chunk := await reader.read(65_536):
                await self._flows.wait()
                writer.write(chunk)
                await writer.drain()
        writer.close()
