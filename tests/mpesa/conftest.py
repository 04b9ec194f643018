"""What the rail's tests look at besides the answers: the log, the counters, a line to Postgres that can break."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from tests.support.app import Api, Serve
from tests.support.line import Line
from tests.support.observed import Written, logging_as_the_service_does
from tests.support.postgres import Database


@pytest.fixture
def written() -> Iterator[Written]:
    """The log of the test's own requests."""
    with logging_as_the_service_does() as log:
        yield log


@dataclass(frozen=True, slots=True)
class Counted:
    """How far counters have moved since the test began."""

    api: Api
    before: dict[tuple[str, tuple[tuple[str, str], ...]], float]

    def __call__(self, name: str, **labels: str) -> float:
        now = self.api.runtime.metrics.registry.get_sample_value(name, labels)
        return (now or 0) - self.before.get((name, tuple(sorted(labels.items()))), 0)


@pytest.fixture
def counted(api: Api) -> Counted:
    before = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in api.runtime.metrics.registry.collect()
        for sample in family.samples
    }
    return Counted(api, before)


@dataclass(frozen=True, slots=True)
class Fragile:
    """A service on the module's database, and the line to it that a test can break."""

    api: Api
    line: Line


@pytest.fixture
async def fragile(api: Api, database: Database, serve: Serve) -> AsyncIterator[Fragile]:
    """A second service whose way to Postgres can be cut; `api` is beside it and always reaches Postgres."""
    async with (
        Line(database.service_dsn) as line,
        serve(database_url=SecretStr(line.dsn)) as other,
    ):
        yield Fragile(other, line)
