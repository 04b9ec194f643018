"""The round-ups' own fixture: the hand that has lists of spends recorded."""

import pytest

from tests.support.app import Api
from tests.support.spends import Recorder


@pytest.fixture
def record(api: Api) -> Recorder:
    return Recorder(api)
