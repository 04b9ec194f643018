"""Serves the Safaricom emulator on a loopback port, in a thread of its own or in the running loop."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final, Literal, Self, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from zanari_api.sandbox.safaricom.emulator import SafaricomEmulator
from zanari_api.sandbox.safaricom.gate import CUT

START_TIMEOUT_S: Final = 10.0
STOP_TIMEOUT_S: Final = 1


class CuttableProtocol(HttpToolsProtocol):
    """HTTP whose application can close the connection without a word."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)["extensions"] = {CUT: self.transport.abort}


class SafaricomServer:
    """The emulator in a thread of its own, for as long as the block runs."""

    def __init__(self, emulator: SafaricomEmulator | None = None, *, port: int = 0) -> None:
        self.emulator = emulator or SafaricomEmulator()
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        self._server = uvicorn.Server(_config(self.emulator, lifespan="on"))
        self._thread = threading.Thread(
            target=self._server.run,
            kwargs={"sockets": [self._socket]},
            name="safaricom-emulator",
            daemon=True,
        )

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def certificate_pem(self) -> str:
        return self.emulator.certificate_pem

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise TimeoutError("the Safaricom emulator did not start")
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.emulator.release()
        self._server.should_exit = True
        self._thread.join(START_TIMEOUT_S)
        self._socket.close()


@asynccontextmanager
async def serving(emulator: SafaricomEmulator, *, port: int = 0) -> AsyncGenerator[str]:
    """Serve the emulator in the running loop and yield its base URL. Starts and stops at once, for tests."""
    config = _config(emulator, lifespan="off")
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: CuttableProtocol(config, state, {}), "127.0.0.1", port
    )
    emulator.start()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await emulator.close()
        for connection in list(state.connections):
            connection.shutdown()
        tasks = set(state.tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_TIMEOUT_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _config(emulator: SafaricomEmulator, *, lifespan: Literal["on", "off"]) -> uvicorn.Config:
    return uvicorn.Config(
        emulator.app(),
        http=CuttableProtocol,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        lifespan=lifespan,
        timeout_graceful_shutdown=STOP_TIMEOUT_S,
    )
