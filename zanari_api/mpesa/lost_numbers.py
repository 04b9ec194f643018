"""Stops what was about to go to a number that a saver holds no more. What was sent cannot be stopped."""

from datetime import datetime

from zanari_api.deposits import intents
from zanari_api.payouts import service as payouts
from zanari_api.runtime.db import Tx
from zanari_api.users.rules import Lost


async def stop(tx: Tx, lost: Lost, *, now: datetime) -> None:
    """Have the worker look at once at the prompts and payouts to a number: it sends none of them, and says why.

    Called where a number stops being a saver's, in that transaction. That saver must be locked.
    """
    await intents.stop_for_number(tx, saver_id=lost.saver_id, account_id=lost.account_id, now=now)
    await payouts.stop_for_number(tx, saver_id=lost.saver_id, account_id=lost.account_id, now=now)
