"""The round-up rule over HTTP: read, replaced whole, versioned, and applied to the spends made under it."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.app import Api, Serve
from tests.support.savers import Saver, answered, code_of, now, refused_fields

RULE = "/users/me/round-up-rule"

DEFAULTS: dict[str, Any] = {
    "kind": "nearest",
    "step_cents": 1_000,
    "percentage_bp": 500,
    "fixed_cents": 1_000,
    "multiplier": 1,
    "whole_amount": "skip",
    "whole_amount_cents": 1_000,
    "min_spend_cents": None,
    "max_spend_cents": None,
    "cap_per_spend_cents": None,
    "cap_per_day_cents": None,
    "cap_per_week_cents": None,
    "cap_per_month_cents": None,
    "balance_floor_cents": None,
    "paused_until": None,
    "enabled": True,
    "excluded_kinds": [],
    "excluded_merchants": [],
    "excluded_categories": [],
    "collection_threshold_cents": 10_000,
}

EVERYTHING: dict[str, Any] = {
    "kind": "percentage",
    "step_cents": 100_000,
    "percentage_bp": 1_250,
    "fixed_cents": 2_500,
    "multiplier": 10,
    "whole_amount": "fixed",
    "whole_amount_cents": 700,
    "min_spend_cents": 1,
    "max_spend_cents": 9_000_000,
    "cap_per_spend_cents": 50_000,
    "cap_per_day_cents": 100_000,
    "cap_per_week_cents": 300_000,
    "cap_per_month_cents": 900_000,
    "balance_floor_cents": 20_000,
    "paused_until": "2030-01-01T00:00:00Z",
    "enabled": False,
    "excluded_kinds": ["airtime", "till"],
    "excluded_merchants": ["247247", "Naivas"],
    "excluded_categories": ["bills"],
    "collection_threshold_cents": 100_000,
}


async def test_a_new_saver_rounds_up_to_the_nearest_ten_shillings(saver: Saver) -> None:
    assert answered(await saver.get(RULE)) == {**DEFAULTS, "version": 1}


async def test_a_rule_is_kept_as_it_was_put(saver: Saver) -> None:
    assert await saver.rule(**EVERYTHING) == {**EVERYTHING, "version": 2}
    assert answered(await saver.get(RULE)) == {**EVERYTHING, "version": 2}


async def test_a_time_is_answered_in_utc_whatever_its_offset_was(saver: Saver) -> None:
    told = await saver.rule(paused_until="2030-01-01T03:00:00+03:00")
    assert told["paused_until"] == "2030-01-01T00:00:00Z"


async def test_what_a_put_leaves_out_takes_its_default(saver: Saver) -> None:
    await saver.rule(**EVERYTHING)
    assert await saver.rule(step_cents=5_000) == {**DEFAULTS, "step_cents": 5_000, "version": 3}


async def test_the_same_rule_again_makes_no_version(saver: Saver) -> None:
    assert (await saver.rule())["version"] == 1
    assert (await saver.rule(**EVERYTHING))["version"] == 2
    reworded = {
        **EVERYTHING,
        "paused_until": "2030-01-01T03:00:00+03:00",
        "excluded_kinds": ["till", "airtime", "till"],
        "excluded_merchants": ["Naivas ", "247247"],
    }
    assert (await saver.rule(**reworded))["version"] == 2


async def test_every_version_is_kept(api: Api, saver: Saver) -> None:
    for step in (2_000, 5_000, 2_000):
        await saver.rule(step_cents=step)
    rows = await api.rows(
        "SELECT version, step_cents FROM savings.round_up_rules WHERE saver_id = $1 ORDER BY version",
        saver.id,
    )
    assert [tuple(row) for row in rows] == [(1, 1_000), (2, 2_000), (3, 5_000), (4, 2_000)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "auto"),
        ("kind", None),
        ("step_cents", 1_500),
        ("step_cents", "1000"),
        ("percentage_bp", 0),
        ("percentage_bp", 10_001),
        ("percentage_bp", 2.5),
        ("fixed_cents", 0),
        ("fixed_cents", 10_000_001),
        ("multiplier", 0),
        ("multiplier", 11),
        ("multiplier", True),
        ("whole_amount", "half_step"),
        ("whole_amount_cents", 0),
        ("min_spend_cents", 0),
        ("max_spend_cents", -1),
        ("cap_per_spend_cents", 0),
        ("cap_per_day_cents", 1.5),
        ("cap_per_week_cents", "100"),
        ("cap_per_month_cents", 10**15),
        ("balance_floor_cents", 0),
        ("paused_until", "2030-01-01"),
        ("paused_until", "2030-01-01T00:00:00"),
        ("paused_until", "0001-01-01T00:00:00Z"),
        ("paused_until", "9999-12-31T23:59:59.999999Z"),
        ("paused_until", "9999-12-31T23:59:59-12:00"),
        ("paused_until", 0),
        ("enabled", "perhaps"),
        ("collection_threshold_cents", 20_000),
        ("version", 7),
        ("colour", "red"),
    ],
    ids=str,
)
async def test_what_no_rule_can_have_is_refused_by_its_field(saver: Saver, field: str, value: object) -> None:
    assert refused_fields(await saver.put(RULE, {field: value})) == {field}
    assert answered(await saver.get(RULE))["version"] == 1


@pytest.mark.parametrize(
    "lists",
    [
        {"excluded_kinds": ["rent"]},
        {"excluded_kinds": ["till"] * 21},
        {"excluded_merchants": [""]},
        {"excluded_merchants": ["x" * 101]},
        {"excluded_merchants": ["x\u0000"]},
        {"excluded_merchants": [7]},
        {"excluded_merchants": ["x"] * 101},
        {"excluded_categories": ["x" * 41]},
        {"excluded_categories": "bills"},
    ],
    ids=lambda lists: f"{lists}"[:50],
)
async def test_lists_of_exclusions_have_bounds(saver: Saver, lists: dict[str, Any]) -> None:
    refused = await saver.put(RULE, lists)
    assert refused.status_code == 422
    assert answered(await saver.get(RULE))["version"] == 1


async def test_a_spend_is_decided_under_the_rule_in_force_when_it_was_made(api: Api, saver: Saver) -> None:
    await saver.joined(now() - timedelta(days=5))
    await saver.deposit(100_000)
    await saver.rule(step_cents=10_000)
    await saver.rule(step_cents=100_000)
    for version, days_ago in ((2, 3), (3, 1)):
        await in_force_since(api, saver, version=version, days_ago=days_ago)
    decided = [await saver.spend(14_700, at=now() - timedelta(days=days)) for days in (4, 3, 2, 1, 0)]
    rounded = [answer["round_up"]["amount_cents"] for answer in decided]
    assert rounded == [300, 5_300, 5_300, 85_300, 85_300]
    versions = [
        (await saver.transaction(row))["explanation"]["rule_version"]
        for row in await saver.feed(type="spend")
    ]
    assert versions == [3, 3, 2, 2, 1]


async def test_a_rule_holds_from_the_start_of_its_second(saver: Saver) -> None:
    """M-PESA tells whole seconds, so a payment right after the change seems to come before it."""
    await saver.deposit(10_000)
    await saver.rule(step_cents=10_000)
    assert (await saver.spend(14_700, at=now()))["round_up"]["amount_cents"] == 5_300


async def test_a_change_does_not_touch_what_was_decided(saver: Saver) -> None:
    await saver.spend(14_700, receipt="RULE000001", at=now())
    await saver.rule(step_cents=100_000)
    again = await saver.spend(14_700, receipt="RULE000001", at=now())
    assert (again["status"], again["round_up"]["amount_cents"]) == ("duplicate", 300)


async def test_exclusions_are_the_savers_to_choose(saver: Saver) -> None:
    await saver.rule(
        excluded_kinds=["airtime"], excluded_merchants=["  mama NJERI  shop"], excluded_categories=["bills"]
    )
    answers = [
        await saver.spend(14_700, kind="airtime", merchant_name="Safaricom"),
        await saver.spend(14_700, merchant_name="Mama Njeri Shop"),
        await saver.spend(14_700, kind="pay_bill", merchant_name="KPLC"),
        await saver.spend(14_700, merchant_name="Naivas"),
    ]
    assert [answer["round_up"]["reason"] for answer in answers] == [
        "excluded_kind",
        "excluded_merchant",
        "excluded_category",
        None,
    ]


async def test_while_round_ups_are_switched_off_spends_are_recorded_and_skipped(
    api: Api, serve: Serve
) -> None:
    async with serve(feature_rollup_enabled=False) as switched_off:
        saver = await switched_off.new_saver()
        await saver.deposit(1_000)
        answer = await saver.spend(14_700)
        assert answer["round_up"] == {
            "amount_cents": 0,
            "outcome": "skipped",
            "reason": "feature_disabled",
            "allocations": [],
        }
        assert len(await saver.feed(type="spend")) == 1
        assert await saver.holds() == (1_000, 0, 0)


async def test_the_rule_needs_a_token(api: Api) -> None:
    for method in ("GET", "PUT"):
        refused = await api.client.request(method, f"/api/v1{RULE}", json={})
        assert code_of(refused) == (401, "token_missing")


async def in_force_since(api: Api, saver: Saver, *, version: int, days_ago: int) -> None:
    await api.alter(
        "UPDATE savings.round_up_rules SET in_force_from = $3 WHERE saver_id = $1 AND version = $2",
        saver.id,
        version,
        now() - timedelta(days=days_ago),
    )
