"""Time as this domain needs it: UTC instants inside, East Africa Time for days and M-PESA's stamps."""

import asyncio
from datetime import UTC, date, datetime, timedelta, timezone

EAT = timezone(timedelta(hours=3), "EAT")
"""East Africa Time, UTC+3 all year round: a fixed offset needs no zone database."""


def utc_now() -> datetime:
    return datetime.now(UTC)


def eat_date(instant: datetime) -> date:
    """Return the Nairobi calendar day of an instant: the day that limits and caps count by."""
    return instant.astimezone(EAT).date()


def eat_day_start(day: date) -> datetime:
    """Return the instant (UTC) at which a Nairobi day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=EAT).astimezone(UTC)


def cut_to_second(instant: datetime) -> datetime:
    """Drop the fraction: M-PESA's clock has none, so comparisons with it must not have one either."""
    return instant.replace(microsecond=0)


def parse_daraja_time(text: str) -> datetime:
    """Read Daraja's `YYYYMMDDHHmmss` (East Africa Time, no offset on the wire) as an instant in UTC.

    Raises ValueError for anything else.
    """
    if len(text) != len("YYYYMMDDHHmmss") or not (text.isascii() and text.isdigit()):
        raise ValueError("not a YYYYMMDDHHmmss time")
    return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=EAT).astimezone(UTC)


class Clock:
    """The time that decisions are taken by, and waiting by it; a simulation hands in one that runs faster."""

    def now(self) -> datetime:
        """Return the present, in UTC."""
        return utc_now()

    async def sleep(self, seconds: float) -> None:
        """Wait for that many seconds of this clock."""
        await asyncio.sleep(seconds)


class FastClock(Clock):
    """A clock that started at `origin`, by real time, and runs `speed` times as fast since. Processes can share one."""

    def __init__(self, *, origin: datetime, speed: int) -> None:
        self._origin = origin
        self._speed = speed

    def now(self) -> datetime:
        return self._origin + (utc_now() - self._origin) * self._speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._speed)
