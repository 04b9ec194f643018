"""How an amount is split over goals: known splits, and what holds for any amount and any goals."""

import random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zanari_api.roundups.allocation import GoalShare, Share, allocate

A, B, C, D = (UUID(int=number) for number in range(1, 5))
SPARE = UUID(int=99)


def goal(
    goal_id: UUID,
    priority: int,
    percent: int | None = None,
    *,
    room: int | None = None,
    receives: bool = True,
) -> GoalShare:
    return GoalShare(goal_id=goal_id, priority=priority, percent=percent, room_cents=room, receives=receives)


def spare(priority: int = 1) -> GoalShare:
    return GoalShare(goal_id=SPARE, priority=priority, is_default=True)


def split(cents: int, *goals: GoalShare) -> dict[UUID, int]:
    shares = allocate(cents, goals)
    assert len({share.goal_id for share in shares}) == len(shares)
    return {share.goal_id: share.cents for share in shares}


def test_a_saver_with_no_other_goal_saves_into_the_default_one() -> None:
    assert split(300, spare()) == {SPARE: 300}


def test_nothing_is_split_into_nothing() -> None:
    assert allocate(0, [goal(A, 1, 50), spare()]) == []


def test_the_default_goal_takes_all_that_is_left_even_if_it_is_given_a_room() -> None:
    limited = GoalShare(goal_id=SPARE, priority=1, room_cents=10, is_default=True)
    assert split(300, goal(A, 1, room=100), limited) == {A: 100, SPARE: 200}


def test_without_percentages_the_first_goal_by_priority_gets_all() -> None:
    assert split(300, goal(A, 2), spare(), goal(B, 1)) == {B: 300}


def test_the_default_goal_comes_last_whatever_its_priority() -> None:
    assert split(300, spare(priority=1), goal(A, 9)) == {A: 300}


def test_equal_priorities_are_settled_by_id() -> None:
    assert split(300, goal(B, 1), goal(A, 1), spare()) == {A: 300}


def test_what_is_over_a_target_goes_on_to_the_next_goal_by_priority() -> None:
    assert split(300, goal(A, 1, room=100), goal(B, 2, room=150), goal(C, 3), spare()) == {
        A: 100,
        B: 150,
        C: 50,
    }


def test_what_is_over_every_target_goes_to_the_default_goal() -> None:
    assert split(300, goal(A, 1, room=100), goal(B, 2, room=0), spare()) == {A: 100, SPARE: 200}


def test_a_goal_over_its_target_already_takes_nothing() -> None:
    assert split(300, goal(A, 1, room=-500), spare()) == {SPARE: 300}


def test_a_paused_goal_receives_nothing() -> None:
    assert split(300, goal(A, 1, receives=False), goal(B, 2), spare()) == {B: 300}


def test_with_percentages_each_gets_its_own_and_the_default_goal_the_rest() -> None:
    assert split(1_000, goal(A, 1, 50), goal(B, 2, 30), spare()) == {A: 500, B: 300, SPARE: 200}


def test_a_hundred_percent_leaves_nothing_to_the_default_goal() -> None:
    assert split(1_000, goal(A, 1, 60), goal(B, 2, 40), spare()) == {A: 600, B: 400}


def test_a_goal_without_a_percentage_gets_none_of_a_split_by_percentage() -> None:
    assert split(1_000, goal(A, 1), goal(B, 2, 30), spare()) == {B: 300, SPARE: 700}


def test_cents_left_over_go_to_the_largest_remainders() -> None:
    # 33 % and 34 % and 33 % of 10 are 3.3, 3.4 and 3.3.
    assert split(10, goal(A, 1, 33), goal(B, 2, 34), goal(C, 3, 33), spare()) == {A: 3, B: 4, C: 3}


def test_equal_remainders_are_settled_by_priority() -> None:
    assert split(1, goal(A, 2, 50), goal(B, 1, 50), spare()) == {B: 1}


def test_the_default_goal_is_last_among_equal_remainders() -> None:
    assert split(1, goal(A, 1, 50), spare()) == {A: 1}


