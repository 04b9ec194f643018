"""What the gauges show of floats, breaks and suspense, read from the database. Sets no metric and changes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from zanari_api.deposits import comparison as paid_in
from zanari_api.ledger import accounts, balances
from zanari_api.mpesa import breaks
from zanari_api.mpesa.breaks import BreakKind
from zanari_api.reconciliation.schedules import BOOKS_CHECK
from zanari_api.runtime import schedules
from zanari_api.runtime.db import Tx


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts of the whole database, as of now."""

    float_break_cents: Mapping[tuple[str, str], int]
    "by shortcode and account: what Safaricom has more than our books, where they differ"

    open_breaks: Mapping[str, int]
    "by kind, every kind there is"

    oldest_break_age: timedelta
    "nothing where none is open"

    books_broken: int
    "promises of the books that the last check found broken"

    books_checked_at: datetime | None
    "when that check last came to its end; None before the first"

    fees_not_covered_cents: int
    "by how much M-PESA's fees exceed the company's funding"

    suspense_cents: int
    oldest_suspense_age: timedelta


async def read(tx: Tx, *, now: datetime) -> Facts:
    """Read the facts. Runs as Role.SYSTEM."""
    counts = await breaks.count_open(tx)
    counted = {kind.value: 0 for kind in BreakKind} | {each.kind: each.open for each in counts}
    floats = await breaks.list_open_of(tx, [BreakKind.FLOAT_DIFFERS])
    waiting = await paid_in.list_held(tx, before=now, limit=1)
    held = await balances.balances(tx, [accounts.SUSPENSE, accounts.FEES, accounts.FUNDING])
    return Facts(
        float_break_cents={
            (each.shortcode or "", each.account or ""): each.amount_cents
            for each in floats
            # What differed on a day that is over has a break of its own, and is no gauge.
            if each.subject == f"float:{each.shortcode}:{each.account}"
        },
        open_breaks=counted,
        oldest_break_age=_age([each.oldest_at for each in counts], now),
        books_broken=counted[BreakKind.BOOKS_BROKEN],
        books_checked_at=await schedules.find_finished(tx, name=BOOKS_CHECK),
        fees_not_covered_cents=max(0, held[accounts.FEES] - held[accounts.FUNDING]),
        suspense_cents=held[accounts.SUSPENSE],
        oldest_suspense_age=_age([each.event_at for each in waiting], now),
    )


def _age(moments: list[datetime], now: datetime) -> timedelta:
    return max((now - each for each in moments), default=timedelta(0))
