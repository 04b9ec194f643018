"""Settles round-ups that waited: splits what came in for them over their goals, and says so. Moves no money itself.

Every cent that came is accounted for: it goes to a goal, or, where its round-up waits no more, to the wallet.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from zanari_api.goals import service as goals_service
from zanari_api.goals.rows import GoalRow
from zanari_api.roundups import accrual_queries, collecting_texts
from zanari_api.roundups.accrual_queries import AccrualRow, GoalCents
from zanari_api.roundups.allocation import Share
from zanari_api.roundups.collecting_rules import Portion, part_of
from zanari_api.roundups.explanation import NamedShare
from zanari_api.runtime.db import Tx
from zanari_api.transactions import service as feed
from zanari_api.transactions.rows import SpendChange


class ItemOutcome(StrEnum):
    """What became of a portion of the money that came."""

    SETTLED = "settled"
    "all of it went to the goals"

    SETTLED_BEFORE = "settled_before"
    "its round-up had been saved meanwhile, wholly or in part: the rest went to the wallet"

    CANCELLED = "cancelled"
    "its spend was reversed meanwhile: it went to the wallet"


@dataclass(frozen=True, slots=True)
class Part:
    """One portion settled: what of it goes to which goals."""

    accrual: AccrualRow
    offered_cents: int
    shares: tuple[Share, ...]
    moved: bool
    """Whether a goal it was meant for is closed, so that the default goal gets it."""

    @property
    def settled_cents(self) -> int:
        return sum(share.cents for share in self.shares)

    @property
    def outcome(self) -> ItemOutcome:
        if self.settled_cents == self.offered_cents:
            return ItemOutcome.SETTLED
        if self.accrual.status == "cancelled":
            return ItemOutcome.CANCELLED
        return ItemOutcome.SETTLED_BEFORE


@dataclass(frozen=True, slots=True)
class Settlement:
    """An amount split over round-ups that wait, and so over goals; what is left of it is the wallet's."""

    parts: tuple[Part, ...]
    goals: Mapping[UUID, GoalRow]

    @property
    def cents_by_goal(self) -> dict[UUID, int]:
        """What each goal gets, by goal, never zero."""
        return _sum_by_goal(share for part in self.parts for share in part.shares)

    @property
    def settled_cents(self) -> int:
        return sum(part.settled_cents for part in self.parts)

    @property
    def moved(self) -> bool:
        return any(part.moved for part in self.parts)

    @property
    def entries(self) -> list[tuple[UUID, int]]:
        """The credits of the goals' ledger accounts."""
        return [(self.goals[goal_id].account_id, cents) for goal_id, cents in self.cents_by_goal.items()]

    @property
    def named(self) -> list[NamedShare]:
        return name(self.cents_by_goal, self.goals)


async def settle(tx: Tx, *, saver_id: UUID, portions: Sequence[Portion]) -> Settlement:
    """Split portions over the goals they are meant for, as the accruals and goals stand now. The saver is locked."""
    spend_ids = [portion.spend_id for portion in portions]
    accruals = await accrual_queries.list_accruals(tx, saver_id=saver_id, spend_ids=spend_ids)
    meant = await accrual_queries.list_meant(tx, saver_id=saver_id, spend_ids=spend_ids)
    goals = (await goals_service.list_by_saver(tx, saver_ids=[saver_id]))[saver_id]
    return split(portions, accruals, meant, goals)


def split(
    portions: Sequence[Portion],
    accruals: Sequence[AccrualRow],
    meant: Sequence[GoalCents],
    goals: Sequence[GoalRow],
) -> Settlement:
    """Return what each portion settles: never more than still waits of its accrual, and to open goals only."""
    by_spend = {accrual.spend_id: accrual for accrual in accruals}
    allocations: dict[UUID, list[Share]] = {}
    for each in meant:
        allocations.setdefault(each.spend_id, []).append(Share(each.goal_id, each.amount_cents))
    open_goals = {goal.id: goal for goal in goals if goal.is_open}
    default = next(goal.id for goal in goals if goal.is_default)
    parts: list[Part] = []
    for portion in portions:
        accrual = by_spend[portion.spend_id]
        shares = part_of(
            allocations[portion.spend_id],
            settled_cents=accrual.settled_cents,
            cents=min(portion.cents, accrual.open_cents),
        )
        reached = _sum_by_goal(
            Share(share.goal_id if share.goal_id in open_goals else default, share.cents) for share in shares
        )
        moved = any(share.goal_id not in open_goals for share in shares)
        parts.append(
            Part(accrual, portion.cents, tuple(Share(goal, cents) for goal, cents in reached.items()), moved)
        )
    return Settlement(tuple(parts), open_goals)


