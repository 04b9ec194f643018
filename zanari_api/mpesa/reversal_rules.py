"""Where the money of a payment that M-PESA took back comes from. Pure: what is missing is for the caller to book."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from zanari_api.goals.rows import GoalRow


@dataclass(frozen=True, slots=True)
class Taken:
    """What is taken from the wallet, from each goal, and what is missing; in cents, together the whole payment."""

    wallet_cents: int
    goals: Sequence[tuple[GoalRow, int]]
    owed_cents: int

    @property
    def goals_cents(self) -> int:
        return sum(cents for _, cents in self.goals)


def take(
    amount_cents: int, *, wallet_cents: int, goals: Sequence[GoalRow], paid_into: UUID | None, now: datetime
) -> Taken:
    """Take from the wallet first, then from unlocked goals, then from locked ones; the rest is owed.

    Among goals of a kind: the one that the payment went into first, then the default goal, then the others from
    the one the saver ranks last upwards. So what a saver cares for most is touched last.
    """
    from_wallet = min(wallet_cents, amount_cents)
    missing = amount_cents - from_wallet
    taken: list[tuple[GoalRow, int]] = []
    for goal in sorted(goals, key=lambda goal: _reluctance(goal, paid_into=paid_into, now=now)):
        cents = min(goal.saved_cents, missing)
        if cents:
            taken.append((goal, cents))
            missing -= cents
    return Taken(from_wallet, taken, missing)


def _reluctance(
    goal: GoalRow, *, paid_into: UUID | None, now: datetime
) -> tuple[bool, bool, bool, int, datetime, UUID]:
    """Return by what a goal is placed in the order of taking; the smallest is taken from first."""
    is_locked = goal.locked_until is not None and goal.locked_until > now
    return (
        is_locked,
        goal.id != paid_into,
        not goal.is_default,
        -goal.priority,
        goal.created_at,
        goal.id,
    )
