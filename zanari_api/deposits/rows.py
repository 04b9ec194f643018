"""Payments and intents as other slices may hold them: what came in, what was asked for. States no SQL."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Channel(StrEnum):
    """What told us of a payment."""

    C2B = "c2b"
    "the confirmation of a payment to our paybill; one that was asked for by STK push fires it too"

    STK_CALLBACK = "stk_callback"
    "the callback of the push that asked for it"

    STK_QUERY = "stk_query"
    "the answer to a question after the push; it never has a receipt"

    PULL = "pull"
    "the list of payments that Safaricom keeps for 48 hours"

    STATEMENT = "statement"
    "a line of the shortcode's statement"

    OPERATOR = "operator"
    "a person, with evidence"


class Purpose(StrEnum):
    """What a payment is asked for."""

    DEPOSIT = "deposit"
    "the saver wants to put money in"

    COLLECTION = "collection"
    "round-ups that the wallet could not cover"

    ACCOUNT_LINK = "account_link"
    "KES 1, which proves that a number is the saver's"


class IntentState(StrEnum):
    """How far an intent has come. Only a success is final: a failure may yet turn out to be one."""

    REQUESTED = "requested"
    "stored; the prompt was not sent yet, or is being sent"

    PROMPTED = "prompted"
    "Safaricom took the push on: the prompt is on the phone, or was"

    SETTLED = "settled"
    "paid, and in the books"

    FAILED = "failed"
    "definitely not paid, as far as Safaricom says"

    UNRESOLVED = "unresolved"
    "nobody can tell yet whether it is paid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment into our paybill, as M-PESA told us of it. `receipt` None: a query told of it, which has none."""

    receipt: str | None
    amount_cents: int
    shortcode: str
    event_at: datetime
    callback_id: UUID | None
    channel: Channel = Channel.C2B
    intent_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A payment that we ask a saver's M-PESA for. `msisdn` and `checkout_request_id` are still encrypted.

    `not_before`: the prompt is sent no earlier. `open_until`: until then, unless it is definite before, no other
    prompt of the saver's may be shown. `submitting_at`: when the socket was about to open; None while nothing was
    sent. `receipt` None on a settled one: its success was told by a query, and the receipt is still to come.
    """

    saver_id: UUID
    id: UUID
    purpose: Purpose
    reference: str
    shortcode: str
    amount_cents: int
    goal_id: UUID | None
    account_id: UUID | None
    msisdn: bytes
    blind_index: bytes
    state: IntentState
    reason: str | None
    requested_at: datetime
    not_before: datetime
    open_until: datetime
    expires_at: datetime
    submitting_at: datetime | None
    prompted_at: datetime | None
    finished_at: datetime | None
    checkout_request_id: bytes | None
    receipt: str | None
    settled_by: Channel | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "purpose", Purpose(self.purpose))
        object.__setattr__(self, "state", IntentState(self.state))
        if self.settled_by is not None:
            object.__setattr__(self, "settled_by", Channel(self.settled_by))

    @property
    def is_definite(self) -> bool:
        return self.state in {IntentState.SETTLED, IntentState.FAILED}

    def is_open(self, now: datetime) -> bool:
        """Tell whether its prompt may be on the phone, or is about to be."""
        return not self.is_definite and self.not_before <= now < self.open_until


@dataclass(frozen=True, slots=True)
class DueIntent:
    """An intent that a worker has leased; what it is, is read under its saver's lock."""

    saver_id: UUID
    id: UUID
    attempts: int
    lease_id: UUID
