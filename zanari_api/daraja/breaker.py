"""A circuit breaker: after failures in a row nothing is sent for a while, then one call probes. Sends nothing."""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum

from zanari_api.kit.clock import Clock


class BreakerState(StrEnum):
    """What a breaker lets pass."""

    CLOSED = "closed"
    "everything"

    OPEN = "open"
    "nothing"

    PROBING = "probing"
    "nothing but the one call that is under way to find out"


class Breaker:
    """Counts failures in a row, and opens at `failures_max` of them for `pause`; `on_turn` is told True for open."""

    def __init__(
        self,
        *,
        clock: Clock,
        failures_max: int,
        pause: timedelta,
        on_turn: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._failures_max = failures_max
        self._pause = pause
        self._on_turn = on_turn
        self._failures = 0
        self._retry_at: datetime | None = None
        self._probe: Permit | None = None

    @property
    def state(self) -> BreakerState:
        if self._retry_at is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._probe is None else BreakerState.PROBING

    def admit(self) -> "Permit | None":
        """Return leave to send one call; after the pause that is the probe, and the only one. None to send nothing."""
        if self._retry_at is None:
            return Permit(self)
        if self._probe is not None or self._clock.now() < self._retry_at:
            return None
        self._probe = Permit(self)
        return self._probe

    def end(self, permit: "Permit", *, healthy: bool | None) -> None:
        """Take in how a call ended; None says nothing of the other side.

        A call that was admitted before the breaker opened may end after: its failure changes nothing then,
        and its success closes the breaker, since it is news as good as a probe's.
        """
        is_probe = permit is self._probe
        if is_probe:
            self._probe = None
        if healthy:
            self._failures = 0
            if self._retry_at is not None:
                self._retry_at = None
                self._on_turn(False)
        elif healthy is False:
            self._failures += 1
            opens = self._retry_at is None and self._failures >= self._failures_max
            if opens:
                self._on_turn(True)
            if opens or is_probe:
                self._retry_at = self._clock.now() + self._pause


class Permit:
    """Leave to send one call. Must be ended, once, whatever becomes of the call."""

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker

    def end(self, *, healthy: bool | None) -> None:
        self._breaker.end(self, healthy=healthy)
