"""The rules and their tests, what Prometheus and Alertmanager are told, and the dashboards. Runs no service."""

import re
import sys
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import promql_parser as promql
import yaml

from checks.check import Check, CheckFailed, Fault, Site, needed
from checks.expressions import rules_in
from checks.signals import DASHBOARD_VARIABLE_STANDS_FOR, DASHBOARDS, RULES, panels_in
from checks.watching import placed

TESTS: Final = "alerts/tests"
PROMETHEUS: Final = "alerts/prometheus.yml"
ALERTMANAGER: Final = "alerts/alertmanager.yml"
ROUTES: Final = "alerts/routes.txt"
COUNTS: Final = "alerts/counts.yml"

ALWAYS: Final = "Watchdog"
"""Fires at all times."""

AT_A_TIME: Final = 2
TESTS_TIMEOUT_S: Final = 400

UNHEARD: Final = ("alertname=Unheard", "severity=unheard")
"""The one line that is of no rule: an alert that no route was written for."""

RULES_FOUND: Final = re.compile(r"SUCCESS: (\d+) rules found")
ONE_FILE: Final = re.compile(r"^Unit Testing:\s+(\S+)\n\s+SUCCESS", re.MULTILINE)


def check_rules(site: Site) -> str:
    """See that the rules are rules, as many as are committed to, and that Prometheus would take its configuration."""
    said = site.succeed("promtool", "check", "rules", RULES)
    found = RULES_FOUND.search(said)
    counted = _counts(site)
    rules = rules_in(site.tree / RULES)
    alerts = [each for each in rules if each.is_alert]
    if found is None or int(found[1]) != len(rules) or len(alerts) != counted["alerts"]:
        raise CheckFailed(
            f"{len(alerts)} alerts among {len(rules)} rules, promtool says {said.strip()!r}; {COUNTS} has"
            f" {counted['alerts']} alerts: say there how many there have to be"
        )
    configured = site.succeed("promtool", "check", "config", placed(site) / Path(PROMETHEUS).name)
    if "1 rule files found" not in configured:
        raise CheckFailed(f"{PROMETHEUS} does not load the rules: {configured.strip()}")
    return f"{len(alerts)} alerts and {len(rules) - len(alerts)} recorded ratios; Prometheus takes its configuration"


def check_cases(site: Site) -> str:
    """Run every unit test of the rules, and see that each alert has been seen to fire, to be quiet, and to end."""
    files = {
        file.name: cast("dict[str, Any]", yaml.safe_load(file.read_text(encoding="utf-8")))
        for file in sorted((site.tree / TESTS).glob("*.yml"))
    }
    counted = _counts(site)
    cases = sum(len(read["tests"]) for read in files.values())
    alerts = {each.name for each in rules_in(site.tree / RULES) if each.is_alert}
    _see_each_tried(alerts, [test for read in files.values() for test in read["tests"]])
    site.succeed(sys.executable, site.tree / "scripts/write_alert_tests.py", "--check")
    if cases != counted["cases"]:
        raise CheckFailed(
            f"{cases} cases, and {COUNTS} says {counted['cases']}: say there how many have to be"
        )
    copies = _beside_their_rules(site, files)
    shares = [copies[first::AT_A_TIME] for first in range(AT_A_TIME)]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        ran = sum(pool.map(partial(_run_files, site), shares))
    if ran != len(copies) or ran < len(alerts):
        raise CheckFailed(f"{ran} of {len(copies)} files of tests were seen to pass")
    return f"{cases} cases: each of {len(alerts)} alerts fires, does not, and ends"


def _see_each_tried(alerts: AbstractSet[str], tests: Sequence[Mapping[str, Any]]) -> None:
    """See that cases show each alert firing, quiet, and quiet after it fired. Raises CheckFailed."""
    fired, quiet, ended = set[str](), set[str](), set[str]()
    for test in tests:
        fires = set[str]()
        # As the table of cases writes them, one time is after the other.
        for each in test["alert_rule_test"]:
            name = each["alertname"]
            if each["exp_alerts"]:
                fires.add(name)
            else:
                quiet.add(name)
                ended |= fires & {name}
        fired |= fires
    may_end = alerts - {ALWAYS}
    untried = sorted((alerts - fired) | (may_end - quiet))
    if untried:
        raise CheckFailed(f"no case shows when these fire and when not: {', '.join(untried)}")
    if endless := sorted(may_end - ended):
        raise CheckFailed(f"no case shows that these end: {', '.join(endless)}")


