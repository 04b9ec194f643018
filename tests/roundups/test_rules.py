"""The decision on a spend: the known cases, every reason at its edge, and what holds for any of them."""

import dataclasses
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zanari_api.kit.clock import EAT
from zanari_api.kit.spend_kind import SpendKind
from zanari_api.roundups.rules import (
    COUNTED_KINDS,
    MULTIPLIERS,
    STEPS_CENTS,
    Context,
    Decision,
    Outcome,
    Reason,
    Rule,
    RuleKind,
    SpendFacts,
    WholeAmount,
    decide,
    period_starts,
    round_up_cents,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
AN_HOUR_AGO = NOW - timedelta(hours=1)
SECOND = timedelta(seconds=1)


def spend(amount_cents: int = 14_700, **facts: Any) -> SpendFacts:
    return SpendFacts(
        **{"amount_cents": amount_cents, "kind": SpendKind.TILL, "event_at": AN_HOUR_AGO} | facts
    )


def context(**facts: Any) -> Context:
    return Context(
        **{"now": NOW, "joined_at": NOW - timedelta(days=90), "wallet_cents": 1_000_000_000} | facts
    )


def saves(amount_cents: int, **rule: Any) -> int:
    return decide(spend(amount_cents), Rule(**rule), context()).round_up_cents


@pytest.mark.parametrize(
    ("amount_cents", "step_cents", "saved_cents"),
    [
        (14_700, 1_000, 300),
        (12_300, 1_000, 700),
        (12_300, 5_000, 2_700),
        (12_300, 10_000, 7_700),
        (124_700, 1_000, 300),
        (2_373, 1_000, 627),
        (1_250, 1_000, 750),
        (400, 1_000, 600),
        (3_000, 10_000, 7_000),
        (23_000, 1_000, 0),
        (1, 1_000, 999),
        (999, 1_000, 1),
        (1, 100_000, 99_999),
        (100_000, 100_000, 0),
        (4_100, 2_000, 1_900),
        (4_100, 50_000, 45_900),
    ],
)
def test_nearest_saves_what_is_missing_to_the_next_step(
    amount_cents: int, step_cents: int, saved_cents: int
) -> None:
    assert saves(amount_cents, step_cents=step_cents) == saved_cents


@pytest.mark.parametrize(
    ("amount_cents", "rule", "saved_cents"),
    [
        (23_000, {"whole_amount": WholeAmount.SKIP}, 0),
        (23_000, {"whole_amount": WholeAmount.FULL_STEP}, 1_000),
        (30_000, {"whole_amount": WholeAmount.FULL_STEP, "step_cents": 10_000}, 10_000),
        (23_000, {"whole_amount": WholeAmount.FIXED, "whole_amount_cents": 250}, 250),
        (23_000, {"whole_amount": WholeAmount.FIXED, "whole_amount_cents": 250, "multiplier": 3}, 750),
        (14_700, {"whole_amount": WholeAmount.FULL_STEP}, 300),
        (14_700, {"whole_amount": WholeAmount.FIXED, "whole_amount_cents": 250}, 300),
    ],
)
def test_a_whole_amount_saves_what_the_rule_says_for_it(
    amount_cents: int, rule: dict[str, Any], saved_cents: int
) -> None:
    assert saves(amount_cents, **rule) == saved_cents


@pytest.mark.parametrize(
    ("amount_cents", "percentage_bp", "multiplier", "saved_cents"),
    [
        (10_000, 500, 1, 500),
        (14_700, 250, 1, 368),  # 367.5
        (14_699, 250, 1, 367),  # 367.475
        (1, 5_000, 1, 1),  # 0.5
        (1, 4_999, 1, 0),  # 0.4999
        (33, 500, 3, 5),  # 1.65 times 3 is 4.95: rounded once, after the multiplier
        (12_345, 10_000, 1, 12_345),
        (99_999_999_999, 1, 1, 10_000_000),  # 9999999.9999
    ],
)
def test_a_percentage_is_rounded_once_and_half_up(
    amount_cents: int, percentage_bp: int, multiplier: int, saved_cents: int
) -> None:
    rule = {"kind": RuleKind.PERCENTAGE, "percentage_bp": percentage_bp, "multiplier": multiplier}
    assert saves(amount_cents, **rule) == saved_cents


def test_fixed_saves_the_same_of_every_spend_even_more_than_the_spend() -> None:
    assert saves(100, kind=RuleKind.FIXED, fixed_cents=5_000) == 5_000
    assert saves(23_000, kind=RuleKind.FIXED, fixed_cents=5_000) == 5_000


@pytest.mark.parametrize("multiplier", MULTIPLIERS)
def test_a_multiplier_multiplies_every_kind_of_rule(multiplier: int) -> None:
    assert saves(14_700, multiplier=multiplier) == 300 * multiplier
    assert saves(14_700, kind=RuleKind.FIXED, fixed_cents=70, multiplier=multiplier) == 70 * multiplier
    assert saves(10_000, kind=RuleKind.PERCENTAGE, percentage_bp=5, multiplier=multiplier) == 5 * multiplier


@pytest.mark.parametrize(("wallet_cents", "outcome"), [(300, Outcome.SAVED), (299, Outcome.WAITING)])
def test_the_wallet_covers_a_round_up_whole_or_it_waits_whole(wallet_cents: int, outcome: Outcome) -> None:
    assert decide(spend(), Rule(version=7), context(wallet_cents=wallet_cents)) == Decision(
        300, outcome, None, 7
    )


SKIPS: dict[str, tuple[Reason, dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "withdrawal": (Reason.KIND_NOT_COUNTED, {"kind": SpendKind.WITHDRAW}, {}, {}),
    "fuliza": (Reason.KIND_NOT_COUNTED, {"kind": SpendKind.FULIZA}, {}, {}),
    "deposit": (Reason.KIND_NOT_COUNTED, {"kind": SpendKind.DEPOSIT}, {}, {}),
    "money in": (Reason.KIND_NOT_COUNTED, {"kind": SpendKind.RECEIVE}, {}, {}),
    "unknown kind": (Reason.KIND_NOT_COUNTED, {"kind": SpendKind.OTHER}, {}, {}),
    "own shortcode": (
        Reason.OWN_SHORTCODE,
        {"merchant_shortcode": "600966"},
        {},
        {"own_shortcodes": frozenset({"600966", "600967"})},
    ),
    "booked as deposit": (Reason.OWN_SHORTCODE, {}, {}, {"booked_as_deposit": True}),
    "reversed": (Reason.REVERSED, {"reversed": True}, {}, {}),
    "a second before joining": (Reason.BEFORE_JOINING, {}, {}, {"joined_at": AN_HOUR_AGO + SECOND}),
    "just over 30 days": (Reason.TOO_OLD, {"event_at": NOW - timedelta(days=30) - SECOND}, {}, {}),
    "feature off": (Reason.FEATURE_DISABLED, {}, {}, {"feature_enabled": False}),
    "rule off": (Reason.RULE_DISABLED, {}, {"enabled": False}, {}),
    "a second before the pause ends": (Reason.RULE_PAUSED, {}, {"paused_until": AN_HOUR_AGO + SECOND}, {}),
    "excluded kind": (Reason.EXCLUDED_KIND, {}, {"excluded_kinds": frozenset({SpendKind.TILL})}, {}),
    "excluded name": (
        Reason.EXCLUDED_MERCHANT,
        {"merchant_name": "NAIVAS  Supermarket "},
        {"excluded_merchants": frozenset({"naivas supermarket"})},
        {},
    ),
    "excluded shortcode": (
        Reason.EXCLUDED_MERCHANT,
        {"merchant_shortcode": "123456"},
        {"excluded_merchants": frozenset({"Java House", "123456"})},
        {},
    ),
    "excluded category": (
        Reason.EXCLUDED_CATEGORY,
        {"category": "Rent"},
        {"excluded_categories": frozenset({"rent"})},
        {},
    ),
    "a cent under": (Reason.BELOW_MIN_SPEND, {}, {"min_spend_cents": 14_701}, {}),
    "a cent over": (Reason.ABOVE_MAX_SPEND, {}, {"max_spend_cents": 14_699}, {}),
    "a cent under the floor": (
        Reason.BALANCE_FLOOR,
        {"balance_after_cents": 49_999},
        {"balance_floor_cents": 50_000},
        {},
    ),
    "whole amount": (Reason.WHOLE_AMOUNT, {"amount_cents": 23_000}, {}, {}),
    "a percentage of almost nothing": (
        Reason.ROUNDS_TO_ZERO,
        {"amount_cents": 49},
        {"kind": RuleKind.PERCENTAGE, "percentage_bp": 100},
        {},
    ),
    "a whole amount that saves nothing fixed": (
        Reason.ROUNDS_TO_ZERO,
        {"amount_cents": 23_000},
        {"whole_amount": WholeAmount.FIXED, "whole_amount_cents": 0},
        {},
    ),
    "day used up": (Reason.CAP_REACHED, {}, {"cap_per_day_cents": 500}, {"used_day_cents": 500}),
    "week used up": (Reason.CAP_REACHED, {}, {"cap_per_week_cents": 500}, {"used_week_cents": 500}),
    "month over, after the cap was lowered": (
        Reason.CAP_REACHED,
        {},
        {"cap_per_month_cents": 500},
        {"used_month_cents": 900},
    ),
}


@pytest.mark.parametrize(("reason", "facts", "rule", "around"), SKIPS.values(), ids=SKIPS.keys())
def test_a_spend_is_skipped_with_its_reason(
    reason: Reason, facts: dict[str, Any], rule: dict[str, Any], around: dict[str, Any]
) -> None:
    skipped = decide(spend(**facts), Rule(**rule, version=3), context(**around))
    assert skipped == Decision(0, Outcome.SKIPPED, reason, 3)


COUNTED: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "in the second of joining": ({}, {}, {"joined_at": AN_HOUR_AGO + timedelta(microseconds=999_999)}),
    "exactly 30 days old": ({"event_at": NOW - timedelta(days=30)}, {}, {}),
    "in the second the pause ends": ({}, {"paused_until": AN_HOUR_AGO + timedelta(microseconds=999_999)}, {}),
    "after a pause, though the pause was on when we were told": ({}, {"paused_until": AN_HOUR_AGO}, {}),
    "another shortcode than ours": (
        {"merchant_shortcode": "123456"},
        {},
        {"own_shortcodes": frozenset({"600966"})},
    ),
    "another merchant": ({"merchant_name": "Java"}, {"excluded_merchants": frozenset({"Java House"})}, {}),
    "no merchant told": ({}, {"excluded_merchants": frozenset({"Java House"})}, {}),
    "no category told": ({}, {"excluded_categories": frozenset({"rent"})}, {}),
    "exactly the smallest and the largest": (
        {},
        {"min_spend_cents": 14_700, "max_spend_cents": 14_700},
        {},
    ),
    "exactly the floor": ({"balance_after_cents": 50_000}, {"balance_floor_cents": 50_000}, {}),
    "balance not told": ({}, {"balance_floor_cents": 50_000}, {}),
    "exactly what caps have left": (
        {},
        {
            "cap_per_spend_cents": 300,
            "cap_per_day_cents": 400,
            "cap_per_week_cents": 500,
            "cap_per_month_cents": 600,
        },
        {"used_day_cents": 100, "used_week_cents": 200, "used_month_cents": 300},
    ),
}


@pytest.mark.parametrize(("facts", "rule", "around"), COUNTED.values(), ids=COUNTED.keys())
def test_a_spend_at_the_edge_counts(
    facts: dict[str, Any], rule: dict[str, Any], around: dict[str, Any]
) -> None:
    assert decide(spend(**facts), Rule(**rule), context(**around)) == Decision(300, Outcome.SAVED, None, 1)


@pytest.mark.parametrize("kind", sorted(COUNTED_KINDS))
def test_every_counted_kind_rounds_up(kind: SpendKind) -> None:
    assert decide(spend(kind=kind), Rule(), context()).round_up_cents == 300


def test_counted_kinds_are_payments_and_nothing_else() -> None:
    assert {"till", "paybill", "pochi", "send_money", "airtime"} == COUNTED_KINDS


@pytest.mark.parametrize(
    ("rule", "around"),
    [
        ({"cap_per_spend_cents": 120}, {}),
        ({"cap_per_day_cents": 1_000}, {"used_day_cents": 880}),
        ({"cap_per_week_cents": 1_000}, {"used_week_cents": 880}),
        ({"cap_per_month_cents": 1_000}, {"used_month_cents": 880}),
        ({"cap_per_spend_cents": 200, "cap_per_month_cents": 120, "cap_per_day_cents": 500}, {}),
    ],
)
def test_the_tightest_cap_trims_the_round_up(rule: dict[str, Any], around: dict[str, Any]) -> None:
    trimmed = decide(spend(), Rule(**rule), context(**around))
    assert trimmed == Decision(120, Outcome.SAVED, Reason.CAPPED, 1)


def test_the_wallet_is_asked_for_the_trimmed_round_up() -> None:
    rule = Rule(cap_per_spend_cents=120)
    assert decide(spend(), rule, context(wallet_cents=120)).outcome is Outcome.SAVED
    assert decide(spend(), rule, context(wallet_cents=119)) == Decision(
        120, Outcome.WAITING, Reason.CAPPED, 1
    )


def test_reasons_are_told_in_the_documented_order() -> None:
    """Give a spend every obstacle at once, then clear the one that is told, until none is left."""
    facts: dict[str, Any] = {
        "kind": SpendKind.FULIZA,
        "reversed": True,
        "merchant_name": "Java House",
        "category": "food",
        "event_at": NOW - timedelta(days=31),
        "balance_after_cents": 0,
    }
    rule: dict[str, Any] = {
        "enabled": False,
        "paused_until": NOW,
        "excluded_kinds": COUNTED_KINDS,
        "excluded_merchants": frozenset({"java house"}),
        "excluded_categories": frozenset({"food"}),
        "min_spend_cents": 14_701,
        "max_spend_cents": 14_699,
        "balance_floor_cents": 1,
        "cap_per_day_cents": 100,
    }
    around: dict[str, Any] = {
        "joined_at": NOW,
        "booked_as_deposit": True,
        "feature_enabled": False,
        "used_day_cents": 100,
    }
    clear: dict[Reason, tuple[dict[str, Any], str, Any]] = {
        Reason.KIND_NOT_COUNTED: (facts, "kind", SpendKind.POCHI),
        Reason.OWN_SHORTCODE: (around, "booked_as_deposit", False),
        Reason.REVERSED: (facts, "reversed", False),
        Reason.BEFORE_JOINING: (around, "joined_at", NOW - timedelta(days=60)),
        Reason.TOO_OLD: (facts, "event_at", AN_HOUR_AGO),
        Reason.FEATURE_DISABLED: (around, "feature_enabled", True),
        Reason.RULE_DISABLED: (rule, "enabled", True),
        Reason.RULE_PAUSED: (rule, "paused_until", None),
        Reason.EXCLUDED_KIND: (rule, "excluded_kinds", frozenset[SpendKind]()),
        Reason.EXCLUDED_MERCHANT: (rule, "excluded_merchants", frozenset[str]()),
        Reason.EXCLUDED_CATEGORY: (rule, "excluded_categories", frozenset[str]()),
        Reason.BELOW_MIN_SPEND: (rule, "min_spend_cents", None),
        Reason.ABOVE_MAX_SPEND: (rule, "max_spend_cents", None),
        Reason.BALANCE_FLOOR: (rule, "balance_floor_cents", None),
        Reason.CAP_REACHED: (around, "used_day_cents", 0),
    }
    told: list[Reason] = []
    while (reason := decide(spend(**facts), Rule(**rule), context(**around)).reason) is not Reason.CAPPED:
        assert reason is not None
        told.append(reason)
        holder, name, value = clear[reason]
        holder[name] = value
    assert told == list(clear)
    assert [reason for reason in Reason if reason in clear] == told


def test_every_reason_is_reached_by_a_case_above() -> None:
    reached = {reason for reason, *_ in SKIPS.values()} | {Reason.CAPPED}
    assert reached == set(Reason)


@pytest.mark.parametrize(
    ("event_at", "day", "week", "month"),
    [
        (
            datetime(2026, 11, 23, 20, 59, 59, tzinfo=UTC),
            date(2026, 11, 23),
            date(2026, 11, 23),
            date(2026, 11, 1),
        ),
        (
            datetime(2026, 11, 23, 21, 0, tzinfo=UTC),
            date(2026, 11, 24),
            date(2026, 11, 23),
            date(2026, 11, 1),
        ),
        (
            datetime(2026, 11, 29, 23, 0, tzinfo=EAT),
            date(2026, 11, 29),
            date(2026, 11, 23),
            date(2026, 11, 1),
        ),
        (datetime(2026, 11, 30, 21, 0, tzinfo=UTC), date(2026, 12, 1), date(2026, 11, 30), date(2026, 12, 1)),
        (datetime(2027, 1, 1, 0, 0, tzinfo=EAT), date(2027, 1, 1), date(2026, 12, 28), date(2027, 1, 1)),
    ],
    ids=[
        "a second before midnight",
        "midnight in Nairobi",
        "Sunday",
        "first of a month",
        "week over new year",
    ],
)
def test_caps_count_by_the_day_the_iso_week_and_the_month_of_nairobi(
    event_at: datetime, day: date, week: date, month: date
) -> None:
    assert period_starts(event_at) == (day, week, month)


@pytest.mark.parametrize(
    "fields",
    [
        {"step_cents": 0},
        {"step_cents": 3_000},
        {"multiplier": 0},
        {"multiplier": 11},
        {"percentage_bp": -1},
        {"fixed_cents": -1},
        {"whole_amount_cents": -1},
    ],
)
def test_a_rule_without_meaning_cannot_be_made(fields: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="rule"):
        Rule(**fields)  # type: ignore[arg-type]


amounts = st.integers(1, 100_000_000_000)
caps = st.none() | st.integers(0, 200_000)
rules = st.builds(
    Rule,
    kind=st.sampled_from(RuleKind),
    step_cents=st.sampled_from(STEPS_CENTS),
    percentage_bp=st.integers(0, 10_000),
    fixed_cents=st.integers(0, 100_000),
    multiplier=st.sampled_from(MULTIPLIERS),
    whole_amount=st.sampled_from(WholeAmount),
    whole_amount_cents=st.integers(0, 100_000),
    min_spend_cents=caps,
    max_spend_cents=caps,
    cap_per_spend_cents=caps,
    cap_per_day_cents=caps,
    cap_per_week_cents=caps,
    cap_per_month_cents=caps,
    balance_floor_cents=caps,
    enabled=st.sampled_from([True, True, True, False]),
    version=st.integers(1, 1_000),
)
spends = st.builds(
    SpendFacts,
    amount_cents=amounts,
    kind=st.sampled_from(sorted(COUNTED_KINDS)) | st.sampled_from(SpendKind),
    event_at=st.timedeltas(timedelta(0), timedelta(days=40)).map(lambda age: NOW - age),
    balance_after_cents=st.none() | st.integers(0, 10_000_000),
    reversed=st.sampled_from([False, False, False, True]),
)
contexts = st.builds(
    Context,
    now=st.just(NOW),
    joined_at=st.just(NOW - timedelta(days=35)),
    wallet_cents=st.integers(0, 1_000_000),
    used_day_cents=st.integers(0, 300_000),
    used_week_cents=st.integers(0, 300_000),
    used_month_cents=st.integers(0, 300_000),
)


@given(spends, rules, contexts)
def test_a_decision_is_whole_whatever_the_spend_and_the_rule(
    facts: SpendFacts, rule: Rule, around: Context
) -> None:
    decision = decide(facts, rule, around)

    assert type(decision.round_up_cents) is int
    assert (decision.outcome is Outcome.SKIPPED) == (decision.round_up_cents == 0)
    assert decision.round_up_cents >= 0
    assert decision.rule_version == rule.version
    if decision.outcome is Outcome.SKIPPED:
        assert decision.reason not in {None, Reason.CAPPED}
    else:
        assert decision.reason in {None, Reason.CAPPED}
        assert (decision.outcome is Outcome.SAVED) == (decision.round_up_cents <= around.wallet_cents)
    assert decide(facts, rule, around) == decision


@given(spends, rules, contexts)
def test_no_cap_is_ever_exceeded_and_none_trims_more_than_it_must(
    facts: SpendFacts, rule: Rule, around: Context
) -> None:
    decision = decide(facts, rule, around)
    wanted = round_up_cents(facts.amount_cents, rule)
    room = {
        "cap_per_spend_cents": 0,
        "cap_per_day_cents": around.used_day_cents,
        "cap_per_week_cents": around.used_week_cents,
        "cap_per_month_cents": around.used_month_cents,
    }
    left = [cap - used for name, used in room.items() if (cap := getattr(rule, name)) is not None]

    assert decision.round_up_cents <= wanted
    assert all(decision.round_up_cents <= max(0, room) for room in left)
    if decision.reason is Reason.CAPPED:
        assert decision.round_up_cents == min(left) < wanted


@given(amounts, st.sampled_from(STEPS_CENTS), st.sampled_from(MULTIPLIERS))
def test_nearest_with_skip_saves_less_than_a_step_and_lands_on_one(
    amount_cents: int, step_cents: int, multiplier: int
) -> None:
    saved = round_up_cents(amount_cents, Rule(step_cents=step_cents, multiplier=multiplier))

    assert 0 <= saved < step_cents * multiplier
    base, rest = divmod(saved, multiplier)
    assert rest == 0
    assert (amount_cents + base) % step_cents == 0


@given(amounts, st.integers(0, 10_000), st.sampled_from(MULTIPLIERS))
def test_a_percentage_is_at_most_half_a_cent_away_and_a_half_goes_up(
    amount_cents: int, percentage_bp: int, multiplier: int
) -> None:
    rule = Rule(kind=RuleKind.PERCENTAGE, percentage_bp=percentage_bp, multiplier=multiplier)
    exact_times_10_000 = amount_cents * percentage_bp * multiplier
    over = round_up_cents(amount_cents, rule) * 10_000 - exact_times_10_000

    assert -5_000 < over <= 5_000


@given(spends, rules, contexts)
def test_more_in_the_wallet_never_changes_how_much_is_saved(
    facts: SpendFacts, rule: Rule, around: Context
) -> None:
    richer = dataclasses.replace(around, wallet_cents=around.wallet_cents + 10**13)
    poor, rich = decide(facts, rule, around), decide(facts, rule, richer)

    assert (poor.round_up_cents, poor.reason) == (rich.round_up_cents, rich.reason)
    assert rich.outcome is not Outcome.WAITING
