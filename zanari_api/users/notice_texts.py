"""Says in one text message what changed and what to do. No link, no amount, no name; a number masked. Sends nothing."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from zanari_api.kit.clock import EAT
from zanari_api.users.notice_rows import NoticeKind

_LINKED: Final[Mapping[NoticeKind, str]] = {
    NoticeKind.NUMBER_ADDED: "was added to your account",
    NoticeKind.NUMBER_MOVED: "was moved to your account",
    NoticeKind.NUMBER_PROVEN_AGAIN: "was linked to you again",
}


def text_of(
    kind: NoticeKind,
    *,
    about_msisdn: str | None,
    happened_at: datetime,
    held_until: datetime | None,
    now: datetime,
) -> str:
    """Return what a number is told of a change, in letters that every handset shows.

    It bears the time of the change, so that it is true however late it comes. What waits no more is not said to wait.
    """
    at = _moment(happened_at)
    if kind is NoticeKind.PIN_RESET or about_msisdn is None:
        changed, remedy = f"your PIN was replaced on {at}.", "Sign in now and set a new PIN."
    elif kind is NoticeKind.NUMBER_LOST:
        return (
            f"Zanari: {mask(about_msisdn)} was linked to another account on {at}, and no longer is to yours. "
            "Is it still your number? Sign in with it to prove it again."
        )
    else:
        changed = f"{mask(about_msisdn)} {_LINKED[kind]} on {at}."
        remedy = "Sign in now, remove it and set a new PIN."
    return f"Zanari: {changed} {_held(held_until, now)} Not you? {remedy}"


def is_late(held_until: datetime | None, now: datetime) -> bool:
    """Say whether the text of a change is another than at first: what it made wait waits no more."""
    return held_until is not None and held_until <= now


def mask(msisdn: str) -> str:
    """Return a number as its owner knows it again and nobody can call it."""
    national = f"0{msisdn[3:]}"
    return f"{national[:2]}*****{national[-3:]}"


def _held(until: datetime | None, now: datetime) -> str:
    if until is None or is_late(until, now):
        return "We tell you late: withdrawals wait no more."
    return f"Withdrawals wait until {_moment(until)}."


def _moment(at: datetime) -> str:
    local = at.astimezone(EAT)
    return f"{local.day} {local:%b} {local:%H:%M}"
