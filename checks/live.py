"""A whole Zanari for a check: Postgres, an emulator of Safaricom, the API and the worker as processes, an exporter."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import httpx

from checks.check import CheckFailed, Site, end, environment, find
from checks.stand import DATABASE, SERVICE, Stand, answers, free_port, migrated, postgres
from checks.watching import scrape_token
from zanari_api.sandbox import secrets
from zanari_api.sandbox.auth import TokenMint
from zanari_api.sandbox.safaricom.books import Opening
from zanari_api.sandbox.safaricom.emulator import SafaricomEmulator
from zanari_api.sandbox.safaricom.handsets import Behaviour
from zanari_api.sandbox.safaricom.server import SafaricomServer
from zanari_api.serving import (
    DEVELOPMENT_B2C_SHORTCODE,
    DEVELOPMENT_INITIATOR,
    DEVELOPMENT_SHORTCODE,
    EMULATED_ISSUER,
    HOME,
)

READY_WITHIN_S: Final = 60
HAPPENS_WITHIN_S: Final = 40
DEPOSIT_CENTS: Final = 10_000
MONITOR: Final = "zanari_monitor"
VERSION: Final = "1.0.0-check"

SERVE: Final = "serve"
WORK: Final = "worker"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where each part listens, on loopback."""

    api: int = field(default_factory=free_port)
    worker: int = field(default_factory=free_port)
    exporter: int = field(default_factory=free_port)


class Live:
    """The service that runs, and what a check does to it."""

    def __init__(self, site: Site, stand: Stand, safaricom: SafaricomServer) -> None:
        self.ports = Ports()
        self.safaricom = safaricom
        self._site = site
        self._stand = stand
        self._mint = TokenMint(site.scratch / HOME, issuer=EMULATED_ISSUER)
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.api}"

    def url_of(self, verb: str) -> str:
        return f"http://127.0.0.1:{self.ports.api if verb == SERVE else self.ports.worker}"

    @property
    def exporter_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.exporter}"

    def targets(self) -> dict[str, list[str]]:
        """Return where each job of the committed Prometheus finds its target."""
        return {
            "zanari-api": [f"127.0.0.1:{self.ports.api}"],
            "zanari-worker": [f"127.0.0.1:{self.ports.worker}"],
            "postgres": [f"127.0.0.1:{self.ports.exporter}"],
        }

    def variables(self) -> dict[str, str]:
        """Return the environment of the API, the worker and the verbs; an empty one is as good as none."""
        return {
            "ENVIRONMENT": "development",
            "APP_VERSION": VERSION,
            "DATABASE_URL": self._stand.url(SERVICE),
            "PORT": str(self.ports.api),
            "WORKER_PORT": str(self.ports.worker),
            "MPESA_BASE_URL": self.safaricom.base_url,
            "MPESA_CERTIFICATE": self.safaricom.certificate_pem,
            "MPESA_CALLBACK_BASE_URL": self.api_url,
            "SUPABASE_URL": "",
            "REDIS_URL": "",
            "METRICS_TOKEN": scrape_token(self._site),
            "ZANARI_OPERATOR": "check",
        }

    def start(self, verb: str) -> None:
        """Start `serve` or `worker`, and wait until it is ready. It ends with the check. Raises CheckFailed."""
        with self._log_of(verb).open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "zanari_api", verb],
                cwd=self._site.scratch,
                env=environment(self._site.tree, self.variables()),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running[verb] = process
        answers(
            f"{self.url_of(verb)}/health/ready",
            within=READY_WITHIN_S,
            alive=lambda: process.poll() is None,
            log=self._log_of(verb),
        )

    def kill(self, verb: str) -> None:
        """End a process as a machine that fails does: at once, nothing finished."""
        process = self._running.pop(verb)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self, verb: str) -> None:
        """Tell a process to stop, and wait until it has finished what it began."""
        end(self._running.pop(verb))

    def stop_all(self) -> None:
        for verb in (WORK, SERVE):
            if verb in self._running:
                self.stop(verb)

    def verb(self, *arguments: str) -> str:
        """Run one of the operator's verbs, which has to go well. Raises CheckFailed."""
        done = self._site.zanari(*arguments, env=self.variables())
        if done.returncode != 0:
            raise CheckFailed(
                f"`zanari {' '.join(arguments)}` ended with {done.returncode}: {done.stderr[-500:]}"
            )
        return done.stdout

    def alter(self, *statements: str) -> None:
        """Do to the database what only a superuser can, each statement in a transaction with the others."""

        async def run() -> None:
            connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(self._stand.superuser_url)
            try:
                async with connection.transaction():
                    for statement in statements:
                        await connection.execute(statement)
            finally:
                await connection.close()

        asyncio.run(run())

    def value(self, sql: str) -> Any:
        """Read one value from the database, past every policy."""

        async def run() -> Any:
            connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(self._stand.superuser_url)
            try:
                return await connection.fetchval(sql)
            finally:
                await connection.close()

        return asyncio.run(run())

    def arm(self, flow: str, fault: str) -> None:
        """Have Safaricom go wrong this way until `mend`."""
        wish = {"flow": flow, "fault": fault, "always": True}
        self._control("POST", "/faults", wish)

    def mend(self) -> None:
        self._control("DELETE", "/faults")

    def pay_in(self, saver: "Saver", cents: int) -> None:
        """Have a saver pay to the paybill from the phone."""
        wish = {"amount_cents": cents, "account_reference": saver.member_code, "msisdn": saver.phone}
        self._control("POST", "/payments", wish)

    def saver(self, number: int) -> "Saver":
        """Make a saver by a first call, with a phone that approves what it is asked."""
        phone = f"2547{number:08d}"
        saver_id = UUID(int=0x018F0000000070008000000000000000 + number)
        return Saver(self, phone, self._mint.mint(saver_id, phone))

    def _control(self, method: str, path: str, wish: object = None) -> None:
        response = httpx.request(method, f"{self.safaricom.base_url}/control{path}", json=wish, timeout=10)
        if not response.is_success:
            raise CheckFailed(f"the emulator refused {method} {path}: {response.text}")

    def _log_of(self, verb: str) -> Path:
        return self._site.scratch / f"{verb}.log"


