"""Reversals of spends whose round-ups were collected, wholly, in part, or not yet: each cent goes back once."""

from tests.support.collecting import Collector
from tests.support.savers import Json, Saver, answered
from tests.support.spends import Recorder, reversal_of, spend_of
from zanari_api.kit.spend_kind import SpendKind
from zanari_api.roundups.spends import Spend


async def test_what_was_collected_goes_back_to_the_wallet(
    collect: Collector, record: Recorder, saver: Saver
) -> None:
    goal = await saver.goal()
    kept, spend = await collect.wait(saver, 6_000, 4_000)
    await collect.pay(saver, await collect.announced(saver))
    await record(reversal_of(spend, by=saver))
    assert await saver.holds() == (4_000, 6_000, 0)
    assert (await saver.read_goal(goal))["saved_cents"] == 6_000
    row = await row_of(saver, spend)
    assert row["status"] == "reversed"
    assert row["explanation"] == {
        "text": "M-PESA reversed this payment, so its round-up of KES 40 was undone.",
        "outcome": "skipped",
        "reason": "reversed",
        "rule_version": 1,
        "round_up_cents": 0,
        "undone_cents": 4_000,
    }
    assert (await row_of(saver, kept))["status"] == "completed"


async def test_of_a_round_up_collected_in_part_the_rest_is_cancelled_too(
    collect: Collector, record: Recorder, saver: Saver
) -> None:
    (spend,) = await collect.wait(saver, 10_050)
    await collect.pay(saver, await collect.announced(saver))
    assert await saver.holds() == (0, 10_000, 50)
    await record(reversal_of(spend, by=saver))
    assert await saver.holds() == (10_000, 0, 0)
    row = await row_of(saver, spend)
    assert row["explanation"]["text"] == (
        "M-PESA reversed this payment, so its round-up of KES 100.50 was undone."
    )
    assert row["explanation"]["undone_cents"] == 10_050


async def test_of_what_was_collected_and_withdrawn_meanwhile_nothing_is_owed(
    collect: Collector, record: Recorder, saver: Saver
) -> None:
    goal = await saver.goal()
    (spend,) = await collect.wait(saver, 10_050)
    await collect.pay(saver, await collect.announced(saver))
    answered(await saver.post(f"/goals/{goal['id']}/withdrawals", {"amount_cents": 7_000}), 201)
    await record(reversal_of(spend, by=saver))
    assert await saver.holds() == (10_000, 0, 0)
    row = await row_of(saver, spend)
    assert row["round_up"] == {
        "amount_cents": 7_000,
        "outcome": "saved",
        "reason": "already_withdrawn",
        "allocations": [{"goal_id": goal["id"], "amount_cents": 7_000}],
    }
    assert row["explanation"]["text"] == (
        "M-PESA reversed this payment. Of its round-up, KES 0.50 still waited and was cancelled, KES 30 went back to"
        " your wallet; KES 70 had already left the goal, and you owe nothing."
    )
    assert row["explanation"]["undone_cents"] == 3_050


async def test_it_is_taken_from_where_it_went_not_from_where_it_was_meant_to_go(
    collect: Collector, record: Recorder, saver: Saver
) -> None:
    meant = await saver.goal("meant", allocation_percent=50)
    (spend,) = await collect.wait(saver, 10_000)
    collection = await collect.announced(saver)
    answered(await saver.post(f"/goals/{meant['id']}/cancellation"))
    await collect.pay(saver, collection)
    assert {goal["name"]: goal["saved_cents"] for goal in await saver.goals()} == {
        "meant": 0,
        "Spare change": 10_000,
    }
    await record(reversal_of(spend, by=saver))
    assert await saver.holds() == (10_000, 0, 0)
    assert (await row_of(saver, spend))["explanation"]["undone_cents"] == 10_000


async def test_a_round_up_of_an_open_collection_is_cancelled_and_its_late_money_goes_to_the_wallet(
    collect: Collector, record: Recorder, saver: Saver
) -> None:
    (spend,) = await collect.wait(saver, 10_000)
    collection = await collect.announced(saver)
    await record(reversal_of(spend, by=saver))
    assert await saver.holds() == (0, 0, 0)
    await collect.pay(saver, collection)
    assert await saver.holds() == (10_000, 0, 0)
    await record(reversal_of(spend, by=saver))
    assert await saver.holds() == (10_000, 0, 0)


async def test_the_reversal_of_what_was_collected_gives_its_part_of_a_cap_back(
    collect: Collector, record: Recorder, saver: Saver
) -> None:
    (spend,) = await collect.wait(saver, 10_000)
    await collect.pay(saver, await collect.announced(saver))
    await record.set_rule(saver, cap_per_month_cents=10_000)
    await record(reversal_of(spend, by=saver))
    assert await saver.holds() == (10_000, 0, 0)
    again = spend_of(saver, at=collect.api.clock.now().replace(microsecond=0), kind=SpendKind.TILL)
    assert await record.outcomes(again, at=collect.api.clock.now()) == [(10_000, "saved", None)]


async def row_of(saver: Saver, spend: Spend) -> Json:
    """Return the spend's row of the feed, explained."""
    (row,) = [row for row in await saver.feed(type="spend") if row["receipt"] == spend.receipt]
    return await saver.transaction(row)
