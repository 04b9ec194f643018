"""Verifies the chain against the rows that it sealed, in chunks, and names what is bad. Repairs nothing.

Every digest and hash is computed here, from the fields of the rows: no function of the database is believed. What a
superuser can still do is to compute a whole new tail; that is what heads outside the database are for.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from zanari_api.ledger import chain, chain_queries
from zanari_api.ledger.chain import EMPTY, ROWS, Head, SealKind
from zanari_api.ledger.chain_order import Order, Position, Restore
from zanari_api.ledger.chain_queries import FIRST_ID, Sealed
from zanari_api.ledger.heads import KnownHead
from zanari_api.runtime.db import Database, Role, Tx

CHUNK_ROWS: Final = 500
"""Read and hashed at once: a dozen milliseconds, in which nobody else of this process gets a turn."""

WALK_ROWS: Final = 5_000
BAD_MAX: Final = 20
"""So many bad rows are named; the first are what somebody has to look at."""

BAD_KEPT_MAX: Final = 10_000
"""So many are kept of a step; those after them are counted."""

Progress = Callable[[int], None]
"""Told now and then how many rows are behind."""


class Fault(StrEnum):
    """What is the matter with a row."""

    EDITED = "edited"
    "it is not what was sealed: a field of it, an entry or an account was changed, or an entry added or removed"

    DELETED = "deleted"
    "it was sealed and is not there any more"

    INSERTED = "inserted"
    "it is there and sealing has passed it: it has no seal, or one behind the seals of later transactions"

    FORGED = "forged"
    "a seal does not follow from the one before it: it was edited, or put in"

    CUT = "cut"
    "the chain ends before a head that is known"

    REWRITTEN = "rewritten"
    "the chain has another hash than a head that is known"


@dataclass(frozen=True, slots=True)
class BadRow:
    """A bad row: what is wrong, which row, and how it shows. `subject` is `<kind>:<id>`."""

    fault: Fault
    subject: str
    detail: str

    def __str__(self) -> str:
        return f"{self.fault}: {self.subject}: {self.detail}"


class Bad:
    """Bad rows, in the order in which they were found: all counted, the first ones kept."""

    def __init__(self) -> None:
        self.rows = list[BadRow]()
        self.count = 0

    def add(self, found: Iterable[BadRow]) -> None:
        for each in found:
            self.count += 1
            if self.count <= BAD_KEPT_MAX:
                self.rows.append(each)


class Reading:
    """How far one reading of the chain has come, and what it knows from there. In memory alone: see ADR 0024."""

    def __init__(self, *, after: Head = EMPTY, heads: Sequence[KnownHead] = ()) -> None:
        self.head = after
        self.rows = 0
        self.heads_met = list[KnownHead]()
        self.order = Order()
        self.from_the_first = after == EMPTY
        self._known = {each.head.count: each for each in heads}
        self._agreed = max((count for count in self._known if count <= after.count), default=0)
        self._rewritten = False

    def take(self, sealed: Sealed) -> list[BadRow]:
        """Hold the next seal to the one before it, to what it is on, and to the head that counts it."""
        bad = _bad_of(sealed, self.head) or self._out_of_order(sealed)
        self.head = Head(sealed.seal.seq, sealed.seal.hash)
        self.rows += 1
        return bad + self._unlike()

    def _out_of_order(self, sealed: Sealed) -> list[BadRow]:
        seal = sealed.seal
        if seal.kind not in ROWS:
            wrong = self.order.mark(seal, from_the_first=self.from_the_first)
            return [] if wrong is None else [BadRow(Fault.FORGED, f"seal:{seal.seq}", wrong)]
        if self.order.row(SealKind(seal.kind), seal, [*(sealed.fields or ())]):
            return []
        detail = f"it was sealed as row {seal.seq}, behind rows of later transactions"
        return [BadRow(Fault.INSERTED, f"{seal.kind}:{seal.subject_id}", detail)]

    def _unlike(self) -> list[BadRow]:
        """Compare a seal with the head that was written down when it was the last. The first that differs is told."""
        noted = self._known.get(self.head.count)
        if noted is None:
            return []
        self.heads_met.append(noted)
        if self._rewritten:
            return []
        if noted.head.hash == self.head.hash:
            self._agreed = self.head.count
            return []
        self._rewritten = True
        return [
            BadRow(
                Fault.REWRITTEN,
                f"seal:{self._agreed + 1}",
                f"from here or later, up to row {self.head.count}, whose hash is not that of the head of"
                f" {noted.at:%Y-%m-%d %H:%M:%S %Z}",
            )
        ]


@dataclass(frozen=True, slots=True)
class Stretch:
    """What came of verifying some of the chain: whether there is nothing after it, what is bad and how much of it."""

    at_end: bool
    bad: tuple[BadRow, ...]
    bad_rows: int


@dataclass(frozen=True, slots=True)
class Verified:
    """What came of verifying all of it. `bad` are the first of `bad_rows`; `rows` seals were read."""

    head: Head
    rows: int
    bad: tuple[BadRow, ...]
    bad_rows: int
    heads_met: tuple[KnownHead, ...]
    """The heads whose row was read, and compared."""

    restores: tuple[Restore, ...]
    """Where sealing walked everything again. Somebody has to know of each."""

    searched: bool
    """Whether rows without a seal could be told from new ones: not before something was sealed after a restore."""


def no_progress(_rows: int) -> None:
    """Tell nobody."""


async def head_before(database: Database, seq: int) -> Head:
    """Return where the chain stands before a seal, as stored: verifying goes on from there, believing it."""
    if seq <= 1:
        return EMPTY
    async with database.transaction(Role.SYSTEM) as tx:
        return await chain_queries.find_seal_before(tx, seq=seq) or EMPTY


async def holds(tx: Tx, head: Head) -> bool:
    """Return whether the chain, as stored, has passed this head. Computes nothing."""
    return await chain_queries.find_seal(tx, seq=head.count) == head


async def verify(
    database: Database,
    *,
    after: Head = EMPTY,
    heads: Sequence[KnownHead] = (),
    on_progress: Progress = no_progress,
) -> Verified:
    """Verify the chain from `after` to its end, and then that no row without a seal is where there should be none."""
    reading, bad = Reading(after=after, heads=heads), Bad()
    stretch = await verify_stretch(database, reading, on_progress=on_progress)
    bad.add(stretch.bad)
    bad.add(await verify_end(database, heads=heads))
    unsealed, searched = await find_unsealed(database, order=reading.order, on_progress=on_progress)
    bad.add(unsealed.rows)
    return Verified(
        head=reading.head,
        rows=reading.rows,
        bad=tuple(bad.rows),
        bad_rows=bad.count + stretch.bad_rows - len(stretch.bad) + unsealed.count - len(unsealed.rows),
        heads_met=tuple(reading.heads_met),
        restores=tuple(reading.order.restores),
        searched=searched,
    )


async def verify_stretch(
    database: Database,
    reading: Reading,
    *,
    rows_max: int | None = None,
    on_progress: Progress = no_progress,
) -> Stretch:
    """Read up to so many seals more, and what each is on. One bad row does not hide the next: each has its own seal."""
    bad, rows = Bad(), 0
    while True:
        limit = CHUNK_ROWS if rows_max is None else min(CHUNK_ROWS, rows_max - rows)
        if limit <= 0:
            return Stretch(at_end=False, bad=tuple(bad.rows), bad_rows=bad.count)
        async with database.transaction(Role.SYSTEM) as tx:
            chunk = await chain_queries.list_sealed(tx, after_seq=reading.head.count, limit=limit)
        for sealed in chunk:
            bad.add(reading.take(sealed))
        rows += len(chunk)
        on_progress(reading.head.count)
        if len(chunk) < limit:
            return Stretch(at_end=True, bad=tuple(bad.rows), bad_rows=bad.count)


async def verify_end(database: Database, *, heads: Sequence[KnownHead] = ()) -> list[BadRow]:
    """Compare the chain's last seal with the head as sealing left it, and with the heads that are known."""
    async with database.transaction(Role.SYSTEM) as tx:
        end = await chain_queries.find_end(tx)
    last = end.last or EMPTY
    longest = max(heads, key=lambda each: each.head.count, default=None)
    if longest is not None and longest.head.count > last.count:
        return [
            BadRow(
                Fault.CUT,
                f"head:{longest.head.count}",
                f"the chain ends with {last.count}, and the head of {longest.at:%Y-%m-%d %H:%M:%S %Z} counts"
                f" {longest.head.count}",
            )
        ]
    if end.left.count > last.count:
        detail = f"the chain ends with {last.count}, and sealing had come to {end.left.count}"
        return [BadRow(Fault.CUT, f"seal:{last.count + 1}", detail)]
    if end.left.count < last.count:
        detail = f"sealing had only come to {end.left.count}"
        return [BadRow(Fault.FORGED, f"seal:{end.left.count + 1}", detail)]
    if end.left.hash != last.hash:
        return [BadRow(Fault.FORGED, f"seal:{last.count}", "its hash is not the one that sealing left")]
    return []


