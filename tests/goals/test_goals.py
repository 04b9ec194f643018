"""Goals as their saver describes them: opening, listing, changing, and the default goal that stays as it is."""

from datetime import timedelta

import pytest

from tests.support.app import Api, Serve
from tests.support.savers import Saver, answered, code_of, now, refused_fields
from zanari_api.kit.clock import eat_date

TODAY = eat_date(now())


async def test_a_goal_is_opened_with_a_name_alone(saver: Saver) -> None:
    goal = await saver.goal("School fees")
    assert goal["name"] == "School fees"
    assert goal["status"] == "active"
    assert (goal["saved_cents"], goal["currency"], goal["is_default"]) == (0, "KES", False)
    empty = ("emoji", "description", "target_cents", "progress_percent", "due_on", "required_weekly_cents")
    assert {goal[field] for field in (*empty, "allocation_percent", "locked_until")} == {None}
    assert goal["overdue"] is False
    assert goal["milestones"] == []


async def test_a_goal_keeps_everything_it_was_opened_with(saver: Saver) -> None:
    wanted = {
        "name": "Pikipiki 🏍",
        "emoji": "🏍️",
        "description": "A Boxer, second hand.\nRed.",
        "target_cents": 12_000_000,
        "due_on": str(TODAY + timedelta(days=70)),
        "priority": 7,
        "allocation_percent": 40,
        "locked_until": "2099-01-31T21:00:00Z",
    }
    goal = await saver.goal(**wanted)
    assert {field: goal[field] for field in wanted} == wanted
    assert goal["required_weekly_cents"] == 1_200_000
    assert await saver.read_goal(goal) == goal


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"name": None}, "name"),
        ({"name": "x", "emoji": "x" * 17}, "emoji"),
        ({"name": "x", "description": "x" * 501}, "description"),
        ({"name": "x", "target_cents": 0}, "target_cents"),
        ({"name": "x", "target_cents": -1}, "target_cents"),
        ({"name": "x", "target_cents": 10.5}, "target_cents"),
        ({"name": "x", "target_cents": "1000"}, "target_cents"),
        ({"name": "x", "target_cents": 10**15}, "target_cents"),
        ({"name": "x", "due_on": "31/12/2030"}, "due_on"),
        ({"name": "x", "priority": 0}, "priority"),
        ({"name": "x", "priority": 1001}, "priority"),
        ({"name": "x", "allocation_percent": 0}, "allocation_percent"),
        ({"name": "x", "allocation_percent": 101}, "allocation_percent"),
        ({"name": "x", "allocation_percent": 33.3}, "allocation_percent"),
        ({"name": "x", "due_on": 20_000}, "due_on"),
        ({"name": "x", "locked_until": "2030-01-01T00:00:00"}, "locked_until"),
        ({"name": "x", "locked_until": "9999-12-31T23:59:59-12:00"}, "locked_until"),
        ({"name": "x", "locked_until": 1_900_000_000}, "locked_until"),
        ({"name": "x", "saved_cents": 100}, "saved_cents"),
        ({"name": "x", "is_default": True}, "is_default"),
    ],
    ids=str,
)
async def test_what_no_goal_can_be_is_refused_by_its_field(saver: Saver, body: object, field: str) -> None:
    assert refused_fields(await saver.post("/goals", body)) == {field}
    assert len(await saver.goals()) == 1


async def test_goals_are_listed_by_priority_then_age_and_the_default_is_last(saver: Saver) -> None:
    for name, priority in (("third", 5), ("first", 1), ("second", 5)):
        await saver.goal(name, priority=priority)
    await saver.goal("appended")
    names = [goal["name"] for goal in await saver.goals()]
    assert names == ["first", "third", "second", "appended", "Spare change"]


async def test_a_new_goal_joins_the_end_of_the_order(saver: Saver) -> None:
    assert [(await saver.goal(name))["priority"] for name in ("a", "b", "c")] == [1, 2, 3]


