"""The verbs that run the service or try it out, and the command that all verbs hang from."""

import json
import secrets
import shlex
import string
import sys
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated
from uuid import UUID

import asyncpg
import httpx
import typer
from pydantic import SecretStr

from zanari_api import serving
from zanari_api.assembly import NOBODY, Parts
from zanari_api.cli import (
    audit,
    breaks,
    callbacks,
    daraja,
    deposits,
    doctor,
    floats,
    jobs,
    ledger,
    payouts,
    reconcile,
    simulate,
    statements,
    suspense,
)
from zanari_api.cli import phone as phone_verbs
from zanari_api.cli.terminal import FAILED, fail, progress, run, say
from zanari_api.daraja.errors import DarajaError
from zanari_api.kit.errors import Unavailable
from zanari_api.kit.msisdn import parse_msisdn
from zanari_api.ledger.heads import HeadGoesBack, HeadUnreadable
from zanari_api.main import create_app
from zanari_api.mpesa.signature import sign
from zanari_api.runtime import migrations
from zanari_api.runtime.database_tls import distrust
from zanari_api.runtime.db import DatabaseUnavailable
from zanari_api.runtime.migrations import MigrationError
from zanari_api.sandbox import demo
from zanari_api.sandbox.auth import TokenMint
from zanari_api.sandbox.demo import Demo, NotSeeded
from zanari_api.sandbox.introduction import introduce
from zanari_api.sandbox.postgres import EmbeddedPostgresError
from zanari_api.sandbox.running import NothingRuns
from zanari_api.sandbox.safaricom.credentials import certificate_of_this_process
from zanari_api.serving import PortInUse
from zanari_api.settings import Environment, Settings, SettingsInvalid
from zanari_api.worker import create_worker

