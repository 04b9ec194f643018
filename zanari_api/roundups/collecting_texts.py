"""Says in plain sentences what collections are and what became of round-ups that waited. Decides nothing.

The sentences are stored and shown in clear: they name goals, and never a person or a number.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from zanari_api.daraja.codes import Reason
from zanari_api.kit.clock import EAT
from zanari_api.kit.money import format_kes
from zanari_api.roundups.explanation import NamedShare, list_goals

_WHY_FAILED: Final[Mapping[str, str]] = {
    Reason.CANCELLED: "you cancelled the M-PESA prompt",
    Reason.NO_ANSWER: "the M-PESA prompt was not answered",
    Reason.EXPIRED: "the M-PESA prompt expired before it was answered",
    Reason.WRONG_PIN: "the M-PESA PIN was wrong",
    Reason.INSUFFICIENT_FUNDS: "there was not enough money on your M-PESA",
    Reason.DAILY_LIMIT: "your daily M-PESA limit was used up",
    Reason.LOCKED: "your M-PESA PIN is locked; Safaricom can unlock it",
    Reason.PHONE_BUSY: "your phone was busy with another M-PESA session",
}

_SKIPPED: Final[Mapping[str, str]] = {
    "skipped_by_saver": "You skipped it. The round-ups wait.",
    "replaced_by_saver": "You asked for another one in its place.",
    "rule_changed": "You changed your rule before its prompt was sent.",
}
"""Why a collection was taken back before its prompt was sent, by the reason its intent has."""


def settled_spend(
    *, amount_cents: int, settled_cents: int, how: str, at: datetime, goals: Sequence[NamedShare], moved: bool
) -> str:
    """Say of a spend's round-up how much of it is saved by now; `how` is how the last of it came."""
    whole = settled_cents == amount_cents
    start = "The" if whole else f"Of the {format_kes(amount_cents)}"
    saved = f"{format_kes(settled_cents)} round-up" if whole else "round-up"
    is_in = f"is in {list_goals(goals)}"
    given_up = " You had given up a goal it was meant for." if moved else ""
    if whole:
        return f"{start} {saved} of this payment was {how} on {_day(at)} and {is_in}.{given_up}"
    rest = format_kes(amount_cents - settled_cents)
    return (
        f"{start} {saved} of this payment, {format_kes(settled_cents)} was {how} on {_day(at)} and {is_in};"
        f" {rest} still waits.{given_up}"
    )


def collected(
    *,
    amount_cents: int,
    fee_cents: int,
    spends: int,
    goals: Sequence[NamedShare],
    to_wallet_cents: int,
    moved: bool,
) -> str:
    """Say of a collection that came in where its money went, and what M-PESA charged."""
    for_what = "a round-up" if spends == 1 else f"{spends} round-ups"
    places = f" {format_kes(amount_cents - to_wallet_cents)} went to {list_goals(goals)}." if goals else ""
    given_up = " What was meant for a goal you had given up is in your default goal." if moved else ""
    wallet = (
        f" {format_kes(to_wallet_cents)} went to your wallet, because what it was for was saved or cancelled"
        " before the money came."
        if to_wallet_cents
        else ""
    )
    return f"{format_kes(amount_cents)} came in from M-PESA for {for_what}.{places}{given_up}{wallet}{_fee(fee_cents)}"


def paid_from_wallet(*, amount_cents: int, spends: int, goals: Sequence[NamedShare]) -> str:
    """Say of a payment from the wallet which goals it filled."""
    for_what = "a round-up" if spends == 1 else f"{spends} round-ups"
    return f"{format_kes(amount_cents)} for {for_what} went from your wallet to {list_goals(goals)}."


def requested(*, amount_cents: int, fee_cents: int, prompts_at: datetime, now: datetime) -> str:
    """Say of a collection whose prompt was not sent yet when it comes."""
    amount = format_kes(amount_cents)
    if prompts_at > now:
        when = prompts_at.astimezone(EAT)
        return f"M-PESA asks you for {amount} at {when:%H:%M}. Until then you can skip it.{_will_cost(fee_cents)}"
    return f"M-PESA is about to ask you for {amount}.{_will_cost(fee_cents)}"


def prompted(*, amount_cents: int, fee_cents: int, is_open: bool) -> str:
    """Say of a collection whose prompt was sent what to do about it."""
    amount = format_kes(amount_cents)
    if is_open:
        return f"Enter your M-PESA PIN on your phone to save {amount}.{_will_cost(fee_cents)}"
    return f"We are asking M-PESA whether you paid the {amount}."


def settled(*, amount_cents: int, fee_cents: int, to_wallet_cents: int, at: datetime) -> str:
    """Say of a collection that it is saved, and since when."""
    wallet = f", {format_kes(to_wallet_cents)} of it in your wallet" if to_wallet_cents else ""
    return f"{format_kes(amount_cents)} was collected on {_day(at)}{wallet}.{_fee(fee_cents)}"


def failed(reason: str | None) -> str:
    """Say why a collection brought nothing."""
    why = _WHY_FAILED.get(reason or "", "M-PESA did not make the payment")
    return f"Nothing was collected: {why}. The round-ups wait."


def skipped(reason: str | None) -> str:
    """Say why a collection never prompted anybody."""
    return _SKIPPED.get(reason or "", "It was taken back before its prompt was sent. The round-ups wait.")


UNRESOLVED: Final = (
    "M-PESA never said what became of it, and no payment was found. The round-ups wait again; should the money"
    " have left your M-PESA after all, it is credited to you as soon as we hear of it."
)


def _day(at: datetime) -> str:
    day = at.astimezone(EAT)
    return f"{day.day} {day:%B %Y}"


def _fee(fee_cents: int) -> str:
    return f" M-PESA charged you {format_kes(fee_cents)} for it." if fee_cents else ""


def _will_cost(fee_cents: int) -> str:
    return f" M-PESA charges {format_kes(fee_cents)} for it." if fee_cents else " It costs you no fee."