async def test_a_change_touches_what_it_names_and_nothing_else(saver: Saver) -> None:
    goal = await saver.goal("Fees", target_cents=100_000, emoji="🎓", description="Term 2")
    changed = answered(await saver.patch(f"/goals/{goal['id']}", {"name": "School", "emoji": None}))
    assert changed == {**goal, "name": "School", "emoji": None}
    assert await saver.read_goal(goal) == changed


async def test_null_clears_what_can_be_empty(saver: Saver) -> None:
    goal = await saver.goal("Fees", target_cents=100_000, due_on="2030-01-01", allocation_percent=10)
    cleared = {"target_cents": None, "due_on": None, "allocation_percent": None}
    changed = answered(await saver.patch(f"/goals/{goal['id']}", cleared))
    assert {field: changed[field] for field in cleared} == cleared
    assert changed["progress_percent"] is None


async def test_null_leaves_what_cannot_be_empty(saver: Saver) -> None:
    goal = await saver.goal("Fees")
    change = {"name": None, "priority": None, "status": None}
    assert answered(await saver.patch(f"/goals/{goal['id']}", change)) == goal


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": " "},
        {"target_cents": 0},
        {"status": "completed"},
        {"saved_cents": 1},
        {"letter": "Z"},
    ],
    ids=str,
)
async def test_a_change_to_what_no_goal_can_be_is_refused(saver: Saver, change: object) -> None:
    goal = await saver.goal()
    assert (await saver.patch(f"/goals/{goal['id']}", change)).status_code == 422
    assert await saver.read_goal(goal) == goal


async def test_a_goal_that_reaches_its_target_is_completed_and_active_again_below_it(saver: Saver) -> None:
    goal = await saver.goal_holding(10_000, target_cents=10_000)
    assert (goal["status"], goal["progress_percent"]) == ("completed", 100)
    await saver.post(f"/goals/{goal['id']}/withdrawals", {"amount_cents": 1})
    goal = await saver.read_goal(goal)
    assert (goal["status"], goal["progress_percent"]) == ("active", 99)


async def test_a_target_may_be_set_below_what_is_saved(saver: Saver) -> None:
    goal = await saver.goal_holding(10_000, target_cents=50_000)
    changed = answered(await saver.patch(f"/goals/{goal['id']}", {"target_cents": 5_000}))
    assert (changed["status"], changed["progress_percent"]) == ("completed", 100)
    assert [milestone["percent"] for milestone in changed["milestones"]] == [25, 50, 75, 100]


async def test_a_date_gone_by_is_a_flag_and_never_an_error(saver: Saver) -> None:
    goal = await saver.goal("Late", target_cents=100_000, due_on=str(TODAY - timedelta(days=1)))
    assert (goal["overdue"], goal["required_weekly_cents"], goal["status"]) == (True, None, "active")
    goal = answered(await saver.patch(f"/goals/{goal['id']}", {"due_on": str(TODAY)}))
    assert (goal["overdue"], goal["required_weekly_cents"]) == (False, 100_000)


async def test_a_goal_that_was_given_up_is_not_overdue(saver: Saver) -> None:
    goal = await saver.goal("Late", target_cents=100_000, due_on=str(TODAY - timedelta(days=1)))
    answered(await saver.post(f"/goals/{goal['id']}/cancellation"))
    assert (await saver.read_goal(goal))["overdue"] is False


@pytest.mark.parametrize(
    "change",
    [
        {"target_cents": 1_000},
        {"due_on": "2030-01-01"},
        {"allocation_percent": 10},
        {"status": "paused"},
        {"priority": 1},
        {"locked_until": "2099-01-01T00:00:00Z"},
    ],
    ids=str,
)
async def test_the_default_goal_stays_what_it_is(saver: Saver, change: object) -> None:
    goal = await saver.default_goal()
    assert code_of(await saver.patch(f"/goals/{goal['id']}", change)) == (409, "default_goal_fixed")
    assert await saver.default_goal() == goal


