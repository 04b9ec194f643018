"""The books on a running service: tampered with in four ways behind every guard, each found and named by the verb."""

import asyncio
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import asyncpg
import httpx

from checks.check import Check, CheckFailed, Fault, Site
from checks.stand import answers, free_port, signed_spend, tail
from zanari_api.sandbox import running
from zanari_api.sandbox.postgres import SUPERUSER
from zanari_api.sandbox.secrets import load_or_make
from zanari_api.serving import HOME, SERVICE_LOGIN

READY_WITHIN_S: Final = 90
SEALED_WITHIN_S: Final = 60
SPENDS: Final = 12
TRANSFERS_MIN: Final = 5

FIND_SEALED: Final = """
    SELECT t.*, s.seq FROM ledger.transfers AS t JOIN ledger.seals AS s ON s.subject_id = t.id
     ORDER BY s.seq OFFSET 2 LIMIT 1
"""
CHANGE: Final = """
    UPDATE ledger.entries
       SET amount_cents = amount_cents + $2, account_current_cents = account_current_cents + $2
     WHERE id = $1
"""
INSERTED: Final = "0badc0de-0000-7000-8000-000000000001"
INSERT: Final = f"""
    WITH put AS (
        INSERT INTO ledger.transfers (id, key, kind, event_at, xact)
        SELECT '{INSERTED}', 'forged:1', 'deposit', t.event_at, t.xact FROM ledger.transfers AS t WHERE t.id = $1
        RETURNING id, xact
    )
    INSERT INTO ledger.entries (transfer_id, account_id, amount_cents, xact)
    SELECT p.id, a.id::uuid, a.cents, p.xact
      FROM put AS p
     CROSS JOIN (VALUES ('00000000-0000-8000-8000-000000000001', -500), ('00000000-0000-8000-8000-000000000003', 500))
                AS a (id, cents)
"""


@dataclass(frozen=True, slots=True)
class Books:
    """The books of the service that runs, as its verbs and as a superuser see them."""

    site: Site
    home: Path
    superuser_url: str

    @property
    def head_file(self) -> Path:
        return self.home / "heads"

    def zanari(self, *arguments: str) -> tuple[int, str]:
        """Run a verb beside the service; return its exit code and what it said."""
        done = self.site.zanari(*arguments, cwd=self.home)
        return done.returncode, done.stdout + done.stderr

    def rows(self, sql: str, *args: object) -> "Sequence[asyncpg.Record]":
        """Run a statement as somebody whom no grant and no trigger stops."""

        async def run() -> "Sequence[asyncpg.Record]":
            connection = cast("Any", await asyncpg.connect(self.superuser_url))
            try:
                await connection.execute("SET session_replication_role = replica")
                return cast("Sequence[asyncpg.Record]", await connection.fetch(sql, *args))
            finally:
                await connection.close()

        return asyncio.run(run())

    def put_back(self, table: str, rows: "Sequence[asyncpg.Record]") -> None:
        """Insert rows again that were deleted."""
        for row in rows:
            places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
            self.rows(f"INSERT INTO {table} OVERRIDING SYSTEM VALUE VALUES ({places})", *row)

    def sound(self, when: str, *, head: bool = True) -> str:
        """See the chain verified; return what was said. Raises CheckFailed."""
        code, said = self.zanari("ledger", "verify", *(("--head", str(self.head_file)) if head else ()))
        if code != 0 or "of the chain are what was sealed" not in said:
            raise CheckFailed(f"{when} the chain should be sound, and verify ended with {code}: {said}")
        told = "Tail not checked" in said
        if told == head:
            raise CheckFailed(
                f"{when}: tail not checked has to be said without a head, and only then: {said}"
            )
        return said

    def names(self, what: str, first: str) -> None:
        """See that verify ends with 1 and names a row first. Raises CheckFailed."""
        code, said = self.zanari("ledger", "verify", "--head", str(self.head_file))
        if code != 1 or f"First bad row: {first}" not in said:
            raise CheckFailed(
                f"{what}: it should be named as {first}, and verify ended with {code} and said: {said}"
            )