async def find_unsealed(
    database: Database, *, order: Order, on_progress: Progress = no_progress
) -> tuple[Bad, bool]:
    """Return rows that sealing has passed and that have no seal, and entries of no transfer.

    What sealing has passed is what it says, and what the seals that were read show in `order`. The second value tells
    whether rows could be looked for: not in a cluster where nothing was sealed since a restore.
    """
    async with database.transaction(Role.SYSTEM) as tx:
        searched = (await chain_queries.find_end(tx)).sealed_here
    bad = Bad()
    await _entries_of_no_transfer(database, bad, on_progress=on_progress)
    if searched:
        for kind in ROWS:
            await _unsealed_of(database, kind, bad, passed=order.reached(kind), on_progress=on_progress)
    return bad, searched


async def _unsealed_of(
    database: Database, kind: SealKind, bad: Bad, *, passed: Position, on_progress: Progress
) -> None:
    position, rows = ("0", FIRST_ID), 0
    while True:
        async with database.transaction(Role.SYSTEM) as tx:
            walked = await chain_queries.list_walked(tx, kind, after=position, limit=WALK_ROWS)
        bad.add(
            BadRow(Fault.INSERTED, f"{kind}:{each.id}", "sealing has passed it, and it has no seal")
            for each in walked
            if (each.out_of_place or (int(each.xact), each.id.int) < passed) and not each.sealed
        )
        rows += len(walked)
        on_progress(rows)
        if len(walked) < WALK_ROWS:
            return
        position = (walked[-1].xact, walked[-1].id)


