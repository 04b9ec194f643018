"""Pure decisions about payouts: when M-PESA is asked again, and what a saver is told of where the money is."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from zanari_api.daraja.codes import Api, meaning
from zanari_api.kit.money import format_kes
from zanari_api.payouts.rows import Payout
from zanari_api.payouts.states import APART, THROTTLED, Definite, State

SECOND: Final = timedelta(seconds=1)

SUBMITTING_EXPIRES_AFTER: Final = timedelta(minutes=2)
"""More than a request takes, waiting for its turn included: whoever was sending it is gone."""

RESULT_WITHIN: Final = timedelta(minutes=2)
"""A result mostly comes in seconds; from then on we ask."""

UNANSWERED_ASK_AFTER: Final = timedelta(seconds=30)
"""A request that got no answer may still be on its way: a question at once would know nothing of it."""

RETRY_AFTER: Final = timedelta(minutes=1)
"""What waits for something of ours is looked at again so soon."""

ASK_AFTER: Final = tuple(
    timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15, 30, 30, 30, 30, 60, 60, 60, 60, 120)
)
"""Pauses after the first, second, ... question; the last one for good."""

UNRESOLVED_AFTER: Final = timedelta(hours=24)
"""An outcome in doubt for so long is a break, even where nothing says that it never arrived."""


class Reason(StrEnum):
    """Why a payout stands as it does, where no code of M-PESA's says it."""

    FLOAT_LOW = "float_low"
    HELD = "held"
    PAUSED = "paused"
    NUMBER_UNLINKED = "number_unlinked"
    MONEY_OWED = "money_owed"
    NOT_SENT = "not_sent"
    REFUSED = "refused"
    THROTTLED = "throttled"
    NO_ANSWER = "no_answer"
    NO_RESULT = "no_result"
    ALREADY_KNOWN = "already_known"
    EXPIRED = "expired"
    TIMED_OUT = "timed_out"
    UNCLEAR_RESULT = "unclear_result"
    FAILED_RESULT = "failed_result"
    ENDED = "ended"
    NOT_FOUND = "not_found"
    OPERATOR = "operator"
    PAID_AFTER_REFUND = "paid_after_refund"


def ask_after(asked: int) -> timedelta:
    """Return how long to wait after so many questions, one or more, before the next."""
    return ASK_AFTER[min(asked, len(ASK_AFTER)) - 1]


def next_look(payout: Payout, *, now: datetime) -> datetime:
    """Return when the worker looks at an open payout that has just come to stand so."""
    if payout.state is State.UNKNOWN:
        return _next_question(payout, now=now)
    match payout.state:
        case State.REQUESTED if payout.reason == Reason.THROTTLED:
            return now + RETRY_AFTER
        case State.SUBMITTING:
            return now + SUBMITTING_EXPIRES_AFTER
        case State.SUBMITTED:
            return now + RESULT_WITHIN
        case _:
            return now


def _next_question(payout: Payout, *, now: datetime) -> datetime:
    """Return when M-PESA is asked about a payout that has just come to be in doubt so."""
    if payout.reason == Reason.NO_ANSWER:
        return now + UNANSWERED_ASK_AFTER
    if payout.first_not_found_at is not None and not payout.not_found_twice:
        return max(now, payout.first_not_found_at + APART)
    if payout.not_found_twice or payout.ended:
        return now + ask_after(len(ASK_AFTER))
    return now


def is_overdue(payout: Payout, *, now: datetime) -> bool:
    """Tell whether a payout in doubt is one for a person to see."""
    if payout.state is not State.UNKNOWN:
        return False
    in_doubt_since = payout.unknown_at or payout.requested_at
    return payout.resolvable_at is not None or now - in_doubt_since >= UNRESOLVED_AFTER


def told(payout: Payout, *, held_until: datetime | None = None) -> str:
    """Return the sentences that tell a saver where the money of a payout is."""
    amount = format_kes(payout.amount_cents)
    match payout.state:
        case State.REQUESTED:
            text = f"{amount} is set aside and about to be sent to M-PESA."
        case State.QUEUED:
            text = f"{amount} is set aside. {_waits(payout, held_until)}"
        case State.SUBMITTING:
            text = f"{amount} is being sent to M-PESA."
        case State.SUBMITTED:
            text = f"M-PESA has taken the payment of {amount} on and has yet to say that it is made."
        case State.UNKNOWN:
            text = _told_in_doubt(payout, amount)
        case State.SETTLED:
            text = f"{amount} was paid to your M-PESA, receipt {payout.receipt}."
        case _:
            text = _told_failed(payout, amount)
    return text


def _waits(payout: Payout, held_until: datetime | None) -> str:
    match payout.reason:
        case Reason.HELD:
            until = f" until {held_until.isoformat(timespec='seconds')}" if held_until else " for a while"
            return f"Withdrawals are held{until}, because your number or your PIN has changed."
        case Reason.PAUSED:
            return "Withdrawals are paused while we check our books; it is sent as soon as that is done."
        case _:
            return "Our own M-PESA account is being filled; it is sent as soon as that is done."


def _told_in_doubt(payout: Payout, amount: str) -> str:
    if payout.definite_code == THROTTLED:
        return (
            f"M-PESA had too much to do and did not take {amount} on. It is set aside while we make sure;"
            " then it is sent again."
        )
    if payout.definite_by is not None:
        return f"M-PESA says that {amount} was not paid. It is set aside while we make sure; then it goes back to you."
    return (
        f"M-PESA has not told us whether {amount} was paid. It is set aside and is not sent twice;"
        " we keep asking, and it is either paid or goes back to you."
    )


def _told_failed(payout: Payout, amount: str) -> str:
    if payout.late_receipt is not None:
        return (
            f"M-PESA paid {amount} (receipt {payout.late_receipt}) after it had gone back to you, so you owe it to"
            " Zanari: your next deposits repay it first, and nothing can be withdrawn until then."
        )
    if payout.reason == Reason.MONEY_OWED:
        return (
            f"You owed Zanari money, so nothing was sent. {amount} repaid that first, and what was left of it is in"
            " your wallet."
        )
    place = "the goal it came from" if payout.refunded_to == "goal" else "your wallet"
    return f"{_why(payout)} {amount} is back in {place}."


def _why(payout: Payout) -> str:
    if payout.reason == Reason.NUMBER_UNLINKED:
        return "The number is no longer yours, so nothing was sent."
    if payout.definite_by is Definite.RESULT and payout.definite_code is not None:
        return meaning(Api.B2C, payout.definite_code).text
    return "M-PESA did not make this payment."