def _beside_their_rules(site: Site, files: Mapping[str, Mapping[str, Any]]) -> list[Path]:
    """Write each alert's tests beside its own rule alone: promtool works all rules of a file out at each step.

    The rules are the committed ones. That an alert needs no other is seen by this too: its tests would fail.
    """
    read: dict[str, Any] = yaml.safe_load((site.tree / RULES).read_text(encoding="utf-8"))
    for group in read["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                chosen = [each for each in group["rules"] if "record" in each or each is rule]
                _write(site.scratch / f"rules-{rule['alert']}.yml", {"groups": [group | {"rules": chosen}]})
    copies = list[Path]()
    for file, tests in files.items():
        if tests["rule_files"] != [f"../{Path(RULES).name}"]:
            raise CheckFailed(f"{file} does not read {RULES}")
        by_alert = dict[str, list[object]]()
        for test in tests["tests"]:
            names = {each["alertname"] for each in test["alert_rule_test"]}
            if len(names) != 1:
                raise CheckFailed(f"{file}: {test['name']} is about {len(names)} alerts, not one")
            by_alert.setdefault(names.pop(), []).append(test)
        for alert, own in by_alert.items():
            copies.append(site.scratch / f"{alert}-{file}")
            _write(copies[-1], {**tests, "rule_files": [f"rules-{alert}.yml"], "tests": own})
    return copies


def _write(file: Path, content: Mapping[str, object]) -> None:
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _run_files(site: Site, files: Sequence[Path]) -> int:
    """Run some files of tests. Return how many promtool said have passed. Raises CheckFailed."""
    names = [each.name for each in files]
    done = site.command("promtool", "test", "rules", *names, cwd=site.scratch, timeout=TESTS_TIMEOUT_S)
    if done.returncode != 0:
        failed = [each for each in done.stdout.split("Unit Testing:") if "SUCCESS" not in each]
        raise CheckFailed(f"{''.join(failed).strip()}\n{done.stderr.strip()}"[:3000])
    return len(ONE_FILE.findall(done.stdout))


def check_routes(site: Site) -> str:
    """See that Alertmanager takes its configuration, and that each alert goes to whom it should."""
    site.succeed("amtool", "check-config", ALERTMANAGER)
    wanted = _routes(site.tree / ROUTES)
    _see_each_routed(site, wanted)
    seen = 0
    for labels, receiver in wanted:
        done = site.command(
            "amtool",
            "config",
            "routes",
            "test",
            f"--config.file={ALERTMANAGER}",
            f"--verify.receivers={receiver}",
            *labels,
        )
        if done.returncode != 0 or done.stdout.split()[:1] != [receiver]:
            raise CheckFailed(
                f"{' '.join(labels)} goes to {done.stdout.strip()}, and {ROUTES} says {receiver}"
            )
        seen += 1
    said = {receiver for _labels, receiver in wanted}
    read: dict[str, Any] = yaml.safe_load((site.tree / ALERTMANAGER).read_text(encoding="utf-8"))
    unused = sorted({each["name"] for each in read["receivers"]} - said)
    if not seen or unused:
        raise CheckFailed(f"{seen} routes tried; no alert goes to {', '.join(unused) or 'anybody'}")
    known = {each.name for each in rules_in(site.tree / RULES) if each.is_alert}
    strangers = sorted(set(_inhibited(read)) - known)
    if strangers:
        raise CheckFailed(f"{ALERTMANAGER} speaks of {', '.join(strangers)}, and there is no such alert")
    return f"{seen} alerts go where {ROUTES} says; {len(read['inhibit_rules'])} inhibitions name alerts that exist"


def _see_each_routed(site: Site, wanted: Sequence[tuple[Sequence[str], str]]) -> None:
    """See that each alert has a line, with the labels of its rule, and each line an alert. Raises CheckFailed."""
    ruled = {
        (f"alertname={each.name}", f"severity={each.labels['severity']}", f"area={each.labels['area']}")
        for each in rules_in(site.tree / RULES)
        if each.is_alert
    }
    listed = {tuple(labels) for labels, _receiver in wanted} - {UNHEARD}
    if different := sorted(ruled ^ listed):
        told = [f"{' '.join(each)} ({RULES if each in ruled else ROUTES} alone)" for each in different]
        raise CheckFailed(f"{ROUTES} and the rules differ: {', '.join(told)}")


def _routes(file: Path) -> list[tuple[list[str], str]]:
    """Read whom each alert is for: labels, then the receiver."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    return [(line.split()[:-1], line.split()[-1]) for line in lines]


def _inhibited(read: dict[str, Any]) -> list[str]:
    """Return each alert that the inhibitions name, alternatives written out."""
    names = list[str]()
    for rule in read["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            name, _, value = str(matcher).partition("=")
            if name == "alertname":
                names += _written_out(value.strip('~"'))
    return names


def _written_out(pattern: str) -> list[str]:
    """Return the names that a pattern of plain alternatives stands for. Raises CheckFailed for any other."""
    if not re.fullmatch(r"\w+(\|\w+)*", pattern):
        raise CheckFailed(
            f"{ALERTMANAGER}: write the alternatives of {pattern!r} out, so that they can be checked"
        )
    return pattern.split("|")


def check_dashboards(site: Site) -> str:
    """See that the dashboards are what their tables say, and that each query is PromQL."""
    site.succeed(sys.executable, site.tree / "scripts/write_dashboards.py", "--check")
    panels = panels_in(site.tree / DASHBOARDS)
    files = {where.partition(":")[0] for where, _expression in panels}
    for where, expression in panels:
        try:
            promql.parse(expression)
        except ValueError as wrong:
            raise CheckFailed(f"{where}: {expression} is no PromQL: {wrong}") from None
    if len(files) != _counts(site)["dashboards"] or any(
        name in str(panels) for name in DASHBOARD_VARIABLE_STANDS_FOR
    ):
        raise CheckFailed(
            f"{len(files)} dashboards with queries, and {COUNTS} says {_counts(site)['dashboards']}"
        )
    scratch = site.scratch / "queries.yml"
    rules = [{"record": f"query:{number}", "expr": each} for number, (_, each) in enumerate(panels)]
    scratch.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8")
    said = site.succeed("promtool", "check", "rules", scratch)
    if f"{len(panels)} rules found" not in said:
        raise CheckFailed(f"promtool read other than {len(panels)} queries: {said.strip()}")
    return f"{len(files)} dashboards, {len(panels)} queries: as their tables say, and PromQL to Prometheus itself"


def _counts(site: Site) -> dict[str, int]:
    return yaml.safe_load((site.tree / COUNTS).read_text(encoding="utf-8"))


PROMTOOL: Final = needed("promtool")
CHECKS: Final[tuple[Check, ...]] = (
    Check(
        name="alert-rules",
        proves="the rules are rules, as many as there have to be, and Prometheus takes its configuration",
        run=check_rules,
        faults=(
            Fault(
                RULES,
                'expr: absent(up{job="zanari-api"} == 1)',
                'expr: absent(up{job="zanari-api"} == )',
                "promtool",
            ),
            Fault(
                PROMETHEUS,
                "  - prometheus-alerts.yml\n",
                "  - prometheus-alarms.yml\n",
                "prometheus-alarms.yml",
            ),
        ),
        needs=PROMTOOL,
    ),
    Check(
        name="alert-cases",
        proves="each alert fires when it should, not at its bound, and ends",
        run=check_cases,
        faults=(
            Fault(
                RULES,
                "zanari:requests_failed:ratio_rate5m > 0.05",
                "zanari:requests_failed:ratio_rate5m < 0.05",
                "HighErrorRate",
            ),
            Fault(
                RULES,
                "sum by (le) (rate(http_request",
                "sum by (le, route) (rate(http_request",
                "HighResponseTime",
            ),
            Fault(
                RULES,
                '(pg_settings_max_connections{job="postgres"} -',
                '(pg_settings_max_connections{job="postgres",datname="zanari"} -',
                "DatabaseConnectionsHigh",
            ),
            Fault(
                RULES,
                'max(zanari_ledger_imbalance{job="zanari-worker"}) > 0',
                'sum(zanari_ledger_imbalance{job="zanari-worker"}) > 0',
                "LedgerImbalance",
            ),
            Fault(
                f"{TESTS}/worker.yml",
                "      - eval_time: 40m\n        alertname: NoticesWaiting\n        exp_alerts: []\n",
                "",
                "no case shows that these end: NoticesWaiting",
            ),
        ),
        needs=PROMTOOL,
    ),
    Check(
        name="alert-routes",
        proves="each alert goes to whom it should, and inhibitions name alerts that exist",
        run=check_routes,
        faults=(
            Fault(
                ALERTMANAGER,
                "    - matchers: ['severity=\"page\"']\n      receiver: page\n",
                "    - matchers: ['severity=\"page\"']\n      receiver: ticket\n",
                "goes to ticket",
            ),
            Fault(
                ROUTES, "alertname=PullBehind severity=ticket area=mpesa ticket\n", "", "alertname=PullBehind"
            ),
            Fault(
                ROUTES,
                "alertname=JobLag severity=ticket area=worker ticket",
                "alertname=JobLag severity=page area=worker page",
                "alertname=JobLag",
            ),
            Fault(
                ALERTMANAGER,
                "source_matchers: ['alertname=\"DatabaseDown\"']",
                "source_matchers: ['alertname=\"DatabaseGone\"']",
                "DatabaseGone",
            ),
        ),
        needs=needed("amtool"),
    ),
    Check(
        name="dashboards",
        proves="the dashboards are what their tables say, and every query is PromQL",
        run=check_dashboards,
        faults=(
            Fault(
                "alerts/dashboards/money.json",
                '"expr": "max (zanari_ledger_imbalance',
                '"expr": "min (zanari_ledger_imbalance',
                "money.json",
            ),
        ),
        needs=PROMTOOL,
    ),
)
