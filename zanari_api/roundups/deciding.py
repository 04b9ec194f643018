"""Folds a list of new spends, in the order they happened, into decisions and their allocations. Writes nothing.

Each decision sees what the ones before it left: the wallet, the goals' room, what the caps have used up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from zanari_api.goals.rows import GoalRow
from zanari_api.goals.rules import milestones_reached
from zanari_api.kit.clock import eat_date, eat_day_start
from zanari_api.roundups.allocation import GoalShare, Share, allocate
from zanari_api.roundups.explanation import NamedShare, explain
from zanari_api.roundups.queries import UsedDay
from zanari_api.roundups.rules import Context, Decision, Outcome, Rule, SpendFacts, decide, period_starts
from zanari_api.roundups.spends import Policy, Spend
from zanari_api.transactions.categories import category_of
from zanari_api.transactions.schemas import AllocationShare, RoundUp
from zanari_api.users.rows import SaverRow


@dataclass(frozen=True, slots=True)
class Question:
    """One new spend of a known saver, and what the registers say of its receipt."""

    id: UUID
    spend: Spend
    saver: SaverRow
    rule: Rule
    was_reversed: bool
    booked_as_deposit: bool


@dataclass(frozen=True, slots=True)
class GoalPart:
    """The part of a round-up that is meant for one goal, and the account it goes to."""

    goal_id: UUID
    account_id: UUID
    cents: int
    reaches_milestone: bool
    """Whether the goal's money passes one of its milestones with this part; most parts do not."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A question answered: the decision, its split over goals, and the sentence for the saver."""

    question: Question
    decision: Decision
    parts: Sequence[GoalPart]
    text: str
    answer: RoundUp
    """The decision as it is answered now and to every later delivery."""

    @property
    def moves_money(self) -> bool:
        return self.decision.outcome is Outcome.SAVED


def window(rule: Rule, event_at: datetime) -> tuple[datetime, datetime] | None:
    """Return the time whose round-ups the caps of this rule look at, for a spend at `event_at`; None without caps."""
    caps = (rule.cap_per_day_cents, rule.cap_per_week_cents, rule.cap_per_month_cents)
    if all(cap is None for cap in caps):
        return None
    periods = period_starts(event_at)
    next_month = (periods.month + timedelta(days=32)).replace(day=1)
    last = max(periods.week + timedelta(days=7), next_month)
    return eat_day_start(min(periods.week, periods.month)), eat_day_start(last)


class Fold:
    """The running state of one call: wallets, goals and caps of every saver in it."""

    def __init__(
        self,
        *,
        policy: Policy,
        wallets: Mapping[UUID, int],
        goals: Mapping[UUID, Sequence[GoalRow]],
        used: Sequence[UsedDay],
    ) -> None:
        """`wallets` and `goals` are by saver; all read under the savers' locks."""
        self._policy = policy
        self._wallets = dict(wallets)
        self._goals = goals
        self._saved = {goal.id: goal.saved_cents for rows in goals.values() for goal in rows}
        self._used: dict[UUID, dict[date, int]] = {saver_id: {} for saver_id in self._wallets}
        for row in used:
            self._used[row.saver_id][row.day] = row.cents

    def answer(self, question: Question) -> Decided:
        """Decide one spend and take what it saves from the running state."""
        spend, saver_id = question.spend, question.saver.saver_id
        facts = SpendFacts(
            amount_cents=spend.amount_cents,
            kind=spend.kind,
            event_at=spend.event_at,
            category=category_of(spend.kind),
            merchant_name=spend.merchant_name,
            merchant_shortcode=spend.merchant_shortcode,
            balance_after_cents=spend.balance_after_cents,
            reversed=question.was_reversed,
        )
        decision = decide(facts, question.rule, self._context(question))
        shares = allocate(decision.round_up_cents, self._goal_shares(saver_id))
        goals = {goal.id: goal for goal in self._goals[saver_id]}
        named = [NamedShare(goals[share.goal_id].name, share.cents) for share in shares]
        parts = [self._part(goals[share.goal_id], share.cents) for share in shares]
        self._take(saver_id, spend.event_at, decision, shares)
        text = explain(decision, facts, question.rule, named)
        return Decided(question, decision, parts, text, _answer(decision, parts))

    def _part(self, goal: GoalRow, cents: int) -> GoalPart:
        before = self._saved[goal.id]
        reached = milestones_reached(before + cents, goal.target_cents)
        return GoalPart(
            goal_id=goal.id,
            account_id=goal.account_id,
            cents=cents,
            reaches_milestone=reached != milestones_reached(before, goal.target_cents),
        )

    def _context(self, question: Question) -> Context:
        saver_id = question.saver.saver_id
        day, week, month = period_starts(question.spend.event_at)
        next_month = (month + timedelta(days=32)).replace(day=1)
        return Context(
            now=self._policy.now,
            joined_at=question.saver.created_at,
            wallet_cents=self._wallets[saver_id],
            feature_enabled=self._policy.feature_enabled,
            own_shortcodes=self._policy.own_shortcodes,
            booked_as_deposit=question.booked_as_deposit,
            used_day_cents=self._used_between(saver_id, day, day + timedelta(days=1)),
            used_week_cents=self._used_between(saver_id, week, week + timedelta(days=7)),
            used_month_cents=self._used_between(saver_id, month, next_month),
        )

    def _used_between(self, saver_id: UUID, first: date, end: date) -> int:
        return sum(cents for day, cents in self._used[saver_id].items() if first <= day < end)

    def _goal_shares(self, saver_id: UUID) -> list[GoalShare]:
        return [
            GoalShare(
                goal_id=goal.id,
                priority=goal.priority,
                percent=goal.allocation_percent,
                room_cents=None if goal.target_cents is None else goal.target_cents - self._saved[goal.id],
                is_default=goal.is_default,
                receives=goal.status == "active",
            )
            for goal in self._goals[saver_id]
        ]

    def _take(self, saver_id: UUID, event_at: datetime, decision: Decision, shares: Sequence[Share]) -> None:
        day, used = eat_date(event_at), self._used[saver_id]
        used[day] = used.get(day, 0) + decision.round_up_cents
        # What waits is not money yet: it fills no goal and empties no wallet.
        if decision.outcome is Outcome.SAVED:
            self._wallets[saver_id] -= decision.round_up_cents
            for share in shares:
                self._saved[share.goal_id] += share.cents


def _answer(decision: Decision, parts: Sequence[GoalPart]) -> RoundUp:
    return RoundUp(
        amount_cents=decision.round_up_cents,
        outcome=decision.outcome.value,
        reason=decision.reason,
        allocations=tuple(AllocationShare(goal_id=part.goal_id, amount_cents=part.cents) for part in parts),
    )
