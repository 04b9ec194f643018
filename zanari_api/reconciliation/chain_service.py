"""What the worker does with the chain: seals, verifies all of it, writes heads down. Mends nothing."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from zanari_api.kit.clock import Clock
from zanari_api.ledger import sealing, verifying
from zanari_api.ledger.chain import EMPTY, Head
from zanari_api.ledger.heads import HeadGoesBack, Heads, KnownHead
from zanari_api.ledger.sealing import ChainDiffers
from zanari_api.ledger.verifying import BAD_MAX, BadRow, Fault
from zanari_api.mpesa import breaks
from zanari_api.mpesa.breaks import BreakKind
from zanari_api.payouts import freeze
from zanari_api.reconciliation import chain_queries
from zanari_api.reconciliation.chain_queries import Verification
from zanari_api.runtime.db import Database, Role, Tx

log = structlog.get_logger(__name__)

STRETCH_ROWS: Final = 100_000
"""After so many verified rows, bad ones among them are told, and the next are read."""

BATCHES_A_RUN: Final = 200
DETAIL_MAX: Final = 400
WHAT_TO_DO: Final = "zanari ledger verify, then as docs/runbooks/money.md says under ChainBroken"


@dataclass(frozen=True, slots=True)
class Chaining:
    """What the chain is sealed and verified with. `heads` is None where no head is written down."""

    database: Database
    clock: Clock
    heads: Heads | None


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """What is so about the chain, for the gauges."""

    length: int
    unsealed_rows: int
    unsealed_age: timedelta
    verified_at: datetime | None
    """When a verification last came to the chain's end."""

    bad_rows: int


async def read_facts(tx: Tx) -> ChainFacts:
    """Read what is so about the chain. Runs as Role.SYSTEM."""
    head, lag = await sealing.find_head(tx), await sealing.find_lag(tx)
    verification = await chain_queries.find_verification(tx)
    return ChainFacts(
        length=head.count,
        unsealed_rows=lag.rows,
        unsealed_age=lag.age,
        verified_at=verification.finished_at,
        bad_rows=verification.bad_rows,
    )


async def seal(parts: Chaining) -> int:
    """Seal what can be sealed now; return how many rows. A chain that was cut is named, and not sealed upon."""
    try:
        return await sealing.seal_all(parts.database, batches_max=BATCHES_A_RUN)
    except ChainDiffers as error:
        await _note_all(parts, await verifying.verify_end(parts.database) or [_unlike_left(error)])
        return 0


async def note_head(parts: Chaining) -> bool:
    """Write the head down where it is new, on top of one that the chain has passed.

    One that the chain has lost, or has another hash at, is named as a break by its own count, and nothing is written.
    """
    if parts.heads is None:
        return False
    head, lost = await _head_after(parts, await asyncio.to_thread(parts.heads.last))
    try:
        if lost is None and head != EMPTY:
            return await asyncio.to_thread(parts.heads.note, head, at=parts.clock.now())
    except HeadGoesBack as error:
        # Another writer may have been first with a later head: only one that the chain does not have is a cut.
        _, lost = await _head_after(parts, error.known)
    if lost is not None:
        detail = (
            f"the head of {lost.at:%Y-%m-%d %H:%M:%S %Z}: the chain, of {head.count} rows, has no such seal"
        )
        await _note_all(parts, [BadRow(Fault.CUT, f"head:{lost.head.count}", detail)])
    return False


async def _head_after(parts: Chaining, known: KnownHead | None) -> tuple[Head, KnownHead | None]:
    """Return the head, and what was known before it if the chain, as stored, does not have that."""
    async with parts.database.transaction(Role.SYSTEM) as tx:
        head = await sealing.find_head(tx)
        lost = None if known is None or await verifying.holds(tx, known.head) else known
    return head, lost


