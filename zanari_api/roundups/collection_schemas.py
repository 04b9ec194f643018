"""The JSON of collections and of paying for what waits."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from zanari_api.kit.schema import Schema
from zanari_api.transactions.schemas import AllocationShare


class CollectionState(StrEnum):
    """How far a collection has come."""

    REQUESTED = "requested"
    "its prompt is still to come"

    PROMPTED = "prompted"
    "its prompt was sent; nobody knows yet whether it is paid"

    SETTLED = "settled"
    "its money came"

    FAILED = "failed"
    "it was not paid; the round-ups wait again"

    SKIPPED = "skipped"
    "you skipped it, or asked for another in its place; the round-ups wait again"

    UNRESOLVED = "unresolved"
    "M-PESA never said; the round-ups wait again, and late money is credited all the same"


class Collection(Schema):
    """One M-PESA prompt for round-ups that waited."""

    id: UUID
    state: CollectionState
    text: str
    """One sentence: what is going on, and what you can do."""

    amount_cents: int
    fee_cents: int
    """What M-PESA charges you for this payment."""

    currency: Literal["KES"] = "KES"
    spends: int
    """How many round-ups it is for; the last of them may be covered in part."""

    requested_by: Literal["schedule", "saver"]
    prompts_at: datetime
    """When the prompt is sent. Until then you can skip it."""

    can_skip: bool
    reason: str | None
    to_wallet_cents: int | None
    """What went to your wallet, because its round-ups were saved or cancelled before the money came."""

    receipt: str | None
    settled_at: datetime | None
    created_at: datetime


class CollectionPage(Schema):
    """One page, newest first. Send `next_cursor` back as `cursor` for the next one; null on the last."""

    data: tuple[Collection, ...]
    next_cursor: str | None


class CollectionFilters(Schema):
    """Which collections to list."""

    cursor: Annotated[str | None, Field(max_length=80)] = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class WaitingPayment(Schema):
    """What was paid from the wallet for round-ups that waited, and what waits still."""

    id: UUID
    paid_cents: int
    spends: int
    allocations: tuple[AllocationShare, ...]
    waiting_cents: int
    wallet_balance_cents: int
    currency: Literal["KES"] = "KES"
    occurred_at: datetime
