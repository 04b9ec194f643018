"""Each quarter of a target is reached once, on whatever way the money came, and stays reached."""

import pytest

from tests.support.savers import Json, Saver, answered


@pytest.fixture
async def goal(saver: Saver) -> Json:
    """A goal of KES 10, and money to fill it with."""
    await saver.deposit(100_000)
    return await saver.goal(target_cents=1_000)


async def test_nothing_is_reached_before_the_first_quarter(saver: Saver, goal: Json) -> None:
    await put_in(saver, goal, 249)
    assert await reached(saver, goal) == []


async def test_milestones_are_reached_exactly_at_their_quarters(saver: Saver, goal: Json) -> None:
    seen = []
    for cents in (250, 249, 1, 499, 1):
        await put_in(saver, goal, cents)
        seen.append(await reached(saver, goal))
    assert seen == [[25], [25], [25, 50], [25, 50, 75], [25, 50, 75, 100]]


async def test_one_deposit_may_reach_them_all(saver: Saver, goal: Json) -> None:
    await put_in(saver, goal, 5_000)
    assert await reached(saver, goal) == [25, 50, 75, 100]


async def test_a_milestone_is_reached_once_and_kept_after_a_withdrawal(saver: Saver, goal: Json) -> None:
    await put_in(saver, goal, 600)
    first = (await saver.read_goal(goal))["milestones"]
    answered(await saver.post(f"/goals/{goal['id']}/withdrawals", {"amount_cents": 600}), 201)
    assert (await saver.read_goal(goal))["milestones"] == first
    await put_in(saver, goal, 800)
    again = (await saver.read_goal(goal))["milestones"]
    assert again[:2] == first
    assert [milestone["percent"] for milestone in again] == [25, 50, 75]


async def test_a_round_up_reaches_milestones(saver: Saver, goal: Json) -> None:
    await saver.spend(14_700)
    assert await reached(saver, goal) == [25]


async def test_a_deposit_by_the_goals_letter_reaches_milestones(saver: Saver, goal: Json) -> None:
    await saver.deposit(750, letter=goal["letter"])
    assert await reached(saver, goal) == [25, 50, 75]


async def test_a_goal_without_a_target_has_none(saver: Saver) -> None:
    goal = await saver.goal_holding(5_000)
    assert goal["milestones"] == []
    assert goal["progress_percent"] is None
    answered(await saver.patch(f"/goals/{goal['id']}", {"target_cents": 20_000}))
    assert await reached(saver, goal) == [25]


async def test_milestones_of_a_larger_target_are_not_taken_back(saver: Saver, goal: Json) -> None:
    await put_in(saver, goal, 1_000)
    answered(await saver.patch(f"/goals/{goal['id']}", {"target_cents": 100_000}))
    assert await reached(saver, goal) == [25, 50, 75, 100]
    assert (await saver.read_goal(goal))["progress_percent"] == 1


async def put_in(saver: Saver, goal: Json, cents: int) -> None:
    answered(await saver.post(f"/goals/{goal['id']}/deposits", {"amount_cents": cents}), 201)


async def reached(saver: Saver, goal: Json) -> list[int]:
    return [milestone["percent"] for milestone in (await saver.read_goal(goal))["milestones"]]
