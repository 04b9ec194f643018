"""What a look at one thing came to: it is well, it is not and this is the cure, or it was not looked at and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SCHEMA_VERSION: Final = 1
"""Of the JSON form. It changes when a field changes its name or its meaning; new lines and fields may come."""


class Outcome(StrEnum):
    """How a look ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look came to. A failure has its cure; what was not checked says why in `found`."""

    outcome: Outcome
    found: str
    cure: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A finding under the name of what was looked at."""

    name: str
    finding: Finding


def passed(found: str) -> Finding:
    return Finding(Outcome.PASSED, found)


def failed(found: str, cure: str) -> Finding:
    return Finding(Outcome.FAILED, found, cure)


def not_checked(why: str) -> Finding:
    return Finding(Outcome.NOT_CHECKED, why)


def count(lines: Sequence[Line], outcome: Outcome) -> int:
    return sum(1 for line in lines if line.finding.outcome is outcome)


def as_json(lines: Sequence[Line], *, environment: str, version: str) -> dict[str, object]:
    """Return the report for programs."""
    return {
        "schema": SCHEMA_VERSION,
        "environment": environment,
        "version": version,
        **{outcome.value: count(lines, outcome) for outcome in Outcome},
        "lines": [
            {
                "name": line.name,
                "outcome": line.finding.outcome.value,
                "found": line.finding.found,
                "cure": line.finding.cure,
            }
            for line in lines
        ],
    }
