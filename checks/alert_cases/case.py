"""How a case of an alert is written down, and the shapes that series take over time. Reads no rule."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

Samples = tuple[float | None, ...]
"""One for each step; None where nothing was scraped."""

MINUTE_S: Final = 60
HOUR_S: Final = 60 * MINUTE_S
DAY_S: Final = 24 * HOUR_S


@dataclass(frozen=True, slots=True)
class Firing:
    """An alert that has to fire at a time, with labels of its own beside those that its rule gives it."""

    says: str
    """The description, as whoever is on call reads it."""

    labels: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An alert over time. At each of the times, counted in steps, just these alerts fire and no others of its name."""

    alert: str
    about: str
    severity: str
    series: Mapping[str, Samples]
    at: Mapping[int, tuple[Firing, ...]]
    step_s: int = MINUTE_S


def case(
    named: str,
    severity: str,
    series: Mapping[str, Samples],
    *,
    quiet: tuple[int, ...],
    fires: Mapping[int, str] | None = None,
    labels: Mapping[str, str] | None = None,
    step_s: int = MINUTE_S,
) -> Case:
    """Return a case, named by its alert and what it is about: quiet at some steps, and firing at others.

    `fires` has what the alert says at each step, `labels` what it is labelled with beside what its rule says.
    """
    alert, _, about = named.partition(": ")
    at: dict[int, tuple[Firing, ...]] = dict.fromkeys(quiet, ())
    for step, says in (fires or {}).items():
        at[step] = (Firing(says, labels or {}),)
    return Case(
        alert=alert,
        about=about,
        severity=severity,
        series=series,
        at=dict(sorted(at.items())),
        step_s=step_s,
    )


def levels(*phases: tuple[int, float]) -> Samples:
    """Return a gauge that stays at a value for so many steps, then at the next."""
    return tuple(value for steps, value in phases for _ in range(steps))


def counts(*phases: tuple[int, float], start: float = 0) -> Samples:
    """Return a counter that grows by so much a step, for so many steps, then at the next rate."""
    total, samples = start, list[float | None]()
    for steps, growth in phases:
        for _ in range(steps):
            samples.append(total)
            total += growth
    return tuple(samples)


def gone(steps: int) -> Samples:
    """Return a series that is not there."""
    return (None,) * steps


def stamps(*phases: tuple[int, bool], step_s: int = MINUTE_S, age_s: int = 0) -> Samples:
    """Return the time, `age_s` ago, for as many steps as it is kept; the last one while it is not."""
    told, now, samples = 0 - age_s, 0, list[float | None]()
    for steps, kept in phases:
        for _ in range(steps):
            told = now - age_s if kept else told
            samples.append(told)
            now += step_s
    return tuple(samples)


def notation(samples: Samples) -> str:
    """Return samples as promtool takes them: runs that grow evenly, and gaps."""
    written, index = list[str](), 0
    while index < len(samples):
        first, end = samples[index], index + 1
        if first is None:
            while end < len(samples) and samples[end] is None:
                end += 1
            # A target that went away ends its series at once.
            written.append("stale" if end == index + 1 else f"stale _x{end - index - 1}")
        else:
            growth = _growth(samples, index)
            while end < len(samples) and _grows(samples, end, growth):
                end += 1
            written.append(f"{first}{growth:+}x{end - index - 1}" if end > index + 1 else f"{first}")
        index = end
    return " ".join(written)


def _growth(samples: Samples, index: int) -> float:
    before, after = samples[index], samples[index + 1] if index + 1 < len(samples) else None
    return after - before if before is not None and after is not None else 0


def _grows(samples: Samples, index: int, growth: float) -> bool:
    before, after = samples[index - 1], samples[index]
    return before is not None and after is not None and after - before == growth