def check_tampering(site: Site) -> str:
    """Live a little, seal, tamper four times and once with all traces of the tail, and see each found."""
    with _living(site) as books:
        length = _all_sealed(books)
        code, said = books.zanari("ledger", "head", "--to", str(books.head_file))
        if code != 0:
            raise CheckFailed(f"the head was not written: {said}")
        books.sound("untouched")
        books.sound("untouched, without a head", head=False)
        _tamper(books)
        cut = _cut_tail(books, length)
        books.sound("put back")
        code, said = books.zanari("ledger", "check")
        if code != 0 or "Every promise of the books holds, over " not in said:
            raise CheckFailed(f"the check of the books ended with {code}: {said}")
    return (
        f"{length} rows sealed; edited, deleted, inserted and a tail of {cut} cut off: each found and named"
    )


@contextmanager
def _living(site: Site) -> Generator[Books, None, None]:
    home = site.scratch / "service"
    home.mkdir()
    port, log = free_port(), home / "dev.log"
    env = {"PORT": str(port), "WORKER_PORT": str(free_port()), "LEDGER_HEAD_FILE": ""}
    url = f"http://127.0.0.1:{port}"
    with site.started(sys.executable, "-m", "zanari_api", "dev", env=env, log=log, cwd=home) as process:
        answers(f"{url}/health/ready", within=READY_WITHIN_S, alive=lambda: process.poll() is None, log=log)
        deadline = time.monotonic() + READY_WITHIN_S
        while "export TOKEN=" not in log.read_text():
            if time.monotonic() > deadline or process.poll() is not None:
                raise CheckFailed(f"`zanari dev` does not come up: {tail(log)}")
            time.sleep(0.2)
        service_url = running.read(home / HOME).database_url
        if service_url is None:
            raise CheckFailed("`zanari dev` started no Postgres of its own")
        books = Books(site, home, service_url.replace(SERVICE_LOGIN, SUPERUSER, 1))
        secret = load_or_make(home / HOME).webhook_secret
        for number in range(SPENDS):
            body, headers = signed_spend(secret, receipt=f"UKPCHAIN{number:02d}", amount=str(141 + number))
            told = httpx.post(
                f"{url}/api/v1/mpesa/webhooks/roundup", content=body, headers=headers, timeout=30
            )
            if not told.is_success:
                raise CheckFailed(f"a spend was not taken: {told.status_code}: {told.text[:300]}")
        # An operator's act is in the same chain.
        for verb in ("pause", "resume"):
            books.zanari("payouts", verb, "--operator", "check", "--evidence", "a check")
        yield books


def _all_sealed(books: Books) -> int:
    """Wait until the worker has sealed all there is; return how many rows."""
    deadline = time.monotonic() + SEALED_WITHIN_S
    while True:
        ((transfers, acts, seals),) = books.rows(
            "SELECT (SELECT count(*) FROM ledger.transfers), (SELECT count(*) FROM runtime.audit_log),"
            " (SELECT count(*) FROM ledger.seals)"
        )
        if transfers < TRANSFERS_MIN or acts == 0:
            raise CheckFailed(f"{transfers} transfers and {acts} acts: there is too little to tamper with")
        if seals == transfers + acts:
            return int(seals)
        if time.monotonic() > deadline:
            raise CheckFailed(
                f"in {SEALED_WITHIN_S} s the worker has sealed {seals} of {transfers + acts} rows: see chain_sealing"
            )
        time.sleep(0.5)


