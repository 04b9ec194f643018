"""Fixtures of the wire's tests: a scripted Safaricom, and what makes clients of it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
import stamina

from tests.support import postgres
from tests.support.daraja_bench import Bench
from tests.support.daraja_server import ScriptedSafaricom, scripted_safaricom
from tests.support.observed import Written, logging_as_the_service_does
from zanari_api.daraja.client import DarajaClient
from zanari_api.daraja.session import ATTEMPTS


@pytest.fixture(scope="package", autouse=True)
def no_waiting() -> Iterator[None]:
    """Ask again without the pause before it; how often stays as it is."""
    with stamina.set_testing(True, attempts=ATTEMPTS, cap=True):
        yield


@pytest.fixture(scope="module")
async def safaricom() -> AsyncIterator[ScriptedSafaricom]:
    async with scripted_safaricom() as running:
        yield running


@pytest.fixture
async def bench(database: postgres.Database, safaricom: ScriptedSafaricom) -> AsyncIterator[Bench]:
    safaricom.reset()
    async with AsyncExitStack() as stack:
        yield Bench(safaricom, database.service_dsn, stack)


@pytest.fixture
async def client(bench: Bench) -> DarajaClient:
    return await bench.client()


@pytest.fixture
def written() -> Iterator[Written]:
    """Log as the service does, to a place where the test can read it."""
    with logging_as_the_service_does() as log:
        yield log
