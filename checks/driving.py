"""Drives a development service as savers, their phones and the relay of spends would: over HTTP, many at once."""

import asyncio
import json
import secrets
import string
import subprocess
import sys
import time
from collections.abc import Awaitable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import httpx

from checks.check import CheckFailed, Site
from checks.stand import answers, free_port, tail
from zanari_api.kit.clock import utc_now
from zanari_api.mpesa.signature import sign
from zanari_api.sandbox import demo, running
from zanari_api.sandbox.auth import TokenMint
from zanari_api.sandbox.safaricom.handsets import Behaviour
from zanari_api.sandbox.secrets import load_or_make
from zanari_api.serving import EMULATED_ISSUER, HOME

READY_WITHIN_S: Final = 40
SETTLED_WITHIN_S: Final = 60
DEPOSIT_CENTS: Final = 50_000
WITHDRAWAL_CENTS: Final = 10_000
PIN: Final = "8305"

BAD_EVENTS: Final = frozenset(
    {"database_unavailable", "job_failed", "job_round_failed", "schedule_round_failed", "request_failed"}
)
"""What a log must not tell of while all is well."""


class Refused(Exception):  # noqa: N818 (reads as what it says)
    """The service answered otherwise than well."""


@dataclass(slots=True)
class Service:
    """A development service, API and worker as processes of their own, on a database that is given."""

    site: Site
    home: Path
    variables: dict[str, str]
    api: "subprocess.Popen[bytes]"
    answered: list[float] = field(default_factory=list[float])
    """Seconds that each answered request took."""

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.variables['PORT']}"

    def token(self, saver: UUID, phone: str) -> str:
        """Return an access token, as the emulated Auth gives it."""
        return TokenMint(self.home / HOME, issuer=EMULATED_ISSUER).mint(saver, phone)

    async def approves(self, client: httpx.AsyncClient, phone: str) -> None:
        """Have the owner of a phone approve every prompt."""
        safaricom = running.read(self.home / HOME).safaricom_url
        url = f"{safaricom}/control/handsets/{phone}"
        self._told(await client.patch(url, json={"behaviour": Behaviour.APPROVE}))

    async def request(
        self, client: httpx.AsyncClient, method: str, path: str, body: object = None, **headers: str
    ) -> Any:
        """Send a request of a saver's. Raises Refused unless it is answered well."""
        headers |= {"Idempotency-Key": str(uuid4())} if method == "POST" else {}
        return self._told(await self._timed(client.request(method, path, json=body, headers=headers)))

    async def spend(self, client: httpx.AsyncClient, phone: str, amount: str) -> Any:
        """Deliver a signed spend. Raises Refused unless it is answered well."""
        receipt = "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(10))
        body = demo.spend_body(receipt=receipt, amount=amount, phone=phone)
        signature = sign(load_or_make(self.home / HOME).webhook_secret, body, utc_now())
        headers = {"Content-Type": "application/json", "X-Mpesa-Signature": signature}
        url = f"{self.base_url}/api/v1/mpesa/webhooks/roundup"
        return self._told(await self._timed(client.post(url, content=body, headers=headers)))

    async def _timed(self, sending: Awaitable[httpx.Response]) -> httpx.Response:
        began = time.monotonic()
        response = await sending
        self.answered.append(time.monotonic() - began)
        return response

    def _told(self, response: httpx.Response) -> Any:
        if not response.is_success:
            raise Refused(f"{response.request.method} {response.request.url.path}: {response.status_code}")
        return response.json()

    def bad_lines(self) -> list[str]:
        """Return what the two logs tell of that must not be."""
        return [
            f"{log.stem}: {line[:300]}"
            for log in self.home.glob("*.log")
            for line in log.read_text().splitlines()
            if _event(line) in BAD_EVENTS
        ]


def _event(line: str) -> str:
    try:
        told: object = json.loads(line)
    except ValueError:
        return ""
    return str(told.get("event", "")) if isinstance(told, dict) else ""  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


