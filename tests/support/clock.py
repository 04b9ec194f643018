"""A clock that a test sets: real time, moved forward by as much as the test says. Never moves back."""

from datetime import datetime, timedelta
from typing import Final

from zanari_api.kit.clock import Clock, utc_now

LOOKED_AGAIN_S: Final = 0.1
"""The least that lies between two looks for an answer."""


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
    """The same time for a service that waits and looks again: a wait takes less of the test's, and all of the clock's.

    An answer that overtakes the reply to its question is due seconds later, and is waited for.
    """

    def __init__(self, clock: SettableClock, *, times: int) -> None:
        self._clock = clock
        self._times = times

    def now(self) -> datetime:
        return self._clock.now()

    async def sleep(self, seconds: float) -> None:
        if seconds < LOOKED_AGAIN_S:
            # A turn that is waited for, not an answer: the database's own clock knows of no such leap.
            await self._clock.sleep(seconds)
            return
        waited_s = seconds / self._times
        await self._clock.sleep(waited_s)
        self._clock.advance(timedelta(seconds=seconds - waited_s))
