"""Every alert's labels against a fresh API and a fresh worker: a count that is born at 1 would be seen by nobody."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from checks.expressions import Matcher, Selector, rules_in, selectors_in
from checks.running import read_expected
from tests.support.app import Auth, settings_for
from tests.support.postgres import Database
from zanari_api.assembly import Stead
from zanari_api.main import create_app
from zanari_api.worker import create_worker, worker_of

ROOT: Final = Path(__file__).parents[2]
RULES: Final = rules_in(ROOT / "alerts/prometheus-alerts.yml")
EXCUSED: Final = frozenset(read_expected(ROOT / "checks/alerts-without-series.txt"))
RECORDED: Final = frozenset(each.name for each in RULES if not each.is_alert)
NOT_OURS: Final = re.compile(r"up|ALERTS|pg_\w+|prometheus_\w+|alertmanager_\w+|scrape_\w+")

AFTER_THE_FIRST_PULL: Final = "zanari_pulled_until_timestamp_seconds"
"""Until something was pulled there is no time until which it was; the live check sees it after that."""

Series = Mapping[str, str]


def asked_of_us() -> list[tuple[str, Selector]]:
    """Return every selector of our own metrics, with the rule that it is in."""
    return [
        (rule.name, selector)
        for rule in RULES
        if rule.name not in EXCUSED
        for selector in dict.fromkeys(selectors_in(rule.expression))
        if selector.name not in RECORDED | {AFTER_THE_FIRST_PULL}
        and NOT_OURS.fullmatch(selector.name) is None
    ]


ASKED: Final = asked_of_us()


def exposed(app: FastAPI, job: str) -> Iterator[Series]:
    """Yield each series as Prometheus would store it. What names its own label as its target does is renamed."""
    body, _type = app.state.runtime.metrics.expose()
    target = {"job": job, "instance": "here", "colour": "blue", "version": "1"}
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            own = {
                f"exported_{name}" if name in target else name: value for name, value in sample.labels.items()
            }
            yield {**target, **own, "__name__": sample.name}


@pytest.fixture(scope="module")
async def fresh(database: Database, auth: Auth) -> list[Series]:
    """All series of an API and a worker to whom nothing has happened."""
    settings, stead = settings_for(database), Stead("http://issuer.test", auth.auth_url)
    api, worker = create_app(settings, stead=stead), create_worker(settings, stead=stead)
    async with worker.state.parts.opened():
        await worker_of(worker.state.parts).read_facts()
    return [*exposed(api, "zanari-api"), *exposed(worker, "zanari-worker")]


def matches(series: Series, matcher: Matcher) -> bool:
    value = series.get(matcher.label, "")
    match matcher.op:
        case "=":
            return value == matcher.value
        case "!=":
            return value != matcher.value
        case "=~":
            return re.fullmatch(matcher.value, value) is not None
        case _:
            return re.fullmatch(matcher.value, value) is None


def test_what_is_excepted_is_not_there_before_the_first_pull(fresh: list[Series]) -> None:
    assert AFTER_THE_FIRST_PULL not in {series["__name__"] for series in fresh}


def test_there_are_alerts_on_our_own_series() -> None:
    assert len({name for name, _selector in ASKED}) >= 20


@pytest.mark.parametrize(
    ("rule", "selector"), ASKED, ids=[f"{rule}-{number}" for number, (rule, _selector) in enumerate(ASKED)]
)
def test_what_a_rule_asks_for_is_exposed_before_anything_happened(
    fresh: list[Series], rule: str, selector: Selector
) -> None:
    found = [
        series
        for series in fresh
        if series["__name__"] == selector.name and all(matches(series, each) for each in selector.matchers)
    ]
    assert found, f"{rule} asks for {selector}, which nobody exposes from the start"
