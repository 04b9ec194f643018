"""Payouts in doubt that an operator wants asked about now, not when their time comes. Asks nobody itself."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from zanari_api.payouts import doubt_queries, rules
from zanari_api.payouts.questions import QueryState
from zanari_api.payouts.rows import ClaimedPayout
from zanari_api.runtime.db import Tx
from zanari_api.runtime.jobs import Claim

ASKED_LATELY: Final = timedelta(minutes=1)
"""A question may still be answered for so long: a second one beside it would tell nothing more."""


async def claim(tx: Tx, claim: Claim, *, but: Sequence[UUID] = ()) -> list[ClaimedPayout]:
    """Lease payouts that M-PESA has had time to carry out and has not answered for, whenever they are due.

    `but` are payouts that are left alone: those that were leased before.
    """
    return await doubt_queries.claim_in_doubt(
        tx,
        claim,
        sent_before=claim.now - rules.RESULT_WITHIN,
        not_asked_since=claim.now - ASKED_LATELY,
        but=but,
    )


async def count(tx: Tx, *, now: datetime) -> int:
    """Return how many such payouts there are, whoever works on them and however lately they were asked about."""
    return await doubt_queries.count_in_doubt(tx, sent_before=now - rules.RESULT_WITHIN)


async def count_questions(
    tx: Tx, about: Sequence[ClaimedPayout], *, since: datetime
) -> dict[QueryState, int]:
    """Return how the first questions since then stand, one about each of these where there was one."""
    found = await doubt_queries.count_questions(tx, about=about, since=since)
    return {QueryState(each.state): each.questions for each in found}
