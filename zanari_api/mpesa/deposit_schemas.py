"""The JSON of deposits by STK push."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from zanari_api.deposits.rows import IntentState
from zanari_api.kit.schema import Cents, Schema


class DepositCreate(Schema):
    """What to ask the saver's M-PESA for: whole shillings, from one of their linked numbers, else the default."""

    amount_cents: Cents
    goal_id: UUID | None = None
    """The open goal to put it into; without one it goes to the wallet."""

    account_id: UUID | None = None


class Deposit(Schema):
    """A payment that was asked for. `text` says in one sentence how it stands; `reason` is a code where it failed.

    Accepted is not paid: read it again until `state` is `settled` or `failed`. A failed one may still turn out paid.
    """

    id: UUID
    purpose: Literal["deposit", "account_link"]
    state: IntentState
    text: str
    reason: str | None
    amount_cents: int
    currency: Literal["KES"] = "KES"
    goal_id: UUID | None
    account_id: UUID | None
    receipt: str | None
    """M-PESA's receipt; null on a settled one where it is still to come."""

    requested_at: datetime
    prompted_at: datetime | None
    open_until: datetime
    """Until then, or until it is settled or failed, no other prompt can be asked for."""

    finished_at: datetime | None


class DepositList(Schema):
    """One page, newest first. Send `next_cursor` back as `cursor` for the next one; null on the last."""

    data: tuple[Deposit, ...]
    next_cursor: str | None
