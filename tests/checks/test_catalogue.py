"""The catalogue of operating checks is what the committed count says, and each check can be proved."""

from pathlib import Path

import pytest

from checks.catalogue import CHECKS
from checks.check import Check
from checks.running import read_count, read_expected

ROOT = Path(__file__).parents[2]


def test_the_committed_count_is_the_number_of_checks() -> None:
    assert read_count(ROOT / "checks/expected-count.txt") == len(CHECKS)


def test_no_two_checks_have_one_name() -> None:
    assert len({each.name for each in CHECKS}) == len(CHECKS)


def test_what_may_be_absent_are_checks() -> None:
    assert set(read_expected(ROOT / "checks/expected-not-run.txt")) <= {each.name for each in CHECKS}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_each_fault_has_a_place_in_the_tree(check: Check) -> None:
    assert check.faults
    for fault in check.faults:
        text = (ROOT / fault.path).read_text()
        assert (fault.path, fault.old, text.count(fault.old)) == (fault.path, fault.old, 1)
        assert fault.new != fault.old
        assert fault.says
