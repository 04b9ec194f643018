"""Goals over HTTP: HTTP in, HTTP out, nothing decided."""

from uuid import UUID

from fastapi import APIRouter, Depends, Response

from zanari_api.goals import movements, service
from zanari_api.goals.errors import (
    AllocationOver100,
    DefaultGoalFixed,
    GoalClosed,
    GoalLocked,
    GoalNotFound,
    OrderIncomplete,
    TooManyGoals,
)
from zanari_api.goals.schemas import (
    Closure,
    Goal,
    GoalCreate,
    GoalList,
    GoalOrder,
    GoalUpdate,
    Movement,
    MovementCreate,
)
from zanari_api.ledger.errors import InsufficientFunds
from zanari_api.runtime.deps import CurrentSaver, FeatureDisabled, Idempotent, goals_enabled
from zanari_api.runtime.idempotency import IdempotencyKeyRequired, IdempotencyKeyReused, RequestInProgress
from zanari_api.runtime.problems import refuses

router = APIRouter(prefix="/api/v1/goals", tags=["goals"], dependencies=[Depends(goals_enabled)])

ONCE = (IdempotencyKeyRequired, IdempotencyKeyReused, RequestInProgress, FeatureDisabled)


@router.get("", responses=refuses(FeatureDisabled))
async def list_goals(saver: CurrentSaver) -> GoalList:
    """List your goals in the order in which round-ups reach them; the default goal is last."""
    return await saver.read(lambda tx: service.show_all(tx, saver_id=saver.id))


@router.post("", status_code=201, responses=refuses(TooManyGoals, AllocationOver100, FeatureDisabled))
async def create_goal(body: GoalCreate, saver: CurrentSaver) -> Goal:
    """Open a goal."""
    return await saver.write(lambda tx: service.create(tx, saver_id=saver.id, wanted=body))


@router.put("/order", responses=refuses(GoalNotFound, OrderIncomplete, FeatureDisabled))
async def order_goals(body: GoalOrder, saver: CurrentSaver) -> GoalList:
    """Say in which order round-ups fill your goals."""
    return await saver.write(lambda tx: service.order(tx, saver_id=saver.id, goal_ids=body.goal_ids))


@router.get("/{goal_id}", responses=refuses(GoalNotFound, FeatureDisabled))
async def read_goal(goal_id: UUID, saver: CurrentSaver) -> Goal:
    """Read one goal."""
    return await saver.read(lambda tx: service.show(tx, saver_id=saver.id, goal_id=goal_id))


@router.patch(
    "/{goal_id}",
    responses=refuses(
        GoalNotFound, GoalClosed, GoalLocked, DefaultGoalFixed, AllocationOver100, FeatureDisabled
    ),
)
async def update_goal(goal_id: UUID, body: GoalUpdate, saver: CurrentSaver) -> Goal:
    """Change a goal. What the body leaves out stays as it is."""
    return await saver.write(lambda tx: service.update(tx, saver_id=saver.id, goal_id=goal_id, change=body))


@router.delete(
    "/{goal_id}", response_model=Closure, responses=refuses(GoalNotFound, DefaultGoalFixed, GoalLocked, *ONCE)
)
async def delete_goal(goal_id: UUID, saver: CurrentSaver, once: Idempotent) -> Response:
    """Return a goal's money to your wallet, then delete the goal. Safe to retry with the same key."""
    return await once(lambda tx: movements.give_up(tx, saver_id=saver.id, goal_id=goal_id, status="deleted"))


@router.post(
    "/{goal_id}/cancellation",
    response_model=Closure,
    responses=refuses(GoalNotFound, GoalClosed, DefaultGoalFixed, GoalLocked, *ONCE),
)
async def cancel_goal(goal_id: UUID, saver: CurrentSaver, once: Idempotent) -> Response:
    """Return a goal's money to your wallet and give the goal up; it stays in your list."""
    return await once(
        lambda tx: movements.give_up(tx, saver_id=saver.id, goal_id=goal_id, status="cancelled")
    )


@router.post(
    "/{goal_id}/deposits",
    status_code=201,
    response_model=Movement,
    responses=refuses(GoalNotFound, GoalClosed, InsufficientFunds, *ONCE),
)
async def deposit_from_wallet(
    goal_id: UUID, body: MovementCreate, saver: CurrentSaver, once: Idempotent
) -> Response:
    """Move money from your wallet to a goal. Safe to retry with the same Idempotency-Key."""
    return await once(
        lambda tx: movements.deposit(tx, saver_id=saver.id, goal_id=goal_id, amount_cents=body.amount_cents),
        body=body,
        status=201,
    )


@router.post(
    "/{goal_id}/withdrawals",
    status_code=201,
    response_model=Movement,
    responses=refuses(GoalNotFound, GoalClosed, GoalLocked, InsufficientFunds, *ONCE),
)
async def withdraw_to_wallet(
    goal_id: UUID, body: MovementCreate, saver: CurrentSaver, once: Idempotent
) -> Response:
    """Move savings from a goal back to your wallet. Safe to retry with the same Idempotency-Key."""
    return await once(
        lambda tx: movements.withdraw(tx, saver_id=saver.id, goal_id=goal_id, amount_cents=body.amount_cents),
        body=body,
        status=201,
    )
