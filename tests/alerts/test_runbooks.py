"""Each alert leads to a section that helps, and no section is left over from an alert that is gone."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[2]
RUNBOOKS: Final = ROOT / "docs/runbooks"
RULES: Final[dict[str, Any]] = yaml.safe_load((ROOT / "alerts/prometheus-alerts.yml").read_text("utf-8"))
ALERTS: Final = {
    rule["alert"]: (group["name"], rule)
    for group in RULES["groups"]
    for rule in group["rules"]
    if "alert" in rule
}
PAGES: Final = sorted(RUNBOOKS.glob("*.md"))
SAID: Final = ("Notices", "Look", "Do", "Over")
NUMBER: Final = re.compile(r"\{\{ \$value [^}]*\}\}|\{\{ \$value\}\}|\{\{\$value")
HUMANISED: Final = re.compile(
    r'\{\{ \$value \| (humanize|humanizeDuration|humanizePercentage|printf "%\.2f") \}\}'
)


def sections(page: Path) -> dict[str, str]:
    """Return the text below each heading of a page."""
    _lead, *found = re.split(r"^## (.+)$", page.read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(found[::2], found[1::2], strict=True))


def test_there_are_alerts_and_pages_to_look_at() -> None:
    assert len(ALERTS) > 50
    assert [page.stem for page in PAGES] == ["database", "money", "mpesa", "service", "worker"]


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_leads_to_a_section_of_the_page_of_its_area(alert: str) -> None:
    area, rule = ALERTS[alert]
    assert rule["labels"]["area"] == area
    assert (
        rule["annotations"]["runbook_url"] == f"{{{{ $externalLabels.runbooks }}}}/{area}.md#{alert.lower()}"
    )
    assert alert in sections(RUNBOOKS / f"{area}.md")


@pytest.mark.parametrize("alert", ALERTS)
def test_a_section_says_what_savers_notice_how_to_look_what_to_do_and_when_it_is_over(alert: str) -> None:
    area, _rule = ALERTS[alert]
    text = sections(RUNBOOKS / f"{area}.md")[alert]
    assert [name for name in re.findall(r"^\*\*(\w+)\.\*\* \S", text, re.MULTILINE) if name in SAID] == [
        *SAID
    ]


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_no_section_is_left_over(page: Path) -> None:
    assert set(sections(page)) == {name for name, (area, _rule) in ALERTS.items() if area == page.stem}


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_what_a_runbook_links_to_is_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")):
        name, _, anchor = target.partition("#")
        file = page if not name else (page.parent / name).resolve()
        assert file.exists(), target
        if anchor:
            assert anchor in {heading.lower().replace(" ", "-") for heading in sections(file)}, target


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_how_bad_it_is_and_tells_its_numbers_for_people(alert: str) -> None:
    _area, rule = ALERTS[alert]
    assert rule["labels"]["severity"] in ({"none"} if alert == "Watchdog" else {"page", "ticket"})
    assert not rule["annotations"]["summary"].endswith(".")
    description = rule["annotations"]["description"]
    assert description.endswith(".")
    assert len(NUMBER.findall(description)) == len(HUMANISED.findall(description))


def test_broken_books_wake_somebody_at_once() -> None:
    _area, rule = ALERTS["LedgerImbalance"]
    assert rule["labels"]["severity"] == "page"
    assert "for" not in rule
