"""A locked goal takes money and gives none back until its date; the lock can be made longer, never shorter."""

from datetime import timedelta

import pytest

from tests.support.app import Api
from tests.support.savers import Json, Saver, answered, code_of, now

LATER = (now() + timedelta(days=30)).isoformat()


@pytest.fixture
async def locked(saver: Saver) -> Json:
    """A goal that holds KES 50 and is locked for 30 days."""
    goal = await saver.goal_holding(5_000)
    return answered(await saver.patch(f"/goals/{goal['id']}", {"locked_until": LATER}))


async def test_nothing_leaves_a_locked_goal_by_the_savers_hand(saver: Saver, locked: Json) -> None:
    path = f"/goals/{locked['id']}"
    refused = [
        await saver.post(f"{path}/withdrawals", {"amount_cents": 1}),
        await saver.post(f"{path}/cancellation"),
        await saver.delete(path),
    ]
    assert {code_of(answer) for answer in refused} == {(409, "goal_locked")}
    assert await saver.holds() == (0, 5_000, 0)
    assert await saver.read_goal(locked) == locked


@pytest.mark.parametrize(
    "wanted",
    [None, (now() + timedelta(days=29)).isoformat(), "2020-01-01T00:00:00Z"],
    ids=["off", "shorter", "past"],
)
async def test_a_lock_cannot_be_taken_off_or_shortened(
    saver: Saver, locked: Json, wanted: str | None
) -> None:
    refused = await saver.patch(f"/goals/{locked['id']}", {"locked_until": wanted, "name": "open now"})
    assert code_of(refused) == (409, "goal_locked")
    assert await saver.read_goal(locked) == locked


async def test_a_lock_can_be_made_longer(saver: Saver, locked: Json) -> None:
    longer = "2099-01-01T00:00:00Z"
    changed = answered(await saver.patch(f"/goals/{locked['id']}", {"locked_until": longer}))
    assert changed["locked_until"] == longer


async def test_a_lock_does_not_stand_in_the_way_of_other_changes(saver: Saver, locked: Json) -> None:
    changed = answered(await saver.patch(f"/goals/{locked['id']}", {"name": "Shamba", "status": "paused"}))
    assert (changed["name"], changed["status"]) == ("Shamba", "paused")


async def test_money_still_comes_into_a_locked_goal_on_every_way(saver: Saver, locked: Json) -> None:
    await saver.deposit(1_000)
    answered(await saver.post(f"/goals/{locked['id']}/deposits", {"amount_cents": 500}), 201)
    await saver.deposit(700, letter=locked["letter"])
    spent = await saver.spend(14_700)
    assert spent["round_up"]["allocations"] == [{"goal_id": locked["id"], "amount_cents": 300}]
    assert (await saver.read_goal(locked))["saved_cents"] == 5_000 + 500 + 700 + 300


async def test_a_goal_whose_lock_has_run_out_is_as_any_other(api: Api, saver: Saver, locked: Json) -> None:
    await api.alter(
        "UPDATE savings.goals SET locked_until = now() - interval '1 second' WHERE saver_id = $1 AND id = $2",
        saver.id,
        locked["id"],
    )
    answered(await saver.post(f"/goals/{locked['id']}/withdrawals", {"amount_cents": 1_000}), 201)
    shorter = answered(await saver.patch(f"/goals/{locked['id']}", {"locked_until": None}))
    assert shorter["locked_until"] is None
    answered(await saver.delete(f"/goals/{locked['id']}"))
    assert await saver.holds() == (5_000, 0, 0)


async def test_a_reversal_takes_its_round_up_out_of_a_locked_goal(saver: Saver, locked: Json) -> None:
    await saver.deposit(300)
    await saver.spend(14_700, receipt="LOCKED0001")
    assert (await saver.read_goal(locked))["saved_cents"] == 5_300
    await saver.spend(14_700, receipt="LOCKED0001", status="reversed")
    assert (await saver.read_goal(locked))["saved_cents"] == 5_000
    assert await saver.holds() == (300, 5_000, 0)
