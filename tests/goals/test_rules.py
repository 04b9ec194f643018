"""Progress, milestones, weekly amounts and lateness of a goal."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zanari_api.goals.rules import is_overdue, milestones_reached, progress_percent, required_weekly_cents

TODAY = date(2026, 11, 23)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("saved_cents", "target_cents", "percent"),
    [
        (0, 10_000, 0),
        (99, 10_000, 0),
        (100, 10_000, 1),
        (9_999, 10_000, 99),
        (10_000, 10_000, 100),
        (25_000, 10_000, 100),
        (1, 3, 33),
        (500, None, None),
    ],
)
def test_progress_is_whole_percents_rounded_down(
    saved_cents: int, target_cents: int | None, percent: int | None
) -> None:
    assert progress_percent(saved_cents, target_cents) == percent


@pytest.mark.parametrize(
    ("saved_cents", "target_cents", "reached"),
    [
        (0, 10_000, ()),
        (2_499, 10_000, ()),
        (2_500, 10_000, (25,)),
        (7_499, 10_000, (25, 50)),
        (9_999, 10_000, (25, 50, 75)),
        (10_000, 10_000, (25, 50, 75, 100)),
        (99_000, 10_000, (25, 50, 75, 100)),
        (2, 3, (25, 50)),
        (500, None, ()),
    ],
)
def test_milestones_are_reached_at_their_exact_cent(
    saved_cents: int, target_cents: int | None, reached: tuple[int, ...]
) -> None:
    assert milestones_reached(saved_cents, target_cents) == reached


@pytest.mark.parametrize(
    ("due_in_days", "weekly_cents"),
    [(0, 10_000), (1, 10_000), (7, 10_000), (8, 5_000), (14, 5_000), (21, 3_334), (22, 2_500)],
)
def test_the_weekly_amount_spreads_what_is_missing_over_started_weeks(
    due_in_days: int, weekly_cents: int
) -> None:
    due_on = TODAY + due_in_days * DAY
    assert required_weekly_cents(2_000, 12_000, due_on, TODAY) == weekly_cents


@pytest.mark.parametrize(
    ("saved_cents", "target_cents", "due_on"),
    [
        (0, None, TODAY + 7 * DAY),
        (0, 10_000, None),
        (0, None, None),
        (10_000, 10_000, TODAY + 7 * DAY),
        (10_001, 10_000, TODAY + 7 * DAY),
        (0, 10_000, TODAY - DAY),
    ],
    ids=["no target", "no date", "neither", "reached", "more than reached", "overdue"],
)
def test_there_is_no_weekly_amount_where_none_would_help(
    saved_cents: int, target_cents: int | None, due_on: date | None
) -> None:
    assert required_weekly_cents(saved_cents, target_cents, due_on, TODAY) is None


@pytest.mark.parametrize(
    ("saved_cents", "target_cents", "due_on", "overdue"),
    [
        (9_999, 10_000, TODAY - DAY, True),
        (9_999, 10_000, TODAY, False),
        (9_999, 10_000, TODAY + DAY, False),
        (10_000, 10_000, TODAY - DAY, False),
        (9_999, None, TODAY - DAY, False),
        (9_999, 10_000, None, False),
    ],
)
def test_a_goal_is_overdue_from_the_day_after_until_it_is_reached(
    saved_cents: int, target_cents: int | None, due_on: date | None, *, overdue: bool
) -> None:
    assert is_overdue(saved_cents, target_cents, due_on, TODAY) is overdue


amounts = st.integers(0, 10**14)
targets = st.integers(1, 10**14)


@given(amounts, targets)
def test_a_milestone_is_reached_exactly_when_progress_shows_it(saved_cents: int, target_cents: int) -> None:
    percent = progress_percent(saved_cents, target_cents)
    assert percent is not None
    assert milestones_reached(saved_cents, target_cents) == tuple(
        m for m in (25, 50, 75, 100) if m <= percent
    )


@given(amounts, targets, st.integers(0, 4_000))
def test_saving_the_weekly_amount_reaches_the_target_and_a_cent_less_does_not(
    saved_cents: int, target_cents: int, due_in_days: int
) -> None:
    weekly_cents = required_weekly_cents(saved_cents, target_cents, TODAY + due_in_days * DAY, TODAY)
    weeks = max(1, (due_in_days + 6) // 7)
    if weekly_cents is None:
        assert saved_cents >= target_cents
    else:
        assert saved_cents + weekly_cents * weeks >= target_cents
        assert saved_cents + (weekly_cents - 1) * weeks < target_cents