@contextmanager
def development(
    site: Site, *, database_url: str, variables: Mapping[str, str], whole: bool = True
) -> Generator[Service, None, None]:
    """Run a service on the check's database; Auth and Safaricom are emulated.

    `whole` is `zanari dev` with float to pay from, and a second worker beside it; else the API alone.
    """
    # One folder for all of a check: what is in the database is read with the keys that are kept there.
    home = site.scratch / "service"
    home.mkdir(exist_ok=True)
    env = {
        "DATABASE_URL": database_url,
        "PORT": str(free_port()),
        "WORKER_PORT": str(free_port()),
        "RATE_LIMIT_ADDRESS": "1000000",
        "RATE_LIMIT_SAVER": "1000000",
    } | dict(variables)
    zanari = (sys.executable, "-m", "zanari_api")
    verb = "dev" if whole else "serve"
    log = home / f"{verb}.log"
    with site.started(*zanari, verb, env=env, log=log, cwd=home) as api:
        service = Service(site, home, env, api)
        _ready(service.base_url, api, log)
        if not whole:
            yield service
            return
        _introduced(api, log)
        with site.started(*zanari, "worker", env=env, log=home / "worker.log", cwd=home) as worker:
            _ready(f"http://127.0.0.1:{env['WORKER_PORT']}", worker, home / "worker.log")
            yield service


def _introduced(api: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until the demo saver was made: then there is float, and Safaricom knows where to confirm."""
    deadline = time.monotonic() + READY_WITHIN_S
    while "export TOKEN=" not in log.read_text():
        if time.monotonic() > deadline or api.poll() is not None:
            raise CheckFailed(f"`zanari dev` does not come up: {tail(log)}")
        time.sleep(0.1)


def _ready(base_url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    answers(f"{base_url}/health/ready", within=READY_WITHIN_S, alive=lambda: process.poll() is None, log=log)


async def live(service: Service, number: int, *, spends: int) -> int:
    """Live as a saver: deposit, spend, look, withdraw. Returns how much is left of it all, in cents. Raises Refused."""
    saver, phone = uuid4(), f"2547{number:08d}"
    headers = {"Authorization": f"Bearer {service.token(saver, phone)}"}
    async with httpx.AsyncClient(base_url=service.base_url, headers=headers, timeout=60) as client:

        async def ask(method: str, path: str, body: object = None, **more: str) -> Any:
            return await service.request(client, method, f"/api/v1{path}", body, **more)

        async def settled(path: str) -> None:
            deadline = time.monotonic() + SETTLED_WITHIN_S
            while (told := await ask("GET", path))["state"] != "settled":
                if time.monotonic() > deadline or told["state"] == "failed":
                    raise Refused(f"{path} is {told['state']}: {tail(service.home / 'dev.log')}")
                await asyncio.sleep(0.2)

        await service.approves(client, phone)
        await ask("GET", "/users/me")
        deposit = await ask("POST", "/mpesa/deposits", {"amount_cents": DEPOSIT_CENTS})
        await settled(f"/mpesa/deposits/{deposit['id']}")
        await asyncio.gather(*(service.spend(client, phone, "147") for _ in range(spends)))
        for path in ("/goals", "/transactions", "/users/me/wallet", "/mpesa/collections"):
            await ask("GET", path)
        await ask("PUT", "/users/me/pin", {"pin": PIN})
        token = (await ask("POST", "/users/me/pin/verifications", {"pin": PIN, "purpose": "withdrawal"}))[
            "token"
        ]
        account = (await ask("GET", "/mpesa/accounts"))["data"][0]["id"]
        wish = {"amount_cents": WITHDRAWAL_CENTS, "account_id": account}
        payout = await ask("POST", "/mpesa/withdrawals", wish, **{"X-Step-Up-Token": token})
        await settled(f"/mpesa/withdrawals/{payout['id']}")
        wallet = await ask("GET", "/users/me/wallet")
        return int(wallet["balance_cents"]) + int(wallet["saved_cents"])
