"""What an operator's verb works with: the service's parts, opened on the running database, and the operator's name."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from zanari_api import serving
from zanari_api.assembly import NOBODY, Parts, assemble
from zanari_api.cli.terminal import fail
from zanari_api.daraja.client import DarajaClient
from zanari_api.kit.clock import Clock
from zanari_api.mpesa.inbox import Intake
from zanari_api.runtime import logs
from zanari_api.runtime.crypto import Keyring, ServiceKeys
from zanari_api.runtime.db import Database
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
    settings = serving.beside_running(Settings.load())
    logs.configure(
        level="WARNING",
        environment=settings.environment,
        version=settings.app_version,
        stream=sys.stderr.buffer,
    )
    parts = assemble(settings, stead=NOBODY)
    async with parts.opened():
        yield Operation(parts, await parts.intake(), operator)
