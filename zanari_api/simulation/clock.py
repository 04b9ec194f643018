"""The clock of a simulation: faster than life, and at its end in leaps. Processes that are told the same, agree."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from zanari_api.kit.clock import EAT, FastClock, utc_now

LEAST_S: Final = 0.1


class SimulatedClock(FastClock):
    """Began at `origin` by real time and showed `morning` then; leaps are for one process alone."""

    def __init__(self, *, origin: datetime, morning: datetime, speed: int) -> None:
        super().__init__(origin=origin, speed=speed)
        self._ahead = morning - origin

    def now(self) -> datetime:
        return super().now() + self._ahead

    async def sleep(self, seconds: float) -> None:
        """Wait, but not so short that everybody who looks once a second looks all the time."""
        await asyncio.sleep(max(seconds / self._speed, LEAST_S) if seconds > 0 else 0)

    def leap(self, by: timedelta) -> None:
        """Let time pass at once. Whoever waits by this clock goes on waiting as long."""
        self._ahead += by


def next_morning() -> datetime:
    """Return nine o'clock in Nairobi, always ahead: prompts are shown by day, and nothing is older than its saver."""
    return (utc_now().astimezone(EAT) + timedelta(days=1)).replace(hour=9, minute=0, second=0, microsecond=0)
