"""Everything a simulation runs in: the service over HTTP, the emulators, a database of its own, workers."""

import asyncio
import secrets
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import anyio
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from zanari_api.assembly import Parts, Stead, reveal
from zanari_api.kit.clock import utc_now
from zanari_api.main import create_app
from zanari_api.sandbox import database as sandbox_database
from zanari_api.sandbox.auth import TokenMint
from zanari_api.sandbox.auth_server import AuthServer
from zanari_api.sandbox.introduction import introduce
from zanari_api.sandbox.postgres import EmbeddedPostgres
from zanari_api.sandbox.safaricom.books import Opening
from zanari_api.sandbox.safaricom.core import Delays
from zanari_api.sandbox.safaricom.emulator import SafaricomEmulator
from zanari_api.sandbox.safaricom.server import serving
from zanari_api.serving import (
    DEVELOPMENT_B2C_SHORTCODE,
    DEVELOPMENT_SHORTCODE,
    EMULATED_ISSUER,
    LOOPBACK,
    SERVICE_LOGIN,
    with_development_secrets,
)
from zanari_api.settings import Environment, Settings
from zanari_api.simulation.clock import SimulatedClock, next_morning
from zanari_api.simulation.plan import Plan
from zanari_api.simulation.workers import Workers

POSTGRES_OPTIONS: Final = {"fsync": "off", "full_page_writes": "off", "max_connections": "100", "jit": "off"}
"""What is killed here are workers. What Postgres promises of its own crashes is Postgres's to test."""

START_TIMEOUT_S: Final = 20


@dataclass(frozen=True, slots=True)
class World:
    """A running service and those around it."""

    plan: Plan
    clock: SimulatedClock
    base_url: str
    parts: Parts
    emulator: SafaricomEmulator
    mint: TokenMint
    webhook_secret: str
    workers: Workers


@asynccontextmanager
async def postgres(home: Path) -> AsyncGenerator[EmbeddedPostgres, None]:
    """Run a Postgres for simulations under `home`; each of them takes a database of it."""
    server = EmbeddedPostgres(home / "postgres", options=POSTGRES_OPTIONS)
    await anyio.to_thread.run_sync(server.start)
    try:
        yield server
    finally:
        await anyio.to_thread.run_sync(server.stop)


@asynccontextmanager
async def world(plan: Plan, server: EmbeddedPostgres, home: Path) -> AsyncGenerator[World, None]:
    """Build a world, let its workers run, and take it down again."""
    name = f"simulation_{plan.seed}_{secrets.token_hex(4)}"
    await sandbox_database.prepare(server, name)
    origin, morning = utc_now(), next_morning()
    clock = SimulatedClock(origin=origin, morning=morning, speed=plan.speed)
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        mint = TokenMint(home, issuer=EMULATED_ISSUER)
        stead = Stead(mint.issuer, stack.enter_context(AuthServer(mint)).auth_url)
        settings = _settings(server.dsn(name, SERVICE_LOGIN), home, base_url)
        emulator = _emulator(settings, plan, clock)
        at = {"mpesa_base_url": await stack.enter_async_context(serving(emulator))}
        settings = settings.model_copy(update=at | {"mpesa_certificate": emulator.certificate_pem})
        app = create_app(settings, stead=stead, clock=clock)
        await stack.enter_async_context(_served(app, listener))
        parts: Parts = app.state.parts
        await introduce(
            emulator,
            daraja=parts.daraja,
            config=parts.mpesa,
            database=parts.runtime.database,
            clock=clock,
        )
        workers = Workers(
            count=plan.workers,
            variables=variables_of(settings),
            times=(origin, morning, plan.speed),
            log=home / f"workers-{plan.seed}.log",
        )
        stack.callback(workers.stop)
        secret = reveal(settings.mpesa_webhook_secret) or ""
        yield World(plan, clock, base_url, parts, emulator, mint, secret, workers)


def _settings(dsn: str, home: Path, base_url: str) -> Settings:
    bare = Settings.model_construct(
        **{
            name: field.get_default(call_default_factory=True)
            for name, field in Settings.model_fields.items()
        }
    )
    complete = with_development_secrets(bare, home)
    return complete.model_copy(
        update={
            "environment": Environment.STAGING,
            "log_level": "ERROR",
            "database_url": SecretStr(dsn),
            "supabase_url": "http://auth.zanari.localhost",
            "supabase_anon_key": SecretStr("emulated"),
            "mpesa_callback_base_url": base_url,
            "mpesa_ip_allowlist": LOOPBACK,
            "rate_limit_saver": 1_000_000,
            "rate_limit_address": 1_000_000,
        }
    )


def _emulator(settings: Settings, plan: Plan, clock: SimulatedClock) -> SafaricomEmulator:
    return SafaricomEmulator(
        clock=clock,
        seed=plan.seed,
        shortcodes=dict.fromkeys((DEVELOPMENT_SHORTCODE, DEVELOPMENT_B2C_SHORTCODE), Opening()),
        consumer_key=reveal(settings.mpesa_consumer_key) or "",
        consumer_secret=reveal(settings.mpesa_consumer_secret) or "",
        passkey=reveal(settings.mpesa_passkey) or "",
        initiator_name=settings.mpesa_initiator_name or "",
        initiator_password=reveal(settings.mpesa_initiator_password) or "",
        delays=Delays(prompt_s=3, prompt_expires_s=40, process_s=1, callback_s=1, slow_reply_s=10),
    )


@asynccontextmanager
async def _served(app: FastAPI, listener: socket.socket) -> AsyncGenerator[None, None]:
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=5
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    async with asyncio.timeout(START_TIMEOUT_S):
        while not server.started:  # noqa: ASYNC110 (the server offers a flag and no event)
            await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await running


def variables_of(settings: Settings) -> dict[str, str]:
    """Return settings as the variables that another process reads them from."""
    variables: dict[str, str] = {}
    for name in type(settings).model_fields:
        value: object = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if isinstance(value, tuple):
            value = ",".join(cast("tuple[str, ...]", value))
        if value is not None:
            variables[name.upper()] = str(value)
    return variables
