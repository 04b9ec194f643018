"""Every statement on savings.accruals and where their money went; no decisions, no commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.roundups.collecting_rules import Portion, Waiting
from zanari_api.runtime.db import Tx

# The oldest first; those of one call have one time, and their ids the order they were made in.
LIST_WAITING: Final[LiteralString] = """
    SELECT spend_id, amount_cents - settled_cents AS open_cents
      FROM savings.accruals
     WHERE saver_id = $1 AND status = 'waiting' AND collection_id IS NULL
     ORDER BY created_at, spend_id
"""

SUM_WAITING: Final[LiteralString] = """
    SELECT coalesce(sum(amount_cents - settled_cents), 0)::bigint
      FROM savings.accruals
     WHERE saver_id = $1 AND status = 'waiting'
"""

LIST_ACCRUALS: Final[LiteralString] = """
    SELECT a.spend_id, a.amount_cents, a.settled_cents, a.status, s.reason, s.rule_version
      FROM savings.accruals AS a
      JOIN savings.spends AS s ON s.saver_id = a.saver_id AND s.id = a.spend_id
     WHERE a.saver_id = $1 AND a.spend_id = ANY ($2::uuid[])
"""

LIST_MEANT: Final[LiteralString] = """
    SELECT spend_id, goal_id, amount_cents
      FROM savings.allocations
     WHERE saver_id = $1 AND spend_id = ANY ($2::uuid[])
     ORDER BY spend_id, goal_id
"""

LIST_RECEIVED: Final[LiteralString] = """
    SELECT spend_id, goal_id, sum(amount_cents)::bigint AS amount_cents
      FROM savings.accrual_shares
     WHERE saver_id = $1 AND spend_id = ANY ($2::uuid[])
     GROUP BY spend_id, goal_id
     ORDER BY spend_id, goal_id
"""

BIND_ACCRUALS: Final[LiteralString] = """
    UPDATE savings.accruals SET collection_id = $2, updated_at = clock_timestamp()
     WHERE saver_id = $1 AND spend_id = ANY ($3::uuid[]) AND status = 'waiting' AND collection_id IS NULL
"""

FREE_ACCRUALS: Final[LiteralString] = """
    UPDATE savings.accruals SET collection_id = NULL, updated_at = clock_timestamp()
     WHERE saver_id = $1 AND collection_id = $2 AND status = 'waiting'
"""

# What is settled in part waits on for its rest, with whoever else it is bound to.
SETTLE_ACCRUALS: Final[LiteralString] = """
    UPDATE savings.accruals AS a
       SET settled_cents = a.settled_cents + portion.cents,
           status = CASE WHEN a.settled_cents + portion.cents = a.amount_cents THEN 'settled' ELSE a.status END,
           updated_at = clock_timestamp()
      FROM unnest($2::uuid[], $3::bigint[]) AS portion (spend_id, cents)
     WHERE a.saver_id = $1 AND a.spend_id = portion.spend_id AND a.status = 'waiting'
"""

INSERT_SHARES: Final[LiteralString] = """
    INSERT INTO savings.accrual_shares (saver_id, spend_id, goal_id, source_id, amount_cents)
    SELECT $1, share.spend_id, share.goal_id, $2, share.amount_cents
      FROM unnest($3::uuid[], $4::uuid[], $5::bigint[]) AS share (spend_id, goal_id, amount_cents)
"""

CANCEL_ACCRUAL: Final[LiteralString] = """
    UPDATE savings.accruals
       SET status = 'cancelled', cancelled_at = clock_timestamp(), collection_id = NULL, updated_at = clock_timestamp()
     WHERE saver_id = $1 AND spend_id = $2 AND status = 'waiting'
    RETURNING amount_cents - settled_cents
"""


@dataclass(frozen=True, slots=True)
class AccrualRow:
    """A round-up that had to wait, and what its saver was told of the decision."""

    spend_id: UUID
    amount_cents: int
    settled_cents: int
    status: str
    reason: str | None
    rule_version: int

    @property
    def open_cents(self) -> int:
        """What of it still waits for money."""
        return self.amount_cents - self.settled_cents if self.status == "waiting" else 0


@dataclass(frozen=True, slots=True)
class GoalCents:
    """The part of one spend's round-up that is meant for a goal, or that the goal got."""

    spend_id: UUID
    goal_id: UUID
    amount_cents: int


async def list_waiting(tx: Tx, *, saver_id: UUID) -> list[Waiting]:
    """Return what waits and is bound to no collection, the oldest first."""
    return await tx.fetch_all(Waiting, LIST_WAITING, saver_id)


async def sum_waiting(tx: Tx, *, saver_id: UUID) -> int:
    """Return what waits in all, bound or not."""
    return await tx.fetch_value(int, SUM_WAITING, saver_id) or 0


async def list_accruals(tx: Tx, *, saver_id: UUID, spend_ids: Sequence[UUID]) -> list[AccrualRow]:
    return await tx.fetch_all(AccrualRow, LIST_ACCRUALS, saver_id, list(spend_ids))


async def list_meant(tx: Tx, *, saver_id: UUID, spend_ids: Sequence[UUID]) -> list[GoalCents]:
    """Return how these spends' round-ups are to be split over goals."""
    return await tx.fetch_all(GoalCents, LIST_MEANT, saver_id, list(spend_ids))


async def list_received(tx: Tx, *, saver_id: UUID, spend_ids: Sequence[UUID]) -> list[GoalCents]:
    """Return what goals have really got of round-ups that had to wait."""
    return await tx.fetch_all(GoalCents, LIST_RECEIVED, saver_id, list(spend_ids))


async def bind(tx: Tx, *, saver_id: UUID, collection_id: UUID, spend_ids: Sequence[UUID]) -> None:
    await tx.execute(BIND_ACCRUALS, saver_id, collection_id, list(spend_ids))


async def free(tx: Tx, *, saver_id: UUID, collection_id: UUID) -> None:
    """Let what is bound to a collection wait again."""
    await tx.execute(FREE_ACCRUALS, saver_id, collection_id)


async def settle(
    tx: Tx, *, saver_id: UUID, source_id: UUID, portions: Sequence[Portion], shares: Sequence[GoalCents]
) -> None:
    """Note what of these accruals has become money, and in which goals it is."""
    await tx.execute(
        SETTLE_ACCRUALS,
        saver_id,
        [portion.spend_id for portion in portions],
        [portion.cents for portion in portions],
    )
    await tx.execute(
        INSERT_SHARES,
        saver_id,
        source_id,
        [share.spend_id for share in shares],
        [share.goal_id for share in shares],
        [share.amount_cents for share in shares],
    )


async def cancel(tx: Tx, *, saver_id: UUID, spend_id: UUID) -> int | None:
    """Cancel what of a round-up still waits and return its cents; None when nothing waits."""
    return await tx.fetch_value(int, CANCEL_ACCRUAL, saver_id, spend_id)
