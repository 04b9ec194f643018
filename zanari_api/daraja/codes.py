"""What each result code means, per API: the same number says other things elsewhere. Unknown is unresolved."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class Api(StrEnum):
    """Which API's results a code belongs to."""

    STK = "stk"
    B2C = "b2c"
    STATUS = "status"
    BALANCE = "balance"
    REVERSAL = "reversal"


class Kind(StrEnum):
    """What a code lets us conclude."""

    SUCCESS = "success"
    "it happened"

    FAILED = "failed"
    "definite: it did not happen and will not"

    PENDING = "pending"
    "not decided yet; ask again"

    UNRESOLVED = "unresolved"
    "says nothing certain: ask by another way, guess nothing"


class Reason(StrEnum):
    """Why, in one word that is ours and does not change with Safaricom's texts."""

    OK = "ok"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    BELOW_MINIMUM = "below_minimum"
    ABOVE_MAXIMUM = "above_maximum"
    DAILY_LIMIT = "daily_limit"
    RECEIVER_LIMIT = "receiver_limit"
    RULE_LIMITED = "rule_limited"
    EXPIRED = "expired"
    PUSH_FAILED = "push_failed"
    CANCELLED = "cancelled"
    NO_ANSWER = "no_answer"
    WRONG_PIN = "wrong_pin"
    PHONE_BUSY = "phone_busy"
    NOT_PERMITTED = "not_permitted"
    LOCKED = "locked"
    NO_SUCH_NUMBER = "no_such_number"
    FLOAT_EMPTY = "float_empty"
    SENDER_INVALID = "sender_invalid"
    INITIATOR_INVALID = "initiator_invalid"
    ACCOUNT_STATUS = "account_status"
    NOT_REGISTERED = "not_registered"
    BAD_REQUEST = "bad_request"
    ALREADY_REVERSED = "already_reversed"
    NO_SUCH_TRANSACTION = "no_such_transaction"
    PROCESSING = "processing"
    DUPLICATE = "duplicate"
    BUSY = "busy"
    INTERNAL_FAILURE = "internal_failure"
    NOT_FOUND = "not_found"
    UNKNOWN_CODE = "unknown_code"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code means; `text` is a sentence for a saver (STK, B2C) or an operator (the others)."""

    kind: Kind
    reason: Reason
    text: str

    @property
    def is_definite(self) -> bool:
        return self.kind in {Kind.SUCCESS, Kind.FAILED}


def _failed(reason: Reason, text: str) -> Meaning:
    return Meaning(Kind.FAILED, reason, text)


def _unresolved(reason: Reason, text: str) -> Meaning:
    return Meaning(Kind.UNRESOLVED, reason, text)


UNKNOWN: Final = _unresolved(
    Reason.UNKNOWN_CODE, "M-PESA gave an answer that we do not know yet; we are finding out what happened."
)

_ASKING: Final = "M-PESA had a fault; we are finding out what happened."
_NOT_PAID_OUT: Final = "We could not pay out right now; the money is still yours here."

_STK: Final = {
    "0": Meaning(Kind.SUCCESS, Reason.OK, "The payment was made."),
    "1": _failed(Reason.INSUFFICIENT_FUNDS, "There was not enough money in your M-PESA account."),
    "2": _failed(Reason.BELOW_MINIMUM, "The amount is less than M-PESA takes."),
    "3": _failed(Reason.ABOVE_MAXIMUM, "The amount is more than M-PESA takes in one payment."),
    "4": _failed(Reason.DAILY_LIMIT, "Your daily M-PESA limit is used up."),
    "8": _failed(Reason.RECEIVER_LIMIT, "Our M-PESA account could not take this payment."),
    "17": _failed(Reason.RULE_LIMITED, "M-PESA refuses the same amount twice within two minutes."),
    "1019": _failed(Reason.EXPIRED, "The M-PESA prompt expired before it was answered."),
    "1025": _failed(Reason.PUSH_FAILED, "M-PESA could not show the prompt on your phone."),
    "1032": _failed(Reason.CANCELLED, "You cancelled the M-PESA prompt."),
    "1037": _failed(Reason.NO_ANSWER, "Your phone could not be reached, or the prompt was not answered."),
    "2001": _failed(Reason.WRONG_PIN, "The M-PESA PIN was wrong."),
    "2028": _failed(Reason.NOT_PERMITTED, "M-PESA does not let this account pay us."),
    "8006": _failed(Reason.LOCKED, "The M-PESA PIN is locked; Safaricom can unlock it."),
    "SFC_IC0003": _failed(Reason.NO_SUCH_NUMBER, "M-PESA does not know one of the two accounts."),
    # Told by integrators only, and plain: another M-PESA session held the subscriber, so no prompt was shown.
    "1001": _failed(Reason.PHONE_BUSY, "Your phone was busy with another M-PESA session."),
    "4999": Meaning(Kind.PENDING, Reason.PROCESSING, "The M-PESA prompt is still waiting for an answer."),
    # These name a fault on the way to the handset, not an end of the payment: a prompt whose delivery was not
    # confirmed may have been shown all the same. A wrong "failed" would invite a second payment.
    "26": _unresolved(Reason.BUSY, _ASKING),
    "1036": _unresolved(Reason.PUSH_FAILED, _ASKING),
    "9999": _unresolved(Reason.PUSH_FAILED, _ASKING),
}

_CORE: Final = {
    "15": _unresolved(Reason.DUPLICATE, "M-PESA had this request before; the first one decides."),
    "17": _unresolved(Reason.INTERNAL_FAILURE, "M-PESA had an internal failure."),
    "18": _failed(Reason.INITIATOR_INVALID, "M-PESA did not accept the initiator's credential."),
    "20": _failed(Reason.INITIATOR_INVALID, "M-PESA does not know the initiator."),
    "21": _failed(Reason.NOT_PERMITTED, "The initiator lacks the role for this."),
    "24": _failed(Reason.BAD_REQUEST, "M-PESA misses a parameter."),
    "25": _failed(Reason.BAD_REQUEST, "M-PESA refuses a parameter."),
    "26": _unresolved(Reason.BUSY, "M-PESA was too busy."),
    "2001": _failed(Reason.INITIATOR_INVALID, "The initiator's name or credential is wrong."),
    "8006": _failed(Reason.LOCKED, "The initiator's credential is locked."),
    "100000002": _unresolved(Reason.BUSY, "M-PESA throttled the request."),
}
"""Codes of M-PESA's core, which all but the STK push speak to."""

