"""What the worker does with the chain: seals, verifies a stretch at a time, writes heads down. Mends nothing."""

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

ROWS_A_RUN: Final = 1_000_000
"""Verified in one run, in about a minute; a longer chain is verified in several."""

BATCHES_A_RUN: Final = 200
DETAIL_MAX: Final = 400


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
    """Write the head down where it is new. One that goes back is named as a break, and nothing is written."""
    if parts.heads is None:
        return False
    async with parts.database.transaction(Role.SYSTEM) as tx:
        head = await sealing.find_head(tx)
    if head == EMPTY:
        return False
    try:
        return await asyncio.to_thread(parts.heads.note, head, at=parts.clock.now())
    except HeadGoesBack as error:
        await _note_all(parts, [BadRow(Fault.CUT, f"seal:{head.count + 1}", str(error))])
        return False


async def verify(parts: Chaining, *, rows_max: int = ROWS_A_RUN) -> int:
    """Verify the next stretch of the chain, and at its end all that has no seal; return how many bad rows it found.

    Each bad row has its break. A new one freezes money out; when an operator has resumed that, knowing the row, it
    stays resumed. A whole pass without a bad row closes the breaks.
    """
    async with parts.database.transaction(Role.SYSTEM) as tx:
        before = await chain_queries.find_verification(tx)
    heads = await _known_heads(parts)
    after = EMPTY if before.verified_hash is None else Head(before.verified_seq, before.verified_hash)
    stretch = await verifying.verify_stretch(parts.database, after=after, rows_max=rows_max, heads=heads)
    bad = [*stretch.bad]
    if stretch.at_end:
        bad += await verifying.verify_end(parts.database, heads=heads)
        bad += (await verifying.find_unsealed(parts.database))[0]
    so_far = before.bad_so_far + len(bad)
    await _note_all(parts, bad)

    async def keep(tx: Tx) -> None:
        if stretch.at_end:
            now = parts.clock.now()
            await chain_queries.update_verification(tx, Verification(0, None, 0, so_far, now))
            if so_far == 0:
                await _close(tx, now=now)
        else:
            standing = max(before.bad_rows, so_far)
            reached = Verification(
                stretch.head.count, stretch.head.hash, so_far, standing, before.finished_at
            )
            await chain_queries.update_verification(tx, reached)

    await parts.database.unit_of_work(keep, role=Role.SYSTEM)
    return len(bad)


async def _known_heads(parts: Chaining) -> list[KnownHead]:
    """Read the heads. Raises HeadUnreadable; before the first was written there is none."""
    if parts.heads is None:
        return []
    # One that is due now is written first, so that a place without a head is a place that lost them.
    await note_head(parts)
    async with parts.database.transaction(Role.SYSTEM) as tx:
        head = await sealing.find_head(tx)
    return [] if head == EMPTY else await asyncio.to_thread(parts.heads.read)


async def _note_all(parts: Chaining, bad: Sequence[BadRow]) -> None:
    """Give each bad row its break, and stop money out where one of them is new."""
    if not bad:
        return
    log.error("chain_broken", rows=len(bad), first=bad[0].subject, fault=bad[0].fault)

    async def note(tx: Tx) -> None:
        now = parts.clock.now()
        known = {each.subject for each in await breaks.list_open_of(tx, [BreakKind.CHAIN_BROKEN])}
        named = {f"chain:{each.subject}": each for each in bad[:BAD_MAX]}
        for subject, each in named.items():
            await breaks.note_break(
                tx,
                kind=BreakKind.CHAIN_BROKEN,
                subject=subject,
                amount_cents=0,
                suspected_cause=f"{each.fault}: {each.detail}"[:DETAIL_MAX],
                command="zanari ledger verify, then as docs/operating.md says under: The chain is broken",
                now=now,
            )
        if named.keys() - known:
            because = f"the verification of the chain found: {bad[0]}"[:DETAIL_MAX]
            await freeze.freeze(tx, because=because, now=now)
        await chain_queries.note_bad(tx, rows=len(bad))

    await parts.database.unit_of_work(note, role=Role.SYSTEM)


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
