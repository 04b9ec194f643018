"""Serves an ASGI application on a loopback port, in this process, for as long as a test needs it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp


@asynccontextmanager
async def served(app: ASGIApp, *, port: int = 0) -> AsyncIterator[str]:
    """Yield the base URL of `app` behind a real server."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_config=None, access_log=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 (the server has no event to wait for)
        await asyncio.sleep(0.01)
    try:
        host, bound = server.servers[0].sockets[0].getsockname()[:2]
        yield f"http://{host}:{bound}"
    finally:
        server.should_exit = True
        await running
