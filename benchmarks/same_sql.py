"""Has pgbench run the very statements of the hot path: recorded from the service's code, replayed without it.

One transaction of `receive_spends` is recorded with its arguments and rolled back. What has to differ each time (the
receipts, the ids that the code makes) becomes an expression over one random number, which each transaction of pgbench
draws anew; the rest stays as recorded. pgbench prepares each statement once, as the service's driver does.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

import asyncpg
from stand import DATABASE, Stand, now

from zanari_api.mpesa.records import SpendRecord, read_envelope
from zanari_api.mpesa.spend_service import receive_spends
from zanari_api.roundups.spends import Policy
from zanari_api.runtime.db import Tx
from zanari_api.sandbox.demo import spend_body
from zanari_api.serving import DEVELOPMENT_SHORTCODE

SYSTEM_LOGIN = "zanari_bench_system"
API_LOGIN = "zanari_bench_api"
PGBENCH = shutil.which("pgbench", path="/usr/lib/postgresql/15/bin:" + os.environ["PATH"])

# The login takes the role by itself and keeps nothing back: what the service says in one round trip with BEGIN,
# pgbench has to say in a statement of its own, with the random number. Plans are reused as the service has it.
PREPARE = f"""
    DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{SYSTEM_LOGIN}') THEN
            CREATE ROLE {SYSTEM_LOGIN} LOGIN IN ROLE zanari_system;
            ALTER ROLE {SYSTEM_LOGIN} SET role TO zanari_system;
            ALTER ROLE {SYSTEM_LOGIN} SET plan_cache_mode TO force_generic_plan;
            ALTER ROLE {SYSTEM_LOGIN} SET enable_seqscan TO off;
            ALTER ROLE {SYSTEM_LOGIN} SET enable_hashjoin TO off;
            ALTER ROLE {SYSTEM_LOGIN} SET enable_mergejoin TO off;
            CREATE ROLE {API_LOGIN} LOGIN IN ROLE zanari_api;
            ALTER ROLE {API_LOGIN} SET role TO zanari_api;
        END IF;
    END $$;
    CREATE SCHEMA IF NOT EXISTS bench;
    GRANT USAGE ON SCHEMA bench TO zanari_system, zanari_api;
    CREATE OR REPLACE FUNCTION bench.receipt(place int) RETURNS text LANGUAGE sql STABLE
        RETURN 'P' || upper(to_hex(current_setting('bench.n')::bigint * 128 + place));
    CREATE OR REPLACE FUNCTION bench.made(place int) RETURNS text LANGUAGE sql STABLE
        RETURN overlay(md5(current_setting('bench.n') || '/' || place)::uuid::text PLACING '7' FROM 15)
"""


class Recorder:
    """Passes statements on to a connection, and keeps them with their arguments."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self.said: list[tuple[str, tuple[object, ...]]] = []

    async def fetch(
        self,
        query: str,
        *args: object,
        timeout: float | None = None,  # noqa: ASYNC109 (the driver's own)
    ) -> list[asyncpg.Record]:
        self.said.append((query, args))
        return await self._connection.fetch(query, *args, timeout=timeout)

    async def fetchrow(self, query: str, *args: object) -> asyncpg.Record | None:
        self.said.append((query, args))
        return await self._connection.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: object) -> object:
        self.said.append((query, args))
        return await self._connection.fetchval(query, *args)

    async def execute(self, query: str, *args: object) -> str:
        self.said.append((query, args))
        return await self._connection.execute(query, *args)


class Renderer:
    """Writes values as SQL, with an expression wherever something has to differ each time."""

    def __init__(self, receipts: Sequence[str], known: set[str]) -> None:
        self._receipts = {receipt: place for place, receipt in enumerate(receipts)}
        self._known = known
        self._made: dict[str, int] = {}
        uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
        self._differs = re.compile("|".join([*map(re.escape, receipts), uuid]))

    def value(self, value: object, type_: str) -> str:
        match value:
            case None:
                return f"NULL::{type_}"
            case bool() | int():
                return f"{value}::{type_}" if value >= 0 else f"({value})::{type_}"
            case list() | tuple() | set() | frozenset():
                element = type_.removesuffix("[]")
                return f"ARRAY[{', '.join(self.value(each, element) for each in value)}]::{type_}"
            case bytes():
                return f"'\\x{value.hex()}'::{type_}"
            case datetime():
                return f"'{value.isoformat()}'::{type_}"
            case _:
                return f"({self._text(str(value))})::{type_}"

    def _text(self, text: str) -> str:
        parts: list[str] = []
        end = 0
        for found in self._differs.finditer(text):
            if (expression := self._expression(found[0])) is not None:
                parts += [self.quoted(text[end : found.start()]), expression]
                end = found.end()
        parts.append(self.quoted(text[end:]))
        return " || ".join(part for part in parts if part != "''") or "''"

    def _expression(self, found: str) -> str | None:
        if found in self._receipts:
            return f"bench.receipt({self._receipts[found]})"
        if found in self._known:
            return None
        return f"bench.made({self._made.setdefault(found, len(self._made))})"

    @staticmethod
    def quoted(text: str) -> str:
        if ":" not in text:
            return "'" + text.replace("'", "''") + "'"
        # To pgbench a colon before a letter is a variable, in quotes as well.
        escaped = text.replace("\\", "\\\\").replace("'", "''").replace(":", "\\x3a")
        return f"E'{escaped}'"


