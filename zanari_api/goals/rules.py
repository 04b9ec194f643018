"""What follows from a goal's target, date and balance. Pure: a date gone by is a fact, never an error."""

from datetime import date
from typing import Final

MILESTONES: Final = (25, 50, 75, 100)
DAYS_A_WEEK: Final = 7


def progress_percent(saved_cents: int, target_cents: int | None) -> int | None:
    """Return whole percents, rounded down so that 100 means reached; None where there is no target."""
    if target_cents is None:
        return None
    return max(0, min(100, saved_cents * 100 // target_cents))


def milestones_reached(saved_cents: int, target_cents: int | None) -> tuple[int, ...]:
    """Return the milestones that this balance is at or past."""
    if target_cents is None:
        return ()
    return tuple(percent for percent in MILESTONES if saved_cents * 100 >= target_cents * percent)


def is_overdue(saved_cents: int, target_cents: int | None, due_on: date | None, today: date) -> bool:
    """Tell whether the target was missed. The day itself still counts; without a target nothing is missed."""
    if target_cents is None or due_on is None:
        return False
    return today > due_on and saved_cents < target_cents


def required_weekly_cents(
    saved_cents: int, target_cents: int | None, due_on: date | None, today: date
) -> int | None:
    """Return what to save in each week that is left, a started week being one; None where no sum would help.

    That is: no target or no date, the target reached, or the date passed.
    """
    if target_cents is None or due_on is None or saved_cents >= target_cents or today > due_on:
        return None
    weeks_left = max(1, _divide_up((due_on - today).days, DAYS_A_WEEK))
    return _divide_up(target_cents - saved_cents, weeks_left)


def _divide_up(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)
