"""Clients of a scripted Safaricom, as separate processes would have them. Holds no test data."""

import base64
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from tests.support.daraja import certificate_pem
from tests.support.daraja_server import ScriptedSafaricom
from zanari_api.daraja.client import DarajaClient
from zanari_api.daraja.config import DarajaConfig
from zanari_api.daraja.errors import Operation
from zanari_api.daraja.observing import CallOutcome, Group
from zanari_api.kit.clock import Clock
from zanari_api.runtime.crypto import Keyring, ServiceKeyStore
from zanari_api.runtime.db import Database

PII_KEYS = "tests:" + base64.b64encode(bytes(range(32))).decode()


class ShiftedClock(Clock):
    """Real time, moved by the test."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


@dataclass(slots=True)
class Watcher:
    """An observer that remembers."""

    calls: list[tuple[Operation, CallOutcome]] = field(default_factory=list)
    turns: list[tuple[Group, bool]] = field(default_factory=list)
    waits: list[Operation] = field(default_factory=list)

    def called(self, operation: Operation, outcome: CallOutcome, *, duration_s: float) -> None:
        assert duration_s >= 0
        self.calls.append((operation, outcome))

    def breaker_turned(self, group: Group, *, is_open: bool) -> None:
        self.turns.append((group, is_open))

    def limiter_waited(self, operation: Operation) -> None:
        self.waits.append(operation)


@dataclass(slots=True)
class Bench:
    """A Safaricom that does as it is told, one app there, and what makes clients of it."""

    safaricom: ScriptedSafaricom
    dsn: str
    stack: AsyncExitStack
    clock: ShiftedClock = field(default_factory=ShiftedClock)
    watcher: Watcher = field(default_factory=Watcher)
    consumer_key: str = field(default_factory=lambda: f"key of {uuid4()}")

    def config(self, **changes: Any) -> DarajaConfig:
        given: dict[str, Any] = {
            "base_url": self.safaricom.url,
            "consumer_key": self.consumer_key,
            "consumer_secret": "the consumer secret",
            "shortcode": "600000",
            "passkey": "the passkey",
            "b2c_shortcode": "600001",
            "initiator_name": "zanari",
            "initiator_password": "the initiator's password",
            "certificate": certificate_pem(),
            "read_timeout_s": 2.0,
            "requests_per_second": 500,
        }
        return DarajaConfig(**given | changes)

    async def database(self) -> Database:
        database = Database(self.dsn)
        await database.open()
        self.stack.push_async_callback(database.close)
        return database

    async def client(self, database: Database | None = None, **changes: Any) -> DarajaClient:
        """Make a client as another process would have it: nothing is shared but Safaricom and the database."""
        own = database or await self.database()
        made = DarajaClient(
            self.config(**changes),
            database=own,
            service_keys=ServiceKeyStore(own, Keyring.parse(PII_KEYS)),
            clock=self.clock,
            observer=self.watcher,
        )
        self.stack.push_async_callback(made.close)
        return made
