"""Every statement on savings.spends and allocations, and the one that makes accruals; no decisions, no commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.roundups.collecting_rules import SMALLEST_THRESHOLD_CENTS
from zanari_api.runtime.db import Tx

# In no order: while the table is small, Postgres would rather read an index in that order than look receipts up.
FIND_SPENDS_OF_RECEIPTS: Final[LiteralString] = """
    SELECT s.saver_id, s.id, s.receipt, s.source, s.kind, s.amount_cents, s.event_at, s.content_digest,
           s.outcome, s.round_up_cents, s.rule_version, s.answer::text AS answer, s.undone_at
      FROM savings.spends AS s
     WHERE s.receipt = ANY ($1::text[])
"""

# What counts against a cap is what is still meant to be saved: a reversal gives its part back.
SUM_USED: Final[LiteralString] = """
    SELECT wanted.saver_id, used.day, used.cents
      FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) AS wanted (saver_id, since, until)
     CROSS JOIN LATERAL (
               SELECT (s.event_at AT TIME ZONE 'Africa/Nairobi')::date AS day,
                      sum(s.round_up_cents - coalesce(s.undone_cents, 0))::bigint AS cents
                 FROM savings.spends AS s
                WHERE s.saver_id = wanted.saver_id AND s.event_at >= wanted.since AND s.event_at < wanted.until
                  AND s.outcome <> 'skipped'
                GROUP BY 1
           ) AS used
"""

# One statement for all that follows from a decision: each costs a round trip, and this is the hottest write there is.
# The plan, which is the job that asks for collections, is woken when as much waits as any rule asks for; while it is
# due already, or the saver is left in peace, it stays as it is.
INSERT_SPENDS: Final[LiteralString] = """
    WITH recorded AS (
        INSERT INTO savings.spends (
            saver_id, id, receipt, source, kind, amount_cents, event_at, content_digest, outcome, reason,
            round_up_cents, rule_version, answer
        )
        SELECT * FROM unnest(
            $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[],
            $8::bytea[], $9::text[], $10::text[], $11::bigint[], $12::integer[], $13::jsonb[]
        )
        RETURNING saver_id, id, round_up_cents, outcome
    ), allocated AS (
        INSERT INTO savings.allocations (saver_id, spend_id, goal_id, amount_cents)
        SELECT * FROM unnest($14::uuid[], $15::uuid[], $16::uuid[], $17::bigint[])
    ), accrued AS (
        INSERT INTO savings.accruals (saver_id, spend_id, amount_cents)
        SELECT saver_id, id, round_up_cents FROM recorded WHERE outcome = 'waiting'
        RETURNING saver_id, amount_cents
    ), added AS (
        SELECT saver_id, sum(amount_cents) AS cents FROM accrued GROUP BY saver_id
    )
    INSERT INTO savings.collection_plans AS p (saver_id, due_at)
    SELECT added.saver_id, CASE WHEN added.cents + (
               SELECT coalesce(sum(a.amount_cents - a.settled_cents), 0)
                 FROM savings.accruals AS a
                WHERE a.saver_id = added.saver_id AND a.status = 'waiting' AND a.collection_id IS NULL
           ) >= $19::bigint THEN $18::timestamptz END
      FROM added
     ORDER BY added.saver_id
    ON CONFLICT (saver_id) DO UPDATE SET due_at = EXCLUDED.due_at, updated_at = clock_timestamp()
     WHERE p.due_at IS NULL AND NOT p.paused AND EXCLUDED.due_at IS NOT NULL
"""

LIST_ALLOCATIONS: Final[LiteralString] = """
    SELECT goal_id, amount_cents FROM savings.allocations WHERE saver_id = $1 AND spend_id = $2 ORDER BY goal_id
"""

MARK_UNDONE: Final[LiteralString] = """
    UPDATE savings.spends SET undone_at = clock_timestamp(), undone_cents = $3 WHERE saver_id = $1 AND id = $2
"""


@dataclass(frozen=True, slots=True)
class SpendRow:
    """A recorded spend. `answer` is the round-up as JSON, as it was first answered."""

    saver_id: UUID
    id: UUID
    receipt: str
    source: str
    kind: str
    amount_cents: int
    event_at: datetime
    content_digest: bytes
    outcome: str
    round_up_cents: int
    rule_version: int
    answer: str
    undone_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewSpend:
    """A spend to insert, decided."""

    saver_id: UUID
    id: UUID
    receipt: str
    source: str
    kind: str
    amount_cents: int
    event_at: datetime
    content_digest: bytes
    outcome: str
    reason: str | None
    round_up_cents: int
    rule_version: int
    answer: str


@dataclass(frozen=True, slots=True)
class NewAllocation:
    """The part of a spend's round-up that is meant for one goal."""

    saver_id: UUID
    spend_id: UUID
    goal_id: UUID
    amount_cents: int


@dataclass(frozen=True, slots=True)
class AllocationRow:
    """As NewAllocation, of one known spend."""

    goal_id: UUID
    amount_cents: int


@dataclass(frozen=True, slots=True)
class UsedDay:
    """What a saver's round-ups of one Nairobi day come to."""

    saver_id: UUID
    day: date
    cents: int


async def find_spends_of_receipts(tx: Tx, *, receipts: Sequence[str]) -> list[SpendRow]:
    """Return every saver's recorded spends with these receipts, by saver."""
    found = await tx.fetch_all(SpendRow, FIND_SPENDS_OF_RECEIPTS, list(receipts))
    return sorted(found, key=lambda spend: spend.saver_id)


async def sum_used(tx: Tx, *, windows: Sequence[tuple[UUID, datetime, datetime]]) -> list[UsedDay]:
    """Return day by day what round-ups took, for each (saver, since, until); each saver is asked for once."""
    savers, sinces, untils = ([window[place] for window in windows] for place in range(3))
    return await tx.fetch_all(UsedDay, SUM_USED, savers, sinces, untils)


async def insert_spends(
    tx: Tx, spends: Sequence[NewSpend], allocations: Sequence[NewAllocation], *, now: datetime
) -> None:
    """Insert decided spends, the split of their round-ups, an accrual for each that waits, and wake what collects."""
    await tx.execute(
        INSERT_SPENDS,
        [spend.saver_id for spend in spends],
        [spend.id for spend in spends],
        [spend.receipt for spend in spends],
        [spend.source for spend in spends],
        [spend.kind for spend in spends],
        [spend.amount_cents for spend in spends],
        [spend.event_at for spend in spends],
        [spend.content_digest for spend in spends],
        [spend.outcome for spend in spends],
        [spend.reason for spend in spends],
        [spend.round_up_cents for spend in spends],
        [spend.rule_version for spend in spends],
        [spend.answer for spend in spends],
        [allocation.saver_id for allocation in allocations],
        [allocation.spend_id for allocation in allocations],
        [allocation.goal_id for allocation in allocations],
        [allocation.amount_cents for allocation in allocations],
        now,
        SMALLEST_THRESHOLD_CENTS,
    )


async def list_allocations(tx: Tx, *, saver_id: UUID, spend_id: UUID) -> list[AllocationRow]:
    return await tx.fetch_all(AllocationRow, LIST_ALLOCATIONS, saver_id, spend_id)


async def mark_undone(tx: Tx, *, saver_id: UUID, spend_id: UUID, cents: int) -> None:
    await tx.execute(MARK_UNDONE, saver_id, spend_id, cents)
