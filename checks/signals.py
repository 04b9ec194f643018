"""The signals, live: what every alert and dashboard asks for is exposed, and four incidents reach who is on call."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import orjson

from checks import incidents
from checks import live as service
from checks.check import Check, CheckFailed, Fault, Site, needed
from checks.expressions import Rule, rules_in, selectors_in, without_comparisons
from checks.running import ListInvalid, read_expected
from checks.watching import Prometheus, Receiver, watching

RULES: Final = "alerts/prometheus-alerts.yml"
DASHBOARDS: Final = "alerts/dashboards"
EXCEPTIONS: Final = "checks/alerts-without-series.txt"

SERIES_WITHIN_S: Final = 40
"""By then every job was scraped several times, and the worker has read its facts."""

DASHBOARD_VARIABLE_STANDS_FOR: Final = {"$__rate_interval": "5m", "$__interval": "1m", "$__range": "1h"}


def check_series(site: Site) -> str:
    """See that what alerts and dashboards ask for is there, before traffic and after it."""
    rules = rules_in(site.tree / RULES)
    alerts = [each for each in rules if each.is_alert]
    panels = panels_in(site.tree / DASHBOARDS)
    if not alerts or not panels:
        raise CheckFailed(
            f"{len(alerts)} alerts and {len(panels)} dashboard queries: there is nothing to check"
        )
    excused = _excused(site.tree / EXCEPTIONS, alerts)
    receiver = Receiver()
    with service.running(site) as live, watching(site, live.targets(), receiver) as prometheus:
        prometheus.wait_for_targets()
        _see_labels(prometheus)
        before = _until_found(prometheus, rules, excused)
        needless = [name for name in excused if not before.get(name)]
        _tell_missing("before traffic", prometheus, rules, before, excused)
        site.say("every alert found its series before traffic")
        asked = service.traffic(live)
        after = _until_found(prometheus, rules, excused)
        _tell_missing("after traffic", prometheus, rules, after, excused)
        needless = [name for name in needless if not after.get(name)]
        if needless:
            raise CheckFailed(
                f"{', '.join(needless)}: every part returned a series, so {EXCEPTIONS} need not list it"
            )
        known = prometheus.names()
        unknown = sorted(
            f"{selector.name} ({panel})"
            for panel, expression in panels
            for selector in selectors_in(expression)
            if selector.name not in known
        )
        if unknown:
            raise CheckFailed(f"dashboards ask for what nobody exposes: {', '.join(unknown)}")
    parts = sum(len(without_comparisons(each.expression)) for each in alerts)
    return (
        f"{len(alerts)} alerts ({parts} parts) and {len(rules) - len(alerts)} recorded series found theirs before and"
        f" after {asked} requests, {len(panels)} dashboard queries too; {len(excused)} exceptions"
    )


def _see_labels(prometheus: Prometheus) -> None:
    """See that what is scraped of ours says which colour and version it is. Raises CheckFailed."""
    ours = [each for each in prometheus.labels_of_targets() if each["job"].startswith("zanari")]
    bare = sorted(each["job"] for each in ours if not {"colour", "version"} <= each.keys())
    if bare or not ours:
        raise CheckFailed(
            f"targets without a colour and a version: {', '.join(bare) or 'all, for none is ours'}"
        )


def panels_in(folder: Path) -> list[tuple[str, str]]:
    """Return the queries of all dashboards, with where each is, in a form that Prometheus itself would take."""
    found: list[tuple[str, str]] = []
    for file in sorted(folder.glob("*.json")):
        _collect(orjson.loads(file.read_bytes()), file.name, found)
    return found


def _collect(read: Any, where: str, found: list[tuple[str, str]]) -> None:
    if isinstance(read, dict):
        section = cast("dict[str, Any]", read)
        title = section.get("title")
        inside = f"{where}: {title}" if isinstance(title, str) else where
        expression = section.get("expr")
        if isinstance(expression, str):
            for variable, meaning in DASHBOARD_VARIABLE_STANDS_FOR.items():
                expression = expression.replace(variable, meaning)
            found.append((where, expression))
        for value in section.values():
            _collect(value, inside, found)
    elif isinstance(read, list):
        for each in cast("list[Any]", read):
            _collect(each, where, found)


def _excused(file: Path, alerts: Sequence[Rule]) -> dict[str, str]:
    try:
        excused = read_expected(file)
    except ListInvalid as wrong:
        raise CheckFailed(str(wrong)) from None
    if strangers := sorted(set(excused) - {each.name for each in alerts}):
        raise CheckFailed(f"{file.name} names {', '.join(strangers)}, and there is no such alert")
    return excused


def _until_found(
    prometheus: Prometheus, rules: Sequence[Rule], excused: Mapping[str, str]
) -> dict[str, list[str]]:
    """Ask until every rule finds what it has to, or time is up. Return what returns nothing, by rule."""
    deadline = time.monotonic() + SERIES_WITHIN_S
    while True:
        missing = {each.name: _missing(prometheus, each) for each in rules}
        if time.monotonic() > deadline or not (missing.keys() - excused.keys()) & {
            name for name, parts in missing.items() if parts
        }:
            return missing
        time.sleep(1)


def _missing(prometheus: Prometheus, rule: Rule) -> list[str]:
    """Return the parts of a rule that return nothing now."""
    return [part for part in without_comparisons(rule.expression) if prometheus.series(part) == 0]


def _tell_missing(
    when: str,
    prometheus: Prometheus,
    rules: Sequence[Rule],
    missing: Mapping[str, Sequence[str]],
    excused: Mapping[str, str],
) -> None:
    """Raise CheckFailed for parts that return nothing, and for series that nobody has: for these there is no excuse."""
    told = [f"{name}: {part}" for name, parts in missing.items() if name not in excused for part in parts]
    told += [
        f"{each.name}: {selector}"
        for each in rules
        for selector in dict.fromkeys(selectors_in(each.expression))
        if prometheus.series(str(selector)) == 0
    ]
    if told:
        raise CheckFailed(
            f"{when}, these return no series, so the alert could never fire (mend its labels, start the count at 0,"
            f" or say in {EXCEPTIONS} why that is right):\n" + "\n".join(dict.fromkeys(told))
        )


COVERAGE: Final = Check(
    name="signals-series",
    proves="every alert and dashboard asks for series that the live API, worker and exporter expose",
    run=check_series,
    faults=(
        Fault(
            "zanari_api/zeroes.py",
            "    metrics.start_at_zero(metrics.callbacks, CallbackKind, CallbackOutcome)\n",
            "",
            "zanari_callbacks_total",
        ),
        Fault(
            "alerts/prometheus-alerts.yml",
            'increase(zanari_credentials_refused_total{job="zanari-api",kind="signature"}[10m])',
            'increase(zanari_credentials_refused_total{job="zanari-api",kind="hmac"}[10m])',
            "InvalidSignatureBurst",
        ),
        Fault(
            "alerts/prometheus-alerts.yml",
            'sum by (instance, server) (pg_stat_database_numbackends{job="postgres"})',
            'sum by (datname) (pg_stat_database_numbackends{job="postgres"})',
            "DatabaseConnectionsHigh",
        ),
        Fault(
            "checks/alerts-without-series.txt",
            "NoPaymentsConfirmed compares",
            "LedgerImbalance is no alert that has series\nNoPaymentsConfirmed compares",
            "need not list it",
        ),
        Fault(
            "alerts/prometheus.yml",
            '      - targets: ["worker:8001"]\n        labels: {colour: blue, version: "1.0.0"}\n',
            '      - targets: ["worker:8001"]\n',
            "without a colour",
        ),
        Fault(
            "alerts/prometheus.yml",
            "  - job_name: zanari-worker\n    authorization:\n      credentials_file: metrics_token\n",
            "  - job_name: zanari-worker\n",
            "targets are not all scraped",
        ),
    ),
    needs=needed("prometheus", "prometheus-alertmanager", "prometheus-postgres-exporter"),
)

CHECKS: Final[tuple[Check, ...]] = (COVERAGE, *incidents.CHECKS)
