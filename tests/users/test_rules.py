"""Whose a number was at a time, whose proof still counts, and member numbers that never meet. Pure."""

from datetime import UTC, datetime, timedelta
from math import gcd
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zanari_api.users.rules import MEMBER_NUMBERS, Link, link_at, proof_is_stale, scatter

NOON = datetime(2026, 10, 15, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
WANJIKU, OTIENO = UUID(int=1), UUID(int=2)


def held(saver_id: UUID, since: datetime, until: datetime | None = None) -> Link:
    return Link(saver_id, UUID(int=int(since.timestamp())), b"", since, until)


CHANGED = NOON + timedelta(milliseconds=500)
PASSED_ON = [held(OTIENO, CHANGED), held(WANJIKU, NOON - timedelta(hours=1), CHANGED)]
GAP = [held(WANJIKU, NOON, NOON + 10 * SECOND), held(OTIENO, NOON + 20 * SECOND)]


@pytest.mark.parametrize(
    ("links", "instant", "holder"),
    [
        ([], NOON, None),
        (PASSED_ON, NOON - timedelta(days=9), WANJIKU),
        (PASSED_ON, NOON - timedelta(microseconds=1), WANJIKU),
        (PASSED_ON, NOON, OTIENO),
        (PASSED_ON, NOON + timedelta(days=9), OTIENO),
        (GAP, NOON + 9 * SECOND, WANJIKU),
        (GAP, NOON + 10 * SECOND, None),
        (GAP, NOON + 19 * SECOND, None),
        (GAP, NOON + 20 * SECOND, OTIENO),
    ],
)
def test_a_number_belongs_to_the_link_that_holds_the_second(
    links: list[Link], instant: datetime, holder: UUID | None
) -> None:
    for order in (links, links[::-1]):
        link = link_at(order, instant)
        assert (link and link.saver_id) == holder


@pytest.mark.parametrize(
    ("issued_at", "stale"),
    [(NOON - SECOND, True), (NOON, True), (NOON + SECOND, False)],
)
def test_a_proof_older_than_anothers_or_of_its_second_is_stale(issued_at: datetime, *, stale: bool) -> None:
    links = [held(OTIENO, CHANGED)]
    assert proof_is_stale(links, saver_id=WANJIKU, issued_at=issued_at) is stale


def test_a_proof_from_before_ones_own_loss_is_stale() -> None:
    links = [held(WANJIKU, NOON - timedelta(hours=1), NOON)]
    assert proof_is_stale(links, saver_id=WANJIKU, issued_at=NOON - SECOND)
    assert not proof_is_stale(links, saver_id=WANJIKU, issued_at=NOON + SECOND)


def test_ones_own_lasting_link_makes_no_proof_stale() -> None:
    assert not proof_is_stale([held(WANJIKU, NOON)], saver_id=WANJIKU, issued_at=NOON - timedelta(days=1))


def test_no_two_savers_ever_get_one_member_number() -> None:
    assert gcd(scatter(1) - scatter(0), MEMBER_NUMBERS) == 1
    numbers = {scatter(count) for count in range(20_000)}
    assert len(numbers) == 20_000


@given(st.integers(0, MEMBER_NUMBERS - 1))
def test_a_member_number_has_seven_digits_and_its_neighbour_lies_far_off(count: int) -> None:
    assert 0 <= scatter(count) < MEMBER_NUMBERS
    assert abs(scatter(count + 1) - scatter(count)) > MEMBER_NUMBERS // 10
