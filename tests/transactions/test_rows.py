"""One row for each thing that happens: spends, deposits, allocations, withdrawals. Never one too many."""

import asyncio

from tests.support.app import Api
from tests.support.savers import Saver, answered, now


async def test_a_spend_is_one_row_with_its_round_up_embedded(saver: Saver) -> None:
    await saver.deposit(1_000)
    at = now()
    answer = await saver.spend(14_700, at=at, receipt="FEED000001")
    (row,) = await saver.feed(type="spend")
    assert (
        row.items()
        >= {
            "type": "spend",
            "status": "completed",
            "direction": "out",
            "amount_cents": 14_700,
            "currency": "KES",
            "title": "Mama Njeri Shop",
            "category": "shopping",
            "goal_id": None,
            "receipt": "FEED000001",
            "round_up": answer["round_up"],
        }.items()
    )
    assert row["occurred_at"] == at.strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    assert len(await saver.feed()) == 2


async def test_a_spend_delivered_twice_is_still_one_row(saver: Saver) -> None:
    for _ in range(2):
        await saver.spend(14_700, receipt="FEED000002", at=now())
    assert len(await saver.feed()) == 1


async def test_a_deposit_is_a_row_that_comes_in(saver: Saver) -> None:
    receipt = await saver.deposit(12_345)
    (row,) = await saver.feed()
    assert (
        row.items()
        >= {
            "type": "deposit",
            "status": "completed",
            "direction": "in",
            "amount_cents": 12_345,
            "title": "M-PESA deposit",
            "receipt": receipt,
            "goal_id": None,
            "round_up": None,
        }.items()
    )


async def test_a_deposit_straight_into_a_goal_names_the_goal(saver: Saver) -> None:
    goal = await saver.goal("Shamba")
    await saver.deposit(500, letter=goal["letter"])
    (row,) = await saver.feed()
    assert (row["type"], row["goal_id"]) == ("deposit", goal["id"])
    assert (await saver.transaction(row))["explanation"]["text"] == "KES 5 came in from M-PESA, to Shamba."


async def test_moves_by_hand_are_internal_rows(saver: Saver) -> None:
    goal = await saver.goal_holding(5_000, name="Shamba")
    answered(await saver.post(f"/goals/{goal['id']}/withdrawals", {"amount_cents": 100}), 201)
    rows = {row["type"]: row for row in await saver.feed()}
    assert set(rows) == {"deposit", "allocation", "goal_withdrawal"}
    for kind, cents in (("allocation", 5_000), ("goal_withdrawal", 100)):
        assert (
            rows[kind].items()
            >= {
                "status": "completed",
                "direction": "internal",
                "amount_cents": cents,
                "title": "Shamba",
                "goal_id": goal["id"],
                "receipt": None,
                "round_up": None,
            }.items()
        )


async def test_a_reversed_spend_keeps_its_row_and_place_and_says_so(saver: Saver) -> None:
    await saver.deposit(1_000)
    at = now()
    await saver.spend(14_700, receipt="FEED000003", at=at)
    (before,) = await saver.feed(type="spend")
    await saver.spend(14_700, receipt="FEED000003", at=at, status="reversed")
    (after,) = await saver.feed(type="spend")
    assert (after["id"], after["occurred_at"]) == (before["id"], before["occurred_at"])
    assert after["status"] == "reversed"
    assert after["round_up"] == {
        "amount_cents": 0,
        "outcome": "skipped",
        "reason": "reversed",
        "allocations": [],
    }
    assert after["updated_at"] > before["updated_at"]


async def test_what_was_refused_leaves_no_row(saver: Saver) -> None:
    goal = await saver.goal()
    await saver.post(f"/goals/{goal['id']}/deposits", {"amount_cents": 1})
    await saver.post(f"/goals/{goal['id']}/withdrawals", {"amount_cents": 1})
    assert await saver.feed() == []


async def test_a_row_that_waited_for_its_saver_is_dated_when_it_was_written(api: Api, saver: Saver) -> None:
    async with api.database.connected("supabase_admin") as holder, holder.transaction():
        await holder.execute("SELECT FROM savings.savers WHERE saver_id = $1 FOR NO KEY UPDATE", saver.id)
        told = asyncio.create_task(saver.spend(14_700))
        await api.until_a_statement_waits()
        released_at = await holder.fetchval("SELECT clock_timestamp()")
    await told
    assert len(await saver.feed(updated_since=released_at.isoformat())) == 1
