"""A clock that a test sets: real time, moved forward by as much as the test says. Never moves back."""

from datetime import datetime, timedelta

from zanari_api.kit.clock import Clock, utc_now


class SettableClock(Clock):
    """Real time and the leaps that a test made."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        return utc_now() + self._ahead

    def advance(self, by: timedelta | None = None, **parts: int) -> None:
        """Move on by a duration, or by `minutes=`, `hours=`, `days=`, `seconds=`."""
        self._ahead += by or timedelta(**parts)


class HurriedClock(Clock):
    """The same time for a service that looks again and again whether something has come: it looks sooner."""

    def __init__(self, clock: Clock, *, times: int) -> None:
        self._clock = clock
        self._times = times

    def now(self) -> datetime:
        return self._clock.now()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds / self._times)
