"""Collections over HTTP: asked for, skipped, listed; and what waits, paid from the wallet."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.support.app import Api, Serve
from tests.support.collecting import Collector
from tests.support.savers import Json, Saver, answered, code_of, new_key, refused_fields
from tests.support.spends import Recorder, reversal_of
from zanari_api.kit.clock import EAT
from zanari_api.roundups.collection_schemas import CollectionPage
from zanari_api.runtime.db import Role, Tx

# Asked for


async def test_a_saver_can_ask_for_less_than_the_threshold_at_any_hour(
    api: Api, collect: Collector, saver: Saver
) -> None:
    api.clock.advance(hours=11)
    await collect.wait(saver, 347)
    collection = await collect.ask(saver)
    assert (
        collection.items()
        >= {
            "state": "requested",
            "amount_cents": 300,
            "fee_cents": 0,
            "spends": 1,
            "requested_by": "saver",
            "text": "M-PESA is about to ask you for KES 3. It costs you no fee.",
        }.items()
    )
    await collect.pay(saver, collection)
    assert await saver.holds() == (0, 300, 47)


async def test_what_is_asked_for_is_as_much_as_costs_nothing(collect: Collector, saver: Saver) -> None:
    await collect.wait(saver, 9_000, 9_000)
    assert (await collect.ask(saver))["amount_cents"] == 10_000


async def test_the_same_key_asks_once(collect: Collector, saver: Saver) -> None:
    await collect.wait(saver, 347)
    key = new_key()
    first = await saver.post("/mpesa/collections", key=key)
    again = await saver.post("/mpesa/collections", key=key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.content == again.content
    assert len(await collect.list(saver)) == 1


async def test_without_a_key_nothing_is_asked_for(collect: Collector, saver: Saver) -> None:
    await collect.wait(saver, 347)
    refused = await saver.post("/mpesa/collections", key=None)
    assert code_of(refused) == (400, "idempotency_key_required")
    assert await collect.list(saver) == []


@pytest.mark.parametrize("cents", [[], [99]])
async def test_less_than_a_shilling_cannot_be_asked_for(
    collect: Collector, saver: Saver, cents: list[int]
) -> None:
    await collect.wait(saver, *cents)
    assert code_of(await saver.post("/mpesa/collections")) == (409, "nothing_waiting")


async def test_while_a_prompt_is_open_no_other_can_be_asked_for(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 347)
    collection = await collect.ask(saver)
    await collect.wait(saver, 500)
    refused = await saver.post("/mpesa/collections")
    assert code_of(refused) == (409, "prompt_open")
    assert 0 < int(refused.headers["retry-after"]) <= 120
    await collect.fail(saver, collection)
    assert (await collect.ask(saver))["amount_cents"] == 800


async def test_the_same_amount_is_prompted_for_two_minutes_later_at_the_earliest(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 300)
    first = await collect.ask(saver)
    await collect.fail(saver, first)
    second = await collect.ask(saver)
    prompts_at = [datetime.fromisoformat(each["prompts_at"]) for each in (first, second)]
    assert prompts_at[1] - prompts_at[0] == timedelta(minutes=2)
    api.clock.advance(minutes=5)
    await collect.fail(saver, second)
    third = await collect.ask(saver)
    assert timedelta() <= api.clock.now() - datetime.fromisoformat(third["prompts_at"]) < timedelta(seconds=9)


async def test_asking_takes_the_place_of_what_was_announced(collect: Collector, saver: Saver) -> None:
    await collect.wait(saver, 10_000)
    announced = await collect.announced(saver)
    asked = await collect.ask(saver)
    assert asked["amount_cents"] == 10_000
    replaced = await collect.read(saver, announced)
    assert (replaced["state"], replaced["reason"]) == ("skipped", "replaced_by_saver")
    assert replaced["text"] == "You asked for another one in its place."
    assert await saver.holds() == (0, 0, 10_000)


async def test_a_saver_without_a_number_has_nobody_to_ask(api: Api, collect: Collector, saver: Saver) -> None:
    await collect.wait(saver, 347)
    await api.alter(
        "UPDATE savings.mpesa_accounts SET unlinked_at = now(), unlinked_because = 'removed_by_saver'"
        " WHERE saver_id = $1",
        saver.id,
    )
    assert code_of(await saver.post("/mpesa/collections")) == (409, "no_number_linked")


async def test_while_round_ups_are_switched_off_nothing_can_be_asked_for_but_all_is_shown(
    collect: Collector, saver: Saver, serve: Serve
) -> None:
    await collect.wait(saver, 347)
    async with serve(feature_rollup_enabled=False) as other:
        same = Saver(
            api=other, id=saver.id, phone=saver.phone, token=saver.token, member_code=saver.member_code
        )
        assert code_of(await same.post("/mpesa/collections")) == (403, "feature_disabled")
        assert answered(await same.get("/mpesa/collections"))["data"] == []


# Skipped


async def test_what_was_announced_can_be_skipped_and_the_next_one_comes_tomorrow(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 10_000)
    announced = await collect.announced(saver)
    skipped = answered(await saver.post(f"/mpesa/collections/{announced['id']}/skip"))
    assert (
        skipped.items()
        >= {
            "id": announced["id"],
            "state": "skipped",
            "can_skip": False,
            "text": "You skipped it. The round-ups wait.",
        }.items()
    )
    assert await saver.holds() == (0, 0, 10_000)
    api.clock.advance(hours=8)
    await collect.wait(saver, 500)
    assert await collect.is_silent(saver)
    api.clock.advance(hours=11, minutes=1)
    again = await collect.announced(saver)
    prompts_at = datetime.fromisoformat(again["prompts_at"]).astimezone(EAT)
    assert (prompts_at.hour, prompts_at.minute) == (7, 2)


async def test_what_was_announced_under_another_rule_is_taken_back_and_looked_at_again(
    collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 10_000)
    announced = await collect.announced(saver)
    await saver.rule(collection_threshold_cents=50_000)
    taken_back = await collect.read(saver, announced)
    assert (taken_back["state"], taken_back["reason"]) == ("skipped", "rule_changed")
    assert taken_back["text"] == "You changed your rule before its prompt was sent."
    assert await collect.is_silent(saver)
    await saver.rule(collection_threshold_cents=10_000)
    assert (await collect.announced(saver))["id"] != announced["id"]


async def test_skipping_twice_is_skipping_once(collect: Collector, saver: Saver) -> None:
    await collect.wait(saver, 10_000)
    announced = await collect.announced(saver)
    path = f"/mpesa/collections/{announced['id']}/skip"
    assert answered(await saver.post(path)) == answered(await saver.post(path))


async def test_what_was_sent_cannot_be_skipped(api: Api, collect: Collector, saver: Saver) -> None:
    await collect.wait(saver, 300)
    collection = await collect.ask(saver)
    await send(api, collect, saver, collection)
    refused = await saver.post(f"/mpesa/collections/{collection['id']}/skip")
    assert code_of(refused) == (409, "collection_already_prompted")
    shown = await collect.read(saver, collection)
    assert (shown["state"], shown["can_skip"]) == ("prompted", False)
    assert shown["text"] == "Enter your M-PESA PIN on your phone to save KES 3. It costs you no fee."
    api.clock.advance(minutes=3)
    shown = await collect.read(saver, collection)
    assert shown["text"] == "We are asking M-PESA whether you paid the KES 3."


@pytest.mark.parametrize("end", ["pay", "fail", "release"])
async def test_what_is_over_cannot_be_skipped(collect: Collector, saver: Saver, end: str) -> None:
    await collect.wait(saver, 300)
    collection = await collect.ask(saver)
    await getattr(collect, end)(saver, collection)
    before = await collect.read(saver, collection)
    refused = await saver.post(f"/mpesa/collections/{collection['id']}/skip")
    assert code_of(refused) == (409, "collection_already_prompted")
    assert await collect.read(saver, collection) == before


async def test_another_savers_collection_is_none(api: Api, collect: Collector, saver: Saver) -> None:
    other = await api.new_saver()
    await collect.wait(other, 300)
    theirs = await collect.ask(other)
    assert code_of(await saver.post(f"/mpesa/collections/{theirs['id']}/skip")) == (
        404,
        "collection_not_found",
    )
    assert await collect.list(saver) == []
    assert (await collect.read(other, theirs))["state"] == "requested"


# Listed


async def test_collections_are_listed_newest_first_page_by_page(
    api: Api, collect: Collector, saver: Saver
) -> None:
    asked: list[Json] = []
    for cents in (300, 400, 500, 600, 700):
        await collect.wait(saver, cents)
        asked.append(await collect.ask(saver))
        await collect.pay(saver, asked[-1])
        api.clock.advance(minutes=3)
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = answered(await saver.get("/mpesa/collections", **query))
        CollectionPage.model_validate_json((await saver.get("/mpesa/collections", **query)).content)
        seen += [each["id"] for each in page["data"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == [each["id"] for each in reversed(asked)]


async def test_a_cursor_that_is_none_is_refused(saver: Saver) -> None:
    refused = await saver.get("/mpesa/collections", cursor="somewhere")
    assert code_of(refused) == (422, "invalid_cursor")
    assert refused_fields(await saver.get("/mpesa/collections", limit=0)) == {"limit"}


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("wrong_pin", "the M-PESA PIN was wrong"),
        ("insufficient_funds", "there was not enough money on your M-PESA"),
        ("not_permitted", "M-PESA did not make the payment"),
    ],
)
async def test_why_a_collection_failed_is_told(
    collect: Collector, saver: Saver, reason: str, text: str
) -> None:
    await collect.wait(saver, 300)
    collection = await collect.ask(saver)
    await collect.fail(saver, collection, reason)
    shown = await collect.read(saver, collection)
    assert shown["text"] == f"Nothing was collected: {text}. The round-ups wait."
    assert shown["reason"] == reason


# Paid from the wallet


async def test_the_wallet_pays_whole_round_ups_the_oldest_first(
    api: Api, collect: Collector, saver: Saver
) -> None:
    goal = await saver.goal("School fees", target_cents=1_000)
    first, second, third = await collect.wait(saver, 400, 500, 300)
    await saver.deposit(1_000)
    paid = answered(await saver.post("/users/me/waiting/payment"), 201)
    assert (
        paid.items()
        >= {
            "paid_cents": 900,
            "spends": 2,
            "allocations": [{"goal_id": goal["id"], "amount_cents": 900}],
            "waiting_cents": 300,
            "wallet_balance_cents": 100,
            "currency": "KES",
        }.items()
    )
    assert await saver.holds() == (100, 900, 300)
    assert len((await saver.read_goal(goal))["milestones"]) == 3
    (row,) = await saver.feed(type="allocation")
    assert row.items() >= {"id": paid["id"], "direction": "internal", "amount_cents": 900}.items()
    assert (await saver.transaction(row))["explanation"]["text"] == (
        "KES 9 for 2 round-ups went from your wallet to School fees."
    )
    outcomes = {each["receipt"]: each["round_up"]["outcome"] for each in await saver.feed(type="spend")}
    assert outcomes == {first.receipt: "saved", second.receipt: "saved", third.receipt: "waiting"}
    (spend,) = [each for each in await saver.feed(type="spend") if each["receipt"] == first.receipt]
    now = api.clock.now().astimezone(EAT)
    assert (await saver.transaction(spend))["explanation"]["text"] == (
        f"The KES 4 round-up of this payment was paid from your wallet on {now.day} {now:%B %Y}"
        " and is in School fees."
    )


async def test_the_same_key_pays_once(collect: Collector, saver: Saver) -> None:
    await collect.wait(saver, 400)
    await saver.deposit(1_000)
    key = new_key()
    first = await saver.post("/users/me/waiting/payment", key=key)
    again = await saver.post("/users/me/waiting/payment", key=key)
    assert first.content == again.content
    assert await saver.holds() == (600, 400, 0)
    assert code_of(await saver.post("/users/me/waiting/payment")) == (409, "nothing_waiting")
    assert code_of(await saver.post("/users/me/waiting/payment", key=None)) == (
        400,
        "idempotency_key_required",
    )


async def test_a_wallet_that_does_not_cover_the_oldest_pays_nothing(collect: Collector, saver: Saver) -> None:
    await collect.wait(saver, 500, 100)
    await saver.deposit(400)
    assert code_of(await saver.post("/users/me/waiting/payment")) == (409, "insufficient_funds")
    assert await saver.holds() == (400, 0, 600)


async def test_what_a_collection_was_asked_for_is_left_to_it(collect: Collector, saver: Saver) -> None:
    await collect.wait(saver, 400)
    collection = await collect.ask(saver)
    await collect.wait(saver, 300)
    await saver.deposit(1_000)
    assert answered(await saver.post("/users/me/waiting/payment"), 201)["paid_cents"] == 300
    assert code_of(await saver.post("/users/me/waiting/payment")) == (409, "nothing_waiting")
    await collect.fail(saver, collection)
    assert answered(await saver.post("/users/me/waiting/payment"), 201)["paid_cents"] == 400
    await collect.pay(saver, collection)
    assert await saver.holds() == (300 + 400, 700, 0)


async def test_the_rest_of_a_round_up_that_was_collected_in_part_can_be_paid_and_undone(
    collect: Collector, record: Recorder, saver: Saver
) -> None:
    goal = await saver.goal("School fees")
    (spend,) = await collect.wait(saver, 450)
    await collect.pay(saver, await collect.ask(saver))
    await saver.deposit(1_000)
    assert answered(await saver.post("/users/me/waiting/payment"), 201)["paid_cents"] == 50
    assert (await saver.read_goal(goal))["saved_cents"] == 450
    assert await saver.holds() == (950, 450, 0)
    await record(reversal_of(spend, by=saver))
    assert await saver.holds() == (1_400, 0, 0)


async def send(api: Api, collect: Collector, saver: Saver, collection: Json) -> None:
    """Note that the prompt of a collection is on its way."""

    async def begin(tx: Tx) -> None:
        intent = await collect.intent(tx, saver, collection)
        await tx.execute(
            "UPDATE savings.intents SET submitting_at = $3, due_at = NULL WHERE saver_id = $1 AND id = $2",
            intent.saver_id,
            intent.id,
            api.clock.now(),
        )

    await api.db.unit_of_work(begin, role=Role.SYSTEM)
