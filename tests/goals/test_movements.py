"""Money by the saver's hand, wallet to goal and back: exact, never below zero, one row of the feed each."""

import asyncio
from uuid import UUID

import httpx
import pytest

from tests.support.app import Api
from tests.support.savers import Json, Saver, answered, code_of, refused_fields


async def test_a_deposit_moves_money_from_the_wallet_to_the_goal(saver: Saver) -> None:
    goal = await saver.goal()
    await saver.deposit(5_000)
    moved = answered(await saver.post(f"/goals/{goal['id']}/deposits", {"amount_cents": 1_234}), 201)
    assert (
        moved.items()
        >= {
            "goal_id": goal["id"],
            "direction": "to_goal",
            "amount_cents": 1_234,
            "currency": "KES",
            "goal_saved_cents": 1_234,
            "wallet_balance_cents": 3_766,
        }.items()
    )
    assert await saver.holds() == (3_766, 1_234, 0)


async def test_a_withdrawal_moves_savings_back_to_the_wallet(saver: Saver) -> None:
    goal = await saver.goal_holding(5_000)
    moved = answered(await withdraw(saver, goal, 5_000), 201)
    assert (moved["direction"], moved["goal_saved_cents"], moved["wallet_balance_cents"]) == (
        "to_wallet",
        0,
        5_000,
    )
    assert await saver.holds() == (5_000, 0, 0)


async def test_the_movement_is_a_row_of_the_feed_by_its_id(saver: Saver) -> None:
    goal = await saver.goal_holding(5_000, name="Pikipiki")
    moved = answered(await withdraw(saver, goal, 2_050), 201)
    row = await saver.transaction(moved)
    assert (
        row.items()
        >= {
            "type": "goal_withdrawal",
            "direction": "internal",
            "status": "completed",
            "amount_cents": 2_050,
            "goal_id": goal["id"],
            "title": "Pikipiki",
        }.items()
    )
    assert row["explanation"]["text"] == "You moved KES 20.50 from Pikipiki back to your wallet."


async def test_withdrawing_more_than_saved_is_refused_and_moves_nothing(saver: Saver) -> None:
    goal = await saver.goal_holding(50_000)
    assert code_of(await withdraw(saver, goal, 50_001)) == (409, "insufficient_funds")
    assert await saver.holds() == (0, 50_000, 0)
    assert len(await saver.feed(type="goal_withdrawal")) == 0


async def test_depositing_more_than_the_wallet_holds_is_refused_and_moves_nothing(saver: Saver) -> None:
    goal = await saver.goal_holding(50_000)
    await saver.deposit(99)
    assert code_of(await deposit(saver, goal, 100)) == (409, "insufficient_funds")
    assert await saver.holds() == (99, 50_000, 0)
    assert len(await saver.feed(type="allocation")) == 1


async def test_a_deposit_over_the_target_is_the_savers_choice(saver: Saver) -> None:
    goal = await saver.goal_holding(10_000, target_cents=10_000)
    await saver.deposit(2_500)
    assert answered(await deposit(saver, goal, 2_500), 201)["goal_saved_cents"] == 12_500
    goal = await saver.read_goal(goal)
    assert (goal["status"], goal["progress_percent"]) == ("completed", 100)


async def test_the_default_goal_takes_deposits_and_gives_back(saver: Saver) -> None:
    goal = await saver.default_goal()
    await saver.deposit(1_000)
    answered(await deposit(saver, goal, 1_000), 201)
    answered(await withdraw(saver, goal, 400), 201)
    assert await saver.holds() == (400, 600, 0)


async def test_a_paused_goal_takes_deposits_and_gives_back(saver: Saver) -> None:
    goal = await saver.goal_holding(1_000)
    answered(await saver.patch(f"/goals/{goal['id']}", {"status": "paused"}))
    await saver.deposit(1_000)
    answered(await deposit(saver, goal, 1_000), 201)
    answered(await withdraw(saver, goal, 2_000), 201)


@pytest.mark.parametrize("amount", [0, -1, 1.5, 100.0, "100", True, None, 10**15, [100]], ids=repr)
@pytest.mark.parametrize("way", ["deposits", "withdrawals"])
async def test_an_amount_is_a_positive_whole_number_of_cents(saver: Saver, way: str, amount: object) -> None:
    goal = await saver.default_goal()
    refused = await saver.post(f"/goals/{goal['id']}/{way}", {"amount_cents": amount})
    assert refused_fields(refused) == {"amount_cents"}


async def test_an_unknown_goal_is_not_there(saver: Saver) -> None:
    unknown = {"id": UUID(int=7)}
    assert code_of(await deposit(saver, unknown, 1)) == (404, "goal_not_found")
    assert code_of(await withdraw(saver, unknown, 1)) == (404, "goal_not_found")
    assert (await saver.get("/goals/not-an-id")).status_code == 422


async def test_of_many_withdrawals_at_once_exactly_those_that_are_covered_succeed(api: Api) -> None:
    saver = await api.new_saver()
    goal = await saver.goal_holding(1_000)
    answers = await asyncio.gather(*(withdraw(saver, goal, 100) for _ in range(24)))
    assert sorted(answer.status_code for answer in answers) == [201] * 10 + [409] * 14
    assert {code_of(answer) for answer in answers if answer.status_code == 409} == {
        (409, "insufficient_funds")
    }
    assert await saver.holds() == (1_000, 0, 0)
    assert len(await saver.feed(type="goal_withdrawal")) == 10


async def test_money_sent_round_in_circles_at_once_is_all_there_in_the_end(saver: Saver) -> None:
    first = await saver.goal_holding(5_000, name="first")
    second = await saver.goal_holding(5_000, name="second")
    moves = [
        act(saver, goal, 10) for goal in (first, second) for act in (deposit, withdraw) for _ in range(8)
    ]
    await asyncio.gather(*moves)
    balance, saved, _ = await saver.holds()
    assert balance + saved == 10_000


async def deposit(saver: Saver, goal: Json, cents: int) -> httpx.Response:
    return await saver.post(f"/goals/{goal['id']}/deposits", {"amount_cents": cents})


async def withdraw(saver: Saver, goal: Json, cents: int) -> httpx.Response:
    return await saver.post(f"/goals/{goal['id']}/withdrawals", {"amount_cents": cents})
