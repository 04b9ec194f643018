"""Checks that need nobody's answer: the promises of the books, and how long money has been in suspense."""

from datetime import datetime, timedelta
from typing import Final

from zanari_api.deposits import comparison as paid_in
from zanari_api.ledger import invariants
from zanari_api.ledger.invariants import BrokenInvariant
from zanari_api.mpesa import breaks
from zanari_api.mpesa.breaks import BreakKind
from zanari_api.payouts import freeze
from zanari_api.runtime.db import Tx

NOTED_MAX: Final = 100
"""Of more broken promises than this, the rest is found when these are mended."""

DETAIL_MAX: Final = 400
SUSPENSE_OLD_AFTER: Final = timedelta(days=7)


async def check_books(tx: Tx, *, now: datetime) -> int:
    """Prove the promises of the books again; return how many are broken.

    Where one is, money out is frozen, never money in, and each has its break. Books that are in order again close
    the breaks; what was frozen stays so until an operator resumes it.
    """
    broken = await invariants.check(tx)
    subjects = {_subject(each): each for each in broken[:NOTED_MAX]}
    if broken:
        names = ", ".join(sorted({each.invariant for each in broken}))
        await freeze.freeze(tx, because=f"the check of the books found: {names}"[:DETAIL_MAX], now=now)
    for subject, each in subjects.items():
        await breaks.note_break(
            tx,
            kind=BreakKind.BOOKS_BROKEN,
            subject=subject,
            amount_cents=0,
            suspected_cause=f"{each.invariant}: {each.detail}"[:DETAIL_MAX],
            command="zanari payouts resume --evidence TEXT, once the books are mended",
            now=now,
        )
    await breaks.close_gone(
        tx,
        kind=BreakKind.BOOKS_BROKEN,
        still_there={_subject(each) for each in broken},
        because="the check of the books no longer finds it",
        now=now,
    )
    return len(broken)


async def note_old_suspense(tx: Tx, *, now: datetime) -> int:
    """Name the payments that nobody has claimed for a week; return how many."""
    old = await paid_in.list_held(tx, before=now - SUSPENSE_OLD_AFTER)
    subjects = {f"suspense:{each.receipt}": each for each in old}
    for subject, each in subjects.items():
        await breaks.note_break(
            tx,
            kind=BreakKind.SUSPENSE_OLD,
            subject=subject,
            shortcode=each.shortcode,
            amount_cents=each.amount_cents,
            suspected_cause="nobody could be matched, and nobody has claimed it for a week",
            command=f"zanari suspense assign {each.receipt} --to MEMBER --evidence TEXT, or: return",
            now=now,
        )
    await breaks.close_gone(
        tx,
        kind=BreakKind.SUSPENSE_OLD,
        still_there=subjects,
        because="it is in suspense no more",
        now=now,
    )
    return len(old)


def _subject(broken: BrokenInvariant) -> str:
    return f"books:{broken.invariant}:{broken.subject}"[:200]
