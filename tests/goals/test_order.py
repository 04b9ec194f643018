"""The order in which round-ups fill goals is the saver's to say, all of it at once."""

from uuid import uuid4

import pytest

from tests.support.savers import Json, Saver, answered, code_of


@pytest.fixture
async def goals(saver: Saver) -> list[Json]:
    return [await saver.goal(name) for name in ("first", "second", "third")]


async def test_goals_are_put_in_the_order_given(saver: Saver, goals: list[Json]) -> None:
    wanted = [goals[2]["id"], goals[0]["id"], goals[1]["id"]]
    listed = answered(await saver.put("/goals/order", {"goal_ids": wanted}))["data"]
    assert [goal["id"] for goal in listed[:-1]] == wanted
    assert [goal["priority"] for goal in listed[:-1]] == [1, 2, 3]
    assert listed[-1]["is_default"]
    assert await saver.goals() == listed


async def test_round_ups_follow_the_order(saver: Saver, goals: list[Json]) -> None:
    await saver.deposit(1_000)
    answered(await saver.put("/goals/order", {"goal_ids": [goal["id"] for goal in reversed(goals)]}))
    spent = await saver.spend(14_700)
    assert [share["goal_id"] for share in spent["round_up"]["allocations"]] == [goals[2]["id"]]


async def test_an_order_that_leaves_one_out_or_names_one_twice_is_refused(
    saver: Saver, goals: list[Json]
) -> None:
    first, second, third = (goal["id"] for goal in goals)
    default = (await saver.default_goal())["id"]
    before = await saver.goals()
    for wanted in ([], [first, second], [first, second, third, third], [first, first, second]):
        assert code_of(await saver.put("/goals/order", {"goal_ids": wanted})) == (422, "order_incomplete")
    with_default = await saver.put("/goals/order", {"goal_ids": [first, second, third, default]})
    assert code_of(with_default) == (422, "order_incomplete")
    assert await saver.goals() == before


async def test_a_cancelled_goal_has_no_place_in_the_order(saver: Saver, goals: list[Json]) -> None:
    answered(await saver.post(f"/goals/{goals[1]['id']}/cancellation"))
    everything = [goal["id"] for goal in goals]
    assert code_of(await saver.put("/goals/order", {"goal_ids": everything})) == (422, "order_incomplete")
    answered(await saver.put("/goals/order", {"goal_ids": [goals[2]["id"], goals[0]["id"]]}))


async def test_a_paused_goal_keeps_its_place(saver: Saver, goals: list[Json]) -> None:
    answered(await saver.patch(f"/goals/{goals[1]['id']}", {"status": "paused"}))
    wanted = [goal["id"] for goal in reversed(goals)]
    listed = answered(await saver.put("/goals/order", {"goal_ids": wanted}))["data"]
    assert [goal["id"] for goal in listed[:-1]] == wanted


async def test_an_unknown_goal_in_the_order_is_not_there(saver: Saver, goals: list[Json]) -> None:
    wanted = [*(goal["id"] for goal in goals), str(uuid4())]
    assert code_of(await saver.put("/goals/order", {"goal_ids": wanted})) == (404, "goal_not_found")
    deleted = goals[0]["id"]
    answered(await saver.delete(f"/goals/{deleted}"))
    wanted = [goal["id"] for goal in goals]
    assert code_of(await saver.put("/goals/order", {"goal_ids": wanted})) == (404, "goal_not_found")


async def test_a_saver_with_no_goals_of_their_own_orders_nothing(saver: Saver) -> None:
    assert len(answered(await saver.put("/goals/order", {"goal_ids": []}))["data"]) == 1