class Saver:
    """A saver's app."""

    def __init__(self, live: Live, phone: str, token: str) -> None:
        self.phone = phone
        self._client = httpx.Client(
            base_url=live.api_url, headers={"Authorization": f"Bearer {token}"}, timeout=30
        )
        self.member_code: str = self.ask("GET", "/users/me")["member_code"]

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        """Make a request that has to go well. Raises CheckFailed."""
        headers |= {"Idempotency-Key": str(uuid4())}
        response = self._client.request(method, f"/api/v1{path}", json=body, headers=headers)
        if not response.is_success:
            raise CheckFailed(f"{method} {path} was answered {response.status_code}: {response.text[:300]}")
        return response.json()

    def deposit(self, cents: int) -> str:
        """Ask for a prompt; return the deposit's id."""
        deposit_id: str = self.ask("POST", "/mpesa/deposits", {"amount_cents": cents})["id"]
        return deposit_id

    def until(self, path: str, state: str) -> None:
        """Wait until what is there is in a state. Raises CheckFailed."""
        deadline = time.monotonic() + HAPPENS_WITHIN_S
        while (told := self.ask("GET", path)["state"]) != state:
            if time.monotonic() > deadline:
                raise CheckFailed(f"{path} is {told} and does not come to be {state}")
            time.sleep(0.2)

    def holds(self) -> int:
        """Return the cents in the wallet."""
        cents: int = self.ask("GET", "/users/me/wallet")["balance_cents"]
        return cents


@contextmanager
def running(site: Site) -> Generator[Live, None, None]:
    """Run everything for as long as the block runs."""
    with ExitStack() as stack:
        stand = stack.enter_context(postgres(site.scratch))
        asyncio.run(migrated(stand))
        safaricom = stack.enter_context(SafaricomServer(_emulator(site.scratch)))
        live = Live(site, stand, safaricom)
        stack.callback(live.stop_all)
        live.start(SERVE)
        live.start(WORK)
        live.verb("daraja", "register-urls")
        stack.enter_context(_exporter(site, stand, live))
        yield live


@contextmanager
def _exporter(site: Site, stand: Stand, live: Live) -> Generator[None, None, None]:
    """Run Debian's exporter on the database, as a login that may look at statistics and no more."""
    live.alter(
        f"CREATE ROLE {MONITOR} LOGIN PASSWORD '{stand.password}' IN ROLE pg_monitor",
        f"GRANT CONNECT ON DATABASE {DATABASE} TO {MONITOR}",
    )
    log = site.scratch / "exporter.log"
    with site.started(
        find("prometheus-postgres-exporter") or "",
        f"--web.listen-address=127.0.0.1:{live.ports.exporter}",
        env={"DATA_SOURCE_NAME": stand.url(MONITOR, query="?sslmode=disable")},
        log=log,
    ) as process:
        answers(
            f"{live.exporter_url}/metrics",
            within=READY_WITHIN_S,
            alive=lambda: process.poll() is None,
            log=log,
        )
        yield


def _emulator(home: Path) -> SafaricomEmulator:
    """Make a Safaricom that knows this check's secrets, and phones that approve what they are asked."""
    made = secrets.load_or_make(home / HOME)
    return SafaricomEmulator(
        shortcodes={
            DEVELOPMENT_SHORTCODE: Opening(),
            DEVELOPMENT_B2C_SHORTCODE: Opening(utility_cents=10_000_000),
        },
        consumer_key=made.consumer_key,
        consumer_secret=made.consumer_secret,
        passkey=made.passkey,
        initiator_name=DEVELOPMENT_INITIATOR,
        initiator_password=made.initiator_password,
        behaviour=Behaviour.APPROVE,
    )


def traffic(live: Live, savers: int = 3) -> int:
    """Do what savers do: pay in, be prompted, spend, look. Return how many requests were made and answered well."""
    asked = 0
    for number in range(1, savers + 1):
        saver = live.saver(number)
        live.pay_in(saver, 20_000)
        deposit = saver.deposit(DEPOSIT_CENTS)
        saver.until(f"/mpesa/deposits/{deposit}", "settled")
        live.verb("spend", "147", "--phone", saver.phone, "--url", live.api_url)
        for path in ("/goals", "/transactions", "/users/me/wallet", "/mpesa/deposits"):
            saver.ask("GET", path)
        if saver.holds() < DEPOSIT_CENTS:
            raise CheckFailed("a deposit was settled, and the wallet does not show it")
        asked += 10
    unsigned = httpx.post(f"{live.api_url}/api/v1/mpesa/webhooks/roundup", json={}, timeout=10)
    if unsigned.is_success:
        raise CheckFailed("the webhook took a request without a signature")
    return asked + 1
