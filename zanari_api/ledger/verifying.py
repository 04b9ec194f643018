"""Verifies the chain against the rows that it sealed, in chunks, and names what is bad. Repairs nothing.

Every digest and hash is computed here, from the fields of the rows: no function of the database is believed. What a
superuser can still do is to compute a whole new tail; that is what heads outside the database are for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from zanari_api.ledger import chain, chain_queries
from zanari_api.ledger.chain import EMPTY, Head, SealKind
from zanari_api.ledger.chain_queries import FIRST_ID, Sealed
from zanari_api.ledger.heads import KnownHead
from zanari_api.runtime.db import Database, Role

CHUNK_ROWS: Final = 500
"""Read and hashed at once: a dozen milliseconds, in which nobody else of this process gets a turn."""

WALK_ROWS: Final = 5_000
BAD_MAX: Final = 20
"""After so many bad rows verifying ends: the first are what somebody has to look at."""

Progress = Callable[[int], None]
"""Told now and then how many rows are behind."""


class Fault(StrEnum):
    """What is the matter with a row."""

    EDITED = "edited"
    "it is not what was sealed: a field of it, an entry or an account was changed, or an entry added or removed"

    DELETED = "deleted"
    "it was sealed and is not there any more"

    INSERTED = "inserted"
    "it is there, has no seal, and sealing has passed it"

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


@dataclass(frozen=True, slots=True)
class Stretch:
    """What came of verifying some of the chain: where that ended, whether there is nothing after it, what is bad."""

    head: Head
    at_end: bool
    bad: tuple[BadRow, ...]


@dataclass(frozen=True, slots=True)
class Verified:
    """What came of verifying all of it."""

    head: Head
    bad: tuple[BadRow, ...]
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


async def verify(
    database: Database,
    *,
    after: Head = EMPTY,
    heads: Sequence[KnownHead] = (),
    on_progress: Progress = no_progress,
) -> Verified:
    """Verify the chain from `after` to its end, and then that no row without a seal is where there should be none."""
    stretch = await verify_stretch(database, after=after, heads=heads, on_progress=on_progress)
    bad = [*stretch.bad]
    searched = True
    if len(bad) < BAD_MAX:
        bad += await verify_end(database, heads=heads)
        found, searched = await find_unsealed(database, on_progress=on_progress)
        bad += found
    return Verified(stretch.head, tuple(bad), searched)


async def verify_stretch(
    database: Database,
    *,
    after: Head,
    rows_max: int | None = None,
    heads: Sequence[KnownHead] = (),
    on_progress: Progress = no_progress,
) -> Stretch:
    """Verify up to so many seals, and what each is on. One bad row does not hide the next: each has its own seal."""
    known = {each.head.count: each for each in heads}
    head, bad, rows = after, list[BadRow](), 0
    while len(bad) < BAD_MAX:
        limit = CHUNK_ROWS if rows_max is None else min(CHUNK_ROWS, rows_max - rows)
        if limit <= 0:
            return Stretch(head, at_end=False, bad=tuple(bad))
        async with database.transaction(Role.SYSTEM) as tx:
            chunk = await chain_queries.list_sealed(tx, after_seq=head.count, limit=limit)
        for sealed in chunk:
            bad += _bad_of(sealed, head)
            head = Head(sealed.seal.seq, sealed.seal.hash)
            bad += _unlike(head, known)
        rows += len(chunk)
        on_progress(head.count)
        if len(chunk) < limit:
            return Stretch(head, at_end=True, bad=tuple(bad))
    return Stretch(head, at_end=True, bad=tuple(bad))


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
                f"seal:{last.count + 1}",
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
    database: Database, *, on_progress: Progress = no_progress
) -> tuple[list[BadRow], bool]:
    """Return rows that sealing has passed and that have no seal, and entries of no transfer.

    The second value tells whether rows could be looked for: not in a cluster where nothing was sealed since a restore.
    """
    async with database.transaction(Role.SYSTEM) as tx:
        searched = (await chain_queries.find_end(tx)).sealed_here
    bad = await _entries_of_no_transfer(database, on_progress=on_progress)
    if searched:
        for kind in SealKind:
            bad += await _unsealed_of(database, kind, on_progress=on_progress)
    return bad, searched


async def _unsealed_of(database: Database, kind: SealKind, *, on_progress: Progress) -> list[BadRow]:
    position, bad, rows = ("0", FIRST_ID), list[BadRow](), 0
    while len(bad) < BAD_MAX:
        async with database.transaction(Role.SYSTEM) as tx:
            walked = await chain_queries.list_walked(tx, kind, after=position, limit=WALK_ROWS)
        bad += [
            BadRow(Fault.INSERTED, f"{kind}:{each.id}", "sealing has passed it, and it has no seal")
            for each in walked
            if each.out_of_place and not each.sealed
        ]
        rows += len(walked)
        on_progress(rows)
        if len(walked) < WALK_ROWS:
            break
        position = (walked[-1].xact, walked[-1].id)
    return bad


async def _entries_of_no_transfer(database: Database, *, on_progress: Progress) -> list[BadRow]:
    last, bad, rows = 0, list[BadRow](), 0
    while len(bad) < BAD_MAX:
        async with database.transaction(Role.SYSTEM) as tx:
            walked = await chain_queries.list_entries(tx, after_id=last, limit=WALK_ROWS)
        bad += [
            BadRow(Fault.INSERTED, f"entry:{each.id}", f"no transfer {each.transfer_id} is there")
            for each in walked
            if not each.has_transfer
        ]
        rows += len(walked)
        on_progress(rows)
        if len(walked) < WALK_ROWS:
            break
        last = walked[-1].id
    return bad


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


def _unlike(head: Head, known: dict[int, KnownHead]) -> list[BadRow]:
    """Compare a seal with the head that was written down when it was the last, once."""
    noted = known.get(head.count)
    if noted is None or noted.head.hash == head.hash:
        return []
    agreed = max((count for count in known if count < head.count), default=0)
    known.clear()
    return [
        BadRow(
            Fault.REWRITTEN,
            f"seal:{agreed + 1}",
            f"from here or later, up to row {head.count}, whose hash is not that of the head of"
            f" {noted.at:%Y-%m-%d %H:%M:%S %Z}",
        )
    ]
