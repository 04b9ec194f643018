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
