"""Collections from what waits to what is saved: announced, paid, late, failed, given up; each cent settled once."""

import asyncio
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.support.app import Api, Serve
from tests.support.collecting import Collector
from tests.support.counting import counting
from tests.support.savers import Json, Saver, answered, code_of, new_receipt
from tests.support.spends import Recorder, reversal_of, spend_of
from zanari_api.deposits import receivables
from zanari_api.deposits.rows import Channel, Payment
from zanari_api.kit.clock import EAT
from zanari_api.kit.spend_kind import SpendKind
from zanari_api.ledger import accounts, posting
from zanari_api.ledger.posting import Transfer
from zanari_api.roundups import asking, collection_jobs, collections, plan_queries
from zanari_api.roundups.errors import BooksRefused
from zanari_api.roundups.spends import Source
from zanari_api.runtime.db import Role, Tx
from zanari_api.runtime.jobs import Backlog, Claim, Postponement, RowJob, run_round
from zanari_api.users import service as users

# From what waits to a prompt


async def test_nothing_is_asked_for_while_less_waits_than_the_saver_wants_collected(
    collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 9_999)
    assert await collect.is_silent(saver)


async def test_what_reaches_the_threshold_is_announced_a_minute_before_the_prompt(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 9_000, 1_050)
    collection = await collect.announced(saver)
    assert (
        collection.items()
        >= {
            "state": "requested",
            "amount_cents": 10_000,
            "fee_cents": 0,
            "currency": "KES",
            "spends": 2,
            "requested_by": "schedule",
            "can_skip": True,
            "reason": None,
            "receipt": None,
            "to_wallet_cents": None,
            "settled_at": None,
        }.items()
    )
    prompts_at = datetime.fromisoformat(collection["prompts_at"])
    assert timedelta(seconds=50) < prompts_at - api.clock.now() <= timedelta(seconds=60)
    when = prompts_at.astimezone(EAT)
    assert collection["text"] == (
        f"M-PESA asks you for KES 100 at {when:%H:%M}. Until then you can skip it. It costs you no fee."
    )
    assert await saver.holds() == (0, 0, 10_050)
    assert await collect.is_silent(saver)


