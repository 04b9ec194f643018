"""Deposits by STK push from the saver's side: asked for, prompted, paid or not, and told of in plain words."""

import asyncio
from uuid import uuid4

import pytest

from tests.support.app import Api, Serve
from tests.support.books import Books
from tests.support.prompts import Prompter, owe
from tests.support.savers import Saver, answered, code_of, new_key, new_phone, refused_fields
from zanari_api.ledger import accounts


@pytest.fixture
def prompter(api: Api) -> Prompter:
    return Prompter(api)


def headers_of(saver: Saver) -> dict[str, str]:
    return {"Authorization": f"Bearer {saver.token}", "Idempotency-Key": new_key()}


# The whole way


async def test_an_approved_prompt_puts_the_money_into_the_wallet(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    asked = await prompter.ask(saver, 50_000)
    assert (asked["state"], asked["amount_cents"], asked["currency"]) == ("requested", 50_000, "KES")
    assert asked["text"] == "We are sending the prompt to your phone."
    await api.work()
    paid = await prompter.read(saver, asked)
    assert (paid["state"], paid["text"]) == ("settled", "KES 500 came in from M-PESA.")
    assert await saver.holds() == (50_000, 0, 0)
    (row,) = await saver.feed()
    assert (row["type"], row["amount_cents"], row["receipt"]) == ("deposit", 50_000, paid["receipt"])
    assert [step for step, _ in await prompter.steps(asked)] == [
        "requested",
        "submitting",
        "prompted",
        "settled",
    ]


async def test_money_for_a_goal_goes_straight_into_it(api: Api, saver: Saver, prompter: Prompter) -> None:
    goal = await saver.goal(target_cents=100_000)
    await prompter.ask(saver, 50_000, goal_id=goal["id"])
    await api.work()
    kept = await saver.read_goal(goal)
    assert kept["saved_cents"] == 50_000
    assert [milestone["percent"] for milestone in kept["milestones"]] == [25, 50]


async def test_a_goal_that_was_closed_meanwhile_leaves_its_money_to_the_wallet(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    goal = await saver.goal("Bicycle")
    asked = await prompter.prompted(saver, 50_000, goal_id=goal["id"])
    answered(await saver.post(f"/goals/{goal['id']}/cancellation"))
    await prompter.tell(prompter.handle(saver))
    assert await prompter.state(saver, asked) == ("settled", None)
    assert await saver.holds() == (50_000, 0, 0)
    (row,) = await saver.feed()
    told = (await saver.transaction(row))["explanation"]["text"]
    assert told == "KES 500 came in from M-PESA, to your wallet. Bicycle was closed meanwhile."


@pytest.mark.parametrize(
    ("behaviour", "reason", "text"),
    [
        ("cancel", "cancelled", "You cancelled the M-PESA prompt."),
        ("wrong_pin", "wrong_pin", "The M-PESA PIN was wrong."),
    ],
)
async def test_what_the_saver_does_on_the_phone_is_told_in_plain_words(
    api: Api, saver: Saver, prompter: Prompter, behaviour: str, reason: str, text: str
) -> None:
    assert saver.phone is not None
    await api.emulator.set_handset(saver.phone, behaviour=behaviour)
    asked = await prompter.ask(saver)
    await api.work()
    read = await prompter.read(saver, asked)
    assert (read["state"], read["reason"], read["text"]) == ("failed", reason, text)
    assert read["finished_at"] is not None
    assert await saver.holds() == (0, 0, 0)
    assert await saver.feed() == []


async def test_too_little_money_in_mpesa_is_told(api: Api, saver: Saver, prompter: Prompter) -> None:
    assert saver.phone is not None
    await api.emulator.set_handset(saver.phone, balance_cents=10_000)
    asked = await prompter.ask(saver)
    await api.work()
    assert await prompter.state(saver, asked) == ("failed", "insufficient_funds")


async def test_an_open_prompt_tells_to_look_at_the_phone_and_later_that_we_keep_asking(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    asked = await prompter.prompted(saver)
    assert (asked["state"], asked["text"]) == ("prompted", "Check your phone and enter your M-PESA PIN.")
    api.clock.advance(seconds=121)
    silent = await prompter.read(saver, asked)
    assert silent["text"] == "We have not heard from M-PESA yet; we keep asking."


async def test_deposits_are_listed_newest_first_and_page_by_page(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    assert saver.phone is not None
    await api.emulator.set_handset(saver.phone, behaviour="cancel")
    asked: list[str] = []
    for shillings in range(1, 53):
        asked.append((await prompter.ask(saver, shillings * 100))["id"])
        await api.work()
    first = answered(await saver.get("/mpesa/deposits"))
    assert [deposit["id"] for deposit in first["data"]] == asked[:1:-1]
    last = answered(await saver.get("/mpesa/deposits", cursor=first["next_cursor"]))
    assert [deposit["id"] for deposit in last["data"]] == [asked[1], asked[0]]
    assert last["next_cursor"] is None


# What is refused


async def test_only_whole_shillings_can_be_asked_for(saver: Saver) -> None:
    refused = await saver.post("/mpesa/deposits", {"amount_cents": 12_345})
    assert code_of(refused) == (422, "whole_shillings_only")


@pytest.mark.parametrize("cents", [5_000_100, 25_000_100, 10_000_000_000])
async def test_more_than_a_tier_allows_at_once_is_refused(saver: Saver, cents: int) -> None:
    refused = await saver.post("/mpesa/deposits", {"amount_cents": cents})
    assert code_of(refused) == (422, "amount_outside_limits")


@pytest.mark.parametrize("cents", [0, -100, 100.0, "100"])
async def test_what_is_no_amount_is_refused(saver: Saver, cents: object) -> None:
    assert refused_fields(await saver.post("/mpesa/deposits", {"amount_cents": cents})) == {"amount_cents"}


async def test_a_tier_that_is_known_better_may_move_all_that_mpesa_moves(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    await api.alter("UPDATE savings.savers SET kyc_tier = 3 WHERE saver_id = $1", saver.id)
    assert (await prompter.ask(saver, 25_000_000))["state"] == "requested"


async def test_a_day_has_a_limit_that_counts_what_came_in_and_what_may_yet(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    await saver.deposit(4_000_000)
    await prompter.prompted(saver, 5_000_000)
    api.clock.advance(seconds=121)
    refused = await saver.post("/mpesa/deposits", {"amount_cents": 1_000_100})
    assert code_of(refused) == (409, "day_limit_reached")
    assert answered(await saver.post("/mpesa/deposits", {"amount_cents": 1_000_000}), 202)


async def test_only_one_prompt_can_be_open(api: Api, saver: Saver, prompter: Prompter) -> None:
    await prompter.ask(saver, 50_000)
    refused = await saver.post("/mpesa/deposits", {"amount_cents": 60_000})
    assert code_of(refused) == (409, "prompt_open")
    assert 100 <= int(refused.headers["Retry-After"]) <= 120


async def test_a_silent_prompt_keeps_others_away_for_two_minutes_and_no_longer(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    await prompter.prompted(saver, 50_000)
    api.clock.advance(seconds=115)
    assert (await saver.post("/mpesa/deposits", {"amount_cents": 60_000})).status_code == 409
    api.clock.advance(seconds=6)
    assert answered(await saver.post("/mpesa/deposits", {"amount_cents": 60_000}), 202)


async def test_a_definite_answer_lets_the_next_prompt_go_at_once(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    await prompter.prompted(saver)
    await prompter.tell(prompter.handle(saver), code=1032)
    assert answered(await saver.post("/mpesa/deposits", {"amount_cents": 60_000}), 202)


async def test_of_many_requests_at_once_one_prompt_is_asked_for(saver: Saver) -> None:
    answers = await asyncio.gather(
        *(saver.post("/mpesa/deposits", {"amount_cents": 100 * (each + 1)}) for each in range(6))
    )
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409, 409, 409]


async def test_another_savers_or_no_goal_and_number_are_not_found(api: Api, saver: Saver) -> None:
    other = await api.new_saver()
    (account,) = answered(await other.get("/mpesa/accounts"))["data"]
    goal = await other.goal()
    for fields, code in (
        ({"goal_id": goal["id"]}, "goal_not_found"),
        ({"goal_id": str(uuid4())}, "goal_not_found"),
        ({"account_id": account["id"]}, "account_not_linked"),
        ({"account_id": str(uuid4())}, "account_not_linked"),
    ):
        refused = await saver.post("/mpesa/deposits", {"amount_cents": 50_000, **fields})
        assert code_of(refused) == (404, code)


async def test_a_closed_goal_takes_no_deposit(saver: Saver) -> None:
    goal = await saver.goal()
    answered(await saver.post(f"/goals/{goal['id']}/cancellation"))
    refused = await saver.post("/mpesa/deposits", {"amount_cents": 50_000, "goal_id": goal["id"]})
    assert code_of(refused) == (409, "goal_closed")


async def test_goals_that_are_switched_off_take_no_deposit(saver: Saver, serve: Serve) -> None:
    goal = await saver.goal()
    async with serve(feature_goals_enabled=False) as other:
        body = {"amount_cents": 50_000, "goal_id": goal["id"]}
        refused = await other.client.post("/api/v1/mpesa/deposits", json=body, headers=headers_of(saver))
    assert code_of(refused) == (403, "feature_disabled")


async def test_a_saver_without_a_number_has_nobody_to_prompt(api: Api) -> None:
    nobody = await api.new_saver(phone=None)
    refused = await nobody.post("/mpesa/deposits", {"amount_cents": 50_000})
    assert code_of(refused) == (409, "no_number_linked")


async def test_a_deposit_of_another_saver_is_not_found(api: Api, saver: Saver, prompter: Prompter) -> None:
    asked = await prompter.ask(saver)
    other = await api.new_saver()
    assert code_of(await other.get(f"/mpesa/deposits/{asked['id']}")) == (404, "deposit_not_found")
    assert answered(await other.get("/mpesa/deposits"))["data"] == []


async def test_the_key_makes_one_deposit_of_many_requests(api: Api, saver: Saver, prompter: Prompter) -> None:
    key = new_key()
    first = await saver.post("/mpesa/deposits", {"amount_cents": 50_000}, key=key)
    await api.work()
    again = await saver.post("/mpesa/deposits", {"amount_cents": 50_000}, key=key)
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert await saver.holds() == (50_000, 0, 0)
    assert saver.phone is not None
    assert saver.phone[-9:] not in first.text
    other = await saver.post("/mpesa/deposits", {"amount_cents": 60_000}, key=key)
    assert code_of(other) == (422, "idempotency_key_reused")
    missing = await saver.post("/mpesa/deposits", {"amount_cents": 50_000}, key=None)
    assert code_of(missing) == (400, "idempotency_key_required")


# Which number


async def test_the_number_named_is_prompted_else_the_default(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    second = new_phone()
    token = api.token(saver.id, second)
    answered(await api.client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"}))
    assert saver.phone is not None
    numbers = {each["phone"]: each["id"] for each in answered(await saver.get("/mpesa/accounts"))["data"]}
    await api.emulator.set_handset(second, behaviour="ask")
    await prompter.ask(saver, 50_000, account_id=numbers[f"+{second}"])
    await api.work()
    assert second in {prompt.msisdn for prompt in api.emulator.open_prompts()}
    await api.emulator.answer(second, "cancel")
    await api.work()
    await prompter.ask(saver, 60_000)
    await api.work()
    assert api.emulator.handset(saver.phone).balance_cents == 15_000_000 - 60_000


async def test_what_a_saver_owes_is_repaid_first(
    api: Api, saver: Saver, books: Books, prompter: Prompter
) -> None:
    owed = await owe(api, saver, 20_000)
    goal = await saver.goal()
    await prompter.ask(saver, 50_000, goal_id=goal["id"])
    await api.work()
    assert await books.balance(owed) == 0
    assert (await saver.read_goal(goal))["saved_cents"] == 30_000
    (row,) = await saver.feed(type="deposit")
    told = (await saver.transaction(row))["explanation"]["text"]
    assert "KES 200 of it repaid what you owed" in told


async def test_a_deposit_that_only_repays_reaches_no_goal(
    api: Api, saver: Saver, books: Books, prompter: Prompter
) -> None:
    owed = await owe(api, saver, 80_000)
    goal = await saver.goal()
    await prompter.ask(saver, 50_000, goal_id=goal["id"])
    await api.work()
    assert await books.balance(owed) == 30_000
    assert await saver.holds() == (0, 0, 0)
    (row,) = await saver.feed(type="deposit")
    assert row["goal_id"] is None
    told = (await saver.transaction(row))["explanation"]["text"]
    assert told.startswith("KES 500 came in from M-PESA, to what you owed.")


async def test_the_float_takes_in_what_the_savers_get(
    api: Api, saver: Saver, books: Books, prompter: Prompter
) -> None:
    utility = accounts.float_id("600000")
    await saver.deposit(10_000)
    before = await books.balance(utility)
    await prompter.ask(saver, 50_000)
    await api.work()
    assert await books.balance(utility) == before + 50_000
