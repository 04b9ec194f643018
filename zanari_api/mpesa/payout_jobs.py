"""The work on payouts that runs by itself, and the facts about them that belong to the database."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

from zanari_api.mpesa.payout_asking import ask
from zanari_api.mpesa.payout_sending import Paying, send
from zanari_api.payouts import leases
from zanari_api.payouts import service as payouts
from zanari_api.payouts.rows import ClaimedPayout
from zanari_api.payouts.states import OPEN, State
from zanari_api.runtime.db import Tx
from zanari_api.runtime.jobs import RowJob
from zanari_api.runtime.metrics import Metrics

LEASE_S: Final = 120
BATCH: Final = 5
"""Few at a time: each may wait for Safaricom until its call times out, and the last must still be leased then."""


def jobs(paying: Paying) -> list[RowJob[Any]]:
    """Return the jobs of payouts: what is to be sent, and what is to be asked about."""

    async def submit(row: ClaimedPayout) -> None:
        await send(paying, row)

    async def check(row: ClaimedPayout) -> None:
        await ask(paying, row)

    return [
        RowJob(
            name="payout_submission",
            claim=leases.claim_submissions,
            work=submit,
            postpone=leases.postpone,
            count=leases.count_submissions,
            list_dead=leases.list_dead_submissions,
            revive=leases.revive_submission,
            lease_s=LEASE_S,
            batch=BATCH,
        ),
        RowJob(
            name="payout_checks",
            claim=leases.claim_checks,
            work=check,
            postpone=leases.postpone,
            count=leases.count_checks,
            list_dead=leases.list_dead_checks,
            revive=leases.revive_check,
            lease_s=LEASE_S,
            batch=BATCH,
        ),
    ]


def facts(metrics: Metrics) -> Callable[[Tx, datetime], Awaitable[None]]:
    """Return what reads how many payouts are open and how long the oldest is in doubt, and shows it."""

    async def read(tx: Tx, now: datetime) -> None:
        found = {each.state: each for each in await payouts.open_payouts(tx)}
        for state in sorted(OPEN):
            each = found.get(state)
            metrics.payouts_open.labels(state).set(each.payouts if each else 0)
            metrics.payouts_open_cents.labels(state).set(each.cents if each else 0)
        unknown = found.get(State.UNKNOWN)
        oldest_at = unknown.oldest_unknown_at if unknown is not None else None
        metrics.payout_unknown_age.set((now - (oldest_at or now)).total_seconds())

    return read
