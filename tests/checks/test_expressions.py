"""Reading PromQL: what an expression asks for, and what has to have a value for it ever to be true."""

from pathlib import Path

import pytest

from checks.expressions import Rule, rules_in, selectors_in, without_comparisons

PARTS = {
    "up == 0": ["up"],
    "sum(rate(a[5m])) / sum(rate(b[5m])) > 0.05": ["sum(rate(a[5m])) / sum(rate(b[5m]))"],
    "max(a) > 0.5 and on () sum(b) > 10": ["max(a)", "sum(b)"],
    "(max(a) > 0.5) or (max(a) < 0.1)": ["max(a)"],
    "time() - max(a) > 120": ["time() - max(a)"],
    'absent(up{job="api"} == 1)': ['up{job="api"}'],
    "count(max by (x) (a) > 3) > 0": ["max by (x) (a)"],
    "a > b": ["a", "b"],
    "a > bool 1": ["a"],
    "max(a) > 0 unless on () hour() < 7": ["max(a)", "hour()"],
}


@pytest.mark.parametrize("expression", PARTS)
def test_an_expression_without_its_comparisons_is_what_has_to_have_a_value(expression: str) -> None:
    assert without_comparisons(expression) == PARTS[expression]


def test_every_selector_is_found_with_its_matchers() -> None:
    found = selectors_in(
        'sum(rate(a{x="1",y=~"2|3"}[5m])) / on () b{z!="4"} > max_over_time(c{w!~"5"}[1h:1m])'
    )
    assert [str(each) for each in found] == ['a{x="1",y=~"2|3"}', 'b{z!="4"}', 'c{w!~"5"}']


def test_what_is_no_promql_is_refused() -> None:
    with pytest.raises(ValueError, match="unexpected"):
        selectors_in("sum(rate(a[5m)")


def test_rules_are_read_in_their_order(tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(
        "groups: [{name: g, rules: [{record: 'a:b', expr: sum(a)},"
        " {alert: Bad, expr: a > 1, labels: {severity: page}}]}]"
    )
    assert rules_in(file) == [
        Rule("a:b", "sum(a)", is_alert=False, labels={}),
        Rule("Bad", "a > 1", is_alert=True, labels={"severity": "page"}),
    ]
