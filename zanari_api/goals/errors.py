"""The goals' refusals."""

from zanari_api.kit.errors import Refusal


class GoalNotFound(Refusal):
    """You have no goal with this id."""

    code = "goal_not_found"
    status = 404


class GoalLocked(Refusal):
    """This goal is locked: nothing can leave it, and the lock cannot be shortened, until its date has come."""

    code = "goal_locked"


class GoalClosed(Refusal):
    """This goal was cancelled. Its money is back in your wallet."""

    code = "goal_closed"


class DefaultGoalFixed(Refusal):
    """Your default goal cannot be deleted, cancelled, paused or locked, or given a target, due date, share or place."""

    code = "default_goal_fixed"


class TooManyGoals(Refusal):
    """You have as many open goals as you can have. Cancel or delete one first."""

    code = "too_many_goals"


class AllocationOver100(Refusal):
    """The percentages of your goals would add up to more than 100."""

    code = "allocation_over_100"
    status = 422


class OrderIncomplete(Refusal):
    """List each of your open goals once, without the default goal, which always comes last."""

    code = "order_incomplete"
    status = 422
