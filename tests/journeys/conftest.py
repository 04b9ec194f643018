"""A place to run the real command in: a short-lived directory, as a new user's would be."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Place, free_port


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """An empty directory. Its second start finds what the first one made; each test makes its own saver."""
    directory = Path(tempfile.mkdtemp(prefix="zanari-journey-"))
    yield Place(directory, free_port())
    shutil.rmtree(directory)
