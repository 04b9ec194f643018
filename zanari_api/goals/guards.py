"""When a goal refuses: it is closed, or locked. Pure; raises the refusal it decides on."""

from datetime import datetime

from zanari_api.goals.errors import GoalClosed, GoalLocked


def ensure_open(status: str) -> None:
    """Raise GoalClosed unless the goal is active or paused."""
    if status not in {"active", "paused"}:
        raise GoalClosed


def ensure_unlocked(locked_until: datetime | None, now: datetime) -> None:
    """Raise GoalLocked while the lock lasts."""
    if locked_until is not None and now < locked_until:
        raise GoalLocked(f"This goal is locked until {locked_until.isoformat()}.")


def may_relock(locked_until: datetime | None, wanted: datetime | None, now: datetime) -> bool:
    """Tell whether a lock may be changed so: freely when none lasts, else only to a later date."""
    if locked_until is None or locked_until <= now:
        return True
    return wanted is not None and wanted >= locked_until
