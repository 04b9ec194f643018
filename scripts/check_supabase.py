"""Checks `supabase/` with Supabase's own tools on scratch Postgres 15 servers. Never touches a real project.

Prints one line per part: OK, FAILED with what was said, or NOT RUN with the reason. Ends with 1 where a part
failed, and with `--strict` also where one could not run.
"""

import argparse
import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import asyncpg

from zanari_api.runtime import migrations
from zanari_api.sandbox.database import MIGRATOR, bootstrap
from zanari_api.sandbox.postgres import EmbeddedPostgres

REPOSITORY: Final = Path(__file__).parents[1]
CLI: Final = REPOSITORY / "node_modules" / ".bin" / "supabase"
DEBIAN_BIN: Final = Path("/usr/lib/postgresql/15/bin")
DEBIAN_EXTENSIONS: Final = Path("/usr/share/postgresql/15/extension")
PG_PROVE: Final = Path("/usr/bin/pg_prove")
OUR_SCHEMAS: Final = "ledger,savings,mpesa,runtime"
DATABASE: Final = "postgres"
UP_TO_DATE: Final = "Remote database is up to date."


class PartFailed(Exception):  # noqa: N818 (the outcome of a part, not an error of the script)
    """A part ran and found something."""


class PartNotRun(Exception):  # noqa: N818 (the outcome of a part, not an error of the script)
    """A part needs something this machine lacks."""


@dataclass(frozen=True, slots=True)
class Scratch:
    """A Postgres 15 server with the bootstrap, reached by password over the loopback."""

    server: EmbeddedPostgres
    port: int
    password: str

    @property
    def remote(self) -> str:
        url = f"postgresql://{MIGRATOR}:{self.password}@127.0.0.1:{self.port}/{DATABASE}?sslmode=disable"
        return f"--remote={url}"

    async def as_superuser(self, sql: str) -> None:
        connection = await asyncpg.connect(self.server.superuser_dsn(DATABASE))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


@dataclass(slots=True)
class Report:
    """What became of each part."""

    failed: list[str] = field(default_factory=list[str])
    not_run: list[str] = field(default_factory=list[str])

    def run(self, what: str, part: Callable[[], None]) -> None:
        try:
            part()
        except PartNotRun as reason:
            self.not_run.append(what)
            print(f"NOT RUN: {what}: {reason}", flush=True)
        except PartFailed as found:
            self.failed.append(what)
            print(f"FAILED: {what}:\n{found}", flush=True)
        else:
            print(f"OK: {what}", flush=True)


