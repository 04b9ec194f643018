"""The ledger's own fixtures: a hand that moves money, and books that must be in order after each test."""

from collections.abc import AsyncIterator

import pytest

from tests.ledger.hand import Hand
from tests.support import postgres
from tests.support.books import Books
from zanari_api.runtime.db import Database


@pytest.fixture(scope="module")
async def db(database: postgres.Database) -> AsyncIterator[Database]:
    """The module's database, reached as the service reaches it."""
    opened = Database(database.service_dsn, pool_max=20)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def books(db: Database) -> AsyncIterator[Books]:
    """The books, proved once more when the test is over."""
    made = Books(db)
    yield made
    await made.check()


@pytest.fixture
def hand(db: Database, books: Books) -> Hand:
    return Hand(db)
