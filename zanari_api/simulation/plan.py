"""What a simulation is to be, and what it found. Runs nothing."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run. The same seed makes the same savers, wishes and faults; only their meeting in time is chance."""

    seed: int
    minutes: int = 10
    savers: int = 8
    workers: int = 2
    speed: int = 30
    fault_percent: int = 12
    kill_every_s: int = 40
    "seconds of the simulated clock between two kills of a worker"

    @property
    def length(self) -> timedelta:
        return timedelta(minutes=self.minutes)


@dataclass(slots=True, kw_only=True)
class Report:
    """What happened, and every promise that was found broken."""

    plan: Plan
    done: Counter[str] = field(default_factory=Counter[str])
    "what savers and M-PESA did, by kind and answer"

    kills: int = 0
    broken: Sequence[str] = ()
    open_breaks: Sequence[str] = ()
    "differences that are named, which is what the promise asks for"

    @property
    def holds(self) -> bool:
        return not self.broken
