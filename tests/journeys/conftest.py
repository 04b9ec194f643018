"""A place to run the real command in, as a new user's would be."""

from collections.abc import Iterator

import pytest

from tests.support.processes import Place, new_place


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """An empty directory. Its second start finds what the first one made; each test makes its own saver."""
    with new_place() as made:
        yield made
