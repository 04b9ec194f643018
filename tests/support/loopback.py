"""Serves an ASGI application on a loopback port, in this process, for as long as a test needs it."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

STOP_TIMEOUT_S: Final = 30
"""As long as the slowest answer of a test may take; what hangs longer fails there, and not somewhere else."""


def kept_port() -> socket.socket:
    """Return a socket with a port of its own, which nobody else can take before the server listens on it."""
    # asyncio sends small answers at once only where it is told that this is TCP; else each waits for 40 ms.
    kept = socket.socket(proto=socket.IPPROTO_TCP)
    kept.bind(("127.0.0.1", 0))
    return kept


@asynccontextmanager
async def served(app: ASGIApp, *, on: socket.socket | None = None) -> AsyncGenerator[str]:
    """Yield the base URL of `app` behind a real server, on a port that was kept for it, or on any.

    Uvicorn's protocol without its server, which looks only each tenth of a second whether it should end. Requests
    that are still being answered come to their end first.
    """
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: HttpToolsProtocol(config, state, {}), sock=on or kept_port()
    )
    try:
        host, bound = server.sockets[0].getsockname()[:2]
        yield f"http://{host}:{bound}"
    finally:
        server.close()
        for connection in list(state.connections):
            connection.shutdown()
        async with asyncio.timeout(STOP_TIMEOUT_S):
            while state.tasks:
                await asyncio.wait(state.tasks)
