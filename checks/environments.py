"""Checks that production does not start with one thing wrong, and names it; and that staging rehearses with it.

The real command is started with a whole production environment on a real database, then with one thing wrong at a
time. A refusal has to end the process, name the variable and keep the value to itself.
"""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import parse_qs, quote, urlsplit

import asyncpg
import httpx

from checks import profiles, stand
from checks.check import Check, CheckFailed, Fault, Site
from checks.stand import Stand

Environment: TypeAlias = dict[str, str]

READY_TIMEOUT_S: Final = 60
REFUSED_TIMEOUT_S: Final = 60
AT_ONCE: Final = 2
TAIL: Final = 400

NEEDED: Final = (
    "DATABASE_URL",
    "SUPABASE_URL",
    "SUPABASE_ANON_KEY",
    "PII_KEYS",
    "MPESA_SHORTCODE",
    "MPESA_CONSUMER_KEY",
    "MPESA_CONSUMER_SECRET",
    "MPESA_PASSKEY",
    "MPESA_B2C_SHORTCODE",
    "MPESA_INITIATOR_NAME",
    "MPESA_INITIATOR_PASSWORD",
    "MPESA_CERTIFICATE",
    "MPESA_CALLBACK_BASE_URL",
    "MPESA_WEBHOOK_SECRET",
    "MPESA_CALLBACK_TOKENS",
    "SMS_GATEWAY_URL",
    "SMS_GATEWAY_TOKEN",
)
"""What production cannot do without; one at a time is left out."""

SECRET: Final = (
    *(name for name in NEEDED if name not in {"MPESA_SHORTCODE", "MPESA_B2C_SHORTCODE"}),
    "METRICS_TOKEN",
)
"""Whose values must not be printed, whatever is wrong."""

HIDDEN: Final = "hunter2"
"""Stands in values that are refused, and must not be printed."""

CLEAR_DATABASE: Final = f"postgresql://zanari_service:{HIDDEN}@db.zanari.co.ke/postgres"

