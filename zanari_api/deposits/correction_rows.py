"""Deposits and how they were taken back, as other slices may hold them. States no SQL."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class DepositRow:
    """A deposit as it was booked; `goal_id` None where it went to the wallet."""

    saver_id: UUID
    id: UUID
    receipt: str
    amount_cents: int
    goal_id: UUID | None
    shortcode: str
    event_at: datetime


@dataclass(frozen=True, slots=True)
class ReversalRow:
    """Where the money of a deposit that was taken back came from; what was missing is owed since."""

    saver_id: UUID
    deposit_id: UUID
    amount_cents: int
    wallet_cents: int
    goals_cents: int
    owed_cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Why we believe that a payment was taken back. `text` names no person."""

    cause: str
    text: str
    reversal_receipt: str | None
    callback_id: UUID | None
    event_at: datetime