async def _entries_of_no_transfer(database: Database, bad: Bad, *, on_progress: Progress) -> None:
    last, rows = 0, 0
    while True:
        async with database.transaction(Role.SYSTEM) as tx:
            walked = await chain_queries.list_entries(tx, after_id=last, limit=WALK_ROWS)
        bad.add(
            BadRow(Fault.INSERTED, f"entry:{each.id}", f"no transfer {each.transfer_id} is there")
            for each in walked
            if not each.has_transfer
        )
        rows += len(walked)
        on_progress(rows)
        if len(walked) < WALK_ROWS:
            return
        last = walked[-1].id


def _bad_of(sealed: Sealed, before: Head) -> list[BadRow]:
    """Hold one seal to its predecessor, and what it is on to the seal."""
    seal = sealed.seal
    bad = list[BadRow]()
    subject = f"{seal.kind}:{seal.subject_id}"
    if seal.seq > before.count + 1:
        detail = f"the seals from here to {seal.seq - 1} are gone"
        bad.append(BadRow(Fault.DELETED, f"seal:{before.count + 1}", detail))
    follows = chain.link(before.hash, seal) == seal.hash
    if not follows and not bad:
        bad.append(
            BadRow(
                Fault.FORGED,
                f"seal:{seal.seq}",
                f"it does not follow from seal {before.count}; it is on {subject}",
            )
        )
    if sealed.fields is None:
        bad.append(BadRow(Fault.DELETED, subject, f"it was sealed as row {seal.seq} and is not there"))
    elif chain.digest(sealed.fields, sealed.parts) != seal.digest:
        bad.append(BadRow(Fault.EDITED, subject, f"it is not what was sealed as row {seal.seq}"))
    return bad
