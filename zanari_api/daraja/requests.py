"""What is asked of Safaricom, in our words, and what it says at once. Checks only what can never be sent."""

import re
from dataclasses import dataclass, field
from typing import Final

from zanari_api.kit.money import CENTS_PER_SHILLING

LONGEST_REFERENCE: Final = 12
LONGEST_DESCRIPTION: Final = 13
LONGEST_REMARKS: Final = 100

_MSISDN: Final = re.compile(r"254[17][0-9]{8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StkPush:
    """A prompt on a phone for a payment to our shortcode. Raises ValueError for what could not be sent.

    `account_reference` is at most 12 characters, `description` at most 13: a longer text makes a prompt that
    fails. The amount is in cents and whole shillings.
    """

    amount_cents: int
    msisdn: str = field(repr=False)
    account_reference: str
    description: str
    callback_url: str = field(repr=False)

    def __post_init__(self) -> None:
        whole_shillings(self.amount_cents)
        _check_msisdn(self.msisdn)
        _check_length("account_reference", self.account_reference, LONGEST_REFERENCE)
        _check_length("description", self.description, LONGEST_DESCRIPTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class B2CPayment:
    """A payment to a phone, named by our id, which is stored before this is sent and never reused.

    Raises ValueError for what could not be sent. The amount is in cents and whole shillings.
    """

    originator_conversation_id: str
    amount_cents: int
    msisdn: str = field(repr=False)
    remarks: str
    result_url: str = field(repr=False)
    timeout_url: str = field(repr=False)
    occasion: str = ""

    def __post_init__(self) -> None:
        whole_shillings(self.amount_cents)
        _check_msisdn(self.msisdn)
        _check_length("remarks", self.remarks, LONGEST_REMARKS)
        if not self.originator_conversation_id:
            raise ValueError("originator_conversation_id is empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class B2CAccepted:
    """The payout was taken on, not paid. Its result comes under these ids, and may have come already."""

    conversation_id: str | None
    originator_conversation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A query or reversal was taken on; its result comes by callback under these ids, which are its own."""

    conversation_id: str | None
    originator_conversation_id: str | None


def whole_shillings(amount_cents: int) -> int:
    """Return an amount for the wire. Raises ValueError when it is not more than zero or has cents."""
    shillings, cents = divmod(amount_cents, CENTS_PER_SHILLING)
    if cents or shillings <= 0:
        raise ValueError("the amount must be whole shillings, one or more")
    return shillings


def _check_msisdn(msisdn: str) -> None:
    if _MSISDN.fullmatch(msisdn) is None:
        raise ValueError("msisdn is not 12 digits of a Kenyan mobile number")


def _check_length(name: str, text: str, longest: int) -> None:
    if not 0 < len(text) <= longest:
        raise ValueError(f"{name} must have 1 to {longest} characters")
