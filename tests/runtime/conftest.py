"""Fixtures of the runtime's tests: the log as it would be written, and clients of small applications."""

from collections.abc import Iterator

import httpx
import pytest
from starlette.types import ASGIApp

from tests.support.observed import Browse, Sample, Written, logging_as_the_service_does
from zanari_api.runtime.metrics import Metrics


@pytest.fixture
def written() -> Iterator[Written]:
    """Log as the service does, to a place where the test can read it."""
    with logging_as_the_service_does() as log:
        yield log


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def sample(metrics: Metrics) -> Sample:
    """Read one exposed value: `sample("http_requests_total", method="GET", ...)`."""

    def read(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, labels)

    return read


@pytest.fixture
def browse() -> Browse:
    """Make a client of an application that sees exactly what the application sends."""

    def make(app: ASGIApp) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app, client=("198.51.100.7", 40000))
        return httpx.AsyncClient(transport=transport, base_url="http://zanari.test")

    return make
