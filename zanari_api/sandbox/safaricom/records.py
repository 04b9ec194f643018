"""What the emulator remembers of requests it has accepted. Plain values, so that they can be kept in a file."""

from dataclasses import dataclass, field
from datetime import datetime

from zanari_api.sandbox.safaricom.wire import JsonValue


@dataclass(frozen=True, slots=True)
class Outcome:
    """A result code with its text, and the receipt where money moved."""

    code: str
    text: str
    receipt: str | None = None

    @property
    def succeeded(self) -> bool:
        return self.code == "0"


EXPIRED = Outcome("1019", "The transaction expired in the queue.")
"""What a payout ends with that nobody carried out. No callback tells of it."""


@dataclass(slots=True, kw_only=True)
class Push:
    """An STK push. `shortcode` is who is paid: the till where the request's shortcode is a store."""

    checkout_request_id: str
    merchant_request_id: str
    shortcode: str
    msisdn: str
    amount_cents: int
    account_reference: str
    callback_url: str
    requested_at: datetime
    outcome: Outcome | None = None


@dataclass(slots=True, kw_only=True)
class Payout:
    """A B2C payment. `request` is the body as it came: a timeout notice sends it back."""

    originator_conversation_id: str
    conversation_id: str
    shortcode: str
    msisdn: str
    amount_cents: int
    request: dict[str, JsonValue]
    requested_at: datetime
    transaction_id: str = ""
    finished_at: datetime | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """Where a shortcode's C2B payments are announced. Version 1 hashes the customer's number, 2 masks it."""

    shortcode: str
    version: int
    completes_unasked: bool
    confirmation_url: str
    validation_url: str


@dataclass(slots=True)
class Records:
    """Everything accepted so far."""

    pushes: dict[str, Push] = field(default_factory=dict[str, Push])
    payouts: dict[str, Payout] = field(default_factory=dict[str, Payout])
    registrations: dict[str, Registration] = field(default_factory=dict[str, Registration])
    pulling: set[str] = field(default_factory=set[str])

    def find_payout(self, any_id: str) -> Payout | None:
        """Return the payout with this id: ours, Safaricom's, or the receipt."""
        known = self.payouts.get(any_id)
        if known is not None:
            return known
        return next((one for one in self.payouts.values() if any_id in _other_ids(one)), None)


def _other_ids(payout: Payout) -> tuple[str, str | None]:
    return payout.conversation_id, payout.outcome.receipt if payout.outcome else None