async def verify(parts: Chaining, *, stretch_rows: int = STRETCH_ROWS) -> int:
    """Verify the whole chain and all that has no seal; return how many bad rows there are.

    Each new bad row has its break, up to BAD_MAX in a pass, and freezes money out; when an operator has resumed that,
    knowing the row, it stays resumed. A whole pass without a bad row closes the breaks. How far a pass has come is
    kept here and nowhere else: a worker that begins anew begins with row 1.
    """
    async with parts.database.transaction(Role.SYSTEM) as tx:
        sealed = (await sealing.find_head(tx)).count
    heads = await _known_heads(parts)
    reading, found, named, at_end = verifying.Reading(heads=heads), 0, 0, False
    while not at_end:
        stretch = await verifying.verify_stretch(parts.database, reading, rows_max=stretch_rows)
        at_end, found = stretch.at_end, found + stretch.bad_rows
        named += await _note_all(parts, stretch.bad, rows=found, named_max=BAD_MAX - named)
    unsealed, searched = await verifying.find_unsealed(parts.database, order=reading.order)
    last = [*await verifying.verify_end(parts.database, heads=heads), *unsealed.rows]
    found += len(last) + unsealed.count - len(unsealed.rows)
    await _note_all(parts, last, rows=found, named_max=BAD_MAX - named)
    for each in reading.order.restores:
        log.warning("chain_restored", seq=each.seq, at=each.at.isoformat(), behind=each.behind)
    # Nothing is said to be verified that was not read, from the first row on.
    whole = searched and reading.rows == reading.head.count >= sealed

    async def keep(tx: Tx) -> None:
        now = parts.clock.now()
        if whole:
            await chain_queries.update_verification(tx, Verification(found, now))
            if found == 0:
                await _close(tx, now=now)

    await parts.database.unit_of_work(keep, role=Role.SYSTEM)
    return found


async def _known_heads(parts: Chaining) -> list[KnownHead]:
    """Read the heads. Raises HeadUnreadable; before the first was written there is none."""
    if parts.heads is None:
        return []
    # One that is due now is written first, so that a place without a head is a place that lost them.
    await note_head(parts)
    async with parts.database.transaction(Role.SYSTEM) as tx:
        head = await sealing.find_head(tx)
    if head == EMPTY and await asyncio.to_thread(parts.heads.last) is None:
        return []
    return await asyncio.to_thread(parts.heads.read)


async def _note_all(
    parts: Chaining, bad: Sequence[BadRow], *, rows: int | None = None, named_max: int = BAD_MAX
) -> int:
    """Give each bad row that is new its break, up to so many, and stop money out; return how many those were.

    `rows` is how many bad rows stand in all.
    """
    if not bad:
        return 0
    log.error("chain_broken", rows=len(bad), first=bad[0].subject, fault=bad[0].fault)

    async def note(tx: Tx) -> int:
        now = parts.clock.now()
        known = {each.subject for each in await breaks.list_open_of(tx, [BreakKind.CHAIN_BROKEN])}
        new = [each for each in bad if f"chain:{each.subject}" not in known][: max(0, named_max)]
        for each in new:
            await breaks.note_break(
                tx,
                kind=BreakKind.CHAIN_BROKEN,
                subject=f"chain:{each.subject}",
                amount_cents=0,
                suspected_cause=f"{each.fault}: {each.detail}"[:DETAIL_MAX],
                command=WHAT_TO_DO,
                now=now,
            )
        if new:
            because = f"the verification of the chain found: {new[0]}"[:DETAIL_MAX]
            await freeze.freeze(tx, because=because, now=now)
        await chain_queries.note_bad(tx, rows=len(bad) if rows is None else rows)
        return len(new)

    return await parts.database.unit_of_work(note, role=Role.SYSTEM)


async def _close(tx: Tx, *, now: datetime) -> None:
    await breaks.close_gone(
        tx,
        kind=BreakKind.CHAIN_BROKEN,
        still_there=(),
        because="the verification of the whole chain no longer finds it",
        now=now,
    )


def _unlike_left(error: ChainDiffers) -> BadRow:
    return BadRow(Fault.FORGED, "seal:last", str(error))
