"""What an operator's verb works with: the service's parts, opened on the running database, and the operator's name."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import SecretStr

from zanari_api import serving
from zanari_api.assembly import Parts, Stead, assemble
from zanari_api.cli.terminal import fail
from zanari_api.daraja.client import DarajaClient
from zanari_api.kit.clock import Clock
from zanari_api.mpesa.inbox import Intake
from zanari_api.runtime import logs
from zanari_api.runtime.crypto import Keyring, ServiceKeys
from zanari_api.runtime.db import Database
from zanari_api.sandbox import running
from zanari_api.settings import Settings

NAME_MAX: Final = 100

OperatorOption = Annotated[
    str | None,
    typer.Option(
        "--operator", envvar="ZANARI_OPERATOR", help="Who does this; it is written into the audit log."
    ),
]


@dataclass(frozen=True, slots=True)
class Operation:
    """One verb's session. `operator` is empty where the verb only looks."""

    parts: Parts
    intake: Intake
    operator: str

    @property
    def keys(self) -> ServiceKeys:
        return self.intake.keys

    @property
    def database(self) -> Database:
        return self.parts.runtime.database

    @property
    def keyring(self) -> Keyring:
        return self.parts.runtime.keyring

    @property
    def daraja(self) -> DarajaClient:
        return self.parts.daraja

    @property
    def clock(self) -> Clock:
        return self.parts.runtime.clock


def named(operator: str | None) -> str:
    """Return the operator's name; a verb that changes something does not go without one."""
    name = (operator or "").strip()
    if not name or len(name) > NAME_MAX:
        fail("say who you are: --operator NAME, or the variable ZANARI_OPERATOR")
    return name


@asynccontextmanager
async def operating(operator: str = "") -> AsyncGenerator[Operation, None]:
    """Open the service's parts for one verb. In development they are those of the running `zanari dev`."""
    settings = _completed(Settings.load())
    logs.configure(
        level="WARNING",
        environment=settings.environment,
        version=settings.app_version,
        stream=sys.stderr.buffer,
    )
    # A verb calls nobody in a saver's name, so no issuer is ever asked.
    stead = None if settings.supabase_url else Stead("http://nobody.invalid", "http://nobody.invalid")
    parts = assemble(settings, stead=stead)
    async with parts.opened():
        yield Operation(parts, await parts.intake(), operator)


def _completed(settings: Settings) -> Settings:
    if not settings.in_development:
        return settings
    home = Path.cwd() / serving.HOME
    if settings.database_url is not None and settings.mpesa_base_url is not None:
        return serving.with_development_secrets(settings, home)
    try:
        note = running.read(home)
    except running.NothingRuns as error:
        fail(str(error))
    settings = serving.with_development_secrets(settings, home)
    url = settings.database_url or (SecretStr(note.database_url) if note.database_url else None)
    return settings.model_copy(
        update={
            "database_url": url,
            "mpesa_base_url": settings.mpesa_base_url or note.safaricom_url,
            "mpesa_certificate": settings.mpesa_certificate or note.certificate_pem,
        }
    )
