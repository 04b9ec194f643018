"""Checks supabase/config.toml: as Supabase's own command reads it, without a cloud, and the values it does not look at.

The command stops at wrong types and warns of keys that it does not know. It takes any size, type, address and switch:
those are held to what the product promises here.
"""

import asyncio
import re
import secrets
import socket
import tomllib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

import asyncpg

from checks.check import Check, CheckFailed, Fault, Site
from zanari_api.daraja.config import FORBIDDEN_WORDS
from zanari_api.doctor.supabase import BUCKET, BUCKET_BYTES, BUCKET_TYPES
from zanari_api.sandbox.database import MIGRATOR, bootstrap
from zanari_api.sandbox.postgres import EmbeddedPostgres

FILE: Final = "supabase/config.toml"
CLI: Final = "node_modules/.bin/supabase"

SIZE: Final = re.compile(r"([1-9][0-9]*)(B|KB|KiB|MB|MiB|GB|GiB)")
BYTES: Final = {
    "B": 1,
    "KB": 10**3,
    "KiB": 2**10,
    "MB": 10**6,
    "MiB": 2**20,
    "GB": 10**9,
    "GiB": 2**30,
}
DURATION: Final = re.compile(r"[1-9][0-9]*(ms|s|m|h)")
SECRET: Final = re.compile(r"(^|_)(token|secret|sid|pass|password|api_key|key)$")

APP_CALLBACK: Final = "zanari://auth/callback"
CALLBACK_PATH: Final = "/auth/callback"
TOKEN_LIVES_AT_MOST_S: Final = 3600
PASSWORD_AT_LEAST: Final = 12
SUPPORTED_POSTGRES: Final = (15, 17)

Table = dict[str, Any]


def lacking() -> str | None:
    """Return what is missing for the check: Supabase's command comes with npm."""
    return None if Path(CLI).exists() else "Supabase's command is not installed (npm install --no-save)"


def check_config(site: Site) -> str:
    """Have the command read the file, then look at the values."""
    text = (site.tree / FILE).read_text(encoding="utf-8")
    as_the_command_reads_it(site)
    config = tomllib.loads(text)
    wrong = [*wrong_values(config), *wrong_functions(config, site.tree / "supabase" / "functions")]
    if wrong:
        raise CheckFailed("; ".join(wrong))
    seen = sum(1 for _ in leaves(config))
    if not seen:
        raise CheckFailed(f"{FILE} holds nothing")
    buckets = len(table(config, "storage", "buckets"))
    return f"{seen} values, {buckets} private bucket, all keys known to the command"


def as_the_command_reads_it(site: Site) -> None:
    """Raise CheckFailed where the command stops at the file, or does not know one of its keys."""
    home = {"SUPABASE_TELEMETRY_DISABLED": "1", "HOME": str(site.scratch)}
    with scratch_database(site.scratch) as url:
        listed = site.command(CLI, "migration", "list", f"--remote={url}", env=home)
    if listed.returncode != 0:
        raise CheckFailed(
            f"Supabase's command does not take {FILE}: {(listed.stdout + listed.stderr).strip()}"
        )
    # It reads every key, and then fails for want of Docker: only what it says before that counts.
    told = site.command(CLI, "status", env=home)
    said = (told.stdout + told.stderr).splitlines()
    warnings = [line for line in said if line.startswith("WARN")]
    if warnings:
        raise CheckFailed("; ".join(warnings))
    if not any("docker" in line.lower() for line in said):
        raise CheckFailed(
            f"`supabase status` did not come as far as reading the file: {' '.join(said)[-500:]}"
        )


