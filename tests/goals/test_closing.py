"""Giving a goal up: the money goes back to the wallet first, then the goal takes no more."""

import asyncio

import pytest

from tests.support.app import Api
from tests.support.savers import Saver, answered, code_of


@pytest.mark.parametrize("held", [0, 5_000])
async def test_cancelling_returns_the_money_and_keeps_the_goal_in_the_list(saver: Saver, held: int) -> None:
    goal = await saver.goal_holding(held) if held else await saver.goal()
    closed = answered(await saver.post(f"/goals/{goal['id']}/cancellation"))
    assert closed == {
        "goal_id": goal["id"],
        "status": "cancelled",
        "returned_cents": held,
        "currency": "KES",
    }
    assert await saver.holds() == (held, 0, 0)
    shown = await saver.read_goal(goal)
    assert (shown["status"], shown["saved_cents"]) == ("cancelled", 0)
    assert goal["id"] in [each["id"] for each in await saver.goals()]


@pytest.mark.parametrize("held", [0, 5_000])
async def test_deleting_returns_the_money_and_the_goal_is_gone(saver: Saver, held: int) -> None:
    goal = await saver.goal_holding(held) if held else await saver.goal()
    closed = answered(await saver.delete(f"/goals/{goal['id']}"))
    assert (closed["status"], closed["returned_cents"]) == ("deleted", held)
    assert await saver.holds() == (held, 0, 0)
    assert code_of(await saver.get(f"/goals/{goal['id']}")) == (404, "goal_not_found")
    assert [each["name"] for each in await saver.goals()] == ["Spare change"]


async def test_the_return_of_the_money_is_a_row_of_the_feed(saver: Saver) -> None:
    goal = await saver.goal_holding(5_000, name="Shamba")
    await saver.delete(f"/goals/{goal['id']}")
    (row,) = await saver.feed(type="goal_withdrawal")
    assert (row["amount_cents"], row["title"], row["goal_id"]) == (5_000, "Shamba", goal["id"])


async def test_a_cancelled_goal_takes_and_gives_nothing(saver: Saver) -> None:
    goal = await saver.goal_holding(5_000)
    path = f"/goals/{goal['id']}"
    answered(await saver.post(f"{path}/cancellation"))
    refused = [
        await saver.post(f"{path}/deposits", {"amount_cents": 1}),
        await saver.post(f"{path}/withdrawals", {"amount_cents": 1}),
        await saver.post(f"{path}/cancellation"),
        await saver.patch(path, {"name": "again"}),
        await saver.patch(path, {"status": "active"}),
    ]
    assert {code_of(answer) for answer in refused} == {(409, "goal_closed")}
    assert await saver.holds() == (5_000, 0, 0)


async def test_a_cancelled_goal_gets_no_round_ups(saver: Saver) -> None:
    goal = await saver.goal(allocation_percent=100)
    await saver.deposit(1_000)
    answered(await saver.post(f"/goals/{goal['id']}/cancellation"))
    spent = await saver.spend(14_700)
    default = await saver.default_goal()
    assert spent["round_up"]["allocations"] == [{"goal_id": default["id"], "amount_cents": 300}]


async def test_a_deposit_by_the_letter_of_a_closed_goal_goes_to_the_wallet(saver: Saver) -> None:
    cancelled, deleted = await saver.goal("first"), await saver.goal("second")
    answered(await saver.post(f"/goals/{cancelled['id']}/cancellation"))
    answered(await saver.delete(f"/goals/{deleted['id']}"))
    for goal in (cancelled, deleted):
        await saver.deposit(500, letter=goal["letter"])
    assert await saver.holds() == (1_000, 0, 0)


async def test_a_cancelled_goal_can_still_be_deleted(saver: Saver) -> None:
    goal = await saver.goal_holding(5_000)
    answered(await saver.post(f"/goals/{goal['id']}/cancellation"))
    assert answered(await saver.delete(f"/goals/{goal['id']}"))["returned_cents"] == 0
    assert code_of(await saver.delete(f"/goals/{goal['id']}")) == (404, "goal_not_found")
    assert await saver.holds() == (5_000, 0, 0)


async def test_the_default_goal_cannot_be_given_up(saver: Saver) -> None:
    goal = await saver.default_goal()
    refused = [
        await saver.delete(f"/goals/{goal['id']}"),
        await saver.post(f"/goals/{goal['id']}/cancellation"),
    ]
    assert {code_of(answer) for answer in refused} == {(409, "default_goal_fixed")}
    assert await saver.default_goal() == goal


async def test_a_goal_closed_amid_spends_and_deposits_loses_nothing(api: Api) -> None:
    saver = await api.new_saver()
    goal = await saver.goal_holding(5_000)
    await saver.deposit(5_000)
    path = f"/goals/{goal['id']}"
    answers = await asyncio.gather(
        *(saver.post(f"{path}/deposits", {"amount_cents": 100}) for _ in range(6)),
        saver.delete(path),
        *(saver.spend(14_700) for _ in range(6)),
        return_exceptions=False,
    )
    statuses = {answer.status_code for answer in answers if not isinstance(answer, dict)}
    assert statuses <= {200, 201, 404}
    balance, saved, waiting = await saver.holds()
    assert (balance + saved, waiting) == (10_000, 0)
    spared = (await saver.default_goal())["saved_cents"]
    assert saved == spared
