"""The committed Prometheus and Alertmanager files are pointed elsewhere and wait less; nothing else of them changes."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from checks.check import CheckFailed, Site
from checks.watching import ALERTMANAGERS, Receiver, masked, placed, shorten

PROMETHEUS = """
global: {scrape_interval: 15s, evaluation_interval: 30s, external_labels: {environment: production}}
rule_files: [rules.yml]
alerting:
  alertmanagers: [{static_configs: [{targets: ["alertmanager:9093"]}]}]
scrape_configs:
  - job_name: api
    scrape_interval: 5s
    metrics_path: /metrics
    static_configs: [{targets: ["api:8000"], labels: {colour: blue}}]
"""

ALERTMANAGER = """
route:
  receiver: page
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 4h
  routes: [{receiver: page, matchers: [severity="page"], group_wait: 10s}]
receivers: [{name: page, webhook_configs: [{url: "https://pager.example/hook/page", send_resolved: true}]}]
inhibit_rules: [{source_matchers: [a="b"], target_matchers: [c="d"], equal: [job]}]
"""


def shortened(tmp_path: Path, text: str) -> Any:
    file = tmp_path / "file.yml"
    file.write_text(text)
    shorten(file, targets={"api": ["127.0.0.1:1"], ALERTMANAGERS: ["127.0.0.1:2"]}, receiver="127.0.0.1:3")
    return yaml.safe_load(file.read_text())


def test_prometheus_scrapes_and_evaluates_at_once_and_keeps_its_labels(tmp_path: Path) -> None:
    read = shortened(tmp_path, PROMETHEUS)
    assert (read["global"]["scrape_interval"], read["global"]["evaluation_interval"]) == ("1s", "1s")
    (scraped,) = read["scrape_configs"]
    assert scraped["scrape_interval"] == "1s"
    assert scraped["static_configs"] == [{"targets": ["127.0.0.1:1"], "labels": {"colour": "blue"}}]
    assert read["alerting"]["alertmanagers"] == [{"static_configs": [{"targets": ["127.0.0.1:2"]}]}]
    assert masked(read) == masked(yaml.safe_load(PROMETHEUS))


def test_alertmanager_groups_at_once_and_tells_the_receiver(tmp_path: Path) -> None:
    read = shortened(tmp_path, ALERTMANAGER)
    (route,) = read["route"]["routes"]
    assert (read["route"]["group_wait"], route["group_wait"], read["route"]["repeat_interval"]) == (
        "1s",
        "1s",
        "4h",
    )
    (receiver,) = read["receivers"]
    assert receiver["webhook_configs"] == [{"url": "http://127.0.0.1:3/hook/page", "send_resolved": True}]
    assert masked(read) == masked(yaml.safe_load(ALERTMANAGER))


@pytest.mark.parametrize("changed", ["repeat_interval: 5h", "receiver: other"])
def test_a_difference_in_anything_else_shows(changed: str) -> None:
    name = changed.partition(":")[0]
    was = next(line for line in ALERTMANAGER.splitlines() if line.strip().startswith(name)).strip()
    assert masked(yaml.safe_load(ALERTMANAGER)) != masked(yaml.safe_load(ALERTMANAGER.replace(was, changed)))


def test_a_job_that_the_check_knows_no_target_of_fails_it(tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match="unheard_of has 1 groups"):
        shortened(tmp_path, PROMETHEUS.replace("job_name: api", "job_name: unheard_of"))


def test_a_receiver_that_was_told_nothing_says_so() -> None:
    assert Receiver().first("Bad", firing=True, since=0) is None


def site_with_token(tmp_path: Path, example: str) -> Site:
    alerts = tmp_path / "tree" / "alerts"
    alerts.mkdir(parents=True)
    (alerts / "prometheus.yml").write_text(PROMETHEUS)
    (alerts / "metrics_token.example").write_text(example)
    (alerts / "metrics_token").write_text("an operator's own")
    return Site(tmp_path / "tree", tmp_path / "scratch", say=lambda _: None)


def test_the_committed_files_lie_beside_the_tokens_example_and_never_an_operators_token(
    tmp_path: Path,
) -> None:
    folder = placed(site_with_token(tmp_path, "an example\n"))
    assert (folder / "metrics_token").read_text() == "an example"
    assert (folder / "prometheus.yml").read_text() == PROMETHEUS


def test_an_empty_example_would_have_nobody_asked_for_a_token(tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match=r"metrics_token\.example is empty"):
        placed(site_with_token(tmp_path, "\n"))