async def test_the_default_goal_may_be_renamed(saver: Saver) -> None:
    goal = await saver.default_goal()
    changed = answered(await saver.patch(f"/goals/{goal['id']}", {"name": "Chenji", "emoji": "🪙"}))
    assert (changed["name"], changed["emoji"], changed["is_default"]) == ("Chenji", "🪙", True)


async def test_letters_are_given_once_and_never_again(saver: Saver) -> None:
    assert (await saver.default_goal())["letter"] == "A"
    first, second = await saver.goal("first"), await saver.goal("second")
    assert (first["letter"], second["letter"]) == ("B", "C")
    answered(await saver.delete(f"/goals/{second['id']}"))
    answered(await saver.post(f"/goals/{first['id']}/cancellation"))
    assert (await saver.goal("third"))["letter"] == "D"


async def test_there_can_be_thirty_open_goals_and_the_last_of_them_have_no_letter(saver: Saver) -> None:
    goals = [await saver.goal(f"goal {number}") for number in range(29)]
    assert [goal["letter"] for goal in goals[:25]] == list("BCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert {goal["letter"] for goal in goals[25:]} == {None}
    assert code_of(await saver.post("/goals", {"name": "one more"})) == (409, "too_many_goals")
    answered(await saver.post(f"/goals/{goals[0]['id']}/cancellation"))
    assert (await saver.goal("one instead"))["letter"] is None


async def test_percentages_may_come_to_a_hundred_and_no_more(saver: Saver) -> None:
    first = await saver.goal("first", allocation_percent=60)
    second = await saver.goal("second", allocation_percent=40)
    over = await saver.post("/goals", {"name": "third", "allocation_percent": 1})
    assert code_of(over) == (422, "allocation_over_100")
    over = await saver.patch(f"/goals/{second['id']}", {"allocation_percent": 41})
    assert code_of(over) == (422, "allocation_over_100")
    assert [goal["allocation_percent"] for goal in await saver.goals()] == [60, 40, None]
    answered(await saver.patch(f"/goals/{first['id']}", {"allocation_percent": 59}))
    answered(await saver.patch(f"/goals/{second['id']}", {"allocation_percent": 41}))


async def test_a_goal_given_up_gives_its_percentage_back(saver: Saver) -> None:
    first = await saver.goal("first", allocation_percent=100)
    answered(await saver.post(f"/goals/{first['id']}/cancellation"))
    assert (await saver.goal("second", allocation_percent=100))["allocation_percent"] == 100


async def test_another_savers_goal_is_not_there(api: Api, saver: Saver) -> None:
    other = await api.new_saver()
    goal = await other.goal_holding(1_000)
    path = f"/goals/{goal['id']}"
    answers = [
        await saver.get(path),
        await saver.patch(path, {"name": "mine"}),
        await saver.delete(path),
        await saver.post(f"{path}/cancellation"),
        await saver.post(f"{path}/deposits", {"amount_cents": 1}),
        await saver.post(f"{path}/withdrawals", {"amount_cents": 1}),
        await saver.put("/goals/order", {"goal_ids": [goal["id"]]}),
    ]
    assert {code_of(answer) for answer in answers} == {(404, "goal_not_found")}
    assert await other.read_goal(goal) == goal


async def test_the_goals_routes_can_be_switched_off_while_spends_go_on(serve: Serve, api: Api) -> None:
    async with serve(feature_goals_enabled=False) as other:
        saver = await other.new_saver()
        await saver.deposit(1_000)
        refused = [await saver.get("/goals"), await saver.post("/goals", {"name": "x"})]
        assert {code_of(answer) for answer in refused} == {(403, "feature_disabled")}
        assert (await saver.spend(14_700))["round_up"]["outcome"] == "saved"
        assert await saver.holds() == (700, 300, 0)
