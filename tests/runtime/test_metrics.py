"""Metrics: the documented names and labels, and nothing exposed, coded or documented without the others."""

import math
import re
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from tests.support.observed import Sample
from zanari_api.kit.errors import Refusal, Unavailable
from zanari_api.runtime.metrics import Metrics

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
DOCUMENTED = {
    match["name"]: (match["type"], tuple(re.findall(r"`(\w+)`", match["labels"])))
    for match in re.finditer(
        r"^\| `(?P<name>\w+)` \| (?P<type>\w+) \|(?P<labels>[^|]*)\| \S.* \|$", PAGE, re.MULTILINE
    )
}


class HiddenByTheMoon(Refusal):
    """The moon is in the way."""

    code = "hidden_by_the_moon"


class MoonAway(Unavailable):
    """There is no moon tonight."""

    code = "moon_away"


def in_code(metrics: Metrics) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return name → (type, labels) of every metric the object holds."""
    held = [value for value in vars(metrics).values() if isinstance(value, Counter | Gauge | Histogram)]
    return {
        metric._name + ("_total" if metric._type == "counter" else ""): (metric._type, metric._labelnames)
        for metric in held
    }


def test_each_metric_in_the_code_is_documented_and_the_other_way_round(metrics: Metrics) -> None:
    assert in_code(metrics) == DOCUMENTED


def test_each_documented_metric_is_exposed_and_nothing_else_is(metrics: Metrics) -> None:
    metrics.start_at_zero(metrics.spends, ["saved"], [""])
    metrics.start_at_zero(metrics.ledger_posts, ["round_up"], ["posted"])
    metrics.start_at_zero(metrics.callbacks, ["c2b_confirmation"], ["credited"])
    metrics.show_facts()
    body, content_type = metrics.expose()
    exposed = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(body.decode())
    }
    process = {name for name in exposed if name.startswith("process_")}
    assert exposed - process == set(DOCUMENTED)
    assert all(f"`{name}`" in PAGE for name in process)
    assert content_type.startswith("text/plain")


def test_own_metrics_are_named_for_the_service(metrics: Metrics) -> None:
    given = {"http_requests_total", "http_request_duration_seconds", "active_users", "transaction_amount_kes"}
    assert {name for name in in_code(metrics) if not name.startswith("zanari_")} == given


def bucket_edges(metrics: Metrics, name: str) -> list[float]:
    [family] = [family for family in metrics.registry.collect() if family.name == name]
    return [float(each.labels["le"]) for each in family.samples if each.name.endswith("_bucket")]


def test_the_documented_buckets_are_there(metrics: Metrics) -> None:
    metrics.count_request(method="GET", route="/x", status_code=200, duration_s=0.01)
    assert {0.1, 0.5, 1, 2, 5} <= set(bucket_edges(metrics, "http_request_duration_seconds"))
    assert min(bucket_edges(metrics, "http_request_duration_seconds")) < 0.1
    amounts = set(bucket_edges(metrics, "transaction_amount_kes"))
    assert {10, 50, 100, 500, 1000, 5000, 10_000, 250_000, math.inf} <= amounts


def test_counters_with_known_labels_begin_at_zero(metrics: Metrics, sample: Sample) -> None:
    metrics.start_problems_at_zero()
    metrics.start_routes_at_zero([("GET", "/api/v1/goals")])
    metrics.start_at_zero(metrics.spends, ["saved", "skipped"], ["", "capped"])
    assert sample("zanari_refusals_total", code="hidden_by_the_moon") == 0
    assert sample("zanari_unavailable_total", code="moon_away") == 0
    assert sample("zanari_refusals_total", code="moon_away") is None
    assert sample("http_requests_total", method="GET", route="/api/v1/goals", status_code="503") == 0
    assert sample("zanari_spends_total", outcome="skipped", reason="capped") == 0
    assert sample("zanari_webhook_requests_total", outcome="duplicate") == 0
    assert sample("zanari_credentials_refused_total", kind="signature") == 0
    assert sample("zanari_rate_limited_total", limit="pin") == 0
    assert sample("zanari_unit_of_work_reruns_total") == 0
    assert sample("transaction_amount_kes_count", type="spend") == 0


def test_starting_at_zero_does_not_forget_what_was_counted(metrics: Metrics, sample: Sample) -> None:
    metrics.count_problem(HiddenByTheMoon())
    metrics.start_problems_at_zero()
    assert sample("zanari_refusals_total", code="hidden_by_the_moon") == 1


@pytest.mark.parametrize(
    ("cents", "edge"), [(300, "10.0"), (1000, "10.0"), (1001, "50.0"), (25_000_001, "+Inf")]
)
def test_amounts_are_observed_in_shillings(metrics: Metrics, sample: Sample, cents: int, edge: str) -> None:
    metrics.observe_transaction("spend", cents)
    assert sample("transaction_amount_kes_bucket", type="spend", le=edge) == 1
    assert sample("transaction_amount_kes_sum", type="spend") == pytest.approx(cents / 100)
    below = [
        f for f in bucket_edges(metrics, "transaction_amount_kes") if f < float(edge.replace("+Inf", "inf"))
    ]
    assert not below or sample("transaction_amount_kes_bucket", type="spend", le=str(max(below))) == 0


def test_the_pool_is_read_at_each_scrape(metrics: Metrics, sample: Sample) -> None:
    use = [3]
    metrics.watch_pool(lambda: (use[0], 8), waiting=lambda: use[0] - 3)
    assert (sample("zanari_db_connections_in_use"), sample("zanari_db_connections_max")) == (3, 8)
    assert sample("zanari_db_connections_waiting") == 0
    use[0] = 5
    assert sample("zanari_db_connections_in_use") == 5
    assert sample("zanari_db_connections_waiting") == 2


def test_a_fact_of_the_database_is_exposed_by_nobody_who_has_not_read_it(
    metrics: Metrics, sample: Sample
) -> None:
    assert sample("zanari_ledger_imbalance") is None
    assert b"zanari_collections_open" not in metrics.expose()[0]
    metrics.ledger_imbalance.set(2)
    metrics.show_facts()
    metrics.show_facts()
    assert sample("zanari_ledger_imbalance") == 2
    assert sample("zanari_collections_open") == 0


def test_what_runs_here_is_told_by_labels(metrics: Metrics, sample: Sample) -> None:
    metrics.tell_build(version="1.2.3", process="worker")
    assert sample("zanari_build_info", version="1.2.3", process="worker") == 1


def test_active_users_is_unknown_before_it_was_counted(sample: Sample) -> None:
    assert math.isnan(sample("active_users") or 0)


def test_two_services_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.reruns.inc()
    assert other.registry.get_sample_value("zanari_unit_of_work_reruns_total") == 0


def test_no_counter_is_exposed_twice_as_its_birthday(metrics: Metrics) -> None:
    assert b"_created" not in metrics.expose()[0]
