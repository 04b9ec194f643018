"""Runs the service as a process: completes a developer's settings, binds the port, serves until told to stop."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

import anyio
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from zanari_api.assembly import Parts, Stead, reveal
from zanari_api.gate import Gate
from zanari_api.runtime import logs
from zanari_api.sandbox import database as sandbox_database
from zanari_api.sandbox import running, secrets, sms
from zanari_api.sandbox.auth import TokenMint
from zanari_api.sandbox.auth_server import AuthServer
from zanari_api.sandbox.loopback import LoopbackServer
from zanari_api.sandbox.postgres import EmbeddedPostgres
from zanari_api.sandbox.running import Running
from zanari_api.sandbox.safaricom.books import Opening
from zanari_api.sandbox.safaricom.emulator import SafaricomEmulator
from zanari_api.sandbox.safaricom.handsets import Behaviour
from zanari_api.sandbox.safaricom.server import SafaricomServer
from zanari_api.settings import Environment as Profile
from zanari_api.settings import Settings
from zanari_api.worker import Worker

HOME: Final = ".zanari"
DATABASE: Final = "zanari"
SERVICE_LOGIN: Final = "zanari_service"
EMULATED_ISSUER: Final = "http://auth.zanari.localhost/auth/v1"
DEVELOPMENT_SHORTCODE: Final = "600000"
DEVELOPMENT_B2C_SHORTCODE: Final = "600001"
DEVELOPMENT_INITIATOR: Final = "zanari"
LOOPBACK: Final = ("127.0.0.1", "::1")
DEVELOPMENT_PULL_NUMBER: Final = "254700000000"
SHUTDOWN_TIMEOUT_S: Final = 20
"""Requests in flight may take this long to come to their end; the worker has as long, and at the same time.

What is then left takes seconds (`runtime/db.py`): whoever runs the process gives it thirty before it is killed.
"""

LOOK_S: Final = 0.1
"""How often the server's flags are looked at; it has no events."""


class PortInUse(Exception):  # noqa: N818 (reads as what it says)
    """Another process listens on the port."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Complete settings, and in development what stands in for Supabase and Safaricom."""

    settings: Settings
    stead: Stead | None = None
    mint: TokenMint | None = None
    safaricom: SafaricomEmulator | None = None


@asynccontextmanager
async def environment(
    settings: Settings, *, on_progress: Callable[[str], None], port: int | None = None
) -> AsyncGenerator[Environment, None]:
    """Complete the settings for as long as the block runs; outside development they are taken as they are.

    Starts what is missing: an embedded Postgres without DATABASE_URL, the Auth emulator without SUPABASE_URL, a
    text message gateway's without SMS_GATEWAY_URL, and Safaricom's without MPESA_BASE_URL, which then calls back to
    `port`. All keep what they need under
    .zanari/ in the working directory, and stop with the block.
    """
    if not settings.in_development:
        yield Environment(settings)
        return
    home = Path.cwd() / HOME
    settings = with_development_secrets(settings, home)
    async with AsyncExitStack() as stack:
        database_url = safaricom = stead = mint = None
        if settings.database_url is None:
            database_url = await _embedded_postgres(stack, home, on_progress)
            settings = settings.model_copy(update={"database_url": SecretStr(database_url)})
        if settings.mpesa_callback_base_url is None:
            at_home = f"http://127.0.0.1:{port or settings.port}"
            settings = settings.model_copy(update={"mpesa_callback_base_url": at_home})
        if settings.mpesa_base_url is None:
            safaricom = stack.enter_context(SafaricomServer(_emulator(settings, home)))
            update = {"mpesa_base_url": safaricom.base_url, "mpesa_certificate": safaricom.certificate_pem}
            settings = settings.model_copy(update=update)
        if settings.supabase_url is None:
            mint = TokenMint(home, issuer=EMULATED_ISSUER)
            stead = Stead(mint.issuer, stack.enter_context(AuthServer(mint)).auth_url)
        sms_url = None
        if settings.sms_gateway_url is None:
            handsets = LoopbackServer(sms.SmsEmulator().app(), name="sms-emulator")
            sms_url = stack.enter_context(handsets).base_url + sms.PATH
            settings = with_emulated_sms(settings, sms_url)
        note = Running(
            pid=os.getpid(),
            database_url=database_url,
            safaricom_url=safaricom and safaricom.base_url,
            certificate_pem=safaricom and safaricom.certificate_pem,
            callback_base_url=settings.mpesa_callback_base_url,
            auth_url=stead and stead.auth_url,
            sms_url=sms_url,
        )
        stack.enter_context(running.noted(home, note))
        yield Environment(settings, stead=stead, mint=mint, safaricom=safaricom and safaricom.emulator)


