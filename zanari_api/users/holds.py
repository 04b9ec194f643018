"""Holds on payouts: after a change that a thief would make first, money waits and old numbers are told. Ends none."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from zanari_api.runtime.db import Tx
from zanari_api.users import hold_queries, notices
from zanari_api.users.notice_rows import AboutNumber, NoticeKind
from zanari_api.users.rules import Link

HOLD: Final = timedelta(hours=48)


class HoldCause(StrEnum):
    """Why payouts wait."""

    PIN_RESET = "pin_reset"
    "a forgotten PIN was replaced after a new sign-in"

    NUMBER_ADDED = "number_added"
    "a number that nobody had, on an account that had one before"

    NUMBER_MOVED = "number_moved"
    "a number that another saver had, on an account that had one before"

    NUMBER_PROVEN_AGAIN = "number_proven_again"
    "a number that this saver had and lost"


async def hold_for_pin_reset(tx: Tx, *, saver_id: UUID, now: datetime) -> datetime:
    """Start the hold that a PIN brings which replaced a forgotten one, and return until when."""
    return await _start(tx, saver_id=saver_id, cause=HoldCause.PIN_RESET, about=None, now=now)


async def payout_hold_until(tx: Tx, *, saver_id: UUID, now: datetime) -> datetime | None:
    """Return until when the saver's payouts are held; None when they may go. Locks nothing."""
    return await hold_queries.find_latest_end(tx, saver_id=saver_id, now=now)


async def hold_for_number(
    tx: Tx, *, saver_id: UUID, number: AboutNumber, links: Sequence[Link], now: datetime
) -> datetime | None:
    """Start the hold that a newly proven number brings, and return until when; None for the saver's first number.

    Called before `number` is linked in the same transaction, with the saver locked. `links` are those of everybody
    who ever held it.
    """
    if not await hold_queries.has_had_number(tx, saver_id=saver_id):
        return None
    return await _start(tx, saver_id=saver_id, cause=_cause(links, saver_id), about=number, now=now)


async def _start(
    tx: Tx, *, saver_id: UUID, cause: HoldCause, about: AboutNumber | None, now: datetime
) -> datetime:
    """Hold the saver's payouts for 48 hours from `now`, and have every old number told why. Shortens no other hold."""
    held_until = now + HOLD
    hold_id = await hold_queries.insert_hold(
        tx, saver_id=saver_id, cause=cause, held_until=held_until, created_at=now
    )
    kind = NoticeKind(cause.value)
    await notices.tell(tx, saver_id=saver_id, kind=kind, about=about, hold_id=hold_id, now=now)
    return held_until


def _cause(links: Sequence[Link], saver_id: UUID) -> HoldCause:
    """Name what a newly proven number is to a saver who had one before."""
    if not links:
        return HoldCause.NUMBER_ADDED
    newest = max(links, key=lambda link: (link.linked_at, link.id))
    return HoldCause.NUMBER_PROVEN_AGAIN if newest.saver_id == saver_id else HoldCause.NUMBER_MOVED