async def record(
    tx: Tx, settlement: Settlement, *, saver_id: UUID, source_id: UUID, how: str, at: datetime
) -> None:
    """Record what was settled, after its transfer: accruals, shares, milestones, and the rows of the feed.

    `source_id` is the collection, or the payment from the wallet; `how` and `at` tell the saver how and when.
    """
    parts = [part for part in settlement.parts if part.shares]
    if not parts:
        return
    await accrual_queries.settle(
        tx,
        saver_id=saver_id,
        source_id=source_id,
        portions=[Portion(part.accrual.spend_id, part.settled_cents) for part in parts],
        shares=[
            GoalCents(part.accrual.spend_id, share.goal_id, share.cents)
            for part in parts
            for share in part.shares
        ],
    )
    await goals_service.note_milestones(
        tx, reached=[(saver_id, goal_id) for goal_id in settlement.cents_by_goal]
    )
    await _tell(tx, parts, saver_id=saver_id, how=how, at=at)


async def _tell(tx: Tx, parts: Sequence[Part], *, saver_id: UUID, how: str, at: datetime) -> None:
    """Show in each spend's row what of its round-up is saved by now."""
    spend_ids = [part.accrual.spend_id for part in parts]
    received = _by_spend(await accrual_queries.list_received(tx, saver_id=saver_id, spend_ids=spend_ids))
    meant = _by_spend(await accrual_queries.list_meant(tx, saver_id=saver_id, spend_ids=spend_ids))
    goals = await goals_service.find_many(
        tx, wanted=[(saver_id, goal_id) for shares in received.values() for goal_id in shares]
    )
    changes: list[SpendChange] = []
    for part in parts:
        accrual, got = part.accrual, received[part.accrual.spend_id]
        settled_cents = accrual.settled_cents + part.settled_cents
        whole = settled_cents == accrual.amount_cents
        outcome = "saved" if whole else "waiting"
        text = collecting_texts.settled_spend(
            amount_cents=accrual.amount_cents,
            settled_cents=settled_cents,
            how=how,
            at=at,
            goals=name(got, goals),
            moved=part.moved,
        )
        shares = got if whole else meant[accrual.spend_id]
        changes.append(
            SpendChange(
                id=accrual.spend_id,
                status="completed",
                round_up={
                    "amount_cents": accrual.amount_cents,
                    "outcome": outcome,
                    "reason": accrual.reason,
                    "allocations": [
                        {"goal_id": str(goal_id), "amount_cents": cents} for goal_id, cents in shares.items()
                    ],
                },
                explanation={
                    "text": text,
                    "outcome": outcome,
                    "reason": accrual.reason,
                    "rule_version": accrual.rule_version,
                    "round_up_cents": accrual.amount_cents,
                    "settled_cents": settled_cents,
                },
            )
        )
    await feed.update_spends(tx, saver_id=saver_id, changes=changes)


def name(cents_by_goal: Mapping[UUID, int], goals: Mapping[UUID, GoalRow]) -> list[NamedShare]:
    """Return what goals got, by the names their saver gave them."""
    return [NamedShare(goals[goal_id].name, cents) for goal_id, cents in cents_by_goal.items()]


def _sum_by_goal(shares: Iterable[Share]) -> dict[UUID, int]:
    sums: dict[UUID, int] = {}
    for share in shares:
        sums[share.goal_id] = sums.get(share.goal_id, 0) + share.cents
    return sums


def _by_spend(rows: Sequence[GoalCents]) -> dict[UUID, dict[UUID, int]]:
    by_spend: dict[UUID, dict[UUID, int]] = {}
    for row in rows:
        by_spend.setdefault(row.spend_id, {})[row.goal_id] = row.amount_cents
    return by_spend