async def write_spends(stand: Stand, folder: Path, *, count: int, size: int) -> list[Path]:
    """Write `count` scripts, each one transaction with `size` spends, of `size` savers of its own."""
    await stand.alter(PREPARE)
    known = await _known(stand)
    async with stand.database() as database:
        keys = await stand.service_keys(database).keys()
    policy = Policy(
        feature_enabled=True,
        own_shortcodes=frozenset({DEVELOPMENT_SHORTCODE}),
        now=now(),
        keyring=stand.keyring(),
    )
    scripts: list[Path] = []
    for number in range(count):
        receipts = [f"QQ{number:03d}{place:05d}" for place in range(size)]
        phones = [stand.phones[(number * size + place) % len(stand.phones)] for place in range(size)]
        records = [_record(receipt, phone) for receipt, phone in zip(receipts, phones, strict=True)]

        async def receive(tx: Tx, records: list[SpendRecord] = records) -> None:
            came = await receive_spends(tx, records, index=keys.index, policy=policy)
            if any(each.status != "processed" for each in came):
                raise RuntimeError("the sample was not processed")

        text = await _recorded(stand, receive, Renderer(receipts, known), login=SYSTEM_LOGIN)
        scripts.append(folder / f"spends-{size}-{number}.sql")
        scripts[-1].write_text(text)
    return scripts


async def write_read(
    stand: Stand, folder: Path, name: str, read: Callable[[Tx], Awaitable[object]], *, saver_id: UUID
) -> Path:
    """Write the script of what one saver reads."""
    await stand.alter(PREPARE)
    text = await _recorded(
        stand, read, Renderer([], await _known(stand)), login=API_LOGIN, saver_id=str(saver_id)
    )
    path = folder / f"{name}.sql"
    path.write_text(text)
    return path


async def _known(stand: Stand) -> set[str]:
    rows = await stand.look(
        "SELECT id FROM ledger.accounts WHERE opened_at IS NOT NULL UNION ALL"
        " SELECT saver_id FROM savings.savers UNION ALL SELECT id FROM savings.goals"
    )
    return {str(row["id"]) for row in rows}


def _record(receipt: str, phone: str) -> SpendRecord:
    record = read_envelope(spend_body(receipt=receipt, amount="147", phone=phone), now=now()).record
    if record is None:
        raise RuntimeError("the sample is no spend")
    return record


async def _recorded(
    stand: Stand,
    work: Callable[[Tx], Awaitable[object]],
    renderer: Renderer,
    *,
    login: str,
    saver_id: str = "",
) -> str:
    """Do the work once, roll it back, and return it as a script of pgbench."""
    connection = await asyncpg.connect(stand.server.dsn(DATABASE, login))
    recorder = Recorder(connection)
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute("SELECT set_config('zanari.saver_id', $1, true)", saver_id)
        await work(Tx(recorder))
        lines = [
            r"\set n random(1, 1000000000)",
            "BEGIN;",
            f"SELECT set_config('zanari.saver_id', '{saver_id}', true), set_config('bench.n', :n::text, true);",
        ]
        for query, args in recorder.said:
            statement = await connection.prepare(query)
            types = [
                await connection.fetchval("SELECT format_type($1, NULL)", parameter.oid)
                for parameter in statement.get_parameters()
            ]
            values = [renderer.value(value, type_) for value, type_ in zip(args, types, strict=True)]
            bare = re.sub(r"--[^\n]*", "", query)
            bare = re.sub(r"'([^']*)'", lambda found: Renderer.quoted(found[1]), bare)
            text = re.sub(r"\$(\d+)", lambda found, values=values: values[int(found[1]) - 1], bare)
            lines.append(" ".join(text.split()).rstrip(";") + ";")
        lines.append("COMMIT;")
    finally:
        await transaction.rollback()
        await connection.close()
    return "\n".join(lines) + "\n"


def pgbench(
    stand: Stand, scripts: Sequence[Path], *, clients: int, seconds: int, login: str = SYSTEM_LOGIN
) -> float:
    """Run the scripts, a random one each time; return transactions a second. Raises RuntimeError if any failed."""
    if PGBENCH is None:
        raise RuntimeError("pgbench is not installed (Debian: postgresql-15)")
    files = [argument for script in scripts for argument in ("-f", str(script))]
    command = [PGBENCH, "-n", "-M", "prepared", "-c", str(clients), "-j", "1", "-T", str(seconds), *files]
    done = subprocess.run(
        [*command, stand.server.dsn(DATABASE, login)], capture_output=True, text=True, check=False
    )
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    if done.returncode != 0 or found is None or "aborted" in done.stderr:
        raise RuntimeError((done.stdout + done.stderr)[-2000:])
    return float(found[1])
