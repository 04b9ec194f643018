"""The JSON of withdrawals."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from zanari_api.kit.schema import Cents, Schema
from zanari_api.payouts.states import State


class WithdrawalCreate(Schema):
    """A wish to take money out: to one of your linked numbers, from the wallet or from a goal."""

    amount_cents: Cents
    account_id: UUID
    goal_id: UUID | None = None


class Withdrawal(Schema):
    """Money on its way out, or where it came to. `text` says in words where the money is."""

    id: UUID
    state: State
    reason: str | None
    text: str
    amount_cents: int
    currency: Literal["KES"] = "KES"
    goal_id: UUID | None
    account_id: UUID
    receipt: str | None
    requested_at: datetime
    submitted_at: datetime | None
    settled_at: datetime | None
    failed_at: datetime | None


class WithdrawalList(Schema):
    """A page of withdrawals, the newest first."""

    data: tuple[Withdrawal, ...]
    next_cursor: UUID | None


Limit = Annotated[int, Field(ge=1, le=100)]