async def _embedded_postgres(stack: AsyncExitStack, home: Path, on_progress: Callable[[str], None]) -> str:
    """Start Postgres, migrate it, and return how the service logs in; it stops with the stack."""
    server = EmbeddedPostgres(home / "postgres", on_progress=on_progress)
    await anyio.to_thread.run_sync(server.start)
    stack.callback(server.stop)
    for notice in server.notices:
        on_progress(notice)
    await sandbox_database.prepare(server, DATABASE, on_progress=on_progress)
    return server.dsn(DATABASE, SERVICE_LOGIN)


def _emulator(settings: Settings, home: Path) -> SafaricomEmulator:
    """Make the Safaricom of this directory: it knows our secrets, and keeps its books between runs."""
    return SafaricomEmulator(
        shortcodes={
            (settings.mpesa_shortcode or "").split(",")[0].strip(): Opening(),
            settings.mpesa_b2c_shortcode or "": Opening(),
        },
        consumer_key=reveal(settings.mpesa_consumer_key) or "",
        consumer_secret=reveal(settings.mpesa_consumer_secret) or "",
        passkey=reveal(settings.mpesa_passkey) or "",
        initiator_name=settings.mpesa_initiator_name or "",
        initiator_password=reveal(settings.mpesa_initiator_password) or "",
        behaviour=Behaviour.ASK,
        state_file=home / "safaricom.json",
    )


def beside_running(settings: Settings) -> Settings:
    """Complete the settings by those of the development service that runs in this directory.

    Raises NothingRuns where they lack a database and there is none. Outside development they stay as they are.
    """
    if not settings.in_development:
        return settings
    home = Path.cwd() / HOME
    settings = with_development_secrets(settings, home)
    if settings.database_url is not None and settings.mpesa_base_url is not None:
        return settings
    note = running.read(home)
    if settings.sms_gateway_url is None and note.sms_url is not None:
        settings = with_emulated_sms(settings, note.sms_url)
    url = settings.database_url or (SecretStr(note.database_url) if note.database_url else None)
    return settings.model_copy(
        update={
            "database_url": url,
            "mpesa_base_url": settings.mpesa_base_url or note.safaricom_url,
            "mpesa_certificate": settings.mpesa_certificate or note.certificate_pem,
            "mpesa_callback_base_url": settings.mpesa_callback_base_url or note.callback_base_url,
        }
    )


def with_emulated_sms(settings: Settings, url: str) -> Settings:
    """Have text messages go to an emulator of their gateway."""
    return settings.model_copy(update={"sms_gateway_url": url, "sms_gateway_token": SecretStr(sms.TOKEN)})


