"""A saver's rule and its versions: read, replace, find the one in force. Applies no rule."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Final
from uuid import UUID

from zanari_api.kit.spend_kind import SpendKind
from zanari_api.roundups import collections, plan_queries
from zanari_api.roundups import rule_queries as queries
from zanari_api.roundups.errors import RuleMissing
from zanari_api.roundups.rule_queries import RuleRow
from zanari_api.roundups.rules import Rule, RuleKind, WholeAmount
from zanari_api.roundups.schemas import RoundUpRule, RuleUpdate
from zanari_api.runtime.db import Tx
from zanari_api.users import service as users

CHANGED: Final = "rule_changed"


async def open_first(tx: Tx, *, saver_id: UUID) -> None:
    """Give a new saver the default rule: nearest KES 10, as version 1."""
    await queries.insert(tx, saver_id=saver_id, rule=_as_row(RuleUpdate(), version=1))


async def show(tx: Tx, *, saver_id: UUID) -> RoundUpRule:
    """Read the newest version."""
    return _as_shown(await _newest(tx, saver_id=saver_id))


async def replace(tx: Tx, *, saver_id: UUID, wanted: RuleUpdate, now: datetime) -> RoundUpRule:
    """Make a new version, in force from now on; none when nothing would change. Locks the saver.

    Under the saver's lock no spend is being decided, so a spend sees the old rule or the new one, whole.
    A change lets prompts for collections come again that had stopped because the saver turned down several;
    what was announced under the old rule is taken back, and announced again if the new one has it so.
    """
    await users.lock_saver(tx, saver_id=saver_id)
    newest = await _newest(tx, saver_id=saver_id)
    row = _as_row(wanted, version=newest.version)
    if _as_shown(row) == _as_shown(newest):
        return _as_shown(newest)
    row = _as_row(wanted, version=newest.version + 1)
    await queries.insert(tx, saver_id=saver_id, rule=row, in_force_from=now)
    await collections.take_back_announced(tx, saver_id=saver_id, reason=CHANGED, now=now)
    await plan_queries.lift_pause(tx, saver_id=saver_id, due_at=now)
    return _as_shown(row)


async def in_force(tx: Tx, *, moments: Sequence[tuple[UUID, datetime]]) -> list[Rule]:
    """Return, for each (saver, instant), the rule that was in force then, in order."""
    rows = await queries.find_at(tx, moments=moments)
    if len(rows) != len(moments):
        raise RuleMissing
    return [_as_rule(row) for row in rows]


async def _newest(tx: Tx, *, saver_id: UUID) -> RuleRow:
    newest = await queries.find_newest(tx, saver_id=saver_id)
    if newest is None:
        raise RuleMissing(saver_id)
    return newest


def _as_row(wanted: RuleUpdate, *, version: int) -> RuleRow:
    fields = wanted.model_dump()
    for name in ("excluded_kinds", "excluded_merchants", "excluded_categories"):
        fields[name] = sorted({str(value) for value in fields[name]})
    return RuleRow(version=version, **fields)


def _as_shown(row: RuleRow) -> RoundUpRule:
    return RoundUpRule.model_validate(asdict(row))


def _as_rule(row: RuleRow) -> Rule:
    return Rule(
        version=row.version,
        kind=RuleKind(row.kind),
        step_cents=row.step_cents,
        percentage_bp=row.percentage_bp,
        fixed_cents=row.fixed_cents,
        multiplier=row.multiplier,
        whole_amount=WholeAmount(row.whole_amount),
        whole_amount_cents=row.whole_amount_cents,
        min_spend_cents=row.min_spend_cents,
        max_spend_cents=row.max_spend_cents,
        cap_per_spend_cents=row.cap_per_spend_cents,
        cap_per_day_cents=row.cap_per_day_cents,
        cap_per_week_cents=row.cap_per_week_cents,
        cap_per_month_cents=row.cap_per_month_cents,
        balance_floor_cents=row.balance_floor_cents,
        paused_until=row.paused_until,
        enabled=row.enabled,
        excluded_kinds=frozenset(SpendKind(kind) for kind in row.excluded_kinds),
        excluded_merchants=frozenset(row.excluded_merchants),
        excluded_categories=frozenset(row.excluded_categories),
        collection_threshold_cents=row.collection_threshold_cents,
    )
