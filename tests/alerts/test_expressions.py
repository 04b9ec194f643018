"""What rules and dashboards ask for is documented, never counted twice, and missed when it vanishes."""

import re
from pathlib import Path
from typing import Final

import pytest

from checks.expressions import Selector, rules_in, selectors_in
from checks.signals import panels_in

ROOT: Final = Path(__file__).parents[2]
RULES: Final = rules_in(ROOT / "alerts/prometheus-alerts.yml")
ALERTS: Final = [each for each in RULES if each.is_alert]
RECORDED: Final = frozenset(each.name for each in RULES if not each.is_alert)
ASKED: Final = [(each.name, each.expression) for each in RULES] + panels_in(ROOT / "alerts/dashboards")

TARGET_LABELS: Final = frozenset({"job", "instance", "colour", "version"})
OF_PROMETHEUS: Final = frozenset({"up"})
OF_THE_PROCESS: Final = re.compile(r"process_\w+")
OF_THE_EXPORTER: Final = {
    "pg_up": frozenset[str](),
    "pg_stat_database_numbackends": frozenset({"server", "datid", "datname"}),
    "pg_stat_database_xact_commit": frozenset({"server", "datid", "datname"}),
    "pg_stat_database_xact_rollback": frozenset({"server", "datid", "datname"}),
    "pg_stat_database_deadlocks": frozenset({"server", "datid", "datname"}),
    "pg_stat_database_blks_hit": frozenset({"server", "datid", "datname"}),
    "pg_stat_database_blks_read": frozenset({"server", "datid", "datname"}),
    "pg_stat_activity_count": frozenset({"server", "datname", "state"}),
    "pg_stat_activity_max_tx_duration": frozenset({"server", "datname", "state"}),
    "pg_locks_count": frozenset({"server", "datname", "mode"}),
    "pg_database_size_bytes": frozenset({"server", "datname"}),
    "pg_settings_max_connections": frozenset({"server"}),
    "pg_settings_superuser_reserved_connections": frozenset({"server"}),
}
"""What Debian's exporter exposes of Postgres, as far as it is asked for here."""

MISSED_BY: Final = {
    "up": "ApiDown, WorkerDown and DatabaseExporterDown are true without it",
    "zanari_float_break_cents": "there is none before the first comparison, whose schedule is told late or failing",
    "zanari_pulled_until_timestamp_seconds": "there is none where nothing is pulled, which the doctor says",
}


def documented() -> dict[str, tuple[frozenset[str], str]]:
    """Return the labels of each metric of docs/metrics.md, as Prometheus stores them, and what is said of it."""
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| ([^|]*)\| (.*) \|$",
        (ROOT / "docs/metrics.md").read_text("utf-8"),
        re.MULTILINE,
    )
    found: dict[str, tuple[frozenset[str], str]] = {}
    for name, kind, labels, meaning in rows:
        own = re.findall(r"`(\w+)`", labels)
        stored = frozenset(f"exported_{each}" if each in TARGET_LABELS else each for each in own)
        for suffix in ("_bucket", "_count", "_sum") if kind == "histogram" else ("",):
            found[name + suffix] = (stored | ({"le"} if suffix == "_bucket" else frozenset()), meaning)
    return found


DOCUMENTED: Final = documented()
FACTS: Final = frozenset(
    name
    for name, (_labels, meaning) in DOCUMENTED.items()
    if re.search(r"\b[Dd]atabase\.( `NaN`.*)?$", meaning)
)


def test_there_is_something_to_look_at() -> None:
    assert len(ASKED) > 100
    assert len(DOCUMENTED) > 50
    assert len(FACTS) > 20
    assert {"zanari_ledger_imbalance", "zanari_payouts_open", "active_users"} <= FACTS


def labels_of(selector: Selector) -> frozenset[str] | None:
    """Return the labels that a metric has; None where nobody documents it."""
    if selector.name in OF_PROMETHEUS or OF_THE_PROCESS.fullmatch(selector.name):
        return frozenset()
    if selector.name in OF_THE_EXPORTER:
        return OF_THE_EXPORTER[selector.name]
    return DOCUMENTED[selector.name][0] if selector.name in DOCUMENTED else None


def strangers(expression: str) -> list[str]:
    """Return what an expression asks for that nobody documents: a metric, or a label of one."""
    found: list[str] = []
    for selector in selectors_in(expression.replace("$__rate_interval", "5m")):
        known = labels_of(selector)
        if selector.name in RECORDED:
            continue
        if known is None:
            found.append(selector.name)
            continue
        asked = {each.label for each in selector.matchers}
        found += [f"{selector.name}: {label}" for label in sorted(asked - known - TARGET_LABELS)]
    return found


def test_everything_that_is_asked_for_is_documented() -> None:
    unknown = {where: found for where, expression in ASKED if (found := strangers(expression))}
    assert unknown == {}


@pytest.mark.parametrize(
    ("expression", "stranger"),
    [
        ("rate(zanari_callback_total[5m])", ["zanari_callback_total"]),
        ('zanari_jobs_due{queue="callbacks"} > 1', ["zanari_jobs_due: queue"]),
        ('pg_settings_max_connections{datname="zanari"}', ["pg_settings_max_connections: datname"]),
    ],
    ids=["name", "label", "label of the exporter"],
)
def test_a_planted_stranger_is_found(expression: str, stranger: list[str]) -> None:
    assert strangers(expression) == stranger


SUMMED: Final = re.compile(r"\b(sum|avg|count)(?: by \([^)]*\))? ?\(\s*(\w+)\b")


def summed(expression: str) -> list[str]:
    """Return the facts of the database that are added up over the processes that tell them."""
    return [name for _how, name in SUMMED.findall(expression) if name in FACTS]


def test_no_fact_of_the_database_is_counted_once_for_each_worker() -> None:
    assert {where: found for where, expression in ASKED if (found := summed(expression))} == {}
    assert summed("sum by (state) (zanari_payouts_open) > 100") == ["zanari_payouts_open"]
    assert summed("sum(max by (state) (zanari_payouts_open)) > 100") == []


def test_a_fact_is_read_from_the_worker_and_never_from_an_api() -> None:
    loose = [
        f"{where}: {selector}"
        for where, expression in ASKED
        for selector in selectors_in(expression.replace("$__rate_interval", "5m"))
        if selector.name in FACTS - {"active_users"}
        and ("job", "=", "zanari-worker")
        not in {(each.label, each.op, each.value) for each in selector.matchers}
    ]
    assert loose == []


def test_whatever_an_alert_reads_is_missed_when_it_vanishes() -> None:
    missed = {
        selector.name
        for alert in ALERTS
        if alert.name.endswith("SignalsMissing")
        for selector in selectors_in(alert.expression)
    }
    read = {selector.name for each in RULES for selector in selectors_in(each.expression)} - RECORDED
    assert read - missed == set(MISSED_BY)


def test_a_rate_is_added_up_and_never_a_sum_rated() -> None:
    wrong = [
        where for where, expression in ASKED if re.search(r"(rate|increase)\(\s*(sum|max|avg)", expression)
    ]
    assert wrong == []