async def test_a_fee_is_told_before_it_is_paid_and_afterwards(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await saver.rule(collection_threshold_cents=50_000)
    await collect.wait(saver, 50_000)
    collection = await collect.announced(saver)
    assert (collection["amount_cents"], collection["fee_cents"]) == (50_000, 500)
    assert collection["text"].endswith("M-PESA charges KES 5 for it.")
    await collect.pay(saver, collection)
    text = (await collect.read(saver, collection))["text"]
    assert text == f"KES 500 was collected on {day_of(api)}. M-PESA charged you KES 5 for it."
    (row,) = await saver.feed(type="deposit")
    assert "M-PESA charged you KES 5 for it." in (await saver.transaction(row))["explanation"]["text"]


async def test_at_night_nothing_is_asked_for_until_the_morning(
    api: Api, collect: Collector, saver: Saver
) -> None:
    api.clock.advance(hours=10)
    await collect.wait(saver, 10_000)
    assert await collect.is_silent(saver)
    api.clock.advance(hours=9)
    collection = await collect.announced(saver)
    assert datetime.fromisoformat(collection["prompts_at"]).astimezone(EAT).hour == 7


async def test_while_round_ups_are_switched_off_for_everybody_nothing_is_asked_for(
    collect: Collector, saver: Saver, serve: Serve
) -> None:
    await collect.wait(saver, 10_000)
    async with serve(feature_rollup_enabled=False) as other:
        off = Collector(other)
        await off.noon()
        await off.look()
    assert await collect.list(saver) == []
    collect.api.clock.advance(days=2)
    await collect.noon()
    assert await collect.announced(saver)


async def test_while_the_saver_has_switched_round_ups_off_nothing_is_asked_for(
    collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 10_000)
    await saver.rule(enabled=False)
    assert await collect.is_silent(saver)
    await saver.rule(enabled=True, multiplier=2)
    assert await collect.announced(saver)


async def test_a_saver_without_a_number_is_asked_when_there_is_one(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await api.alter(
        "UPDATE savings.mpesa_accounts SET unlinked_at = now(), unlinked_because = 'removed_by_saver'"
        " WHERE saver_id = $1",
        saver.id,
    )
    await collect.wait(saver, 10_000)
    assert await collect.is_silent(saver)
    await api.alter(
        "UPDATE savings.mpesa_accounts SET unlinked_at = NULL, unlinked_because = NULL WHERE saver_id = $1",
        saver.id,
    )
    api.clock.advance(hours=1)
    assert await collect.announced(saver)


async def test_a_lower_threshold_counts_at_once(collect: Collector, saver: Saver) -> None:
    await saver.rule(collection_threshold_cents=50_000)
    await collect.wait(saver, 20_000)
    assert await collect.is_silent(saver)
    await saver.rule(collection_threshold_cents=10_000)
    assert (await collect.announced(saver))["amount_cents"] == 10_000


async def test_while_another_prompt_is_open_nothing_is_asked_for(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 5_000)
    asked = await collect.ask(saver)
    await collect.wait(saver, 10_000)
    assert await collect.is_silent(saver)
    api.clock.advance(minutes=31)
    assert (await collect.announced_beside(saver, asked))["amount_cents"] == 10_000


async def test_a_backlog_is_collected_bit_by_bit_with_a_rest_in_between(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 35_000)
    for number in range(3):
        await collect.pay(saver, await collect.announced(saver))
        assert await saver.holds() == (0, 10_000 * (number + 1), 25_000 - 10_000 * number)
        assert await collect.is_silent(saver)
        api.clock.advance(minutes=31)
    await collect.look()
    assert len(await collect.list(saver)) == 3


# Paid


async def test_the_money_of_a_collection_goes_to_the_goals_its_round_ups_were_meant_for(
    api: Api, collect: Collector, saver: Saver
) -> None:
    first = await saver.goal("first", allocation_percent=33, target_cents=5_000)
    second = await saver.goal("second", allocation_percent=33)
    await collect.wait(saver, 4_000, 6_033)
    collection = await collect.announced(saver)
    receipt = await collect.pay(saver, collection)
    # The last one is covered up to KES 59.67 of 60.33: its goals, which lie one after another, fill in that order.
    assert await saver.holds() == (0, 10_000, 33)
    saved = {goal["name"]: goal["saved_cents"] for goal in await saver.goals()}
    assert sum(saved.values()) == 10_000
    paid = await collect.read(saver, collection)
    assert (paid["state"], paid["receipt"], paid["to_wallet_cents"]) == ("settled", receipt, 0)
    assert paid["text"] == f"KES 100 was collected on {day_of(api)}."
    assert not paid["can_skip"]
    assert len((await saver.read_goal(first))["milestones"]) >= 2
    await collect.wait(saver, 9_967)
    api.clock.advance(minutes=31)
    await collect.pay(saver, await collect.announced(saver))
    meant = {
        row["goal_id"]: row["cents"]
        for row in await api.rows(
            "SELECT goal_id, sum(amount_cents)::bigint AS cents FROM savings.allocations"
            " WHERE saver_id = $1 GROUP BY goal_id",
            saver.id,
        )
    }
    saved = {UUID(goal["id"]): goal["saved_cents"] for goal in await saver.goals()}
    assert saved == meant
    assert second["id"] in {str(goal_id) for goal_id in meant}
    assert await saver.holds() == (0, 20_000, 0)


async def test_the_feed_tells_of_each_spend_and_of_the_collection(
    api: Api, collect: Collector, saver: Saver
) -> None:
    goal = await saver.goal("School fees")
    whole, part = await collect.wait(saver, 6_000, 4_050)
    collection = await collect.announced(saver)
    receipt = await collect.pay(saver, collection)
    (row,) = await saver.feed(type="deposit")
    assert (
        row.items()
        >= {
            "id": collection["id"],
            "status": "completed",
            "direction": "in",
            "amount_cents": 10_000,
            "title": "Round-ups collected",
            "receipt": receipt,
        }.items()
    )
    assert (await saver.transaction(row))["explanation"] == {
        "text": "KES 100 came in from M-PESA for 2 round-ups. KES 100 went to School fees."
    }
    saved = await row_of(saver, whole.receipt)
    assert saved["round_up"] == {
        "amount_cents": 6_000,
        "outcome": "saved",
        "reason": None,
        "allocations": [{"goal_id": goal["id"], "amount_cents": 6_000}],
    }
    assert saved["explanation"] == {
        "text": f"The KES 60 round-up of this payment was collected by M-PESA on {day_of(api)} and is in School fees.",
        "outcome": "saved",
        "reason": None,
        "rule_version": 1,
        "round_up_cents": 6_000,
        "settled_cents": 6_000,
    }
    waiting = await row_of(saver, part.receipt)
    assert (waiting["round_up"]["outcome"], waiting["explanation"]["settled_cents"]) == ("waiting", 4_000)
    assert waiting["explanation"]["text"] == (
        f"Of the KES 40.50 round-up of this payment, KES 40 was collected by M-PESA on {day_of(api)}"
        " and is in School fees; KES 0.50 still waits."
    )


async def test_a_goal_given_up_meanwhile_leaves_its_part_to_the_default_goal(
    collect: Collector, saver: Saver
) -> None:
    kept = await saver.goal("kept", allocation_percent=40)
    cancelled = await saver.goal("cancelled", allocation_percent=30)
    deleted = await saver.goal("deleted", allocation_percent=20)
    (spend,) = await collect.wait(saver, 10_000)
    collection = await collect.announced(saver)
    answered(await saver.post(f"/goals/{cancelled['id']}/cancellation"))
    answered(await saver.delete(f"/goals/{deleted['id']}"))
    await collect.pay(saver, collection)
    saved = {goal["name"]: goal["saved_cents"] for goal in await saver.goals()}
    assert saved == {"kept": 4_000, "cancelled": 0, "Spare change": 6_000}
    row = await row_of(saver, spend.receipt)
    default = await saver.default_goal()
    assert {share["goal_id"]: share["amount_cents"] for share in row["round_up"]["allocations"]} == {
        kept["id"]: 4_000,
        default["id"]: 6_000,
    }
    assert row["explanation"]["text"].endswith("You had given up a goal it was meant for.")
    (deposit,) = await saver.feed(type="deposit")
    text = (await saver.transaction(deposit))["explanation"]["text"]
    assert text.endswith("What was meant for a goal you had given up is in your default goal.")


async def test_a_paused_goal_gets_what_was_meant_for_it(collect: Collector, saver: Saver) -> None:
    goal = await saver.goal()
    await collect.wait(saver, 10_000)
    collection = await collect.announced(saver)
    answered(await saver.patch(f"/goals/{goal['id']}", {"status": "paused"}))
    await collect.pay(saver, collection)
    assert (await saver.read_goal(goal))["saved_cents"] == 10_000


async def test_the_money_of_a_round_up_that_was_cancelled_meanwhile_goes_to_the_wallet(
    collect: Collector, record: Recorder, saver: Saver
) -> None:
    kept, reversed_ = await collect.wait(saver, 6_000, 4_000)
    collection = await collect.announced(saver)
    await record(reversal_of(reversed_, by=saver))
    assert await saver.holds() == (0, 0, 6_000)
    await collect.pay(saver, collection)
    assert await saver.holds() == (4_000, 6_000, 0)
    paid = await collect.read(saver, collection)
    assert paid["to_wallet_cents"] == 4_000
    assert "KES 40 of it in your wallet" in paid["text"]
    assert await outcomes_of(collect.api, collection) == ["settled", "cancelled"]
    (deposit,) = await saver.feed(type="deposit")
    assert (await saver.transaction(deposit))["explanation"]["text"] == (
        "KES 100 came in from M-PESA for 2 round-ups. KES 60 went to Spare change. KES 40 went to your wallet,"
        " because what it was for was saved or cancelled before the money came."
    )
    assert (await row_of(saver, reversed_.receipt))["round_up"]["outcome"] == "skipped"
    assert (await row_of(saver, kept.receipt))["round_up"]["outcome"] == "saved"


async def test_a_collection_of_which_nothing_is_wanted_any_more_is_all_the_wallets(
    collect: Collector, record: Recorder, saver: Saver
) -> None:
    (spend,) = await collect.wait(saver, 10_000)
    collection = await collect.announced(saver)
    await record(reversal_of(spend, by=saver))
    await collect.pay(saver, collection)
    assert await saver.holds() == (10_000, 0, 0)
    (deposit,) = await saver.feed(type="deposit")
    assert (await saver.transaction(deposit))["explanation"]["text"] == (
        "KES 100 came in from M-PESA for a round-up. KES 100 went to your wallet, because what it was for was"
        " saved or cancelled before the money came."
    )


async def test_a_query_settles_without_a_receipt_which_is_attached_when_it_comes(
    collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 10_000)
    collection = await collect.announced(saver)
    await collect.pay(saver, collection, receipt=None)
    assert await saver.holds() == (0, 10_000, 0)
    assert (await collect.read(saver, collection))["receipt"] is None
    receipt = await collect.pay(saver, collection)
    assert await saver.holds() == (0, 10_000, 0)
    assert (await collect.read(saver, collection))["receipt"] == receipt
    (row,) = await saver.feed(type="deposit")
    assert row["receipt"] == receipt


async def test_a_collection_settles_once_however_often_it_is_told(collect: Collector, saver: Saver) -> None:
    await collect.wait(saver, 10_000)
    collection = await collect.announced(saver)
    receipt = await collect.pay(saver, collection)
    await asyncio.gather(*(collect.pay(saver, collection, receipt=receipt) for _ in range(4)))
    assert await saver.holds() == (0, 10_000, 0)
    assert len(await saver.feed(type="deposit")) == 1


async def test_settling_twice_by_itself_moves_nothing_again(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 10_000)
    collection = await collect.announced(saver)
    await settle_by_hand(api, collect, saver, collection, cents=10_000)
    await settle_by_hand(api, collect, saver, collection, cents=10_000)
    assert await saver.holds() == (0, 10_000, 0)


async def test_another_amount_than_was_asked_for_settles_nothing(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 10_000)
    collection = await collect.announced(saver)
    with pytest.raises(BooksRefused):
        await settle_by_hand(api, collect, saver, collection, cents=9_900)
    assert await saver.holds() == (0, 0, 10_000)


async def test_books_that_refuse_a_collection_are_a_fault_and_settle_nothing(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 10_000)
    collection = await collect.announced(saver)
    in_the_way = Transfer(
        key=f"collection:{collection['id']}",
        kind="move",
        event_at=api.clock.now(),
        entries=((accounts.float_id("600123"), -1), (accounts.SUSPENSE, 1)),
    )

    async def post(tx: Tx) -> None:
        await accounts.open_floats(tx, "600123")
        await posting.post_one(tx, in_the_way)

    await api.db.unit_of_work(post, role=Role.SYSTEM)
    with pytest.raises(BooksRefused, match="key_conflict"):
        await settle_by_hand(api, collect, saver, collection, cents=10_000, shortcode="600123")
    assert await saver.holds() == (0, 0, 10_000)


async def test_an_intent_that_is_no_collections_is_a_fault(api: Api, saver: Saver) -> None:
    async def fail(tx: Tx) -> None:
        await collections.fail_collection(
            tx, saver_id=saver.id, intent_id=uuid4(), reason="cancelled", now=api.clock.now()
        )

    with pytest.raises(LookupError):
        await api.db.unit_of_work(fail, role=Role.SYSTEM)


async def test_a_failure_told_twice_counts_once(api: Api, collect: Collector, saver: Saver) -> None:
    await collect.wait(saver, 10_000)
    collection = await collect.announced(saver)

    async def fail(tx: Tx) -> None:
        intent = await collect.intent(tx, saver, collection)
        await collections.fail_collection(
            tx, saver_id=saver.id, intent_id=intent.id, reason="cancelled", now=api.clock.now()
        )

    for _ in range(2):
        await api.db.unit_of_work(fail, role=Role.SYSTEM)
    assert (await plan_of(api, saver))["declined_in_a_row"] == 1


async def test_the_first_payment_to_a_shortcode_opens_its_float(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 10_000)
    collection = await collect.announced(saver)
    await settle_by_hand(api, collect, saver, collection, cents=10_000, shortcode="600123")
    assert await saver.holds() == (0, 10_000, 0)


async def test_the_payment_of_a_collection_is_no_spend_whichever_is_heard_of_first(
    collect: Collector, record: Recorder, saver: Saver
) -> None:
    await collect.wait(saver, 10_000)
    collection = await collect.announced(saver)
    receipt = new_receipt()
    told = spend_of(saver, 10_000, receipt=receipt, kind=SpendKind.PAYBILL, source=Source.SMS)
    await record.set_rule(saver, kind="fixed", fixed_cents=700)
    assert await record.outcomes(told, at=collect.api.clock.now()) == [(700, "waiting", None)]
    await collect.pay(saver, collection, receipt=receipt)
    assert await saver.holds() == (0, 10_000, 0)
    assert (await row_of(saver, receipt))["round_up"]["reason"] == "own_shortcode"
    collect.api.clock.advance(minutes=31)
    await collect.wait(saver, 10_000)
    collection = await collect.announced(saver)
    receipt = await collect.pay(saver, collection)
    late = spend_of(saver, 10_000, receipt=receipt, kind=SpendKind.PAYBILL, source=Source.SMS)
    assert await record.outcomes(late, at=collect.api.clock.now()) == [(0, "skipped", "own_shortcode")]


# Not paid


async def test_after_a_cancelled_prompt_the_round_ups_wait_and_the_saver_has_a_days_peace(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 10_000)
    collection = await collect.announced(saver)
    await collect.fail(saver, collection)
    failed = await collect.read(saver, collection)
    assert (failed["state"], failed["reason"]) == ("failed", "cancelled")
    assert failed["text"] == "Nothing was collected: you cancelled the M-PESA prompt. The round-ups wait."
    assert await saver.holds() == (0, 0, 10_000)
    await collect.wait(saver, 500)
    api.clock.advance(hours=23)
    assert await collect.is_silent(saver)
    api.clock.advance(hours=1)
    again = await collect.announced(saver)
    assert again["id"] != collection["id"]


async def test_after_three_prompts_turned_down_none_comes_until_the_saver_asks(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 10_000)
    for days in (1, 2, 4):
        await collect.fail(saver, await collect.announced(saver), "no_answer")
        api.clock.advance(days=days)
    await collect.wait(saver, 500)
    assert await collect.is_silent(saver)
    await collect.fail(saver, await collect.ask(saver), "no_answer")
    await collect.look()
    assert len(await collect.list(saver)) == 4
    api.clock.advance(days=1)
    assert await collect.announced(saver)


async def test_a_changed_rule_lets_prompts_come_again(api: Api, collect: Collector, saver: Saver) -> None:
    await collect.wait(saver, 10_000)
    for days in (1, 2, 4):
        await collect.fail(saver, await collect.announced(saver))
        api.clock.advance(days=days)
    assert await collect.is_silent(saver)
    await saver.rule(multiplier=2)
    assert await collect.announced(saver)


async def test_a_paid_prompt_ends_the_count_of_those_turned_down(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 40_000)
    for days in (1, 2):
        await collect.fail(saver, await collect.announced(saver))
        api.clock.advance(days=days)
    await collect.pay(saver, await collect.announced(saver))
    api.clock.advance(minutes=31)
    await collect.fail(saver, await collect.announced(saver))
    api.clock.advance(days=1)
    assert await collect.announced(saver)


async def test_a_prompt_that_was_never_shown_is_tried_again_soon(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 10_000)
    await collect.fail(saver, await collect.announced(saver), "phone_busy")
    api.clock.advance(minutes=32)
    assert await collect.announced(saver)


async def test_after_too_little_money_on_m_pesa_the_next_try_is_tomorrow(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 10_000)
    for _ in range(4):
        collection = await collect.announced(saver)
        await collect.fail(saver, collection, "insufficient_funds")
        api.clock.advance(days=1)
    assert await collect.announced(saver)


async def test_late_money_is_credited_although_the_collection_had_failed(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 10_000)
    collection = await collect.announced(saver)
    await collect.fail(saver, collection)
    await collect.pay(saver, collection)
    assert await saver.holds() == (0, 10_000, 0)
    assert (await collect.read(saver, collection)).items() >= {"state": "settled", "reason": None}.items()
    await collect.fail(saver, collection)
    await collect.release(saver, collection)
    assert (await collect.read(saver, collection))["state"] == "settled"


async def test_late_money_whose_round_ups_another_collection_has_saved_goes_to_the_wallet(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 6_000, 4_000)
    first = await collect.announced(saver)
    await collect.fail(saver, first)
    api.clock.advance(days=1)
    second = await collect.announced(saver)
    await collect.pay(saver, second)
    await collect.pay(saver, first)
    assert await saver.holds() == (10_000, 10_000, 0)
    assert await outcomes_of(api, first) == ["settled_before", "settled_before"]


async def test_late_money_saves_what_waits_and_leaves_the_later_collection_to_the_wallet(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 10_050)
    first = await collect.announced(saver)
    await collect.fail(saver, first)
    api.clock.advance(days=1)
    second = await collect.announced(saver)
    await collect.pay(saver, first)
    assert await saver.holds() == (0, 10_000, 50)
    await collect.pay(saver, second)
    assert await saver.holds() == (9_950, 10_050, 0)
    assert await outcomes_of(api, second) == ["settled_before"]


async def test_what_nobody_could_say_for_a_day_waits_again_and_late_money_counts(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 10_000)
    collection = await collect.announced(saver)
    await collect.wait(saver, 500)
    api.clock.advance(hours=24)
    await collect.release(saver, collection)
    await collect.release(saver, collection)
    released = await collect.read(saver, collection)
    assert released["state"] == "unresolved"
    assert released["text"].startswith("M-PESA never said what became of it")
    again = await collect.announced(saver)
    assert again["amount_cents"] == 10_000
    await collect.pay(saver, again)
    await collect.pay(saver, collection)
    assert await saver.holds() == (10_000, 10_000, 500)


async def test_a_definite_no_that_comes_after_a_day_counts_too(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 10_000)
    collection = await collect.announced(saver)
    await collect.release(saver, collection)
    await collect.fail(saver, collection)
    assert (await collect.read(saver, collection))["state"] == "failed"
    assert await collect.is_silent(saver)
    await collect.fail(saver, collection)
    api.clock.advance(days=1)
    assert await collect.announced(saver)


async def test_after_three_turned_down_what_is_given_up_wakes_nobody(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 10_000, 10_000)
    unknown = await collect.announced(saver)
    for days in (1, 2, 4):
        api.clock.advance(minutes=40)
        await collect.fail(saver, await collect.announced_beside(saver, unknown))
        api.clock.advance(days=days)
    await collect.release(saver, unknown)
    assert await collect.is_silent(saver)


# What it costs


async def test_many_round_ups_are_collected_in_as_many_statements_as_two(
    api: Api, collect: Collector
) -> None:
    taken: list[int] = []
    for count in (2, 50):
        saver = await api.new_saver()
        await saver.goal(allocation_percent=40)
        await collect.wait(saver, *[10_000 // count] * count)
        collection = await collect.announced(saver)
        async with api.db.transaction(Role.SYSTEM) as tx:
            counted, statements = counting(tx)
            await collections.settle_collection(
                counted,
                saver=await users.lock_saver(tx, saver_id=saver.id),
                intent=await collect.intent(tx, saver, collection),
                payment=payment_of(api, 10_000),
                now=api.clock.now(),
            )
        assert await saver.holds() == (0, 10_000, 0)
        taken.append(len(statements))
    assert taken[0] == taken[1] <= 20


# Several at once


async def test_two_workers_ask_for_one_collection(api: Api, collect: Collector) -> None:
    savers = [await api.new_saver() for _ in range(5)]
    for saver in savers:
        await collect.wait(saver, 10_000)
    await asyncio.gather(*(collect.look() for _ in range(3)))
    for saver in savers:
        assert len(await collect.list(saver)) == 1


async def test_a_worker_that_lost_its_lease_asks_for_nothing(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 10_000)
    slow = await claim(api, saver)
    api.clock.advance(minutes=2)
    quick = await claim(api, saver)
    terms = await api.app.state.parts.collection_terms()

    async def look(tx: Tx, plan: plan_queries.PlanRow) -> None:
        await asking.look(tx, plan, terms=terms, now=api.clock.now())

    await api.db.unit_of_work(lambda tx: look(tx, slow), role=Role.SYSTEM)
    assert await collect.list(saver) == []
    await api.db.unit_of_work(lambda tx: look(tx, quick), role=Role.SYSTEM)
    assert len(await collect.list(saver)) == 1


async def test_work_that_fails_is_put_off_and_in_the_end_given_up(
    api: Api, collect: Collector, saver: Saver
) -> None:
    await collect.wait(saver, 10_000)

    async def no_terms() -> collections.Terms:
        raise ConnectionRefusedError

    (job,) = collection_jobs.jobs(database=api.db, clock=api.clock, terms=no_terms)
    await run_round(job, database=api.db, clock=api.clock)
    plan = await plan_of(api, saver)
    assert (plan["last_error"], plan["attempts"], plan["dead_at"]) == ("ConnectionRefusedError", 1, None)
    assert plan["due_at"] > api.clock.now()
    api.clock.advance(minutes=1)
    row = await claim(api, saver)
    before = await backlog_of(api, job)
    given_up = Postponement(api.clock.now(), "ConnectionRefusedError", dead=True)
    await api.db.unit_of_work(lambda tx: job.postpone(tx, row, given_up), role=Role.SYSTEM)
    after = await backlog_of(api, job)
    assert (after.due - before.due, after.dead - before.dead) == (-1, 1)
    assert await collect.is_silent(saver)
    await api.alter("UPDATE savings.collection_plans SET dead_at = NULL WHERE saver_id = $1", saver.id)
    assert await collect.announced(saver)


async def test_a_plan_that_waits_for_work_is_counted(api: Api, collect: Collector, saver: Saver) -> None:
    (job,) = collection_jobs.jobs(
        database=api.db, clock=api.clock, terms=api.app.state.parts.collection_terms
    )
    await collect.look()
    assert (await backlog_of(api, job)).due == 0
    await collect.wait(saver, 10_000)
    backlog = await backlog_of(api, job)
    assert (backlog.due, backlog.oldest_due_at) == (1, (await plan_of(api, saver))["due_at"])


@pytest.mark.parametrize("rounds", range(3))
async def test_a_reversal_and_the_money_for_it_at_the_same_moment_settle_each_cent_once(
    collect: Collector, record: Recorder, saver: Saver, rounds: int
) -> None:
    spends = await collect.wait(saver, 4_000, 4_000, 2_000)
    collection = await collect.announced(saver)
    await asyncio.gather(
        *(record(reversal_of(spend, by=saver)) for spend in spends[:2]),
        collect.pay(saver, collection),
        collect.fail(saver, collection),
    )
    assert await saver.holds() == (8_000, 2_000, 0), rounds


def day_of(api: Api) -> str:
    today = api.clock.now().astimezone(EAT)
    return f"{today.day} {today:%B %Y}"


async def row_of(saver: Saver, receipt: str) -> Json:
    """Return the spend's row of the feed, explained."""
    (row,) = [row for row in await saver.feed(type="spend") if row["receipt"] == receipt]
    return await saver.transaction(row)


async def outcomes_of(api: Api, collection: Json) -> list[str]:
    rows = await api.rows(
        "SELECT outcome FROM savings.collection_items WHERE collection_id = $1 ORDER BY place",
        UUID(collection["id"]),
    )
    return [row["outcome"] for row in rows]


async def plan_of(api: Api, saver: Saver) -> Json:
    (row,) = await api.rows("SELECT * FROM savings.collection_plans WHERE saver_id = $1", saver.id)
    return dict(row)


async def backlog_of(api: Api, job: RowJob[Any]) -> Backlog:
    async with api.db.transaction(Role.SYSTEM) as tx:
        return await job.count(tx, api.clock.now())


async def claim(api: Api, saver: Saver) -> plan_queries.PlanRow:
    """Claim what is due for a minute, and return this saver's plan."""
    now = api.clock.now()
    wanted = Claim(uuid4(), now, now + timedelta(minutes=1), 1_000)
    rows = await api.db.unit_of_work(lambda tx: plan_queries.claim(tx, wanted), role=Role.SYSTEM)
    (row,) = [row for row in rows if row.saver_id == saver.id]
    return row


async def settle_by_hand(
    api: Api, collect: Collector, saver: Saver, collection: Json, *, cents: int, shortcode: str = "600000"
) -> None:
    """Have a collection settled past what looks after intents and receipts."""

    async def settle(tx: Tx) -> None:
        await collections.settle_collection(
            tx,
            saver=await users.lock_saver(tx, saver_id=saver.id),
            intent=await collect.intent(tx, saver, collection),
            payment=payment_of(api, cents, shortcode=shortcode),
            now=api.clock.now(),
        )

    await api.db.unit_of_work(settle, role=Role.SYSTEM)


def payment_of(api: Api, cents: int, *, shortcode: str = "600000") -> Payment:
    """Return a payment as a query tells of it."""
    return Payment(
        receipt=None,
        amount_cents=cents,
        shortcode=shortcode,
        event_at=api.clock.now(),
        callback_id=None,
        channel=Channel.STK_QUERY,
    )


async def test_while_something_is_owed_nothing_is_collected(collect: Collector, saver: Saver) -> None:
    await collect.noon()
    await collect.wait(saver, 20_000)

    async def owe(tx: Tx, cents: int) -> None:
        await users.lock_saver(tx, saver_id=saver.id)
        account_id = await receivables.receivable_account(tx, saver_id=saver.id)
        await posting.post_one(
            tx,
            Transfer(
                key=f"owing:{cents}:{saver.id}",
                kind="owing",
                event_at=collect.api.clock.now(),
                entries=((account_id, -cents), (accounts.SUSPENSE, cents)),
            ),
        )

    await collect.api.db.unit_of_work(partial(owe, cents=5_000), role=Role.SYSTEM)
    await collect.look()
    assert await collect.open(saver) == []
    assert code_of(await saver.post("/mpesa/collections")) == (409, "debt_first")

    await collect.api.db.unit_of_work(partial(owe, cents=-5_000), role=Role.SYSTEM)
    await collect.ask(saver)
    assert len(await collect.open(saver)) == 1
