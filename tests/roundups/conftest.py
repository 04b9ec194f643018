"""The round-ups' own fixtures: the hands that have spends recorded, and collections asked for and paid."""

import pytest

from tests.support.app import Api
from tests.support.collecting import Collector
from tests.support.spends import Recorder


@pytest.fixture
def record(api: Api) -> Recorder:
    return Recorder(api)


@pytest.fixture
async def collect(api: Api) -> Collector:
    """The hand that collects, at noon: prompts may be sent."""
    hand = Collector(api)
    await hand.noon()
    return hand
