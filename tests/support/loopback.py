"""Serves an ASGI application on a loopback port, in this process, for as long as a test needs it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp


def kept_port() -> socket.socket:
    """Return a socket with a port of its own, which nobody else can take before the server listens on it."""
    kept = socket.socket()
    kept.bind(("127.0.0.1", 0))
    return kept


@asynccontextmanager
async def served(app: ASGIApp, *, on: socket.socket | None = None) -> AsyncIterator[str]:
    """Yield the base URL of `app` behind a real server, on a port that was kept for it, or on any."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve(sockets=None if on is None else [on]))
    while not server.started:  # noqa: ASYNC110 (the server has no event to wait for)
        await asyncio.sleep(0.01)
    try:
        host, bound = server.servers[0].sockets[0].getsockname()[:2]
        yield f"http://{host}:{bound}"
    finally:
        server.should_exit = True
        await running
