"""The limiter: a burst at once, then one after another, and no turn that is too far off."""

import asyncio
from datetime import UTC, datetime, timedelta

from zanari_api.daraja.limiter import Limiter
from zanari_api.kit.clock import Clock


class SleepingClock(Clock):
    """A clock in which nothing passes but what is slept."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 25, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def limiter(clock: Clock, *, longest_wait_s: int = 1) -> Limiter:
    return Limiter(clock=clock, per_second=4, longest_wait=timedelta(seconds=longest_wait_s))


async def test_a_seconds_worth_goes_at_once_and_the_rest_one_by_one() -> None:
    clock = SleepingClock()
    bucket = limiter(clock)
    waits = [await bucket.take() for _ in range(8)]
    assert waits == [timedelta()] * 4 + [timedelta(seconds=0.25)] * 4
    assert clock.time == datetime(2026, 11, 25, 0, 0, 1, tzinfo=UTC)


async def test_an_idle_bucket_holds_no_more_than_a_second() -> None:
    clock = SleepingClock()
    bucket = limiter(clock)
    clock.time += timedelta(hours=1)
    assert [await bucket.take() for _ in range(5)].count(timedelta()) == 4


async def test_in_any_second_no_more_pass_than_a_burst_and_a_seconds_worth() -> None:
    clock = SleepingClock()
    bucket = limiter(clock, longest_wait_s=60)
    passed: list[datetime] = []
    for _ in range(40):
        await bucket.take()
        passed.append(clock.time)
    for start in passed:
        assert sum(start <= at < start + timedelta(seconds=1) for at in passed) <= 8


async def test_a_turn_that_is_too_far_off_is_refused_at_once() -> None:
    class StoppedClock(SleepingClock):
        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(0)

    clock = StoppedClock()
    bucket = limiter(clock)
    taken = [await bucket.take() for _ in range(10)]
    assert taken[:8] == [timedelta()] * 4 + [timedelta(seconds=each) for each in (0.25, 0.5, 0.75, 1)]
    assert taken[8:] == [None, None]
    clock.time += timedelta(seconds=0.25)
    assert await bucket.take() == timedelta(seconds=1)


async def test_a_clock_that_is_set_back_does_not_stop_the_calls() -> None:
    clock = SleepingClock()
    bucket = limiter(clock)
    for _ in range(6):
        await bucket.take()
    clock.time -= timedelta(days=1)
    assert await bucket.take() == timedelta()