@contextmanager
def scratch_server() -> Iterator[Scratch]:
    """Start a bootstrapped server that goes when the block ends. Raises PartNotRun without Postgres 15."""
    if not (DEBIAN_BIN / "postgres").exists():
        raise PartNotRun("Postgres 15 is not installed (scripts/install_system_packages.sh)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="zanari-check-") as directory:
        options = {"listen_addresses": "127.0.0.1", "port": str(port), "fsync": "off"}
        with EmbeddedPostgres(Path(directory), bin_dir=DEBIAN_BIN, options=options) as server:
            scratch = Scratch(server, port, secrets.token_hex(16))
            asyncio.run(bootstrap(server, DATABASE))
            asyncio.run(scratch.as_superuser(f"ALTER ROLE {MIGRATOR} PASSWORD '{scratch.password}'"))
            yield scratch


def run(*command: str, env: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run a tool in the repository; return its exit status and everything it said."""
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.strip()


def supabase(*arguments: str) -> tuple[int, str]:
    """Run the Supabase CLI with telemetry off and a home of its own, so that it leaves no trace."""
    if not CLI.exists():
        raise PartNotRun("the Supabase CLI is not installed (npm install --no-save)")
    with tempfile.TemporaryDirectory(prefix="zanari-cli-") as home:
        return run(str(CLI), *arguments, env={"SUPABASE_TELEMETRY_DISABLED": "1", "HOME": home})


def expect_success(status: int, said: str) -> str:
    if status != 0:
        raise PartFailed(said)
    return said


def push(scratch: Scratch) -> str:
    return expect_success(*supabase("db", "push", scratch.remote, "--yes"))


def migrate(scratch: Scratch) -> migrations.Plan:
    async def apply() -> migrations.Plan:
        connection = await asyncpg.connect(scratch.server.dsn(DATABASE, MIGRATOR))
        try:
            return await migrations.apply(connection)
        finally:
            await connection.close()

    try:
        return asyncio.run(apply())
    except migrations.MigrationError as refused:
        raise PartFailed(str(refused)) from refused


def check_config() -> None:
    """Have the CLI read config.toml: it stops at wrong values, and warns of keys it does not know."""
    with scratch_server() as scratch:
        expect_success(*supabase("migration", "list", scratch.remote))
    # `status` reads every key, then fails for want of Docker; only what it says before that counts.
    _, said = supabase("status")
    warnings = [line for line in said.splitlines() if line.startswith("WARN")]
    if warnings:
        raise PartFailed("\n".join(warnings))


def check_push_first() -> None:
    with scratch_server() as scratch:
        said = push(scratch)
        if said.count("Applying migration") != len(migrations.needed_versions()):
            raise PartFailed(f"not every migration was pushed:\n{said}")
        if UP_TO_DATE not in (said := push(scratch)):
            raise PartFailed(f"the second push applied something:\n{said}")
        if again := migrate(scratch).pending:
            raise PartFailed(f"migrate found work after a push: {[migration.label for migration in again]}")


def check_migrate_first() -> None:
    with scratch_server() as scratch:
        if not migrate(scratch).pending:
            raise PartFailed("migrate applied nothing to an empty database")
        if UP_TO_DATE not in (said := push(scratch)):
            raise PartFailed(f"the push after migrate applied something:\n{said}")


def check_lint() -> None:
    if not (DEBIAN_EXTENSIONS / "plpgsql_check.control").exists():
        raise PartNotRun("plpgsql_check is not installed (scripts/install_system_packages.sh)")
    with scratch_server() as scratch:
        migrate(scratch)
        # On Supabase `postgres` may create it; on a plain server only a superuser may.
        asyncio.run(scratch.as_superuser("CREATE EXTENSION plpgsql_check SCHEMA extensions"))
        expect_success(
            *supabase(
                "db",
                "lint",
                scratch.remote,
                "--schema",
                OUR_SCHEMAS,
                "--level",
                "warning",
                "--fail-on",
                "warning",
            )
        )


def check_advisors() -> None:
    with scratch_server() as scratch:
        migrate(scratch)
        status, said = supabase(
            *("db", "advisors", scratch.remote, "--type", "all", "--level", "warn", "--fail-on", "warn"),
            *("--output-format", "json"),
        )
        if status != 0 and "{" not in said:
            raise PartFailed(said)
        if status != 0:
            # One long line of JSON after the CLI's own words: the findings are what a reader needs.
            found = json.loads(said[said.find("{") :])
            raise PartFailed(
                "\n".join(f"{row['level']} {row['name']}: {row['detail']}" for row in found["results"])
            )


def check_pgtap() -> None:
    """Run supabase/tests as `authenticator`, over the rows that its setup makes as the migrations' role."""
    if not PG_PROVE.exists() or not (DEBIAN_EXTENSIONS / "pgtap.control").exists():
        raise PartNotRun("pgTAP is not installed (scripts/install_system_packages.sh)")
    tests = sorted((REPOSITORY / "supabase" / "tests").glob("*.sql"))
    if not tests:
        raise PartFailed("there are no tests in supabase/tests")
    with scratch_server() as scratch:
        migrate(scratch)
        asyncio.run(scratch.as_superuser("CREATE EXTENSION pgtap SCHEMA extensions"))
        asyncio.run(scratch.as_superuser(f"ALTER ROLE authenticator PASSWORD '{scratch.password}'"))
        connection = {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(scratch.port),
            "PGDATABASE": DATABASE,
            "PGPASSWORD": scratch.password,
        }
        psql = [str(DEBIAN_BIN / "psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]
        for setup in sorted((REPOSITORY / "supabase" / "tests" / "setup").glob("*.sql")):
            expect_success(*run(*psql, f"--file={setup}", env={**connection, "PGUSER": MIGRATOR}))
        expect_success(
            *run(str(PG_PROVE), *(str(test) for test in tests), env={**connection, "PGUSER": "authenticator"})
        )


PARTS: Final[Mapping[str, tuple[str, Callable[[], None]]]] = {
    "config": ("supabase/config.toml as the CLI reads it", check_config),
    "push": ("supabase db push twice, then migrate", check_push_first),
    "migrate": ("migrate, then supabase db push", check_migrate_first),
    "lint": ("supabase db lint", check_lint),
    "advisors": ("supabase db advisors", check_advisors),
    "pgtap": ("pgTAP tests of supabase/tests", check_pgtap),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Check supabase/ with Supabase's own tools on scratch servers."
    )
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="only these parts (default: all)")
    parser.add_argument("--strict", action="store_true", help="also fail where a part could not run")
    arguments = parser.parse_args()
    report = Report()
    for part in arguments.parts or PARTS:
        report.run(*PARTS[part])
    return 1 if report.failed or (arguments.strict and report.not_run) else 0


if __name__ == "__main__":
    sys.exit(main())
