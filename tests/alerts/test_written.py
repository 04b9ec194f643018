"""What is made from tables is what the tables say: the tests of the rules, and the dashboards."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
import yaml

from checks.alert_cases.case import counts, gone, levels, notation, stamps
from checks.alert_cases.written import written

ROOT: Final = Path(__file__).parents[2]


def test_the_committed_tests_are_those_of_the_table() -> None:
    committed = {file.name: file.read_text("utf-8") for file in (ROOT / "alerts/tests").iterdir()}
    assert committed == written(ROOT)
    assert len(committed) > 5


def test_the_committed_dashboards_are_those_of_the_table() -> None:
    done = subprocess.run(  # noqa: S603 (our own script)
        [sys.executable, ROOT / "scripts/write_dashboards.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_as_many_cases_as_are_committed_to() -> None:
    counted = yaml.safe_load((ROOT / "alerts/counts.yml").read_text("utf-8"))
    cases = [test for text in written(ROOT).values() for test in yaml.safe_load(text)["tests"]]
    assert len(cases) == counted["cases"]


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (levels((3, 1), (2, 0)), "1+0x2 0+0x1"),
        (counts((3, 5), (2, 0)), "0+5x3 15"),
        (counts((2, 1), start=7), "7+1x1"),
        ((*levels((2, 1)), *gone(3), *levels((1, 1))), "1+0x1 stale _x2 1"),
        (gone(1), "stale"),
        (stamps((3, True), (2, False)), "0+60x2 120+0x1"),
        (levels((1, 4), (1, 2), (1, 0)), "4-2x2"),
    ],
    ids=["levels", "counts", "counts from", "gone", "gone once", "stamps", "falling"],
)
def test_samples_are_written_as_promtool_reads_them(samples: tuple[float | None, ...], expected: str) -> None:
    assert notation(samples) == expected
