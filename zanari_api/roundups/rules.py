"""Decides what one spend saves. Pure: reads no clock, no setting and no database, and moves no money."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from zanari_api.kit.clock import cut_to_second, eat_date
from zanari_api.kit.spend_kind import SpendKind

STEPS_CENTS: Final = (1_000, 2_000, 5_000, 10_000, 50_000, 100_000)
MULTIPLIERS: Final = range(1, 11)
BASIS_POINTS: Final = 10_000
OLDEST_SPEND: Final = timedelta(days=30)
FURTHEST_FUTURE: Final = timedelta(minutes=5)
COUNTED_KINDS: Final = frozenset(
    {SpendKind.TILL, SpendKind.PAYBILL, SpendKind.POCHI, SpendKind.SEND_MONEY, SpendKind.AIRTIME}
)


class RuleKind(StrEnum):
    """How the round-up of a spend is found."""

    NEAREST = "nearest"
    "what is missing to the next multiple of a step"

    PERCENTAGE = "percentage"
    "a part of the spend, in basis points"

    FIXED = "fixed"
    "the same amount for each spend"


class WholeAmount(StrEnum):
    """What `nearest` saves of a spend that already is a multiple of the step."""

    SKIP = "skip"
    "nothing"

    FULL_STEP = "full_step"
    "one whole step"

    FIXED = "fixed"
    "an amount the saver chose"


class Outcome(StrEnum):
    """What became of a spend."""

    SAVED = "saved"
    "the wallet covers the round-up: it moves to the goals with the decision"

    WAITING = "waiting"
    "the wallet does not cover it whole: it is recorded and waits for money"

    SKIPPED = "skipped"
    "nothing is saved; the reason says why"


class Reason(StrEnum):
    """Why a spend was skipped or its round-up trimmed. Looked at in this order; the first to hold is told."""

    KIND_NOT_COUNTED = "kind_not_counted"
    "not a kind of payment that rounds up: cash, overdraft, money coming in, or a kind we do not know"

    OWN_SHORTCODE = "own_shortcode"
    "the money went to us, or we booked this receipt as a deposit: rounding it up would save a saving"

    REVERSED = "reversed"
    "M-PESA took the payment back"

    BEFORE_JOINING = "before_joining"
    "the payment was made before the saver joined"

    TOO_OLD = "too_old"
    "the payment was made more than 30 days before we were told"

    FEATURE_DISABLED = "feature_disabled"
    "round-ups are switched off for everybody at the moment"

    RULE_DISABLED = "rule_disabled"
    "the saver had round-ups switched off when the payment was made"

    RULE_PAUSED = "rule_paused"
    "the saver had paused round-ups to a date after the payment"

    EXCLUDED_KIND = "excluded_kind"
    "the saver leaves out this kind of payment"

    EXCLUDED_MERCHANT = "excluded_merchant"
    "the saver leaves out this merchant, by name or by shortcode"

    EXCLUDED_CATEGORY = "excluded_category"
    "the saver leaves out this category"

    BELOW_MIN_SPEND = "below_min_spend"
    "the payment is smaller than the smallest the saver counts"

    ABOVE_MAX_SPEND = "above_max_spend"
    "the payment is larger than the largest the saver counts"

    BALANCE_FLOOR = "balance_floor"
    "the payment left less on M-PESA than the saver wants to keep there"

    WHOLE_AMOUNT = "whole_amount"
    "the payment already is a multiple of the step: there is nothing to round"

    ROUNDS_TO_ZERO = "rounds_to_zero"
    "the rule gives less than half a cent for so small a payment"

    CAP_REACHED = "cap_reached"
    "a cap of the saver's has nothing left"

    CAPPED = "capped"
    "not a skip: the round-up was trimmed to what a cap had left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One version of a saver's rule. The defaults are a new saver's; bounds are inclusive, None is none."""

    kind: RuleKind = RuleKind.NEAREST
    step_cents: int = 1_000
    percentage_bp: int = 500
    fixed_cents: int = 1_000
    multiplier: int = 1
    whole_amount: WholeAmount = WholeAmount.SKIP
    whole_amount_cents: int = 1_000
    min_spend_cents: int | None = None
    max_spend_cents: int | None = None
    cap_per_spend_cents: int | None = None
    cap_per_day_cents: int | None = None
    cap_per_week_cents: int | None = None
    cap_per_month_cents: int | None = None
    balance_floor_cents: int | None = None
    paused_until: datetime | None = None
    enabled: bool = True
    excluded_kinds: frozenset[SpendKind] = frozenset()
    excluded_merchants: frozenset[str] = frozenset()
    excluded_categories: frozenset[str] = frozenset()
    collection_threshold_cents: int = 10_000
    version: int = 1

    def __post_init__(self) -> None:
        """Raise ValueError where the arithmetic has no meaning; what a saver may choose is narrower."""
        if self.step_cents not in STEPS_CENTS or self.multiplier not in MULTIPLIERS:
            raise ValueError("a step or multiplier that no rule has")
        if min(self.percentage_bp, self.fixed_cents, self.whole_amount_cents) < 0:
            raise ValueError("a rule cannot save less than nothing")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendFacts:
    """What the decision needs to know of a spend. The amount is the principal, without M-PESA's fee."""

    amount_cents: int
    kind: SpendKind
    event_at: datetime
    category: str | None = None
    merchant_name: str | None = None
    merchant_shortcode: str | None = None
    balance_after_cents: int | None = None
    reversed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What else the decision depends on. `used_*` is what round-ups took in the periods of `event_at`."""

    now: datetime
    joined_at: datetime
    wallet_cents: int
    feature_enabled: bool = True
    own_shortcodes: frozenset[str] = frozenset()
    booked_as_deposit: bool = False
    used_day_cents: int = 0
    used_week_cents: int = 0
    used_month_cents: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What a spend saves. `round_up_cents` is 0 exactly when it is skipped; a skip always has its reason."""

    round_up_cents: int
    outcome: Outcome
    reason: Reason | None
    rule_version: int