WRONG: Final = (
    ("DEBUG", "true"),
    ("LOG_LEVEL", "DEBUG"),
    ("CORS_ORIGINS", "*"),
    ("MPESA_WEBHOOK_ALLOW_UNTIMED", "true"),
    ("MPESA_ENVIRONMENT", "sandbox"),
    ("MPESA_BASE_URL", f"https://sandbox.safaricom.co.ke/{HIDDEN}"),
    ("MPESA_BASE_URL", f"https://127.0.0.1:9000/{HIDDEN}"),
    ("MPESA_BASE_URL", f"http://{HIDDEN}.zanari.co.ke"),
    ("DATABASE_URL", f"postgresql://zanari_service@/{HIDDEN}?host=/srv/.zanari/postgres/socket"),
    ("DATABASE_URL", CLEAR_DATABASE),
    ("DATABASE_URL", f"{CLEAR_DATABASE}?sslmode=require"),
    ("SUPABASE_URL", f"http://{HIDDEN}.supabase.co"),
    ("SMS_GATEWAY_URL", f"http://{HIDDEN}.zanari.co.ke"),
    ("MPESA_CALLBACK_BASE_URL", f"https://mpesa.{HIDDEN}.co.ke"),
    ("MPESA_CALLBACK_BASE_URL", f"http://{HIDDEN}.zanari.co.ke"),
    ("MPESA_CALLBACK_BASE_URL", f"https://10.0.0.1/{HIDDEN}"),
    ("PII_KEYS", f"{HIDDEN}:{'A' * 43}="),
    ("MPESA_WEBHOOK_SECRET", HIDDEN),
    ("MPESA_CALLBACK_TOKENS", "ab" * 24),
)
"""What production refuses without asking anybody."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """A whole environment with one thing wrong: the variable to be named, and what the refusal has to speak of."""

    name: str
    environment: Environment
    speaks_of: str
    verb: str = "serve"


def check_production(site: Site) -> str:
    """Serve in production with all right, then refuse each wrong thing."""
    with stand.postgres(site.scratch / "fit", options={"cluster_name": "", "fsync": "on"}) as database:
        asyncio.run(stand.migrated(database))
        right = profiles.filled(
            site.tree, "production", database_url=_socket(database), port=stand.free_port()
        )
        site.say("a whole production environment is served")
        _served(site, right)
        wrong = [*_missing(right), *_variables(right)]
        site.say("a database that comes later, fit and not")
        late = _late(site, database, right)
        site.say(f"{len(wrong)} wrong variables, one at a time")
        with ThreadPoolExecutor(AT_ONCE) as threads:
            told = list(threads.map(partial(_refused, site), wrong))
        site.say("logins and servers that are not fit")
        told += [_refused(site, each) for each in _logins(database, right)]
    for options, speaks_of in (
        ({"cluster_name": "", "fsync": "off"}, "fsync=off"),
        ({"fsync": "on"}, "embedded Postgres"),
    ):
        with stand.postgres(site.scratch / speaks_of[:5], options=options) as database:
            asyncio.run(stand.migrated(database))
            told.append(
                _refused(site, Wrong("DATABASE_URL", right | {"DATABASE_URL": _socket(database)}, speaks_of))
            )
    failed = [*late, *(each for each in told if each is not None)]
    if failed:
        raise CheckFailed("; ".join(failed))
    return (
        f"served when all was right, and from a database that came later; nothing from one that came later and was"
        f" unfit; {len(told)} refusals, each by its variable and without its value"
    )


def check_staging(site: Site) -> str:
    """Serve in staging with M-PESA's sandbox, and see that it says what production would refuse."""
    with stand.postgres(site.scratch / "rehearsal") as database:
        asyncio.run(stand.migrated(database))
        environment = profiles.filled(
            site.tree, "staging", database_url=_socket(database), port=stand.free_port()
        )
        log = _served(site, environment | {"MPESA_WEBHOOK_ALLOW_UNTIMED": "true"})
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("{")]
    told = [json.loads(line) for line in lines]
    named = [each["variables"] for each in told if each.get("event") == "unfit_for_production"]
    expected = ["MPESA_ENVIRONMENT", "MPESA_WEBHOOK_ALLOW_UNTIMED"]
    if named != [expected]:
        raise CheckFailed(f"staging named {named} as unfit for production, not {expected}")
    return f"served with the sandbox and on an embedded Postgres, and named {', '.join(expected)}"


def _missing(right: Environment) -> Iterator[Wrong]:
    for name in NEEDED:
        yield Wrong(name, {**right, name: ""}, "not set")


def _variables(right: Environment) -> Iterator[Wrong]:
    for name, value in WRONG:
        yield Wrong(name, {**right, name: value}, "")


def _logins(database: Stand, right: Environment) -> Iterator[Wrong]:
    """Make each login, or the server, unfit in turn; the service's own two roles are granted to each."""
    members = "GRANT zanari_api, zanari_system TO"
    hasty = "ALTER ROLE check_hasty SET synchronous_commit = off"
    for login, made_so, speaks_of in (
        ("check_superuser", "CREATE ROLE check_superuser LOGIN SUPERUSER", "is a superuser"),
        ("check_bypass", f"CREATE ROLE check_bypass LOGIN BYPASSRLS; {members} check_bypass", "BYPASSRLS"),
        (
            "check_owner",
            f"CREATE ROLE check_owner LOGIN; {members} check_owner; GRANT zanari_ledger_owner TO check_owner",
            "owns tables",
        ),
        (
            "check_hasty",
            f"CREATE ROLE check_hasty LOGIN; {members} check_hasty; {hasty}",
            "synchronous_commit=off",
        ),
    ):
        asyncio.run(_as_superuser(database, *made_so.split("; ")))
        yield Wrong("DATABASE_URL", right | {"DATABASE_URL": _socket(database, login)}, speaks_of)
    superuser = right | {"DATABASE_URL": _socket(database, "check_superuser")}
    yield Wrong("DATABASE_URL", superuser, "is a superuser", verb="worker")
    asyncio.run(_as_superuser(database, "ALTER SYSTEM SET full_page_writes = off", "SELECT pg_reload_conf()"))
    yield Wrong("DATABASE_URL", right, "full_page_writes=off")


