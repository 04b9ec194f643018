"""How much one payment and one Nairobi day may be, by tier, and how many payouts may follow one another."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zanari_api.users import limits
from zanari_api.users.limits import AmountOutsideLimits, DayLimitReached, TooManyPayouts

NOON = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
"""In Nairobi; the day there has twelve hours left."""
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
KES = 100


def test_each_tier_allows_at_least_what_the_one_below_does() -> None:
    tiers = [limits.limits_of(tier) for tier in range(4)]
    for lower, higher in itertools.pairwise(tiers):
        for below, above in ((lower.deposit, higher.deposit), (lower.payout, higher.payout)):
            assert below.max_cents < above.max_cents
            assert below.day_cents < above.day_cents
            assert below.min_cents == above.min_cents


@pytest.mark.parametrize("tier", range(4))
def test_no_tier_goes_past_what_mpesa_takes(tier: int) -> None:
    its = limits.limits_of(tier)
    assert its.deposit.min_cents == 1 * KES
    assert its.payout.min_cents == 10 * KES
    for limit in (its.deposit, its.payout):
        assert limit.max_cents <= 250_000 * KES
        assert limit.max_cents <= limit.day_cents <= 500_000 * KES


def test_the_highest_tier_has_the_whole_of_what_mpesa_takes() -> None:
    highest = limits.limits_of(3)
    assert (highest.deposit.max_cents, highest.deposit.day_cents) == (250_000 * KES, 500_000 * KES)
    assert (highest.payout.max_cents, highest.payout.day_cents) == (250_000 * KES, 500_000 * KES)


@pytest.mark.parametrize("amount_cents", [0, -KES, 10 * KES - 1, 20_000 * KES + 1, 10**15])
def test_an_amount_that_one_payment_may_not_have_is_refused_with_the_range(amount_cents: int) -> None:
    with pytest.raises(AmountOutsideLimits, match=r"KES 10 to KES 20,000\.$"):
        limits.limits_of(0).payout.check(amount_cents, used_cents=0, now=NOON)


def test_the_ends_of_the_range_are_in_it() -> None:
    payout = limits.limits_of(0).payout
    for amount_cents in (payout.min_cents, payout.max_cents):
        payout.check(amount_cents, used_cents=0, now=NOON)


def test_a_day_that_is_used_up_is_refused_until_midnight_in_nairobi() -> None:
    payout = limits.limits_of(0).payout
    payout.check(10_000 * KES, used_cents=30_000 * KES, now=NOON)
    with pytest.raises(DayLimitReached, match=r"KES 9,999 of KES 40,000 are left") as refused:
        payout.check(10_000 * KES, used_cents=30_001 * KES, now=NOON)
    assert refused.value.retry_after == 12 * 3600
    with pytest.raises(DayLimitReached, match="KES 0 of") as refused:
        payout.check(10 * KES, used_cents=50_000 * KES, now=NOON + 12 * HOUR - timedelta(microseconds=1))
    assert refused.value.retry_after == 1


def test_what_is_left_of_a_day_is_never_less_than_nothing() -> None:
    deposit = limits.limits_of(0).deposit
    assert deposit.left_cents(0) == deposit.day_cents
    assert deposit.left_cents(deposit.day_cents + 1) == 0


@given(st.integers(0, 3), st.integers(1, 10**8), st.integers(0, 10**8))
def test_what_passes_is_within_both_limits(tier: int, amount_cents: int, used_cents: int) -> None:
    payout = limits.limits_of(tier).payout
    try:
        payout.check(amount_cents, used_cents=used_cents, now=NOON)
    except AmountOutsideLimits:
        assert not payout.min_cents <= amount_cents <= payout.max_cents
    except DayLimitReached:
        assert used_cents + amount_cents > payout.day_cents
    else:
        assert payout.min_cents <= amount_cents <= payout.max_cents
        assert used_cents + amount_cents <= payout.day_cents


def test_a_sixth_payout_within_an_hour_waits_until_the_first_of_them_is_an_hour_old() -> None:
    asked_at = [NOON - 50 * MINUTE + each * MINUTE for each in range(5)]
    limits.check_velocity(asked_at[1:], now=NOON)
    with pytest.raises(TooManyPayouts) as refused:
        limits.check_velocity(asked_at, now=NOON)
    assert refused.value.retry_after == 600
    limits.check_velocity(asked_at, now=NOON + 10 * MINUTE)


def test_more_than_five_within_an_hour_wait_for_enough_of_them_to_pass() -> None:
    asked_at = [NOON - each * MINUTE for each in (55, 40, 30, 20, 10, 5, 1)]
    assert limits.next_payout_at(asked_at, now=NOON) == NOON - 30 * MINUTE + HOUR
    assert limits.next_payout_at(list(reversed(asked_at)), now=NOON) == NOON - 30 * MINUTE + HOUR


def test_an_eleventh_payout_of_a_day_waits_for_the_next_day_in_nairobi() -> None:
    today = [NOON - 11 * HOUR + each * HOUR for each in range(10)]
    yesterday = [each - DAY for each in today]
    limits.check_velocity(today[1:] + yesterday, now=NOON)
    with pytest.raises(TooManyPayouts) as refused:
        limits.check_velocity(today, now=NOON)
    assert refused.value.retry_after == 12 * 3600
    limits.check_velocity(today, now=NOON + 12 * HOUR)


def test_nothing_before_means_now() -> None:
    assert limits.next_payout_at([], now=NOON) == NOON