class Periods(NamedTuple):
    """The Nairobi day, the Monday of its ISO week and the first of its month: what caps count by."""

    day: date
    week: date
    month: date


def decide(spend: SpendFacts, rule: Rule, context: Context) -> Decision:
    """Return what the spend saves under the rule version that was in force at its `event_at`."""
    obstacle = _find_obstacle(spend, rule, context)
    if obstacle is not None:
        return _skip(obstacle, rule)
    wanted = round_up_cents(spend.amount_cents, rule)
    if wanted == 0:
        return _skip(Reason.WHOLE_AMOUNT if _skips_whole_amounts(rule) else Reason.ROUNDS_TO_ZERO, rule)
    granted = min([wanted, *_left_under_caps(rule, context)])
    if granted <= 0:
        return _skip(Reason.CAP_REACHED, rule)
    return Decision(
        round_up_cents=granted,
        outcome=Outcome.SAVED if granted <= context.wallet_cents else Outcome.WAITING,
        reason=Reason.CAPPED if granted < wanted else None,
        rule_version=rule.version,
    )


def round_up_cents(amount_cents: int, rule: Rule) -> int:
    """Return base times multiplier, before caps: rounded once, half up, to the cent."""
    match rule.kind:
        case RuleKind.NEAREST:
            return (-amount_cents % rule.step_cents or _whole_amount_base(rule)) * rule.multiplier
        case RuleKind.PERCENTAGE:
            return (amount_cents * rule.percentage_bp * rule.multiplier + BASIS_POINTS // 2) // BASIS_POINTS
        case RuleKind.FIXED:
            return rule.fixed_cents * rule.multiplier


def period_starts(event_at: datetime) -> Periods:
    """Return the starts of the day, week and month that the caps of a spend at this instant count by."""
    day = eat_date(event_at)
    return Periods(day=day, week=day - timedelta(days=day.weekday()), month=day.replace(day=1))


def _find_obstacle(spend: SpendFacts, rule: Rule, context: Context) -> Reason | None:
    """Return the first reason not to round this spend up at all.

    The order is part of the meaning: facts of the payment, then the service's switch, then the saver's
    wishes, so that a saver is told what they cannot change before what they can.
    """
    shortcode, amount, balance = spend.merchant_shortcode, spend.amount_cents, spend.balance_after_cents
    obstacles = (
        (Reason.KIND_NOT_COUNTED, spend.kind not in COUNTED_KINDS),
        (Reason.OWN_SHORTCODE, context.booked_as_deposit or shortcode in context.own_shortcodes),
        (Reason.REVERSED, spend.reversed),
        (Reason.BEFORE_JOINING, cut_to_second(spend.event_at) < cut_to_second(context.joined_at)),
        (Reason.TOO_OLD, spend.event_at < context.now - OLDEST_SPEND),
        (Reason.FEATURE_DISABLED, not context.feature_enabled),
        (Reason.RULE_DISABLED, not rule.enabled),
        (Reason.RULE_PAUSED, _is_paused(spend, rule)),
        (Reason.EXCLUDED_KIND, spend.kind in rule.excluded_kinds),
        (Reason.EXCLUDED_MERCHANT, _excludes_merchant(spend, rule)),
        (Reason.EXCLUDED_CATEGORY, _excludes_category(spend, rule)),
        (Reason.BELOW_MIN_SPEND, _is_under(amount, rule.min_spend_cents)),
        (Reason.ABOVE_MAX_SPEND, rule.max_spend_cents is not None and amount > rule.max_spend_cents),
        (Reason.BALANCE_FLOOR, balance is not None and _is_under(balance, rule.balance_floor_cents)),
    )
    return next((reason for reason, holds in obstacles if holds), None)


def _is_under(cents: int, bound_cents: int | None) -> bool:
    return bound_cents is not None and cents < bound_cents


def _skip(reason: Reason, rule: Rule) -> Decision:
    return Decision(0, Outcome.SKIPPED, reason, rule.version)


def _whole_amount_base(rule: Rule) -> int:
    match rule.whole_amount:
        case WholeAmount.SKIP:
            return 0
        case WholeAmount.FULL_STEP:
            return rule.step_cents
        case WholeAmount.FIXED:
            return rule.whole_amount_cents


def _skips_whole_amounts(rule: Rule) -> bool:
    return rule.kind is RuleKind.NEAREST and rule.whole_amount is WholeAmount.SKIP


def _left_under_caps(rule: Rule, context: Context) -> list[int]:
    caps = (
        (rule.cap_per_spend_cents, 0),
        (rule.cap_per_day_cents, context.used_day_cents),
        (rule.cap_per_week_cents, context.used_week_cents),
        (rule.cap_per_month_cents, context.used_month_cents),
    )
    return [cap - used for cap, used in caps if cap is not None]


def _is_paused(spend: SpendFacts, rule: Rule) -> bool:
    """Tell whether the spend was made during the pause: its own time decides, as it picks the rule's version.

    A delivery that is late must not count a spend of the pause, nor lose one made after it.
    """
    paused_until = rule.paused_until
    return paused_until is not None and cut_to_second(spend.event_at) < cut_to_second(paused_until)


def _excludes_merchant(spend: SpendFacts, rule: Rule) -> bool:
    told = {_comparable(text) for text in (spend.merchant_name, spend.merchant_shortcode) if text}
    return any(_comparable(merchant) in told for merchant in rule.excluded_merchants)


def _excludes_category(spend: SpendFacts, rule: Rule) -> bool:
    category = spend.category
    return category is not None and any(
        _comparable(excluded) == _comparable(category) for excluded in rule.excluded_categories
    )


def _comparable(text: str) -> str:
    """Fold case and runs of spaces: M-PESA writes one merchant's name in several ways."""
    return " ".join(text.split()).casefold()
