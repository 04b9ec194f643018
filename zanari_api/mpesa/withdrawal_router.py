"""Withdrawals to M-PESA over HTTP: HTTP in, HTTP out, nothing decided."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response

from zanari_api.goals.errors import GoalClosed, GoalLocked, GoalNotFound
from zanari_api.ledger.errors import InsufficientFunds
from zanari_api.mpesa import withdrawal_service
from zanari_api.mpesa.withdrawal_schemas import Limit, Withdrawal, WithdrawalCreate, WithdrawalList
from zanari_api.payouts.errors import (
    MoneyOwed,
    NumberNotLinked,
    PayoutNotFound,
    PayoutsHeld,
    PayoutsPaused,
    WholeShillingsOnly,
)
from zanari_api.runtime.deps import CurrentSaver, FeatureDisabled, Idempotent, LiveSession
from zanari_api.runtime.idempotency import IdempotencyKeyRequired, IdempotencyKeyReused, RequestInProgress
from zanari_api.runtime.jwks import AuthUnavailable
from zanari_api.runtime.problems import refuses
from zanari_api.runtime.session import SessionEnded
from zanari_api.users.limits import AmountOutsideLimits, DayLimitReached, TooManyPayouts
from zanari_api.users.step_up import StepUpRequired

router = APIRouter(prefix="/api/v1/mpesa/withdrawals", tags=["mpesa"])


@router.post(
    "",
    status_code=202,
    response_model=Withdrawal,
    responses=refuses(
        WholeShillingsOnly,
        AmountOutsideLimits,
        DayLimitReached,
        TooManyPayouts,
        StepUpRequired,
        SessionEnded,
        AuthUnavailable,
        PayoutsHeld,
        PayoutsPaused,
        MoneyOwed,
        GoalNotFound,
        GoalLocked,
        GoalClosed,
        NumberNotLinked,
        InsufficientFunds,
        FeatureDisabled,
        IdempotencyKeyRequired,
        IdempotencyKeyReused,
        RequestInProgress,
    ),
)
async def withdraw(
    body: WithdrawalCreate,
    saver: LiveSession,
    once: Idempotent,
    step_up_token: Annotated[
        str | None,
        Header(
            alias="X-Step-Up-Token",
            description="Of a PIN verification for a withdrawal; a replay needs none.",
        ),
    ] = None,
) -> Response:
    """Send money to one of your M-PESA numbers. 202 means that it is set aside; read it to see where it is.

    Safe to retry with the same Idempotency-Key: it is sent once.
    """
    if body.goal_id is not None and not saver.runtime.features.goals:
        raise FeatureDisabled
    return await once(
        lambda tx: withdrawal_service.withdraw(
            tx,
            saver_id=saver.id,
            wanted=body,
            step_up_token=step_up_token,
            keyring=saver.runtime.keyring,
            now=saver.runtime.clock.now(),
        ),
        body=body,
        status=202,
    )


@router.get("")
async def list_withdrawals(
    saver: CurrentSaver, cursor: UUID | None = None, limit: Annotated[Limit, Query()] = 50
) -> WithdrawalList:
    """List your withdrawals, the newest first."""
    return await saver.read(
        lambda tx: withdrawal_service.page(tx, saver_id=saver.id, cursor=cursor, limit=limit)
    )


@router.get("/{withdrawal_id}", responses=refuses(PayoutNotFound))
async def read_withdrawal(withdrawal_id: UUID, saver: CurrentSaver) -> Withdrawal:
    """Read one withdrawal: where its money is now."""
    return await saver.read(
        lambda tx: withdrawal_service.read(
            tx, saver_id=saver.id, payout_id=withdrawal_id, now=saver.runtime.clock.now()
        )
    )
