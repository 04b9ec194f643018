"""Which PINs are too easy to guess, how long wrong tries lock, and what a fresh sign-in is."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zanari_api.users import pin_rules

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
PHONE = "254712839405"
CODE = "60482917"


@pytest.mark.parametrize(
    ("pin", "because"),
    [
        ("0000", "repeats"), ("7777", "repeats"), ("11111", "repeats"), ("999999", "repeats"),
        ("1212", "repeats"), ("8383", "repeats"), ("121212", "repeats"), ("838383", "repeats"), ("123123", "repeats"),
        ("1234", "count"), ("4321", "count"), ("0123", "count"), ("7890", "count"), ("8901", "count"),
        ("3210", "count"), ("0987", "count"), ("23456", "count"), ("987654", "count"), ("890123", "count"),
        ("1900", "year"), ("1964", "year"), ("1999", "year"), ("2000", "year"), ("2026", "year"), ("2099", "year"),
        ("2839", "number"), ("9405", "number"), ("839405", "number"), ("6048", "number"), ("82917", "number"),
        ("2580", "Many"), ("1122", "Many"), ("2468", "Many"), ("112233", "Many"), ("5683", "Many"), ("159753", "Many"),
    ],
)  # fmt: skip
def test_a_pin_that_is_easy_to_guess_is_named_so(pin: str, because: str) -> None:
    reason = pin_rules.weakness(pin, known=[PHONE, CODE])
    assert reason is not None
    assert because in reason
    assert pin not in reason


@pytest.mark.parametrize(
    "pin", ["8305", "7291", "4826", "40618", "83052", "908174", "501938", "1835", "2138", "12125"]
)
def test_other_pins_are_fine(pin: str) -> None:
    assert pin_rules.weakness(pin, known=[PHONE, CODE]) is None


def test_a_year_of_five_or_six_digits_is_no_year() -> None:
    assert pin_rules.weakness("19641", known=()) is None
    assert pin_rules.weakness("196418", known=()) is None


def test_the_list_of_popular_pins_holds_only_what_the_patterns_let_through() -> None:
    assert {pin_rules.weakness(pin, known=()) for pin in pin_rules.POPULAR} == {"Many people choose it."}
    for pin in pin_rules.POPULAR:
        assert pin.isascii()
        assert pin.isdigit()
        assert pin_rules.SHORTEST <= len(pin) <= pin_rules.LONGEST


def test_most_pins_stay_free() -> None:
    weak = sum(pin_rules.weakness(f"{n:04}", known=()) is not None for n in range(10_000))
    assert 300 < weak < 600


def test_five_tries_are_free_and_each_one_after_locks_for_twice_as_long_up_to_a_day() -> None:
    assert [pin_rules.lock_for(tries) for tries in range(5)] == [None] * 5
    minutes = [lock // timedelta(minutes=1) for tries in range(5, 20) if (lock := pin_rules.lock_for(tries))]
    assert minutes == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1440, 1440, 1440, 1440]
    assert [pin_rules.tries_left(tries) for tries in range(7)] == [5, 4, 3, 2, 1, 0, 0]


@given(st.integers(5, 10**6))
def test_a_lock_never_becomes_shorter_nor_longer_than_a_day(tries: int) -> None:
    lock, next_lock = pin_rules.lock_for(tries), pin_rules.lock_for(tries + 1)
    assert lock is not None
    assert next_lock is not None
    assert timedelta(minutes=1) <= lock <= next_lock <= timedelta(hours=24)


def test_somebody_who_never_stops_gets_fifteen_tries_on_the_first_day() -> None:
    waited, tries = timedelta(), 0
    while waited < timedelta(days=1):
        tries += 1
        waited += pin_rules.lock_for(tries) or timedelta()
    assert tries == 15


def test_a_sign_in_is_fresh_for_five_minutes() -> None:
    assert pin_rules.is_fresh(NOW - timedelta(minutes=5), now=NOW)
    assert not pin_rules.is_fresh(NOW - timedelta(minutes=5, seconds=1), now=NOW)
    assert pin_rules.is_fresh(NOW + timedelta(seconds=5), now=NOW)
    assert not pin_rules.is_fresh(None, now=NOW)