@contextmanager
def scratch_database(folder: Path) -> Generator[str, None, None]:
    """Run a Postgres that is as empty as a new project on the loopback, and give its address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    options = {"listen_addresses": "127.0.0.1", "port": port, "fsync": "off"}
    password = secrets.token_hex(16)
    with EmbeddedPostgres(folder / "postgres", options=options) as server:
        asyncio.run(_prepare(server, password))
        yield f"postgresql://{MIGRATOR}:{password}@127.0.0.1:{port}/postgres?sslmode=disable"


async def _prepare(server: EmbeddedPostgres, password: str) -> None:
    await bootstrap(server, "postgres")
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(server.superuser_dsn())
    try:
        await connection.execute(f"ALTER ROLE {MIGRATOR} PASSWORD '{password}'")
    finally:
        await connection.close()


def table(config: Table, *path: str) -> Table:
    """Return a table of the file, empty where there is none."""
    for name in path:
        config = cast("Table", config.get(name, {}))
    return config


def leaves(config: Table, path: str = "") -> Iterator[tuple[str, Any]]:
    """Return every value with its dotted name."""
    for name, value in config.items():
        if isinstance(value, dict):
            yield from leaves(cast("Table", value), f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def wrong_values(config: Table) -> Iterator[str]:
    """Return what the command does not look at and is wrong, each by its name in the file."""
    for name, value in leaves(config):
        yield from _wrong_leaf(name, value)
    auth = table(config, "auth")
    yield from _wrong_addresses(auth)
    held: dict[str, tuple[object, Callable[[Any], bool]]] = {
        "auth.enable_anonymous_sign_ins": (auth.get("enable_anonymous_sign_ins"), _off),
        "auth.enable_manual_linking": (auth.get("enable_manual_linking"), _off),
        "auth.enable_refresh_token_rotation": (auth.get("enable_refresh_token_rotation"), _on),
        "auth.jwt_expiry": (auth.get("jwt_expiry"), lambda s: 0 < s <= TOKEN_LIVES_AT_MOST_S),
        "auth.minimum_password_length": (
            auth.get("minimum_password_length"),
            lambda n: n >= PASSWORD_AT_LEAST,
        ),
        "auth.sms.enabled": (table(auth, "sms").get("enabled"), _on),
        "auth.sms.enable_confirmations": (table(auth, "sms").get("enable_confirmations"), _on),
        "auth.sms.test_otp": (table(auth, "sms", "test_otp"), lambda otp: not otp),
        "auth.email.enabled": (table(auth, "email").get("enabled"), _off),
        "api.auto_expose_new_tables": (table(config, "api").get("auto_expose_new_tables"), _off),
        "api.schemas": (table(config, "api").get("schemas"), lambda schemas: schemas == ["public"]),
        "db.major_version": (table(config, "db").get("major_version"), lambda v: v in SUPPORTED_POSTGRES),
    }
    for name, (value, is_right) in held.items():
        if value is None or not is_right(value):
            yield f"{name} must not be {value!r}"
    yield from _wrong_buckets(table(config, "storage"))


def _on(value: object) -> bool:
    return value is True


def _off(value: object) -> bool:
    return value is False


def _wrong_leaf(name: str, value: object) -> Iterator[str]:
    last = name.rpartition(".")[2]
    if last == "file_size_limit" and bytes_of(value) is None:
        yield f"{name}: {value!r} is no size"
    if last == "max_frequency" and not (isinstance(value, str) and DURATION.fullmatch(value)):
        yield f"{name}: {value!r} is no duration"
    if SECRET.search(last) and not (isinstance(value, str) and re.fullmatch(r"env\([A-Z0-9_]+\)", value)):
        yield f"{name} is a secret, and has to be env(NAME)"


def bytes_of(value: object) -> int | None:
    """Return a size in bytes; None for what is none."""
    read = SIZE.fullmatch(value) if isinstance(value, str) else None
    return None if read is None else int(read[1]) * BYTES[read[2]]


def _wrong_addresses(auth: Table) -> Iterator[str]:
    site_url = str(auth.get("site_url", ""))
    if urlsplit(site_url).scheme != "https" or not urlsplit(site_url).hostname:
        yield f"auth.site_url: {site_url!r} is no https:// address"
    back = cast("list[str]", auth.get("additional_redirect_urls", []))
    if APP_CALLBACK not in back:
        yield f"auth.additional_redirect_urls lacks {APP_CALLBACK}"
    if f"{site_url}{CALLBACK_PATH}" not in back:
        yield f"auth.additional_redirect_urls lacks {site_url}{CALLBACK_PATH}"
    for url in back:
        if "*" in url or (url != APP_CALLBACK and urlsplit(url).scheme != "https"):
            yield f"auth.additional_redirect_urls: {url!r} is not exact, or not https"


def _wrong_buckets(storage: Table) -> Iterator[str]:
    buckets = table(storage, "buckets")
    if BUCKET not in buckets:
        yield f"storage.buckets has no {BUCKET}"
    most = bytes_of(storage.get("file_size_limit")) or 0
    for name, bucket in buckets.items():
        if bucket.get("public") is not False:
            yield f"storage.buckets.{name} must be public = false"
        if (bytes_of(bucket.get("file_size_limit")) or 0) > most:
            yield f"storage.buckets.{name} takes more than storage.file_size_limit lets through"
    documents = table(buckets, BUCKET)
    if bytes_of(documents.get("file_size_limit")) != BUCKET_BYTES:
        yield f"storage.buckets.{BUCKET}.file_size_limit is not {BUCKET_BYTES} bytes"
    if sorted(documents.get("allowed_mime_types", ())) != sorted(BUCKET_TYPES):
        yield f"storage.buckets.{BUCKET}.allowed_mime_types are not {', '.join(BUCKET_TYPES)}"


def wrong_functions(config: Table, folder: Path) -> Iterator[str]:
    """Return where the functions that are there and their settings do not fit together."""
    settings = table(config, "functions")
    there = {each.parent.name for each in folder.glob("*/index.ts")}
    for name in sorted(there | settings.keys()):
        function = table(settings, name)
        if name not in settings:
            yield f"functions.{name} has no settings"
        elif not isinstance(function.get("verify_jwt"), bool):
            yield f"functions.{name} does not say verify_jwt"
        if function.get("enabled", True) is not (name in there):
            yield f"functions.{name} is {'off and there' if name in there else 'on and not there'}"
        if any(word in name.lower() for word in FORBIDDEN_WORDS):
            yield f"functions.{name} has a word that Safaricom refuses in an address"
    if table(config, "edge_runtime").get("enabled") is not bool(there):
        yield "edge_runtime.enabled does not say whether there are functions"


CHECKS: Final = (
    Check(
        name="supabase-config",
        proves="supabase/config.toml is read whole by Supabase's command, and its values are what is promised",
        run=check_config,
        needs=lacking,
        faults=(
            Fault(
                FILE, "enable_anonymous_sign_ins = false", "enable_anonymous_signins = false", "not recognize"
            ),
            Fault(FILE, "major_version = 17", 'major_version = "seventeen"', "Invalid db.major_version"),
            Fault(
                FILE,
                '[storage]\nenabled = true\nfile_size_limit = "50MiB"',
                '[storage]\nenabled = true\nfile_size_limit = "50 parsecs"',
                "50 parsecs",
            ),
            Fault(FILE, "public = false", "public = true", "must be public = false"),
            Fault(FILE, '"application/pdf"]', '"application/pdf", "text/html"]', "allowed_mime_types"),
            Fault(
                FILE,
                "enable_anonymous_sign_ins = false",
                "enable_anonymous_sign_ins = true",
                "anonymous_sign_ins",
            ),
            Fault(FILE, '"zanari://auth/callback", ', '"zanari://**", ', "zanari://auth/callback"),
            Fault(FILE, '"env(SUPABASE_AUTH_SMS_TWILIO_AUTH_TOKEN)"', '"4f1c9e"', "is a secret"),
            Fault(
                FILE,
                "[functions.roundup-relay]\nenabled = false",
                "[functions.roundup-relay]\nenabled = true",
                "on and not there",
            ),
        ),
    ),
)
