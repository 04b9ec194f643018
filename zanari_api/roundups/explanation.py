"""Says in one plain sentence why a spend saved what it saved. Decides nothing and never names who was paid.

The sentence is stored in clear, where a private person's name must not be.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from zanari_api.kit.money import format_kes
from zanari_api.roundups.rules import Decision, Outcome, Reason, Rule, RuleKind, SpendFacts

_WHY_SKIPPED: Final[dict[Reason, str]] = {
    Reason.KIND_NOT_COUNTED: "this kind of M-PESA transaction does not round up",
    Reason.OWN_SHORTCODE: "it was money you paid in to Zanari, which is saved already",
    Reason.REVERSED: "M-PESA reversed the payment",
    Reason.BEFORE_JOINING: "you made it before you joined",
    Reason.TOO_OLD: "it was more than 30 days old when we heard of it",
    Reason.FEATURE_DISABLED: "round-ups are switched off for everybody at the moment",
    Reason.RULE_DISABLED: "you had switched round-ups off",
    Reason.RULE_PAUSED: "you had paused round-ups",
    Reason.EXCLUDED_KIND: "you leave out this kind of payment",
    Reason.EXCLUDED_MERCHANT: "you leave out this merchant",
    Reason.EXCLUDED_CATEGORY: "you leave out this category",
    Reason.BELOW_MIN_SPEND: "it is under the smallest payment you round up, {min_spend}",
    Reason.ABOVE_MAX_SPEND: "it is over the largest payment you round up, {max_spend}",
    Reason.BALANCE_FLOOR: "it left less than {balance_floor} on your M-PESA, which you asked us to respect",
    Reason.WHOLE_AMOUNT: "it already is a multiple of {step}, so there was nothing to round up",
    Reason.ROUNDS_TO_ZERO: "your rule comes to less than one cent for it",
    Reason.CAP_REACHED: "you had reached a limit that you set for round-ups",
}


@dataclass(frozen=True, slots=True)
class NamedShare:
    """The part of a round-up that is meant for one goal, by the name its saver gave it."""

    goal_name: str
    cents: int


def explain(decision: Decision, spend: SpendFacts, rule: Rule, allocations: Sequence[NamedShare]) -> str:
    """Return the sentence a saver reads. `rule` is the version the decision was taken under."""
    spent = format_kes(spend.amount_cents)
    if decision.reason is not None and decision.outcome is Outcome.SKIPPED:
        return f"Nothing was saved from your {spent} spend because {_why_skipped(decision.reason, rule)}."
    saved = format_kes(decision.round_up_cents)
    trimmed = ", trimmed to the limit you set," if decision.reason is Reason.CAPPED else ""
    goals = list_goals(allocations)
    if decision.outcome is Outcome.WAITING:
        return (
            f"{_describe(rule, spend)}: {saved}{trimmed} is waiting for money to come into your wallet,"
            f" and then goes to {goals}."
        )
    return f"{_describe(rule, spend)}: {saved}{trimmed} went from your wallet to {goals}."


def _why_skipped(reason: Reason, rule: Rule) -> str:
    return _WHY_SKIPPED[reason].format(
        min_spend=format_kes(rule.min_spend_cents or 0),
        max_spend=format_kes(rule.max_spend_cents or 0),
        balance_floor=format_kes(rule.balance_floor_cents or 0),
        step=format_kes(rule.step_cents),
    )


def _describe(rule: Rule, spend: SpendFacts) -> str:
    """Say what the rule did with the spend, up to the colon before the amount."""
    spent = format_kes(spend.amount_cents)
    times = f", times {rule.multiplier}" if rule.multiplier > 1 else ""
    match rule.kind:
        case RuleKind.NEAREST if spend.amount_cents % rule.step_cents:
            return f"Your {spent} spend was rounded up to the next {format_kes(rule.step_cents)}{times}"
        case RuleKind.NEAREST:
            return f"Your {spent} spend needed no rounding, for which you save an extra amount{times}"
        case RuleKind.PERCENTAGE:
            return f"You save {_percent(rule.percentage_bp)} of each spend{times}, here of {spent}"
        case RuleKind.FIXED:
            return f"You save {format_kes(rule.fixed_cents)} with each spend{times}, here one of {spent}"


def _percent(basis_points: int) -> str:
    whole, rest = divmod(basis_points, 100)
    return f"{whole}.{rest:02d}".rstrip("0").rstrip(".") + "%"


def list_goals(allocations: Sequence[NamedShare]) -> str:
    """Name the goals: one alone by its name, several with what each gets."""
    if len(allocations) == 1:
        return allocations[0].goal_name
    parts = [f"{share.goal_name} ({format_kes(share.cents)})" for share in allocations]
    return ", ".join(parts[:-1]) + " and " + parts[-1] if parts else "your goals"
