"""Whatever is posted to any callback's address: it is on disk, it is acknowledged, and it is never a 500."""

import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.app import Api
from tests.support.daraja_shapes import callback_bodies
from zanari_api.mpesa.config import CALLBACK_PATHS
from zanari_api.mpesa.inbox import CallbackKind


@pytest.mark.parametrize("kind", CallbackKind, ids=str)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(body=callback_bodies)
async def test_no_body_is_too_strange_to_be_taken_in(api: Api, kind: CallbackKind, body: bytes) -> None:
    response = await api.call_back(CALLBACK_PATHS[kind][1], body)
    assert response.status_code == 200, body
    assert set(response.json()) == {"ResultCode", "ResultDesc"}
    deferred = {"kind": kind.value, "outcome": "deferred"}
    assert api.runtime.metrics.registry.get_sample_value("zanari_callbacks_total", deferred) == 0, body
