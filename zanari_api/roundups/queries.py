"""Every statement on savings.spends, allocations and accruals; no decisions, no commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.runtime.db import Tx

FIND_SPENDS_OF_RECEIPTS: Final[LiteralString] = """
    SELECT s.saver_id, s.id, s.receipt, s.kind, s.amount_cents, s.event_at, s.content_digest, s.outcome,
           s.round_up_cents, s.rule_version, s.answer::text AS answer, s.undone_at
      FROM savings.spends AS s
     WHERE s.receipt = ANY ($1::text[])
     ORDER BY s.saver_id
"""

# What counts against a cap is what is still meant to be saved: a reversal gives its part back.
SUM_USED: Final[LiteralString] = """
    SELECT s.saver_id, (s.event_at AT TIME ZONE 'Africa/Nairobi')::date AS day,
           sum(s.round_up_cents - coalesce(s.undone_cents, 0))::bigint AS cents
      FROM savings.spends AS s
      JOIN unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) AS wanted (saver_id, since, until)
        ON wanted.saver_id = s.saver_id AND s.event_at >= wanted.since AND s.event_at < wanted.until
     WHERE s.outcome <> 'skipped'
     GROUP BY 1, 2
"""

# One statement for the three: each costs a round trip, and this is the hottest write there is.
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
    )
    INSERT INTO savings.accruals (saver_id, spend_id, amount_cents)
    SELECT saver_id, id, round_up_cents FROM recorded WHERE outcome = 'waiting'
"""

LIST_ALLOCATIONS: Final[LiteralString] = """
    SELECT goal_id, amount_cents FROM savings.allocations WHERE saver_id = $1 AND spend_id = $2 ORDER BY goal_id
"""

CANCEL_ACCRUAL: Final[LiteralString] = """
    UPDATE savings.accruals SET status = 'cancelled', updated_at = clock_timestamp()
     WHERE saver_id = $1 AND spend_id = $2 AND status = 'waiting'
    RETURNING amount_cents
"""

MARK_UNDONE: Final[LiteralString] = """
    UPDATE savings.spends SET undone_at = clock_timestamp(), undone_cents = $3 WHERE saver_id = $1 AND id = $2
"""

SUM_WAITING: Final[LiteralString] = """
    SELECT coalesce(sum(amount_cents), 0)::bigint FROM savings.accruals WHERE saver_id = $1 AND status = 'waiting'
"""


@dataclass(frozen=True, slots=True)
class SpendRow:
    """A recorded spend. `answer` is the round-up as JSON, as it was first answered."""

    saver_id: UUID
    id: UUID
    receipt: str
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
    """Return every saver's recorded spends with these receipts."""
    return await tx.fetch_all(SpendRow, FIND_SPENDS_OF_RECEIPTS, list(receipts))


async def sum_used(tx: Tx, *, windows: Sequence[tuple[UUID, datetime, datetime]]) -> list[UsedDay]:
    """Return day by day what round-ups took, for each (saver, since, until)."""
    savers, sinces, untils = ([window[place] for window in windows] for place in range(3))
    return await tx.fetch_all(UsedDay, SUM_USED, savers, sinces, untils)


async def insert_spends(tx: Tx, spends: Sequence[NewSpend], allocations: Sequence[NewAllocation]) -> None:
    """Insert decided spends, the split of their round-ups, and an accrual for each that waits."""
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
    )


async def list_allocations(tx: Tx, *, saver_id: UUID, spend_id: UUID) -> list[AllocationRow]:
    return await tx.fetch_all(AllocationRow, LIST_ALLOCATIONS, saver_id, spend_id)


async def cancel_accrual(tx: Tx, *, saver_id: UUID, spend_id: UUID) -> int | None:
    """Cancel a waiting round-up and return its amount; None when none waits."""
    return await tx.fetch_value(int, CANCEL_ACCRUAL, saver_id, spend_id)


async def mark_undone(tx: Tx, *, saver_id: UUID, spend_id: UUID, cents: int) -> None:
    await tx.execute(MARK_UNDONE, saver_id, spend_id, cents)


async def sum_waiting(tx: Tx, *, saver_id: UUID) -> int:
    return await tx.fetch_value(int, SUM_WAITING, saver_id) or 0
