"""Fixtures every test may use: the run's Postgres server and a migrated database per module."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.postgres import TEST_OPTIONS, Cluster, Database
from tests.support.postgres_binaries import VERSIONS, NotInstalled, bin_dir
from zanari_api.sandbox.postgres import EmbeddedPostgres


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--postgres", choices=VERSIONS, default="18", help="the Postgres version the tests run against"
    )


@pytest.fixture(scope="session")
def postgres_bin_dir(request: pytest.FixtureRequest) -> Path:
    """The programs of the Postgres version this run is for."""
    try:
        return bin_dir(request.config.getoption("--postgres"))
    except NotInstalled as error:
        raise pytest.UsageError(str(error)) from error


@pytest.fixture(scope="session")
def postgres_server(postgres_bin_dir: Path) -> Iterator[EmbeddedPostgres]:
    """The run's server. Its directory is short (a socket's path must be) and goes with it."""
    directory = Path(tempfile.mkdtemp(prefix="zanari-tests-"))
    try:
        with EmbeddedPostgres(directory, bin_dir=postgres_bin_dir, options=TEST_OPTIONS) as server:
            yield server
    finally:
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
async def cluster(postgres_server: EmbeddedPostgres) -> Cluster:
    """The run's server with its migrated template."""
    made = Cluster(postgres_server)
    await made.make_template()
    return made


@pytest.fixture(scope="module")
async def database(cluster: Cluster) -> AsyncIterator[Database]:
    """A migrated database of the module's own. Tests commit, make their own savers, delete nothing."""
    made = await cluster.migrated_database()
    yield made
    await cluster.drop(made)