async def _as_superuser(database: Stand, *statements: str) -> None:
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(database.superuser_url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def _socket(database: Stand, login: str = stand.SERVICE) -> str:
    """Return how a login comes in over the unix socket, which never leaves the machine."""
    return database.server.dsn(stand.DATABASE, login)


def _served(site: Site, environment: Environment) -> Path:
    """Serve until it says that it may be sent traffic, then stop it. Returns its log. Raises CheckFailed."""
    log = site.scratch / f"served-{environment['ENVIRONMENT']}.log"
    command = (sys.executable, "-m", "zanari_api", "serve")
    with site.started(*command, env=environment, log=log) as process:
        url = f"http://127.0.0.1:{environment['PORT']}/health/ready"
        stand.answers(url, within=READY_TIMEOUT_S, alive=lambda: process.poll() is None, log=log)
        process.send_signal(signal.SIGTERM)
        code = process.wait(READY_TIMEOUT_S)
    if code != 0:
        raise CheckFailed(f"it was served, and ended with {code} when told to stop: {stand.tail(log)}")
    return log


def _late(site: Site, database: Stand, right: Environment) -> list[str]:
    """Start before the database is there, let it come, and return what is wrong: only a fit one is served from."""
    asyncio.run(_as_superuser(database, "CREATE ROLE check_late LOGIN SUPERUSER"))
    wrong = list[str]()
    for login in (stand.SERVICE, "check_late"):
        try:
            _comes_later(site, _socket(database, login), right, login=login, is_fit=login == stand.SERVICE)
        except CheckFailed as failed:
            wrong.append(f"with a database that comes later, as {login}: {failed}")
    return wrong


def _comes_later(site: Site, url: str, right: Environment, *, login: str, is_fit: bool) -> None:
    """Start with no way to the database, and lay it while the process serves. Raises CheckFailed."""
    there = Path(parse_qs(urlsplit(url).query)["host"][0])
    way, log = site.scratch / f"way-{login}", site.scratch / f"late-{login}.log"
    led = url.replace(quote(str(there), safe=""), quote(str(way), safe=""))
    environment = {**right, "PORT": str(stand.free_port()), "DATABASE_URL": led}
    with site.started(sys.executable, "-m", "zanari_api", "serve", env=environment, log=log) as process:
        base_url = f"http://127.0.0.1:{environment['PORT']}"
        alive = partial(_is_alive, process)
        stand.answers(f"{base_url}/health", within=READY_TIMEOUT_S, alive=alive, log=log)
        if httpx.get(f"{base_url}/health/ready", timeout=READY_TIMEOUT_S).is_success:
            raise CheckFailed("it calls itself ready before there is one")
        way.symlink_to(there)
        if is_fit:
            stand.answers(f"{base_url}/health/ready", within=READY_TIMEOUT_S, alive=alive, log=log)
            process.send_signal(signal.SIGTERM)
        else:
            _spends_are_refused(base_url, right["MPESA_WEBHOOK_SECRET"], alive)
        code = process.wait(READY_TIMEOUT_S)
    if code != (0 if is_fit else 1):
        raise CheckFailed(f"it ended with {code}: {stand.tail(log)}")
    if not is_fit and "DATABASE_URL: the login is a superuser" not in log.read_text(encoding="utf-8"):
        raise CheckFailed(f"it does not say why it ended: {stand.tail(log)}")


def _spends_are_refused(base_url: str, secret: str, alive: Callable[[], bool]) -> None:
    """Deliver spends until the process has ended. Raises CheckFailed where one was answered otherwise than by 503."""
    told = list[int]()
    deadline = time.monotonic() + READY_TIMEOUT_S
    while alive() and time.monotonic() < deadline:
        body, headers = stand.signed_spend(secret, receipt=f"TKP{len(told):07d}")
        with suppress(httpx.TransportError):
            answer = httpx.post(
                f"{base_url}/api/v1/mpesa/webhooks/roundup", content=body, headers=headers, timeout=10
            )
            told.append(answer.status_code)
    if not told or set(told) != {503}:
        raise CheckFailed(f"{len(told)} spends were ANSWERED {sorted(set(told))} from an unfit database")


def _is_alive(process: "subprocess.Popen[bytes]") -> bool:
    return process.poll() is None


def _refused(site: Site, wrong: Wrong) -> str | None:
    """Start it, and return how it was not refused as it should be; None where it was."""
    # Any port: several are started at once, and none of them comes to serve.
    environment = {**wrong.environment, "PORT": "0", "WORKER_PORT": "0"}
    try:
        done = site.zanari(wrong.verb, env=environment, timeout=REFUSED_TIMEOUT_S)
    except CheckFailed:
        return f"{wrong.verb} STARTED with {wrong.name} wrong ({wrong.speaks_of or 'its value'})"
    said = done.stdout + done.stderr
    if "Serving http" in said or "Working; " in said:
        # Refused a second too late is not refused: something may have been served by then.
        return (
            f"{wrong.verb} STARTED with {wrong.name} wrong ({wrong.speaks_of or 'its value'}), and ended then"
        )
    named = f"not set: {wrong.name}" if wrong.speaks_of == "not set" else f"{wrong.name}: "
    if done.returncode != 1 or named not in said or wrong.speaks_of not in said or "Traceback" in said:
        return (
            f"{wrong.name} ({wrong.speaks_of or 'its value'}) ended with {done.returncode}:"
            f" {said.strip()[-TAIL:]}"
        )
    shown = [name for name in SECRET if (value := environment.get(name)) and value in said]
    if shown or HIDDEN in said:
        return f"{wrong.name}: the refusal SHOWS {', '.join(shown) or 'the value'}"
    return None


CHECKS: Final = (
    Check(
        name="production-refusals",
        proves="production starts when all is right, and not with one thing wrong, which is named and not shown",
        run=check_production,
        faults=(
            Fault(
                "zanari_api/fitness.py", "if settings.debug:", "if settings.debug and not settings:", "DEBUG"
            ),
            Fault("zanari_api/fitness.py", 'if any("*" in origin or', "if any(", "CORS_ORIGINS"),
            Fault(
                "zanari_api/settings.py",
                '            "MPESA_PASSKEY": self.mpesa_passkey,\n',
                "",
                "MPESA_PASSKEY",
            ),
            Fault(
                "zanari_api/fitness.py",
                'asked.get("sslmode") != "verify-full"',
                'asked.get("sslmode") == "disable"',
                "DATABASE_URL",
            ),
            Fault(
                "zanari_api/runtime/database_fitness.py",
                "(any_role.rolsuper OR any_role.rolbypassrls)",
                "any_role.rolsuper",
                "BYPASSRLS",
            ),
            Fault("zanari_api/serving.py", "await gate.ask_before_serving()", "pass", "STARTED"),
            Fault("zanari_api/runtime/db.py", "self._is_held = True", "self._is_held = not self", "ANSWERED"),
        ),
    ),
    Check(
        name="staging-rehearses",
        proves="staging starts with M-PESA's sandbox, and says what production would refuse",
        run=check_staging,
        faults=(
            Fault(
                "zanari_api/assembly.py",
                "if settings.environment is Environment.PRODUCTION:\n        problems",
                "if not settings.in_development:\n        problems",
                "MPESA_ENVIRONMENT",
            ),
            Fault(
                "zanari_api/main.py", "if parts.unfit_for_production:", "if not parts:", "staging named []"
            ),
        ),
    ),
)
