"""What tests of reconciliation act with: Safaricom's emulator beside the service, and a clock they move."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import date, timedelta

import pytest

from tests.support import app as support
from tests.support.app import Api, Auth
from tests.support.postgres import Cluster
from tests.support.two_books import book_openings
from zanari_api.mpesa import breaks
from zanari_api.mpesa.break_rows import BreakRow
from zanari_api.reconciliation.reports import Report
from zanari_api.reconciliation.service import Reconciling, reconcile
from zanari_api.runtime.db import Role
from zanari_api.sandbox.introduction import introduce

Reconcile = Callable[..., Awaitable[Report]]


@pytest.fixture
async def fresh(cluster: Cluster, auth: Auth) -> AsyncIterator[Api]:
    """A service with a database and an emulator of its own: the openings are booked, so the books begin as one."""
    database = await cluster.migrated_database()
    # What is late here is late by the second, and so is the waiting for it.
    async with support._serving(database, auth, times=1) as api:
        # Answers seldom overtake the replies to their questions; a test that wants it says so.
        api.emulator.delays.process_s = 0.05
        parts = api.app.state.parts
        await introduce(
            api.emulator, daraja=parts.daraja, config=parts.mpesa, database=api.db, clock=api.clock
        )
        await book_openings(api)
        yield api
        await api.books.check()
    await cluster.drop(database)


@pytest.fixture
def parts(fresh: Api) -> Reconciling:
    return replace(fresh.app.state.parts.reconciling(), answer_within=timedelta(seconds=2))


@pytest.fixture
def compare(parts: Reconciling) -> Reconcile:
    """Reconcile now, or a day."""

    async def run(*, on: date | None = None) -> Report:
        return await reconcile(parts, on=on)

    return run


async def open_breaks(api: Api) -> list[BreakRow]:
    async with api.db.transaction(Role.SYSTEM) as tx:
        return await breaks.list_open(tx)
