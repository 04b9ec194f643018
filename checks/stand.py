"""What a check of the running service stands on: a Postgres of its own on loopback, and complete variables."""

import secrets
import socket
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import asyncpg
import httpx
from pydantic import SecretStr

from checks.check import CheckFailed
from zanari_api.mpesa.signature import sign
from zanari_api.sandbox import database as sandbox_database
from zanari_api.sandbox import demo
from zanari_api.sandbox.postgres import EmbeddedPostgres
from zanari_api.sandbox.safaricom.credentials import certificate_of_this_process
from zanari_api.serving import LOOPBACK, with_development_secrets
from zanari_api.settings import Environment, Settings
from zanari_api.simulation.world import variables_of

DATABASE: Final = "zanari"
SERVICE: Final = "zanari_service"
MIGRATOR: Final = "postgres"
LOG_TAIL: Final = 2_000

NOBODY: Final = "http://127.0.0.1:9"
"""Where nobody answers: what is not part of the check is not asked."""


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Stand:
    """A Postgres that also listens on loopback, where logins have passwords."""

    server: EmbeddedPostgres
    port: int
    password: str = field(default_factory=lambda: secrets.token_hex(16))

    def url(self, user: str, *, host: str = "127.0.0.1", port: int | None = None, query: str = "") -> str:
        """Return a URL over TCP; another host or port where something stands in between."""
        return f"postgresql://{user}:{self.password}@{host}:{port or self.port}/{DATABASE}{query}"

    @property
    def superuser_url(self) -> str:
        """Return how the superuser comes in, over the unix socket."""
        return self.server.superuser_dsn(DATABASE)

    async def let_in(self, *users: str) -> None:
        """Give logins the password of this stand."""
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(self.superuser_url)
        try:
            for user in users:
                # Neither a role's name nor a password can be a parameter; these two are our own.
                await connection.execute(f"ALTER ROLE {user} PASSWORD '{self.password}'")
        finally:
            await connection.close()


@contextmanager
def postgres(
    home: Path, *, bin_dir: Path | None = None, options: Mapping[str, str] | None = None
) -> Generator[Stand, None, None]:
    """Run a Postgres under `home`, on a unix socket and a free port of loopback."""
    port = free_port()
    listening = {"listen_addresses": "127.0.0.1", "port": str(port), "max_connections": "100"}
    server = EmbeddedPostgres(home / "postgres", bin_dir=bin_dir, options=listening | dict(options or {}))
    with server:
        yield Stand(server, port)


async def migrated(stand: Stand) -> None:
    """Give the stand a database of this build, and let its logins in by password."""
    await sandbox_database.prepare(stand.server, DATABASE)
    await stand.let_in(SERVICE, MIGRATOR)


def staging(home: Path, **variables: str) -> dict[str, str]:
    """Return a whole environment of staging, with secrets made now. Nobody but the database is behind it."""
    bare = Settings.model_construct(
        **{name: each.get_default(call_default_factory=True) for name, each in Settings.model_fields.items()}
    )
    made = with_development_secrets(bare, home).model_copy(
        update={
            "environment": Environment.STAGING,
            "log_level": "INFO",
            "database_url": SecretStr("postgresql://nowhere"),
            "supabase_url": NOBODY,
            "supabase_anon_key": SecretStr("nobody's"),
            "mpesa_base_url": NOBODY,
            "mpesa_callback_base_url": NOBODY,
            "mpesa_certificate": certificate_of_this_process().pem,
            "mpesa_ip_allowlist": LOOPBACK,
        }
    )
    # Where it listens and which version it is are for whoever runs it to say, an image for one.
    own = {"HOST", "PORT", "WORKER_PORT", "APP_VERSION"}
    return {name: value for name, value in variables_of(made).items() if name not in own} | variables


def signed_spend(secret: str, *, receipt: str, amount: str = "147") -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of a spend by the demo saver, signed now."""
    body = demo.spend_body(receipt=receipt, amount=amount)
    signature = sign(secret.partition(",")[0].strip(), body, datetime.now(UTC))
    return body, {"Content-Type": "application/json", "X-Mpesa-Signature": signature}


def answers(url: str, *, within: float, alive: Callable[[], bool], log: Path) -> httpx.Response:
    """Wait until a URL answers well. Raises CheckFailed with the end of the log where it does not."""
    deadline = time.monotonic() + within
    said = "nothing"
    while time.monotonic() < deadline and alive():
        try:
            response = httpx.get(url, timeout=10)
        except httpx.TransportError as error:
            said = type(error).__name__
        else:
            if response.is_success:
                return response
            said = f"{response.status_code}: {response.text[:300]}"
        time.sleep(0.1)
    raise CheckFailed(f"{url} does not answer well ({said}); the log ends: {tail(log)}")


def tail(log: Path) -> str:
    """Return the end of a log."""
    return log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:].strip() if log.exists() else ""