# A saver has no part in what is wrong with our initiator or our request.
_B2C: Final = {
    code: replace(found, text=_NOT_PAID_OUT if found.kind is Kind.FAILED else _ASKING)
    for code, found in _CORE.items()
} | {
    "0": Meaning(Kind.SUCCESS, Reason.OK, "The money is in the M-PESA account."),
    "1": _failed(Reason.FLOAT_EMPTY, _NOT_PAID_OUT),
    "2": _failed(Reason.BELOW_MINIMUM, "The amount is less than M-PESA pays out."),
    "3": _failed(Reason.ABOVE_MAXIMUM, "The amount is more than M-PESA pays out at once."),
    "4": _failed(Reason.DAILY_LIMIT, "The daily M-PESA limit is used up."),
    "8": _failed(Reason.RECEIVER_LIMIT, "The M-PESA account may not hold that much."),
    "11": _failed(Reason.SENDER_INVALID, _NOT_PAID_OUT),
    "2006": _failed(Reason.ACCOUNT_STATUS, "The M-PESA account is not active."),
    "2028": _failed(Reason.NOT_PERMITTED, "M-PESA does not let us pay out to this account."),
    "2040": _failed(Reason.NOT_REGISTERED, "The number is not registered with M-PESA."),
    "SFC_IC0003": _failed(Reason.NO_SUCH_NUMBER, "M-PESA does not know this number."),
}

_STATUS: Final = _CORE | {
    "0": Meaning(
        Kind.SUCCESS, Reason.OK, "M-PESA answered; what it says of the transaction is in the answer."
    ),
    # Not in Safaricom's pages; captured by integrators, without parameters: "receipt number does not exist".
    "2032": _failed(Reason.NOT_FOUND, "M-PESA does not know this transaction."),
}

_BALANCE: Final = _CORE | {"0": Meaning(Kind.SUCCESS, Reason.OK, "M-PESA told the balances.")}

_REVERSAL: Final = _CORE | {
    "0": Meaning(Kind.SUCCESS, Reason.OK, "The payment was reversed."),
    "R000001": _failed(Reason.ALREADY_REVERSED, "The payment was reversed before."),
    "R000002": _failed(Reason.NO_SUCH_TRANSACTION, "M-PESA does not know the payment to reverse."),
}

TABLES: Final = {
    Api.STK: _STK,
    Api.B2C: _B2C,
    Api.STATUS: _STATUS,
    Api.BALANCE: _BALANCE,
    Api.REVERSAL: _REVERSAL,
}


def meaning(api: Api, code: str) -> Meaning:
    """Return what a result code means for this API. Texts of Safaricom are never looked at."""
    return TABLES[api].get(code, UNKNOWN)
