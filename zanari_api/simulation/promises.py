"""Whether the promises held, once everything has come to rest. Names what is broken; mends nothing.

I    what was answered with a yes is there
II   our floats are Safaricom's, or the difference is a named break
III  nothing counts twice
IV   nothing stands still without a reason that somebody can see
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from zanari_api.ledger import accounts, balances, invariants
from zanari_api.ledger.accounts import FloatAccount
from zanari_api.runtime.db import Database, Role, Tx
from zanari_api.sandbox.safaricom.books import FROM_CUSTOMERS, Account, Kind
from zanari_api.sandbox.safaricom.emulator import SafaricomEmulator
from zanari_api.simulation import queries
from zanari_api.simulation.queries import Named, Stated
from zanari_api.simulation.savers import Promises
from zanari_api.transactions.receipts import ReceiptRole

DEFINITE_INTENTS = frozenset({"settled", "failed"})
DEFINITE_PAYOUTS = frozenset({"settled", "failed"})
LATE = timedelta(hours=1)
"""What has been due for so long is not worked on."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is broken, and what is different but named."""

    broken: Sequence[str]
    named: Sequence[str]


async def examine(database: Database, emulator: SafaricomEmulator, promises: Promises) -> Found:
    """Look at both sets of books and at every state. Both sides must have come to rest."""

    async def look(tx: Tx) -> Found:
        named = await queries.list_breaks(tx)
        broken = [
            *[f"books: {one.invariant} {one.subject} {one.detail}" for one in await invariants.check(tx)],
            *await _kept(tx, promises),
            *await _floats(tx, emulator, named),
            *await _counted_once(tx, emulator, named),
            *await _at_rest(tx, named, now=emulator.now()),
            *[f"500 was answered: {name}, {times} times" for name, times in _faults(promises.done)],
        ]
        told = [f"{one.kind} {one.subject}: {one.suspected_cause}" for one in named]
        return Found(broken, told)

    return await database.unit_of_work(look, role=Role.SYSTEM)


def _faults(done: Counter[str]) -> Iterator[tuple[str, int]]:
    return ((name, times) for name, times in done.items() if name.endswith(": 500"))


async def _kept(tx: Tx, promises: Promises) -> list[str]:
    """I: every yes is on disk."""
    intents = {row.id for row in await queries.list_intents(tx)}
    payouts = {row.id for row in await queries.list_payouts(tx)}
    lost = [
        *(f"spend {one}" for one in promises.spends - await queries.list_spends(tx)),
        *(f"deposit {one}" for one in promises.intents - intents),
        *(f"withdrawal {one}" for one in promises.payouts - payouts),
        *(f"movement {one}" for one in promises.movements - await queries.list_feed_ids(tx)),
    ]
    return [f"I: {one} was answered with a yes and is gone" for one in lost]


async def _floats(tx: Tx, emulator: SafaricomEmulator, named: Sequence[Named]) -> list[str]:
    """II: each float is what Safaricom says, or a break names that account."""
    broken: list[str] = []
    for shortcode, theirs in emulator.books.position().items():
        for account in Account:
            ours = await balances.balance(tx, accounts.float_id(shortcode, FloatAccount(account.value)))
            told: int = getattr(theirs, f"{account}_cents")
            if (ours or 0) != told and not any(_explains(one, shortcode, account) for one in named):
                broken.append(
                    f"II: {shortcode} {account}: we say {ours}, Safaricom {told}, and no break names it"
                )
    return broken


def _explains(one: Named, shortcode: str, account: Account) -> bool:
    """Tell whether a break names this account, or something that went over this shortcode."""
    return one.shortcode == shortcode and one.account in {None, account.value}


async def _counted_once(tx: Tx, emulator: SafaricomEmulator, named: Sequence[Named]) -> list[str]:
    """III: every receipt of Safaricom's is in our register once, in its role; no accrual is settled over its amount."""
    counted = Counter((row.role, row.receipt) for row in await queries.list_receipts(tx))
    known = {one.subject for one in named}
    broken = [
        f"III: {role} {receipt} counts {times} times"
        for (role, receipt), times in counted.items()
        if times > 1
    ]
    broken += [
        f"III: accrual {row.id} is settled over its amount" for row in await queries.list_oversettled(tx)
    ]
    for movement in emulator.books.movements:
        kind, receipt = movement.story.kind, movement.receipt
        role = ReceiptRole.DEPOSIT if kind in FROM_CUSTOMERS else ReceiptRole.PAYOUT
        wanted = kind in FROM_CUSTOMERS or kind is Kind.PAYOUT
        if wanted and not counted[role.value, receipt] and not any(receipt in subject for subject in known):
            broken.append(f"III: {kind} {receipt} moved at Safaricom and counts nowhere")
    return broken


async def _at_rest(tx: Tx, named: Sequence[Named], *, now: datetime) -> list[str]:
    """IV: what is not definite is named."""
    subjects = {one.subject for one in named}

    def stuck(kind: str, rows: Sequence[Stated], definite: frozenset[str]) -> list[str]:
        return [
            f"IV: {kind} {row.id} is {row.state}, and no break names it"
            for row in rows
            if row.state not in definite and not any(str(row.id) in subject for subject in subjects)
        ]

    return [
        *stuck("intent", await queries.list_intents(tx), DEFINITE_INTENTS),
        *stuck("payout", await queries.list_payouts(tx), DEFINITE_PAYOUTS),
        *[
            f"IV: a {one.kind} callback is {one.outcome}, and nobody looks at it again"
            for one in await queries.list_forgotten_callbacks(tx, due_before=now - LATE)
        ],
    ]
