"""Runs checks one after another, and judges the whole: what failed, and what did not run without leave."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from checks.check import Check, CheckFailed, CheckNotRun, Site


class Outcome(StrEnum):
    """What became of a check."""

    PASSED = "passed"
    FAILED = "FAILED"
    NOT_RUN = "NOT RUN"


@dataclass(frozen=True, slots=True)
class Result:
    """A check that was dealt with."""

    name: str
    outcome: Outcome
    said: str
    seconds: float


class ListInvalid(Exception):  # noqa: N818 (reads as what it says)
    """The list of what may be absent cannot be read."""


def read_expected(path: Path) -> dict[str, str]:
    """Read which checks may not run, and why: a name, white space, the reason. Raises ListInvalid."""
    expected: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, _, reason = line.partition(" ")
        if not reason.strip():
            raise ListInvalid(f"{path.name}: {name} is given no reason")
        if name in expected:
            raise ListInvalid(f"{path.name}: {name} is named twice")
        expected[name] = reason.strip()
    return expected


def read_count(path: Path) -> int:
    """Read how many checks there have to be. Raises ListInvalid."""
    text = path.read_text(encoding="utf-8").strip()
    if not text.isdecimal():
        raise ListInvalid(f"{path.name}: {text!r} is no number")
    return int(text)


def run_one(check: Check, tree: Path, console: Console) -> Result:
    """Run a check in a scratch folder. Whatever it raises is its failure, never the end of the others."""
    began = time.monotonic()
    lacking = check.needs()
    outcome, said = Outcome.NOT_RUN, lacking or ""
    if lacking is None:
        with tempfile.TemporaryDirectory(
            prefix=f"zanari-{check.name}-", ignore_cleanup_errors=True
        ) as scratch:
            site = Site(
                tree, Path(scratch), say=lambda text: console.print(f"    {text}", style="dim", markup=False)
            )
            try:
                outcome, said = Outcome.PASSED, check.run(site)
            except CheckNotRun as reason:
                # Without a reason nobody could tell whether it could have run.
                outcome = Outcome.NOT_RUN if str(reason).strip() else Outcome.FAILED
                said = str(reason).strip() or "it did not run, and gave no reason"
            except CheckFailed as found:
                outcome, said = Outcome.FAILED, str(found)
            except Exception as error:  # noqa: BLE001 (a check that crashes has failed, and the next one still runs)
                outcome, said = Outcome.FAILED, f"{type(error).__name__}: {error}"
        if outcome is Outcome.PASSED and not said.strip():
            outcome, said = Outcome.FAILED, "it passed without saying what it saw"
    return Result(check.name, outcome, said, time.monotonic() - began)


def run_all(checks: Sequence[Check], tree: Path, console: Console) -> list[Result]:
    """Run the checks in their order, telling of each as it begins and ends."""
    results: list[Result] = []
    for check in checks:
        console.print(f"==> {check.name}: {check.proves}", markup=False, highlight=False)
        result = run_one(check, tree, console)
        console.print(
            f"    {result.outcome} in {result.seconds:.1f} s: {result.said}", markup=False, highlight=False
        )
        results.append(result)
    return results


def complaints(
    results: Sequence[Result], *, expected: Mapping[str, str], known: AbstractSet[str], count: int | None
) -> list[str]:
    """Return why the whole is no success; empty where it is one. `count` is None where only some were asked for."""
    said = [f"{each.name} failed" for each in results if each.outcome is Outcome.FAILED]
    for each in results:
        if each.outcome is Outcome.NOT_RUN and each.name not in expected:
            said.append(f"{each.name} did not run ({each.said}), and is not expected to be absent")
        elif each.outcome is not Outcome.NOT_RUN and each.name in expected:
            said.append(f"{each.name} is expected to be absent, and could have run: take it off the list")
    said += [
        f"{name} is expected to be absent, and there is no such check"
        for name in sorted(set(expected) - known)
    ]
    if not results:
        said.append("nothing was checked")
    if count is not None and len(results) < count:
        said.append(f"{len(results)} checks where {count} have to be")
    return said


def table(results: Sequence[Result]) -> Table:
    """Return what became of each check, for people."""
    shown = Table("check", "outcome", "s", "seen", title="make check-ops", title_justify="left")
    colours = {Outcome.PASSED: "green", Outcome.FAILED: "red", Outcome.NOT_RUN: "yellow"}
    for each in results:
        first = each.said.splitlines()[0] if each.said else ""
        shown.add_row(
            each.name, f"[{colours[each.outcome]}]{each.outcome}", f"{each.seconds:.0f}", escape(first)
        )
    return shown
