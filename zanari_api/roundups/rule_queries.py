"""Every statement on savings.round_up_rules; no decisions, no commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.runtime.db import Tx

FIND_NEWEST_RULE: Final[LiteralString] = """
    SELECT version, kind, step_cents, percentage_bp, fixed_cents, multiplier, whole_amount, whole_amount_cents,
           min_spend_cents, max_spend_cents, cap_per_spend_cents, cap_per_day_cents, cap_per_week_cents,
           cap_per_month_cents, balance_floor_cents, paused_until, enabled, excluded_kinds, excluded_merchants,
           excluded_categories, collection_threshold_cents
      FROM savings.round_up_rules
     WHERE saver_id = $1
     ORDER BY version DESC
     LIMIT 1
"""

# The first version holds for all the time before it: a spend from before the saver joined is decided
# (and skipped) under it. M-PESA's clock has no fractions, so a version holds from the start of its second:
# else whoever changes the rule and pays at once would be decided under the old one.
FIND_RULES_AT: Final[LiteralString] = """
    SELECT wanted.place::integer AS place, rule.*
      FROM unnest($1::uuid[], $2::timestamptz[]) WITH ORDINALITY AS wanted (saver_id, moment, place)
     CROSS JOIN LATERAL (
        SELECT version, kind, step_cents, percentage_bp, fixed_cents, multiplier, whole_amount, whole_amount_cents,
               min_spend_cents, max_spend_cents, cap_per_spend_cents, cap_per_day_cents, cap_per_week_cents,
               cap_per_month_cents, balance_floor_cents, paused_until, enabled, excluded_kinds, excluded_merchants,
               excluded_categories, collection_threshold_cents
          FROM savings.round_up_rules AS r
         WHERE r.saver_id = wanted.saver_id
           AND (date_trunc('second', r.in_force_from) <= wanted.moment OR r.version = 1)
         ORDER BY r.version DESC
         LIMIT 1
     ) AS rule
     ORDER BY wanted.place
"""

INSERT_RULE: Final[LiteralString] = """
    INSERT INTO savings.round_up_rules (
        saver_id, version, kind, step_cents, percentage_bp, fixed_cents, multiplier, whole_amount,
        whole_amount_cents, min_spend_cents, max_spend_cents, cap_per_spend_cents, cap_per_day_cents,
        cap_per_week_cents, cap_per_month_cents, balance_floor_cents, paused_until, enabled, excluded_kinds,
        excluded_merchants, excluded_categories, collection_threshold_cents, in_force_from
    )
    VALUES (
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
        coalesce($23, now())
    )
"""


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One version of a rule as stored."""

    version: int
    kind: str
    step_cents: int
    percentage_bp: int
    fixed_cents: int
    multiplier: int
    whole_amount: str
    whole_amount_cents: int
    min_spend_cents: int | None
    max_spend_cents: int | None
    cap_per_spend_cents: int | None
    cap_per_day_cents: int | None
    cap_per_week_cents: int | None
    cap_per_month_cents: int | None
    balance_floor_cents: int | None
    paused_until: datetime | None
    enabled: bool
    excluded_kinds: Sequence[str]
    excluded_merchants: Sequence[str]
    excluded_categories: Sequence[str]
    collection_threshold_cents: int


@dataclass(frozen=True, slots=True)
class PlacedRule(RuleRow):
    """The version that held for the `place`-th question, counted from 1."""

    place: int = 0


async def find_newest(tx: Tx, *, saver_id: UUID) -> RuleRow | None:
    return await tx.fetch_one(RuleRow, FIND_NEWEST_RULE, saver_id)


async def find_at(tx: Tx, *, moments: Sequence[tuple[UUID, datetime]]) -> list[PlacedRule]:
    """Return, for each (saver, instant), the version in force then, in order."""
    return await tx.fetch_all(
        PlacedRule, FIND_RULES_AT, [saver for saver, _ in moments], [moment for _, moment in moments]
    )


async def insert(tx: Tx, *, saver_id: UUID, rule: RuleRow, in_force_from: datetime | None = None) -> None:
    """Insert a version. A saver's first one holds for all the time before it, so its own time says nothing."""
    await tx.execute(
        INSERT_RULE,
        saver_id,
        rule.version,
        rule.kind,
        rule.step_cents,
        rule.percentage_bp,
        rule.fixed_cents,
        rule.multiplier,
        rule.whole_amount,
        rule.whole_amount_cents,
        rule.min_spend_cents,
        rule.max_spend_cents,
        rule.cap_per_spend_cents,
        rule.cap_per_day_cents,
        rule.cap_per_week_cents,
        rule.cap_per_month_cents,
        rule.balance_floor_cents,
        rule.paused_until,
        rule.enabled,
        list(rule.excluded_kinds),
        list(rule.excluded_merchants),
        list(rule.excluded_categories),
        rule.collection_threshold_cents,
        in_force_from,
    )
