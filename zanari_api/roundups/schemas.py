"""The round-up rule's JSON."""

from typing import Annotated, Literal

from pydantic import Field, StrictBool

from zanari_api.kit.schema import Cents, Instant, Schema, Text
from zanari_api.kit.spend_kind import SpendKind

Bound = Annotated[Cents | None, Field(description="In cents; null for none.")]
Merchants = Annotated[tuple[Annotated[Text, Field(max_length=100)], ...], Field(max_length=100)]
Categories = Annotated[tuple[Annotated[Text, Field(max_length=40)], ...], Field(max_length=50)]


class RuleFields(Schema):
    """How spends are rounded up. Every bound is inclusive; amounts are in cents."""

    kind: Literal["nearest", "percentage", "fixed"] = "nearest"
    step_cents: Literal[1_000, 2_000, 5_000, 10_000, 50_000, 100_000] = 1_000
    """For `nearest`: up to the next multiple of KES 10, 20, 50, 100, 500 or 1,000."""

    percentage_bp: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 500
    """For `percentage`: basis points of the spend; 100 is one per cent."""

    fixed_cents: Annotated[int, Field(strict=True, ge=1, le=10_000_000)] = 1_000
    """For `fixed`: the same amount for each spend."""

    multiplier: Annotated[int, Field(strict=True, ge=1, le=10)] = 1
    whole_amount: Literal["skip", "full_step", "fixed"] = "skip"
    """For `nearest`, when the spend is a multiple already: nothing, a whole step, or `whole_amount_cents`."""

    whole_amount_cents: Annotated[int, Field(strict=True, ge=1, le=10_000_000)] = 1_000
    min_spend_cents: Bound = None
    max_spend_cents: Bound = None
    cap_per_spend_cents: Bound = None
    cap_per_day_cents: Bound = None
    cap_per_week_cents: Bound = None
    cap_per_month_cents: Bound = None
    balance_floor_cents: Bound = None
    """No round-up when M-PESA's balance after the spend, where known, is below this."""

    paused_until: Instant | None = None
    enabled: StrictBool = True
    excluded_kinds: Annotated[tuple[SpendKind, ...], Field(max_length=20)] = ()
    excluded_merchants: Merchants = ()
    excluded_categories: Categories = ()
    collection_threshold_cents: Literal[10_000, 50_000, 100_000] = 10_000
    """How much waits before it is collected: KES 100, 500 or 1,000."""


class RuleUpdate(RuleFields):
    """The whole rule; what is left out takes its default. A rule like the present one makes no new version."""


class RoundUpRule(RuleFields):
    """The rule in force, and its version; spends name the version they were decided under."""

    version: int