def test_the_percentage_of_a_paused_goal_goes_to_the_default_goal() -> None:
    assert split(1_000, goal(A, 1, 50), goal(B, 2, 30, receives=False), spare()) == {A: 500, SPARE: 500}


def test_where_only_a_paused_goal_has_a_percentage_priority_decides() -> None:
    assert split(1_000, goal(A, 1, 50, receives=False), goal(B, 2), spare()) == {B: 1_000}


def test_a_percentage_over_a_target_goes_on_to_the_next_goal_and_then_to_the_default() -> None:
    goals = (goal(A, 1, 50, room=100), goal(B, 2, 20, room=300), goal(C, 3), spare())
    assert split(1_000, *goals) == {A: 100, B: 300, C: 300, SPARE: 300}


def test_an_excess_never_goes_back_up() -> None:
    assert split(1_000, goal(A, 1, 10), goal(B, 2, 90, room=100), spare()) == {A: 100, B: 100, SPARE: 800}


def test_shares_are_told_in_the_order_in_which_goals_receive() -> None:
    shares = allocate(1_000, [spare(), goal(B, 2, 30), goal(A, 1, 50)])
    assert shares == [Share(A, 500), Share(B, 300), Share(SPARE, 200)]


@pytest.mark.parametrize(
    ("cents", "goals", "why"),
    [
        (-1, [spare()], "negative"),
        (100, [goal(A, 1)], "default"),
        (100, [spare(), spare()], "default"),
        (100, [goal(A, 1, 60), goal(B, 2, 41), spare()], "100"),
    ],
)
def test_a_split_that_no_saver_can_cause_is_a_fault(cents: int, goals: list[GoalShare], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        allocate(cents, goals)


@st.composite
def any_goals(draw: st.DrawFn) -> list[GoalShare]:
    """Draw a saver's goals, with percentages that sum to at most 100."""
    left = 100
    goals = [spare(draw(st.integers(1, 9)))]
    for number in range(draw(st.integers(0, 6))):
        percent = draw(st.none() | st.integers(1, left)) if left else None
        left -= percent or 0
        goals.append(
            goal(
                UUID(int=number + 1),
                draw(st.integers(1, 4)),
                percent,
                room=draw(st.none() | st.integers(-100, 5_000)),
                receives=draw(st.booleans()),
            )
        )
    return draw(st.permutations(goals))


amounts = st.integers(0, 20_000) | st.integers(0, 10**14)


@given(amounts, any_goals())
def test_every_cent_goes_somewhere_and_none_is_made(cents: int, goals: list[GoalShare]) -> None:
    shares = allocate(cents, goals)

    assert sum(share.cents for share in shares) == cents
    assert all(type(share.cents) is int and share.cents > 0 for share in shares)
    assert len({share.goal_id for share in shares}) == len(shares)


@given(amounts, any_goals())
def test_no_goal_but_the_default_gets_more_than_its_room_or_anything_while_paused(
    cents: int, goals: list[GoalShare]
) -> None:
    by_id = {each.goal_id: each for each in goals}
    for share in allocate(cents, goals):
        receiver = by_id[share.goal_id]
        if not receiver.is_default:
            assert receiver.receives
            assert receiver.room_cents is None or share.cents <= receiver.room_cents


@given(amounts, any_goals(), st.randoms(use_true_random=False))
def test_the_order_in_which_goals_are_read_changes_nothing(
    cents: int, goals: list[GoalShare], dice: random.Random
) -> None:
    shuffled = goals.copy()
    dice.shuffle(shuffled)
    assert allocate(cents, shuffled) == allocate(cents, goals)


@given(st.integers(0, 10**14), st.lists(st.integers(1, 100), min_size=1, max_size=6))
def test_a_percentage_is_met_to_within_a_cent(cents: int, percents: list[int]) -> None:
    goals = [
        goal(UUID(int=number + 1), number + 1, percent * 100 // max(100, sum(percents)) or None)
        for number, percent in enumerate(percents)
    ]
    if not any(each.percent for each in goals):
        return
    got = split(cents, *goals, spare())
    for each in goals:
        exact_times_100 = cents * (each.percent or 0)
        assert abs(got.get(each.goal_id, 0) * 100 - exact_times_100) < 100
