"""`zanari doctor`: looks at all the service depends on, from where it would run. Changes nothing."""

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from zanari_api import serving
from zanari_api.assembly import NOBODY, Parts, assemble, refuse_unfit, reveal
from zanari_api.cli.terminal import FAILED, run, say, table
from zanari_api.daraja.config import PRODUCTION, base_url_of
from zanari_api.doctor.examination import examine
from zanari_api.doctor.findings import Outcome, as_json, count
from zanari_api.doctor.looks import LOOKS
from zanari_api.doctor.patient import Patient, Safaricom, Supabase
from zanari_api.kit.clock import Clock
from zanari_api.runtime import logs
from zanari_api.runtime.crypto import Keyring
from zanari_api.runtime.db import Database
from zanari_api.sandbox import running
from zanari_api.sandbox.running import NothingRuns
from zanari_api.settings import Environment, Settings, SettingsInvalid

WORDS: Final = {Outcome.PASSED: "passed", Outcome.FAILED: "FAILED", Outcome.NOT_CHECKED: "not checked"}


def command(
    *,
    as_document: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Look at database, roles, clocks, keys, certificates, Supabase and Safaricom, and name the cure of what is ill.

    Exit code 1 when a line failed. What could not be checked says why, and is no failure and no pass. In development
    it looks at the service that runs in this directory.
    """
    run(_examine(as_document=as_document))


async def _examine(*, as_document: bool) -> None:
    try:
        settings, problems = Settings.load(), list[str]()
    except SettingsInvalid as invalid:
        # Nothing else can be known: what was given cannot be read.
        settings, problems = None, [str(invalid)]
    environment = "unknown" if settings is None else settings.environment.value
    version = "unknown" if settings is None else settings.app_version
    # What is found is told in a line of the report; standard error is kept for what breaks.
    logs.configure(level="ERROR", environment=environment, version=version, stream=sys.stderr.buffer)
    async with patient_of(settings, problems) as patient:
        lines = await examine(patient, LOOKS)
    failures, unseen = count(lines, Outcome.FAILED), count(lines, Outcome.NOT_CHECKED)
    if as_document:
        say(json.dumps(as_json(lines, environment=environment, version=version), indent=2))
    else:
        table(
            ("line", "", "found", "cure"),
            [
                (line.name, WORDS[line.finding.outcome], line.finding.found, line.finding.cure)
                for line in lines
            ],
        )
        say(f"{len(lines) - failures - unseen} passed, {failures} failed, {unseen} not checked.")
    if failures:
        raise typer.Exit(FAILED)


@asynccontextmanager
async def patient_of(settings: Settings | None, problems: list[str]) -> AsyncGenerator[Patient, None]:
    """Make of the settings what can be made of them, and open it for as long as the block runs."""
    if settings is None:
        yield _described(Settings.model_construct(), problems, (), parts=None, jwks_url=None, database=None)
        return
    settings, jwks_url = _completed(settings)
    stead = NOBODY if settings.in_development else None
    unfit: tuple[str, ...] = ()
    try:
        unfit = refuse_unfit(settings, stead=stead)
    except SettingsInvalid as refused:
        problems = [str(refused)]
    parts = None
    try:
        # As a rehearsal: what production refuses is told above, and need not keep the rest from being looked at.
        rehearsal = settings.environment is Environment.PRODUCTION
        lenient = settings.model_copy(update={"environment": Environment.STAGING} if rehearsal else {})
        parts = assemble(lenient, stead=NOBODY)
    except SettingsInvalid as refused:
        problems = problems or [str(refused)]
    if parts is not None:
        async with parts.opened():
            database = parts.runtime.database if settings.database_url else None
            yield _described(settings, problems, unfit, parts=parts, jwks_url=jwks_url, database=database)
        return
    url = reveal(settings.database_url)
    database = None if url is None else Database(url, pooled=settings.behind_pooler)
    if database is not None:
        await database.open()
    try:
        yield _described(settings, problems, unfit, parts=None, jwks_url=jwks_url, database=database)
    finally:
        if database is not None:
            await database.close()


def _completed(settings: Settings) -> tuple[Settings, str | None]:
    """Complete a developer's settings by those of the service that runs here; return them, and where its keys are."""
    if not settings.in_development:
        return settings, _jwks_url(f"{(settings.supabase_url or '').rstrip('/')}/auth/v1")
    try:
        note = running.read(Path.cwd() / serving.HOME)
    except NothingRuns:
        if settings.database_url is None:
            return settings, None
        note = None
    auth_url = settings.supabase_url and f"{settings.supabase_url.rstrip('/')}/auth/v1"
    auth_url = auth_url or (note and note.auth_url)
    try:
        return serving.beside_running(settings), auth_url and _jwks_url(auth_url)
    except NothingRuns:
        return settings, auth_url and _jwks_url(auth_url)


def _jwks_url(auth_url: str) -> str | None:
    return f"{auth_url}/.well-known/jwks.json" if auth_url.startswith("http") else None


def _described(
    settings: Settings,
    problems: list[str],
    unfit: tuple[str, ...],
    *,
    parts: Parts | None,
    jwks_url: str | None,
    database: Database | None,
) -> Patient:
    secrets = (reveal(settings.mpesa_webhook_secret) or "").split(",")
    return Patient(
        environment=settings.environment.value,
        clock=Clock(),
        problems=problems,
        unfit_for_production=unfit,
        database=database,
        pool_max=8 if parts is None else parts.runtime.database.pool_use()[1],
        keyring=_keyring(settings) if parts is None else parts.runtime.keyring,
        webhook_keys=sum(map(bool, map(str.strip, secrets)))
        + (settings.mpesa_webhook_public_key is not None),
        supabase=Supabase(
            url=settings.supabase_url,
            jwks_url=jwks_url,
            service_key=reveal(settings.supabase_service_key),
            access_token=reveal(settings.supabase_access_token),
        ),
        safaricom=Safaricom(
            client=None if parts is None else parts.daraja,
            base_url=base_url_of(settings.mpesa_environment, settings.mpesa_base_url),
            callback_base_url=settings.mpesa_callback_base_url,
            is_production=settings.mpesa_environment == PRODUCTION,
            certificate=settings.mpesa_certificate,
            initiator_password_set_on=settings.mpesa_initiator_password_set_on,
        ),
        sms_gateway_url=settings.sms_gateway_url,
    )


def _keyring(settings: Settings) -> Keyring | None:
    try:
        return Keyring.parse(reveal(settings.pii_keys) or "")
    except ValueError:
        return None