def _tamper(books: Books) -> None:
    (row,) = books.rows(FIND_SEALED)
    transfer = row["id"]
    entries = books.rows("SELECT * FROM ledger.entries WHERE transfer_id = $1 ORDER BY id", transfer)

    books.rows(CHANGE, entries[0]["id"], 100)
    books.names("an edited row", f"edited: transfer:{transfer}")
    books.rows(CHANGE, entries[0]["id"], -100)

    books.rows("DELETE FROM ledger.entries WHERE transfer_id = $1", transfer)
    (gone,) = books.rows("DELETE FROM ledger.transfers WHERE id = $1 RETURNING *", transfer)
    books.names("a deleted row", f"deleted: transfer:{transfer}")
    books.put_back("ledger.transfers", [gone])
    books.put_back("ledger.entries", entries)

    books.rows(INSERT, transfer)
    books.names("an inserted row", f"inserted: transfer:{INSERTED}")
    books.rows("DELETE FROM ledger.entries WHERE transfer_id = $1", INSERTED)
    books.rows("DELETE FROM ledger.transfers WHERE id = $1", INSERTED)


def _cut_tail(books: Books, length: int) -> int:
    """Cut the tail off with all that knows of it: rows, seals, and where sealing stands. Puts it back."""
    cut = 3
    kept = length - cut
    (left,) = books.rows("SELECT length, hash FROM ledger.sealing")
    seals = books.rows("DELETE FROM ledger.seals WHERE seq > $1 RETURNING *", kept)
    subjects = [each["subject_id"] for each in seals]
    entries = books.rows("DELETE FROM ledger.entries WHERE transfer_id = ANY ($1) RETURNING *", subjects)
    transfers = books.rows("DELETE FROM ledger.transfers WHERE id = ANY ($1) RETURNING *", subjects)
    acts = books.rows("DELETE FROM runtime.audit_log WHERE id = ANY ($1) RETURNING *", subjects)
    books.rows(
        "UPDATE ledger.sealing SET length = $1, hash = (SELECT s.hash FROM ledger.seals AS s WHERE s.seq = $1)",
        kept,
    )
    books.sound("with the tail cut off, and no head to know of it", head=False)
    books.names("a cut tail", f"cut: head:{length}")
    for table, rows in (
        ("ledger.transfers", transfers),
        ("ledger.entries", entries),
        ("runtime.audit_log", acts),
        ("ledger.seals", seals),
    ):
        books.put_back(table, rows)
    books.rows("UPDATE ledger.sealing SET length = $1, hash = $2", left["length"], left["hash"])
    return cut


CHECKS: Final[tuple[Check, ...]] = (
    Check(
        name="books-tampered-with",
        proves="zanari ledger verify names the row that was edited, deleted, inserted or cut off behind all guards",
        run=check_tampering,
        faults=(
            Fault(
                "zanari_api/ledger/verifying.py",
                "elif chain.digest(sealed.fields, sealed.parts) != seal.digest:",
                'elif chain.digest(sealed.fields, sealed.parts) == b"":',
                says="an edited row",
            ),
            Fault(
                "zanari_api/ledger/verifying.py",
                "    if sealed.fields is None:",
                "    if sealed.fields is None and seal.seq == 0:",
                says="a deleted row",
            ),
            Fault(
                "zanari_api/ledger/verifying.py",
                "and not each.sealed",
                "and not each.sealed and each.xact == ''",
                says="an inserted row",
            ),
            Fault(
                "zanari_api/ledger/verifying.py",
                "if longest is not None and longest.head.count > last.count:",
                "if longest is not None and longest.head.count > last.count + 1_000_000:",
                says="a cut tail",
            ),
            Fault(
                "zanari_api/cli/ledger.py",
                'return "Tail not checked: no head was given (--head FILE, or LEDGER_HEAD_FILE)."',
                'return "The tail is whole."',
                says="tail not checked",
            ),
            Fault(
                "zanari_api/worker.py",
                "*chain_schedules.schedules_of(parts.chaining()),",
                "*chain_schedules.schedules_of(parts.chaining())[1:],",
                says="the worker has sealed",
            ),
        ),
    ),
)
