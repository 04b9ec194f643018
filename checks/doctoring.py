"""Checks `zanari doctor` itself: on a healthy service each line passes or says why not, on a sick one ills are named.

The sick service is sick in everything at once that one machine can make sick; what is well in it has to pass still.
"""

import asyncio
import json
import secrets
import sys
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final, TypedDict

import asyncpg

from checks import profiles, stand
from checks.check import Check, CheckFailed, Fault, Site
from checks.stand import Stand

READY_TIMEOUT_S: Final = 90
PROVED_WITHIN_S: Final = 60

LINES: Final = frozenset(
    {
        "settings",
        "database",
        "migrations",
        "durability",
        "login",
        "roles",
        "grants",
        "row_security",
        "connections",
        "database_clock",
        "books",
        "chain",
        "pii_keys",
        "webhook",
        "jwks",
        "supabase_clock",
        "storage",
        "pitr",
        "daraja",
        "daraja_clock",
        "daraja_token",
        "callback_url",
        "mpesa_certificate",
        "initiator_password",
        "sms_gateway",
    }
)
"""What has to be looked at. More may be."""

NOT_IN_DEVELOPMENT: Final = frozenset({"storage", "pitr", "initiator_password", "sms_gateway"})
"""What has nothing to look at beside `zanari dev`, and says so."""

SICK: Final[Mapping[str, str]] = {
    "settings": "MPESA_ENVIRONMENT",
    "migrations": "lacks",
    "durability": "fsync=off",
    "login": "superuser",
    "roles": "zanari_service has inherit on",
    "grants": "zanari_system has INSERT,SELECT on ledger.entries",
    "row_security": "savings.goals has it off",
    "connections": "connections are in use",
    "books": "never proved",
    "chain": "never verified",
    "pii_keys": "do not open",
    "jwks": "no key for ES256",
    "supabase_clock": "apart",
    "storage": "PUBLIC",
    "daraja": "does not answer",
    "callback_url": "something else answers",
    "mpesa_certificate": "EXPIRED",
    "initiator_password": "EXPIRED",
}
"""The lines that have to fail on the sick service, and what each has to speak of."""


WELL: Final = ("database", "database_clock", "webhook")
"""The lines that pass on the sick service."""


UNDO_NEWEST: Final = """
    DELETE FROM supabase_migrations.schema_migrations
     WHERE version = (SELECT max(version) FROM supabase_migrations.schema_migrations)
"""


class Line(TypedDict):
    """A line of the report."""

    name: str
    outcome: str
    found: str
    cure: str | None


class Report(TypedDict):
    """The document of `zanari doctor --json`."""

    schema: int
    passed: int
    failed: int
    not_checked: int
    lines: list[Line]


def check_healthy(site: Site) -> str:
    """Run a development service, and look at it until its books were proved for the first time."""
    home = site.scratch / "healthy"
    home.mkdir()
    port = stand.free_port()
    environment = {"PORT": str(port)}
    log = site.scratch / "dev.log"
    with site.started(
        sys.executable, "-m", "zanari_api", "dev", env=environment, log=log, cwd=home
    ) as process:
        url = f"http://127.0.0.1:{port}/health/ready"
        stand.answers(url, within=READY_TIMEOUT_S, alive=lambda: process.poll() is None, log=log)
        deadline = datetime.now(UTC) + timedelta(seconds=PROVED_WITHIN_S)
        while True:
            code, report, said = _look(site, environment, cwd=home)
            unwell = {line["name"] for line in report["lines"] if line["outcome"] == "failed"}
            if not unwell or not unwell <= {"books", "chain"} or datetime.now(UTC) > deadline:
                break
        shown = site.zanari("doctor", env=environment, cwd=home)
    if code != 0 or unwell:
        raise CheckFailed(f"a healthy service is called ill, exit code {code}: {said}")
    unseen = {line["name"]: line["found"] for line in report["lines"] if line["outcome"] == "not_checked"}
    if not unseen.keys() <= NOT_IN_DEVELOPMENT or not all(unseen.values()):
        raise CheckFailed(f"not looked at beside a service that runs: {unseen}")
    if shown.returncode != 0 or f"{report['passed']} passed, 0 failed" not in shown.stdout:
        raise CheckFailed(f"the table does not say what the document says: {shown.stdout}{shown.stderr}")
    return f"{report['passed']} lines passed, {len(unseen)} not checked: {', '.join(sorted(unseen))}"


