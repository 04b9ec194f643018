"""Lets payouts be jobs: those to send and those to ask about, each leased to one worker. Decides nothing."""

from datetime import datetime
from uuid import UUID

from zanari_api.payouts import job_queries
from zanari_api.payouts.rows import ClaimedPayout
from zanari_api.runtime.db import Tx
from zanari_api.runtime.jobs import Backlog, Claim, DeadRow, Postponement


async def claim_submissions(tx: Tx, claim: Claim) -> list[ClaimedPayout]:
    """Lease payouts that are due to be sent: what nobody sent yet, and what an operator wants sent once more."""
    return await job_queries.claim_submissions(tx, claim)


async def claim_checks(tx: Tx, claim: Claim) -> list[ClaimedPayout]:
    """Lease payouts that M-PESA may have heard of and has not answered for in time."""
    return await job_queries.claim_checks(tx, claim)


async def postpone(tx: Tx, row: ClaimedPayout, postponement: Postponement) -> DeadRow | None:
    """Put a payout off whose work failed; one that has ended meanwhile stays as it is. Returns it if it is given up."""
    return await job_queries.postpone(tx, row, postponement)


async def list_dead_submissions(tx: Tx) -> list[DeadRow]:
    return await job_queries.list_dead(tx, to_send=True)


async def list_dead_checks(tx: Tx) -> list[DeadRow]:
    return await job_queries.list_dead(tx, to_send=False)


async def revive_submission(tx: Tx, payout_id: UUID, now: datetime) -> bool:
    """Have a payout sent that was given up; False when it is none. What was sent before is asked about first."""
    return await job_queries.revive(tx, payout_id=payout_id, to_send=True, now=now)


async def revive_check(tx: Tx, payout_id: UUID, now: datetime) -> bool:
    """Have a payout asked about that was given up; False when it is none."""
    return await job_queries.revive(tx, payout_id=payout_id, to_send=False, now=now)


async def count_submissions(tx: Tx, now: datetime) -> Backlog:
    return await job_queries.count_submissions(tx, now)


async def count_checks(tx: Tx, now: datetime) -> Backlog:
    return await job_queries.count_checks(tx, now)
