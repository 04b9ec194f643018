"""The sentence a saver reads about a spend."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from zanari_api.kit.spend_kind import SpendKind
from zanari_api.roundups.explanation import NamedShare, explain
from zanari_api.roundups.rules import (
    Context,
    Decision,
    Outcome,
    Reason,
    Rule,
    RuleKind,
    SpendFacts,
    WholeAmount,
    decide,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SCHOOL = "School fees"


def told(*shares: NamedShare, amount_cents: int = 14_700, wallet_cents: int = 1_000_000, **rule: Any) -> str:
    spend = SpendFacts(
        amount_cents=amount_cents,
        kind=SpendKind.SEND_MONEY,
        event_at=NOW,
        merchant_name="WANJIKU KAMAU",
        merchant_shortcode="254712345678",
    )
    around = Context(now=NOW, joined_at=NOW - timedelta(days=9), wallet_cents=wallet_cents)
    chosen = Rule(**rule)
    return explain(decide(spend, chosen, around), spend, chosen, shares)


def test_a_saved_round_up_tells_the_spend_the_rule_and_the_goal() -> None:
    assert told(NamedShare(SCHOOL, 300)) == (
        "Your KES 147 spend was rounded up to the next KES 10: KES 3 went from your wallet to School fees."
    )


def test_several_goals_are_told_with_what_each_gets() -> None:
    shares = (NamedShare(SCHOOL, 150), NamedShare("Fridge", 100), NamedShare("Spare change", 50))
    assert told(*shares).endswith(
        "KES 3 went from your wallet to School fees (KES 1.50), Fridge (KES 1) and Spare change (KES 0.50)."
    )


def test_a_waiting_round_up_tells_what_it_waits_for() -> None:
    assert told(NamedShare(SCHOOL, 300), wallet_cents=0) == (
        "Your KES 147 spend was rounded up to the next KES 10: KES 3 is waiting for money to come into your"
        " wallet, and then goes to School fees."
    )


def test_a_trimmed_round_up_says_that_a_limit_trimmed_it() -> None:
    assert told(NamedShare(SCHOOL, 120), cap_per_spend_cents=120) == (
        "Your KES 147 spend was rounded up to the next KES 10: KES 1.20, trimmed to the limit you set,"
        " went from your wallet to School fees."
    )


@pytest.mark.parametrize(
    ("amount_cents", "rule", "start"),
    [
        (
            14_700,
            {"multiplier": 3},
            "Your KES 147 spend was rounded up to the next KES 10, times 3: KES 9 went",
        ),
        (
            23_000,
            {"whole_amount": WholeAmount.FULL_STEP},
            "Your KES 230 spend needed no rounding, for which you save an extra amount: KES 10 went",
        ),
        (
            14_700,
            {"kind": RuleKind.PERCENTAGE, "percentage_bp": 250, "multiplier": 2},
            "You save 2.5% of each spend, times 2, here of KES 147: KES 7.35 went",
        ),
        (
            14_700,
            {"kind": RuleKind.PERCENTAGE, "percentage_bp": 1_000},
            "You save 10% of each spend, here of KES 147: KES 14.70 went",
        ),
        (
            14_700,
            {"kind": RuleKind.FIXED, "fixed_cents": 2_000},
            "You save KES 20 with each spend, here one of KES 147: KES 20 went",
        ),
    ],
)
def test_each_kind_of_rule_has_its_words(amount_cents: int, rule: dict[str, Any], start: str) -> None:
    assert told(NamedShare(SCHOOL, 1), amount_cents=amount_cents, **rule).startswith(start)


def test_bounds_are_told_with_their_amounts() -> None:
    assert told(min_spend_cents=20_000) == (
        "Nothing was saved from your KES 147 spend"
        " because it is under the smallest payment you round up, KES 200."
    )
    assert "KES 100." in told(max_spend_cents=10_000)
    assert "multiple of KES 10," in told(amount_cents=23_000)


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.CAPPED])
def test_every_reason_to_skip_has_one_finished_sentence(reason: Reason) -> None:
    spend = SpendFacts(amount_cents=14_700, kind=SpendKind.TILL, event_at=NOW)
    sentence = explain(Decision(0, Outcome.SKIPPED, reason, 1), spend, Rule(), ())

    assert sentence.startswith("Nothing was saved from your KES 147 spend because ")
    assert sentence.endswith(".")
    assert sentence.count(".") == 1
    assert not set("{}_") & set(sentence)


@pytest.mark.parametrize(
    "rule", [{}, {"multiplier": 2}, {"enabled": False}, {"excluded_merchants": frozenset({"wanjiku kamau"})}]
)
def test_who_was_paid_is_never_in_the_sentence(rule: dict[str, Any]) -> None:
    sentence = told(NamedShare(SCHOOL, 300), **rule).casefold()

    assert "wanjiku" not in sentence
    assert "2547" not in sentence
