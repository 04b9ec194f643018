"""The circuit breaker: closed, open for a while, one probe, and back."""

from datetime import UTC, datetime, timedelta

import pytest

from zanari_api.daraja.breaker import Breaker, BreakerState, Permit
from zanari_api.kit.clock import Clock

PAUSE = timedelta(seconds=20)


class SetClock(Clock):
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 25, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


class Bench:
    """A breaker that opens at the third failure in a row, and what it told."""

    def __init__(self) -> None:
        self.clock = SetClock()
        self.turns: list[bool] = []
        self.breaker = Breaker(clock=self.clock, failures_max=3, pause=PAUSE, on_turn=self.turns.append)

    @property
    def state(self) -> BreakerState:
        return self.breaker.state

    def admitted(self) -> Permit:
        permit = self.breaker.admit()
        assert permit is not None
        return permit

    def refuses(self) -> bool:
        return self.breaker.admit() is None

    def call(self, *, healthy: bool | None) -> None:
        self.admitted().end(healthy=healthy)

    def open(self) -> None:
        for _ in range(3):
            self.call(healthy=False)
        assert self.state is BreakerState.OPEN


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_it_opens_at_so_many_failures_in_a_row(bench: Bench) -> None:
    bench.call(healthy=False)
    bench.call(healthy=False)
    assert (bench.state, bench.turns) == (BreakerState.CLOSED, [])
    bench.call(healthy=False)
    assert (bench.state, bench.turns) == (BreakerState.OPEN, [True])
    assert bench.refuses()


def test_a_success_between_starts_the_count_again(bench: Bench) -> None:
    for _ in range(5):
        bench.call(healthy=False)
        bench.call(healthy=False)
        bench.call(healthy=True)
    assert (bench.state, bench.turns) == (BreakerState.CLOSED, [])


def test_a_call_that_shows_nothing_counts_for_nothing(bench: Bench) -> None:
    bench.call(healthy=False)
    bench.call(healthy=False)
    bench.call(healthy=None)
    bench.call(healthy=False)
    assert bench.state is BreakerState.OPEN


def test_after_the_pause_one_call_probes_and_no_other_is_sent(bench: Bench) -> None:
    bench.open()
    bench.clock.time += PAUSE - timedelta(milliseconds=1)
    assert bench.refuses()
    bench.clock.time += timedelta(milliseconds=1)
    probe = bench.admitted()
    assert bench.state is BreakerState.PROBING
    assert bench.refuses()
    probe.end(healthy=True)
    assert (bench.state, bench.turns) == (BreakerState.CLOSED, [True, False])
    assert not bench.refuses()


def test_a_probe_that_fails_opens_it_for_another_pause(bench: Bench) -> None:
    bench.open()
    bench.clock.time += PAUSE
    bench.call(healthy=False)
    assert (bench.state, bench.turns) == (BreakerState.OPEN, [True])
    bench.clock.time += PAUSE - timedelta(seconds=1)
    assert bench.refuses()
    bench.clock.time += timedelta(seconds=1)
    bench.call(healthy=True)
    assert bench.state is BreakerState.CLOSED


def test_a_probe_whose_caller_gave_up_leaves_the_next_one_to_probe(bench: Bench) -> None:
    bench.open()
    bench.clock.time += PAUSE
    bench.call(healthy=None)
    assert bench.state is BreakerState.OPEN
    bench.call(healthy=True)
    assert bench.state is BreakerState.CLOSED


def test_calls_from_before_it_opened_change_nothing_by_failing(bench: Bench) -> None:
    early = [bench.admitted() for _ in range(3)]
    bench.open()
    bench.clock.time += PAUSE
    probe = bench.admitted()
    early[0].end(healthy=False)
    early[1].end(healthy=None)
    assert bench.state is BreakerState.PROBING
    assert bench.refuses()
    probe.end(healthy=False)
    bench.clock.time += PAUSE - timedelta(seconds=1)
    early[2].end(healthy=False)
    bench.clock.time += timedelta(seconds=1)
    assert not bench.refuses()


def test_calls_from_before_it_opened_close_it_by_succeeding(bench: Bench) -> None:
    early = bench.admitted()
    bench.open()
    early.end(healthy=True)
    assert (bench.state, bench.turns) == (BreakerState.CLOSED, [True, False])


def test_after_it_closed_the_count_begins_again(bench: Bench) -> None:
    bench.open()
    bench.clock.time += PAUSE
    bench.call(healthy=True)
    bench.call(healthy=False)
    bench.call(healthy=False)
    assert bench.state is BreakerState.CLOSED
