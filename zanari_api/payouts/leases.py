"""Lets payouts be jobs: those to send and those to ask about, each leased to one worker. Decides nothing."""

from datetime import datetime

from zanari_api.payouts import job_queries
from zanari_api.payouts.rows import ClaimedPayout
from zanari_api.runtime.db import Tx
from zanari_api.runtime.jobs import Backlog, Claim, Postponement


async def claim_submissions(tx: Tx, claim: Claim) -> list[ClaimedPayout]:
    """Lease payouts that are due to be sent: what nobody sent yet, and what an operator wants sent once more."""
    return await job_queries.claim_submissions(tx, claim)


async def claim_checks(tx: Tx, claim: Claim) -> list[ClaimedPayout]:
    """Lease payouts that M-PESA may have heard of and has not answered for in time."""
    return await job_queries.claim_checks(tx, claim)


async def postpone(tx: Tx, row: ClaimedPayout, postponement: Postponement) -> None:
    """Put a payout off whose work failed; one that has ended meanwhile stays as it is."""
    await job_queries.postpone(tx, row, postponement)


async def count_submissions(tx: Tx, now: datetime) -> Backlog:
    return await job_queries.count_submissions(tx, now)


async def count_checks(tx: Tx, now: datetime) -> Backlog:
    return await job_queries.count_checks(tx, now)
