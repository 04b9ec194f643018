"""Decides which of a saver's numbers are told of a change, and stores it with the change. Sends nothing.

A thief changes what a thief would change first, and the phone that the saver still holds says so. Old numbers are those
that the saver holds, and those removed within the last 30 days: else a thief would remove the old number first. The
number that the change is about is no old one. Who has no old number is told nothing: there is nobody left to tell who
is not the one that changed it.

A number is told of one PIN reset an hour: who sets one PIN after another makes each saver's phone ring once, not often.
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from zanari_api.runtime.db import Tx
from zanari_api.users import notice_queries
from zanari_api.users.notice_rows import AboutNumber, NoticeKind

REMOVED_STILL_TOLD: Final = timedelta(days=30)
"""Longer, and the number may be somebody's who never saved here: numbers that go unused are given out again."""


async def tell_of_lost(tx: Tx, *, saver_id: UUID, number: AboutNumber, now: datetime) -> None:
    """Have a saver's other numbers told that another saver proved `number`. Both savers must be locked."""
    await tell(tx, saver_id=saver_id, kind=NoticeKind.NUMBER_LOST, about=number, hold_id=None, now=now)


async def tell(
    tx: Tx,
    *,
    saver_id: UUID,
    kind: NoticeKind,
    about: AboutNumber | None,
    hold_id: UUID | None,
    now: datetime,
) -> None:
    """Have every old number of a saver told of a change.

    Runs in the transaction of the change itself, so that nothing is told that did not happen, and nothing happens
    untold. `about` is the number that the change is about; its link is there when the transaction commits.
    """
    told = await notice_queries.list_old_numbers(
        tx,
        saver_id=saver_id,
        removed_since=now - REMOVED_STILL_TOLD,
        but_index=None if about is None else about.blind_index,
    )
    await notice_queries.insert_notices(
        tx,
        saver_id=saver_id,
        account_ids=[each.id for each in told],
        kind=kind,
        about=about,
        hold_id=hold_id,
        now=now,
    )