app = typer.Typer(
    name="zanari",
    help="Round-up savings on M-PESA spends. Variables are documented in .env.example.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(phone_verbs.app, name="phone")
app.command("simulate")(simulate.command)
app.command("doctor")(doctor.command)
app.add_typer(callbacks.app, name="callbacks")
app.add_typer(suspense.app, name="suspense")
app.add_typer(jobs.app, name="jobs")
app.add_typer(daraja.app, name="daraja")
app.add_typer(payouts.app, name="payouts")
app.command("reconcile")(reconcile.command)
app.add_typer(breaks.app, name="breaks")
app.add_typer(floats.app, name="float")
app.add_typer(deposits.app, name="deposits")
app.add_typer(statements.app, name="statement")
app.add_typer(ledger.app, name="ledger")
app.add_typer(audit.app, name="audit")

EXPECTED = (
    SettingsInvalid,
    PortInUse,
    EmbeddedPostgresError,
    MigrationError,
    NothingRuns,
    Unavailable,
    DarajaError,
    HeadUnreadable,
    HeadGoesBack,
)


def main() -> None:
    """Run the command; what is expected to go wrong ends in one line on standard error and exit code 1."""
    try:
        app(prog_name="zanari")
    except EXPECTED as error:
        reason = error.reason if isinstance(error, DatabaseUnavailable) else None
        fail(reason or str(error))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        # Its first line alone: what follows may quote a row.
        fail(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")


@app.command()
def serve() -> None:
    """Serve the API. In development, missing parts (Postgres, Auth, secrets) are made under ./.zanari/."""
    run(_serve(Settings.load()))


@app.command()
def dev() -> None:
    """Serve with a demo saver, and print a token and a signed request to paste."""
    settings = Settings.load()
    if not settings.in_development:
        fail("dev is for ENVIRONMENT=development; use serve")
    run(_dev(settings))


@app.command()
def worker() -> None:
    """Work on what is due: prompts, payouts, collections, callbacks, schedules. Several may run.

    In development it joins the service that runs in this directory. SIGTERM lets it finish what it began.
    """
    run(_worker(Settings.load()))


@app.command()
def migrate(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be applied; change nothing.")
    ] = False,
) -> None:
    """Apply the migrations of this build to DATABASE_MIGRATION_URL (or DATABASE_URL, or the embedded database).

    Refuses a changed, missing or out-of-order migration. Interchangeable with `supabase db push`.
    """
    run(_migrate(dry_run=dry_run))


@app.command()
def token(
    saver: Annotated[UUID, typer.Option(help="The saver's id in Auth.")] = demo.DEMO_SAVER,
    phone: Annotated[str | None, typer.Option(help="The phone that Auth confirmed.")] = demo.DEMO_PHONE,
    expires_in: Annotated[int, typer.Option(min=1, help="Seconds until it expires.")] = 3600,
) -> None:
    """Print an access token of the Auth emulator in ./.zanari/, for development."""
    if not Settings.load().in_development:
        fail("tokens of the emulator are for ENVIRONMENT=development; real ones come from Supabase Auth")
    home = _home()
    home.mkdir(exist_ok=True)
    mint = TokenMint(home, issuer=serving.EMULATED_ISSUER)
    say(mint.mint(saver, _msisdn(phone) if phone else None, expires_in=expires_in))


@app.command()
def spend(
    amount: Annotated[str, typer.Argument(help="What was spent, in shillings: 147 or 23.73.")] = "147",
    phone: Annotated[str, typer.Option(help="The number that paid.")] = demo.DEMO_PHONE,
    receipt: Annotated[str | None, typer.Option(help="M-PESA's receipt; a new one when left out.")] = None,
    merchant: Annotated[str, typer.Option(help="Who was paid.")] = "Mama Njeri Shop",
    url: Annotated[str | None, typer.Option(help="The API; http://HOST:PORT when left out.")] = None,
) -> None:
    """Send a signed spend to a running API and print its answer. Exit code 1 unless it was taken.

    Refuses in ENVIRONMENT=production: a spend that nobody made is no test there.
    """
    settings = Settings.load()
    if settings.environment is Environment.PRODUCTION:
        fail("a spend is made up, and in ENVIRONMENT=production every spend is somebody's")
    if settings.in_development:
        settings = serving.with_development_secrets(settings, _home())
    secret = settings.mpesa_webhook_secret
    if secret is None:
        fail("MPESA_WEBHOOK_SECRET is not set, so nothing can be signed")
    try:
        Decimal(amount)
    except InvalidOperation:
        fail(f"{amount} is not an amount")
    body = demo.spend_body(
        receipt=receipt or new_receipt(), amount=amount, phone=_msisdn(phone), merchant=merchant
    )
    signature = sign(secret.get_secret_value().split(",")[0].strip(), body, datetime.now(UTC))
    base_url = url or f"http://{settings.host}:{settings.port}"
    try:
        response = httpx.post(
            f"{base_url}/api/v1/mpesa/webhooks/roundup",
            content=body,
            headers={"Content-Type": "application/json", "X-Mpesa-Signature": signature},
            timeout=30,
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        fail(f"no answer from {base_url}: {error}. Is the API running (zanari dev)?")
    try:
        say(json.dumps(response.json(), indent=2))
    except ValueError:
        fail(f"{base_url} answered {response.status_code} and no JSON: it is not the API")
    if not response.is_success:
        raise typer.Exit(FAILED)


@app.command()
def openapi(
    output: Annotated[
        Path | None, typer.Option(help="A file to write; standard output when left out.")
    ] = None,
) -> None:
    """Print the API's OpenAPI document. Needs no database."""
    throwaway = Settings(
        # Nothing is served, so these need not be fit for production.
        environment="staging",  # pyright: ignore[reportArgumentType]
        database_url="postgresql://nowhere",  # pyright: ignore[reportArgumentType]
        supabase_url="https://nowhere.invalid",
        supabase_anon_key="none",  # pyright: ignore[reportArgumentType]
        pii_keys="none:" + "A" * 43 + "=",  # pyright: ignore[reportArgumentType]
        mpesa_environment="production",
        mpesa_shortcode="600000",
        mpesa_webhook_secret="none",  # pyright: ignore[reportArgumentType] # noqa: S106 (opens nothing: nothing is served)
        mpesa_callback_tokens="0" * 32,  # pyright: ignore[reportArgumentType]
        mpesa_callback_base_url="https://nowhere.invalid",
        mpesa_consumer_key="none",  # pyright: ignore[reportArgumentType]
        mpesa_consumer_secret="none",  # pyright: ignore[reportArgumentType] # noqa: S106 (opens nothing)
        mpesa_passkey="none",  # pyright: ignore[reportArgumentType]
        mpesa_b2c_shortcode="600001",
        mpesa_certificate=certificate_of_this_process().pem,
        mpesa_initiator_name="none",
        mpesa_initiator_password="none",  # pyright: ignore[reportArgumentType] # noqa: S106 (opens nothing)
    )
    text = json.dumps(create_app(throwaway).openapi(), indent=2)
    if output is None:
        say(text)
    else:
        output.write_text(text + "\n")
        say(f"Wrote {output}")


async def _serve(settings: Settings) -> None:
    with serving.bind(settings.host, settings.port) as listener:
        port = listener.getsockname()[1]
        async with serving.environment(settings, on_progress=progress, port=port) as env:

            async def ready(base_url: str) -> None:
                progress(f"Serving {base_url}")

            app = create_app(env.settings, stead=env.stead)
            await serving.serve(app, env.settings, listener, on_ready=ready)


async def _dev(settings: Settings) -> None:
    with serving.bind(settings.host, settings.port) as listener:
        port = listener.getsockname()[1]
        async with serving.environment(settings, on_progress=progress, port=port) as env:
            app = create_app(env.settings, stead=env.stead, with_worker=True)

            async def ready(base_url: str) -> None:
                if env.mint is None or env.safaricom is None:
                    say(f"Serving {base_url}; it is not all emulated, so there is no demo saver.")
                    return
                made = Demo(
                    base_url=base_url,
                    token=env.mint.mint(demo.DEMO_SAVER, demo.DEMO_PHONE),
                    webhook_secret=_first(env.settings.mpesa_webhook_secret),
                    safaricom_url=env.settings.mpesa_base_url or "",
                )
                parts: Parts = app.state.parts
                try:
                    await introduce(
                        env.safaricom,
                        daraja=parts.daraja,
                        config=parts.mpesa,
                        database=parts.runtime.database,
                        clock=parts.runtime.clock,
                    )
                    await demo.seed(made, env.safaricom)
                except (NotSeeded, DarajaError) as reason:
                    progress(f"Serving {base_url}. The demo saver could not be made: {reason}")
                    return
                say(demo.instructions(made, receipt=new_receipt(), command=command_name()))

            await serving.serve(app, env.settings, listener, on_ready=ready, console=True)


async def _worker(settings: Settings) -> None:
    settings = serving.beside_running(settings)
    with serving.bind(settings.host, settings.worker_port) as listener:

        async def ready(base_url: str) -> None:
            progress(f"Working; metrics and health at {base_url}")

        await serving.serve(create_worker(settings, stead=NOBODY), settings, listener, on_ready=ready)


async def _migrate(*, dry_run: bool) -> None:
    settings = Settings.load()
    url = settings.database_migration_url or settings.database_url
    if url is None and not settings.in_development:
        fail("DATABASE_MIGRATION_URL or DATABASE_URL is not set")
    if url is None and dry_run:
        fail("--dry-run needs a database to look at; the embedded one is migrated whenever it is started")
    if url is None:
        # The embedded database is migrated by starting it.
        async with serving.environment(settings, on_progress=progress):
            say("The embedded database is up to date.")
        return
    if settings.database_migration_url is None and settings.behind_pooler:
        fail(
            "DATABASE_MIGRATION_URL is not set, and DATABASE_URL leads to a pooler: migrations need the database"
        )
    name = "DATABASE_URL" if settings.database_migration_url is None else "DATABASE_MIGRATION_URL"
    connection = await _connected(name, url.get_secret_value())
    try:
        if dry_run:
            plan = await migrations.plan(connection)
        else:
            plan = await migrations.apply(
                connection, lambda migration: progress(f"Applying {migration.label}")
            )
    finally:
        await connection.close()
    done = "would be applied" if dry_run else "applied"
    say(f"{len(plan.pending)} {done}." if plan.pending else "Nothing to do: the database is up to date.")
    if plan.ahead:
        say(f"The database is ahead of this build by {', '.join(plan.ahead)}; it can be served from.")


async def _connected(name: str, url: str) -> "asyncpg.Connection[asyncpg.Record]":
    """Connect to migrate. Where the server is not to be trusted, ends by naming the variable that leads there."""
    try:
        return await asyncpg.connect(url, timeout=10)
    except (OSError, asyncpg.ClientConfigurationError) as error:
        if (reason := distrust(error)) is not None:
            fail(f"{name}: {reason}")
        raise


def command_name() -> str:
    """Return the command as a person typed it, so that what is printed can be pasted."""
    started = Path(sys.argv[0])
    if started.name != "zanari":
        return "zanari"
    return shlex.quote(
        str(started.relative_to(Path.cwd()) if started.is_relative_to(Path.cwd()) else started)
    )


def new_receipt() -> str:
    """Return a receipt that looks like M-PESA's and that no payment has."""
    return "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(10))


def _home() -> Path:
    return Path.cwd() / serving.HOME


def _first(entries: SecretStr | None) -> str:
    """Return the first entry of a list of secrets, without the flow it may be bound to."""
    return (entries.get_secret_value() if entries else "").split(",")[0].strip().rpartition(":")[2]


def _msisdn(phone: str) -> str:
    try:
        return parse_msisdn(phone)
    except ValueError as error:
        fail(f"--phone: {error}")