def with_development_secrets(settings: Settings, home: Path) -> Settings:
    """Fill in the secrets and the shortcode that a developer has not set."""
    made = secrets.load_or_make(home)
    missing = {
        "pii_keys": SecretStr(made.pii_keys),
        "mpesa_webhook_secret": SecretStr(made.webhook_secret),
        "mpesa_callback_tokens": SecretStr(made.callback_token),
        "mpesa_shortcode": DEVELOPMENT_SHORTCODE,
        "mpesa_b2c_shortcode": DEVELOPMENT_B2C_SHORTCODE,
        "mpesa_consumer_key": SecretStr(made.consumer_key),
        "mpesa_consumer_secret": SecretStr(made.consumer_secret),
        "mpesa_passkey": SecretStr(made.passkey),
        "mpesa_initiator_name": DEVELOPMENT_INITIATOR,
        "mpesa_initiator_password": SecretStr(made.initiator_password),
        "mpesa_pull_number": DEVELOPMENT_PULL_NUMBER,
        "mpesa_ip_allowlist": LOOPBACK,
    }
    return settings.model_copy(
        update={name: value for name, value in missing.items() if getattr(settings, name) in {None, ()}}
    )


def bind(host: str, port: int) -> socket.socket:
    """Take the port before anything slow is started. Raises PortInUse.

    It listens at once, and requests wait: two that only bound the port could both think that they have it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise PortInUse(
            f"cannot listen on {host}:{port}: {error.strerror}; set PORT to another port"
        ) from error
    return listener


async def serve(
    app: FastAPI,
    settings: Settings,
    listener: socket.socket,
    *,
    on_ready: Callable[[str], Awaitable[None]],
    console: bool = False,
) -> None:
    """Serve `app` until SIGINT or SIGTERM, letting requests in flight finish. Calls `on_ready` with the base URL.

    In production raises SettingsInvalid where the database is not fit for it. One that does not answer yet is asked
    again until it does; until then it is held, so that readiness fails and no transaction is made on it.
    """
    logs.configure(
        level=settings.log_level,
        environment=settings.environment,
        version=settings.app_version,
        console=console and sys.stdout.isatty(),
    )
    config = uvicorn.Config(
        app,
        loop="none",
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
    )
    server = uvicorn.Server(config)
    told_to_stop, asking = anyio.Event(), anyio.CancelScope()
    _on_signal(told_to_stop.set, asking.cancel)
    host, port = listener.getsockname()[:2]
    gate = None
    if settings.environment is Profile.PRODUCTION:
        parts: Parts = app.state.parts
        gate = Gate(parts.runtime.database)
        with asking:
            await gate.ask_before_serving()
    if told_to_stop.is_set():
        return
    async with anyio.create_task_group() as tasks:

        async def stop() -> None:
            await told_to_stop.wait()
            server.should_exit = True

        async def run() -> None:
            await server.serve(sockets=[listener])
            tasks.cancel_scope.cancel()

        async def ask_on(gate: Gate) -> None:
            await gate.ask_until_answered()
            if gate.refusal is not None:
                server.should_exit = True

        tasks.start_soon(stop)
        tasks.start_soon(run)
        tasks.start_soon(_tell_worker, server, app.state.worker)
        if gate is not None:
            tasks.start_soon(ask_on, gate)
        while not server.started:  # noqa: ASYNC110 (the server offers a flag and no event)
            await anyio.sleep(0.02)
        await on_ready(f"http://{host}:{port}")
    if gate is not None:
        gate.raise_refusal()


def _on_signal(*told: Callable[[], None]) -> None:
    """Have each of `told` called in the running loop on SIGINT and on SIGTERM, instead of what they did before.

    Once the server has begun it takes the signals itself, and hands the one it stopped for on to these. Without them
    that would end the process there and then, and leave what was started beside it running.
    """
    loop = asyncio.get_running_loop()

    def note(_number: int, _frame: FrameType | None) -> None:
        if not loop.is_closed():
            for each in told:
                loop.call_soon_threadsafe(each)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)


async def _tell_worker(server: uvicorn.Server, worker: Worker | None) -> None:
    """Tell a worker of this process to stop as soon as the server stops, not when its last request is done."""
    while not server.should_exit:  # noqa: ASYNC110 (the server offers a flag and no event)
        await anyio.sleep(LOOK_S)
    if worker is not None:
        worker.tell_to_stop()