def check_sick(site: Site) -> str:
    """Make a service sick in all that one machine can make sick, and look for each ill by its line."""
    with ExitStack() as stack:
        options = {"fsync": "off", "cluster_name": ""}
        database = stack.enter_context(stand.postgres(site.scratch / "sick", options=options))
        asyncio.run(stand.migrated(database))
        asyncio.run(_sicken(database))
        elsewhere = stack.enter_context(_elsewhere())
        environment = _sick_environment(site, database, elsewhere)
        code, report, said = _look(site, environment)
        away = environment | {
            "DATABASE_URL": f"postgresql://zanari_service@127.0.0.1:{stand.free_port()}/zanari"
        }
        away_code, away_report, away_said = _look(site, away)
    _no_secret_in(said + away_said, environment)
    lines = {line["name"]: line for line in report["lines"]}
    wrong = [
        f"{name} does not fail with {words!r}: {lines[name]['outcome']}, {lines[name]['found']}"
        for name, words in SICK.items()
        if lines[name]["outcome"] != "failed" or words not in lines[name]["found"]
    ]
    wrong += [f"{name} is well and fails" for name in WELL if lines[name]["outcome"] != "passed"]
    wrong += [
        f"{line['name']} fails without a cure"
        for line in report["lines"]
        if line["outcome"] == "failed" and not line["cure"]
    ]
    if code != 1:
        wrong.append(f"a sick service ended with exit code {code}")
    wrong += _wrong_while_away(away_code, away_report)
    if wrong:
        raise CheckFailed("; ".join(wrong))
    return f"{len(SICK)} ills named with their cures, {len(WELL)} lines well all the same; the same with no database"


def _wrong_while_away(code: int, report: Report) -> list[str]:
    """Return what is wrong with a report that was made while the database was away."""
    lines = {line["name"]: line["outcome"] for line in report["lines"]}
    expected = {
        "database": "failed",
        **dict.fromkeys(
            ("migrations", "login", "grants", "row_security", "books", "pii_keys"), "not_checked"
        ),
        "webhook": "passed",
        "mpesa_certificate": "failed",
        "jwks": "failed",
    }
    told = {name: lines[name] for name in expected}
    return [] if (code, told) == (1, expected) else [f"with the database away: exit code {code}, {told}"]


def _look(site: Site, environment: Mapping[str, str], **where: Any) -> tuple[int, Report, str]:
    """Run the doctor. Raises CheckFailed where it does not report on each line."""
    done = site.zanari("doctor", "--json", env=environment, **where)
    said = done.stdout + done.stderr
    try:
        report: Report = json.loads(done.stdout)
    except ValueError:
        raise CheckFailed(f"the doctor made no report: {said[-1000:]}") from None
    missing = LINES - {line["name"] for line in report["lines"]}
    if missing:
        raise CheckFailed(f"the doctor did not look at {', '.join(sorted(missing))}")
    return done.returncode, report, said


async def _sicken(database: Stand) -> None:
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(database.superuser_url)
    try:
        for statement in (
            UNDO_NEWEST,
            "GRANT INSERT ON ledger.entries TO zanari_system",
            "ALTER TABLE savings.goals DISABLE ROW LEVEL SECURITY",
            "ALTER ROLE zanari_service INHERIT",
            "ALTER ROLE supabase_admin CONNECTION LIMIT 5",
        ):
            await connection.execute(statement)
        for purpose in ("inbox", "index"):
            await connection.execute(
                "INSERT INTO runtime.data_keys (purpose, wrapped_key) VALUES ($1, $2)",
                purpose,
                b"\x05other" + secrets.token_bytes(60),
            )
    finally:
        await connection.close()


