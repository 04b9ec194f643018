"""Writes the cases as promtool's unit tests: one file for each area and step."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from checks.alert_cases import database, money, mpesa, promises, service, worker
from checks.alert_cases.case import MINUTE_S, Case, Firing, notation

RULES: Final = "alerts/prometheus-alerts.yml"
RUNBOOKS: Final = "https://runbooks.test"
HEADER: Final = """\
# Made by scripts/write_alert_tests.py from checks/alert_cases/: change the cases there.
# yamllint disable rule:line-length
"""

AREAS: Final[Mapping[str, Sequence[Case]]] = {
    "service": (*service.CASES, *promises.CASES),
    "mpesa": mpesa.CASES,
    "money": money.CASES,
    "database": database.CASES,
    "worker": worker.CASES,
}

WIDTH: Final = 110

Alerts = Mapping[str, dict[str, Any]]


class _Indented(yaml.SafeDumper):
    """Writes lists indented below their key, as every other YAML file here has them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002 (as it is there)
        del indentless
        super().increase_indent(flow, indentless=False)


def written(root: Path) -> dict[str, str]:
    """Return the text of each file of tests, by its name. Raises KeyError for a case of no alert."""
    alerts = _alerts(root / RULES)
    files: dict[str, str] = {}
    for area, cases in AREAS.items():
        for step_s in sorted({each.step_s for each in cases}):
            name = f"{area}.yml" if step_s == MINUTE_S else f"{area}-by-{_duration(step_s)}.yml"
            chosen = [each for each in cases if each.step_s == step_s]
            files[name] = HEADER + yaml.dump(
                _file(chosen, step_s, area, alerts), Dumper=_Indented, sort_keys=False, width=WIDTH
            )
    return files


def _alerts(file: Path) -> Alerts:
    read = yaml.safe_load(file.read_text(encoding="utf-8"))
    rules = [rule for group in read["groups"] for rule in group["rules"]]
    return {rule["alert"]: rule for rule in rules if "alert" in rule}


def _file(cases: Sequence[Case], step_s: int, area: str, alerts: Alerts) -> dict[str, Any]:
    return {
        "rule_files": ["../prometheus-alerts.yml"],
        "evaluation_interval": _duration(step_s),
        "tests": [_test(each, area, alerts[each.alert]) for each in cases],
    }


def _test(case: Case, area: str, rule: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": f"{case.alert}: {case.about}",
        "interval": _duration(case.step_s),
        "external_labels": {"runbooks": RUNBOOKS},
        "input_series": [
            {"series": name, "values": notation(samples)} for name, samples in case.series.items()
        ],
        "alert_rule_test": [
            {
                "eval_time": _duration(step * case.step_s),
                "alertname": case.alert,
                "exp_alerts": [_expected(each, case, area, rule) for each in firing],
            }
            for step, firing in case.at.items()
        ],
    }


def _expected(firing: Firing, case: Case, area: str, rule: Mapping[str, Any]) -> dict[str, Any]:
    # The objective is a label for dashboards; which it is cannot be wrong in a way that a test of time would show.
    objective = {"slo": rule["labels"]["slo"]} if "slo" in rule["labels"] else {}
    return {
        "exp_labels": dict(firing.labels) | {"severity": case.severity, "area": area} | objective,
        "exp_annotations": {
            "summary": rule["annotations"]["summary"],
            "description": firing.says,
            "runbook_url": f"{RUNBOOKS}/{area}.md#{case.alert.lower()}",
        },
    }


def _duration(seconds: int) -> str:
    return f"{seconds // MINUTE_S}m"
