"""Asks M-PESA at once about payouts in doubt, as their job does when their time comes. Concludes nothing.

Each is leased as the job leases it, so that none is ever asked about twice at a time. What is left over stays with
the job.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from zanari_api.mpesa import given_up, payout_asking
from zanari_api.mpesa.payout_jobs import LEASE_S
from zanari_api.mpesa.payout_sending import Paying
from zanari_api.payouts import doubts, leases
from zanari_api.payouts.questions import QueryState
from zanari_api.payouts.rows import ClaimedPayout
from zanari_api.runtime.db import Role, Tx
from zanari_api.runtime.jobs import Claim, RowJob, run_round

ASKED_MAX: Final = 20
"""One after the other, each as long as a call may take: more than these are left to the job."""

POLL_S: Final = timedelta(milliseconds=100).total_seconds()

OPEN: Final = frozenset({QueryState.ASKING, QueryState.ASKED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Hastened:
    """What came of it. `in_doubt` were so at first; `asked` are those whose question may have reached M-PESA."""

    in_doubt: int = 0
    asked: int = 0
    answered: int = 0
    unsent: int = 0
    """Safaricom could not be reached, or refused the question."""

    @property
    def unanswered(self) -> int:
        return self.asked - self.answered

    @property
    def not_asked(self) -> int:
        """Those whose turn did not come: too many, asked a moment ago, being worked on, or given up."""
        return max(0, self.in_doubt - self.asked - self.unsent)


async def ask_now(
    paying: Paying,
    *,
    within: timedelta,
    look_again: Callable[[], Awaitable[object]],
    progress: Callable[[str], None],
    most: int = ASKED_MAX,
) -> Hastened:
    """Ask about payouts in doubt, so many at most, and wait for the answers; both together take about `within`.

    An answer comes by callback; `look_again` works on those that overtook the reply to their question.
    """
    started_at = paying.clock.now()
    async with paying.database.transaction(Role.SYSTEM) as tx:
        in_doubt = await doubts.count(tx, now=started_at)
    if not in_doubt:
        return Hastened()
    progress(f"asking M-PESA about {min(in_doubt, most)} of {in_doubt} payouts in doubt")
    tried = await _ask(paying, most=most, deadline=started_at + within)
    while True:
        async with paying.database.transaction(Role.SYSTEM) as tx:
            states = await doubts.count_questions(tx, tried, since=started_at)
        if not OPEN.intersection(states) or paying.clock.now() >= started_at + within:
            break
        await paying.clock.sleep(POLL_S)
        await look_again()
    unsent = states.get(QueryState.UNSENT, 0)
    return Hastened(
        in_doubt=in_doubt,
        asked=sum(states.values()) - unsent,
        answered=states.get(QueryState.ANSWERED, 0),
        unsent=unsent,
    )


async def _ask(paying: Paying, *, most: int, deadline: datetime) -> list[ClaimedPayout]:
    """Lease one after the other and ask about it, until there is none, or it was enough. Returns those leased."""
    tried: list[ClaimedPayout] = []

    async def lease(tx: Tx, claim: Claim) -> list[ClaimedPayout]:
        return await doubts.claim(tx, claim, but=[row.id for row in tried])

    async def ask(row: ClaimedPayout) -> None:
        tried.append(row)
        await payout_asking.ask(paying, row)

    # Leased singly: the last of many would lose its lease while the first are waited for.
    job: RowJob[Any] = RowJob(
        name="payout_checks",
        claim=lease,
        work=ask,
        postpone=leases.postpone,
        count=leases.count_checks,
        list_dead=leases.list_dead_checks,
        revive=leases.revive_check,
        lease_s=LEASE_S,
        batch=1,
    )
    [named] = given_up.named([job])
    while len(tried) < most and paying.clock.now() < deadline:
        if not await run_round(named, database=paying.database, clock=paying.clock):
            break
    return tried
