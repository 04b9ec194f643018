"""What is measured: an embedded Postgres with fsync on, and one API process with savers who have money."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import anyio
import asyncpg
import httpx

from zanari_api.mpesa.signature import sign
from zanari_api.runtime.crypto import Keyring, ServiceKeyStore
from zanari_api.runtime.db import Database
from zanari_api.sandbox import secrets
from zanari_api.sandbox.auth import TokenMint
from zanari_api.sandbox.database import prepare
from zanari_api.sandbox.demo import spend_body
from zanari_api.sandbox.postgres import EmbeddedPostgres
from zanari_api.serving import DEVELOPMENT_SHORTCODE, EMULATED_ISSUER, HOME

DATABASE = "bench"
WEBHOOK = "/api/v1/mpesa/webhooks/roundup"


@dataclass(frozen=True, slots=True)
class Stand:
    """A running service, and what is needed to send it requests and to look at its database."""

    port: int
    pid: int
    server: EmbeddedPostgres
    made: secrets.DevelopmentSecrets
    mint: TokenMint
    phones: list[str]

    def spend(self, receipt: str, number: int) -> bytes:
        """Return a signed spend of one of the savers, as it goes over the wire."""
        body = spend_body(receipt=receipt, amount="147", phone=self.phones[number % len(self.phones)])
        return wire("POST", WEBHOOK, {"X-Mpesa-Signature": sign(self.made.webhook_secret, body, now())}, body)

    def read(self, path: str, number: int = 0) -> bytes:
        """Return a saver's GET request, as it goes over the wire."""
        token = self.mint.mint(_id_of(number), self.phones[number])
        return wire("GET", path, {"Authorization": f"Bearer {token}"})

    @property
    def postmaster(self) -> int:
        return int((self.server.data_dir / "cluster" / "postmaster.pid").read_text().splitlines()[0])

    @property
    def dsn(self) -> str:
        return self.server.dsn(DATABASE, "zanari_service")

    @asynccontextmanager
    async def database(self) -> AsyncGenerator[Database, None]:
        database = Database(self.dsn)
        await database.open()
        try:
            yield database
        finally:
            await database.close()

    def keyring(self) -> Keyring:
        return Keyring.parse(self.made.pii_keys)

    def service_keys(self, database: Database) -> ServiceKeyStore:
        return ServiceKeyStore(database, self.keyring())

    async def alter(self, sql: str) -> None:
        """Run statements as the superuser."""
        connection = await asyncpg.connect(self.server.superuser_dsn(DATABASE))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    async def look(self, sql: str) -> list[asyncpg.Record]:
        """Read as the superuser."""
        connection = await asyncpg.connect(self.server.superuser_dsn(DATABASE))
        try:
            return await connection.fetch(sql)
        finally:
            await connection.close()


def now() -> datetime:
    return datetime.now(UTC)


def wire(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def _id_of(number: int) -> str:
    return f"00000000-0000-7000-8000-{number:012d}"


@asynccontextmanager
async def standing(*, savers: int) -> AsyncGenerator[Stand, None]:
    """Start it all in a temporary directory, which goes with it."""
    with tempfile.TemporaryDirectory(prefix="zanari-bench-") as folder:
        home = Path(folder) / HOME
        made = secrets.load_or_make(home)
        with EmbeddedPostgres(Path(folder) / "postgres") as server, ExitStack() as stack:
            await prepare(server, DATABASE)
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            many = str(10**9)
            settings = {
                "PORT": str(port),
                "DATABASE_URL": server.dsn(DATABASE, "zanari_service"),
                "LOG_LEVEL": "INFO",
                "RATE_LIMIT_SAVER": many,
                "RATE_LIMIT_ADDRESS": many,
            }
            # As much is logged as in production, to a file as a container's output goes to one.
            log = stack.enter_context((Path(folder) / "api.log").open("wb"))
            api = subprocess.Popen(  # noqa: ASYNC220 (nothing is measured yet)
                [sys.executable, "-m", "zanari_api", "serve"],
                cwd=folder,
                env={**os.environ, **settings},
                stdout=log,
            )
            try:
                await anyio.to_thread.run_sync(_until_ready, port)
                stand = Stand(
                    port=port,
                    pid=api.pid,
                    server=server,
                    made=made,
                    mint=TokenMint(home, issuer=EMULATED_ISSUER),
                    phones=[f"2547{number:08d}" for number in range(savers)],
                )
                await _join(stand)
                yield stand
            finally:
                api.terminate()
                api.wait(60)


def _until_ready(port: int) -> None:
    for _ in range(300):
        with suppress(httpx.HTTPError):
            if httpx.get(f"http://127.0.0.1:{port}/health/ready").is_success:
                return
        time.sleep(0.1)
    raise RuntimeError("the API did not become ready")


async def _join(stand: Stand) -> None:
    """Have every saver join, and pay in enough for as many round-ups as will be measured."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{stand.port}", timeout=60) as client:
        for number, phone in enumerate(stand.phones):
            token = stand.mint.mint(_id_of(number), phone)
            profile = await client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"})
            body = {
                "TransID": f"BENCH{number:05d}",
                "TransTime": now().strftime("%Y%m%d%H%M%S"),
                "TransAmount": "200000",
                "BusinessShortCode": DEVELOPMENT_SHORTCODE,
                "BillRefNumber": profile.json()["member_code"],
            }
            path = f"/callbacks/{stand.made.callback_token}/c2b/confirmation"
            (await client.post(path, content=json.dumps(body))).raise_for_status()


def cpu_seconds(pids: Callable[[], list[int]]) -> float:
    """Return the processor seconds that these processes have used."""
    ticks = 0
    for pid in pids():
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def children_of(parent: int) -> list[int]:
    """Return a process and those that it started."""
    found = [parent]
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(entry.name))
    return found


def resident_mib(pid: int) -> int:
    """Return the memory that a process holds, in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20