def _sick_environment(site: Site, database: Stand, elsewhere: str) -> dict[str, str]:
    right = profiles.filled(
        site.tree, "production", database_url=database.superuser_url, port=stand.free_port()
    )
    return right | {
        "SUPABASE_URL": elsewhere,
        "SUPABASE_SERVICE_KEY": f"sb_secret_{secrets.token_hex(12)}",
        "MPESA_ENVIRONMENT": "sandbox",
        "MPESA_BASE_URL": f"http://127.0.0.1:{stand.free_port()}",
        "MPESA_CALLBACK_BASE_URL": elsewhere,
        "MPESA_CERTIFICATE": profiles.certificate(expires=timedelta(days=-1)),
        "MPESA_INITIATOR_PASSWORD_SET_ON": f"{datetime.now(UTC) - timedelta(days=100):%Y-%m-%d}",
    }


def _no_secret_in(said: str, environment: Mapping[str, str]) -> None:
    shown = [
        name
        for name, value in environment.items()
        if name.endswith(("_KEY", "_KEYS", "_SECRET", "_PASSKEY", "_PASSWORD", "_TOKEN", "_TOKENS"))
        and value
        and value in said
    ]
    if shown:
        raise CheckFailed(f"the doctor SHOWS {', '.join(shown)}")


class _Elsewhere(BaseHTTPRequestHandler):
    """Answers for a Supabase whose clock is an hour late, whose keys are none, and whose documents are everybody's."""

    def do_GET(self) -> None:
        if self.path.endswith("/jwks.json"):
            answer: object = {"keys": []}
        elif "/storage/v1/bucket/" in self.path:
            answer = {"public": True, "file_size_limit": None, "allowed_mime_types": None}
        else:
            answer = "somebody else's page"
        body = json.dumps(answer).encode()
        self.send_response_only(200)
        self.send_header("Date", format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name that http.server gives)
        """Say nothing."""


@contextmanager
def _elsewhere() -> Generator[str, None, None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


CHECKS: Final = (
    Check(
        name="doctor-healthy",
        proves="on a healthy service each line of `zanari doctor` passes, or says why it was not checked",
        run=check_healthy,
        faults=(
            Fault(
                "zanari_api/doctor/looks.py",
                '    Look("grants", access.grants_are_right, needs_database=True),\n',
                "",
                "did not look at grants",
            ),
            Fault(
                "zanari_api/doctor/supabase.py",
                'return passed(f"{len(usable)}',
                'return not_checked(f"{len(usable)}',
                "jwks",
            ),
            Fault(
                "zanari_api/doctor/database.py",
                "SKEW_MAX: Final = timedelta(seconds=2)",
                "SKEW_MAX: Final = timedelta(seconds=-2)",
                "database_clock",
            ),
        ),
    ),
    Check(
        name="doctor-sick",
        proves="on a sick service `zanari doctor` names each ill with its cure, shows no secret, and ends with 1",
        run=check_sick,
        faults=(
            Fault("zanari_api/cli/doctor.py", "    if failures:\n", "    if failures > 99:\n", "exit code 0"),
            Fault("zanari_api/doctor/database.py", "if server.not_durable:", "if not server:", "durability"),
            Fault(
                "zanari_api/doctor/database.py",
                "if login.too_strong is not None:",
                "if not login:",
                "login does not",
            ),
            Fault("zanari_api/doctor/access.py", "if not table.secured]", "if not table]", "row_security"),
            Fault(
                "zanari_api/doctor/access.py",
                "if has.get(grantee) != wanted.get(grantee)",
                "if not has",
                "grants",
            ),
            Fault("zanari_api/doctor/safaricom.py", "if ends <= now:", "if not ends:", "mpesa_certificate"),
            Fault("zanari_api/doctor/supabase.py", "if bucket.public:", "if bucket is None:", "storage"),
            Fault(
                "zanari_api/doctor/outside.py",
                "SKEW_MAX: Final = timedelta(seconds=5)",
                "SKEW_MAX: Final = timedelta(days=5)",
                "supabase_clock",
            ),
            Fault(
                "zanari_api/doctor/own.py", "except Undecryptable:", "except ZeroDivisionError:", "pii_keys"
            ),
        ),
    ),
)
