"""Taking round-ups back: what waits is cancelled, what was saved returns as far as it is still there. Once."""

import asyncio
from datetime import timedelta

import pytest

from tests.support.app import Api
from tests.support.savers import Json, Saver, answered, new_receipt, now
from tests.support.spends import Recorder, reversal_of, spend_of
from zanari_api.roundups.service import record_spends
from zanari_api.roundups.spends import RecordStatus, Source, Spend
from zanari_api.runtime.db import Role

PROCESSED, DUPLICATE, UNMATCHED = RecordStatus.PROCESSED, RecordStatus.DUPLICATE, RecordStatus.UNMATCHED


async def test_what_was_saved_goes_back_to_the_wallet(record: Recorder, saver: Saver) -> None:
    goal = await saver.goal()
    await saver.deposit(1_000)
    spend = spend_of(saver)
    await record(spend)
    (undone,) = await record(reversal_of(spend, by=saver))
    assert (undone.status, undone.round_up) == (PROCESSED, None)
    assert await saver.holds() == (1_000, 0, 0)
    assert (await saver.read_goal(goal))["saved_cents"] == 0
    row = await row_of(saver, spend.receipt)
    assert row["status"] == "reversed"
    assert (
        row["explanation"].items()
        >= {
            "text": "M-PESA reversed this payment, so its round-up of KES 3 was undone.",
            "reason": "reversed",
            "round_up_cents": 0,
            "undone_cents": 300,
        }.items()
    )


async def test_what_waits_is_cancelled(record: Recorder, saver: Saver) -> None:
    spend = spend_of(saver)
    await record(spend)
    assert await saver.holds() == (0, 0, 300)
    await record(reversal_of(spend, by=saver))
    assert await saver.holds() == (0, 0, 0)
    assert (await row_of(saver, spend.receipt))["explanation"]["undone_cents"] == 300


async def test_what_was_skipped_has_nothing_to_take_back(record: Recorder, saver: Saver) -> None:
    await saver.deposit(1_000)
    spend = spend_of(saver, 15_000)
    await record(spend)
    (undone,) = await record(reversal_of(spend, by=saver))
    assert undone.status is PROCESSED
    assert await saver.holds() == (1_000, 0, 0)
    row = await row_of(saver, spend.receipt)
    assert row["status"] == "reversed"
    assert row["explanation"]["text"] == "M-PESA reversed this payment; it had saved nothing."


async def test_of_what_was_withdrawn_meanwhile_nothing_is_owed(record: Recorder, saver: Saver) -> None:
    goal = await saver.goal()
    await saver.deposit(300)
    spend = spend_of(saver)
    await record(spend)
    answered(await saver.post(f"/goals/{goal['id']}/withdrawals", {"amount_cents": 200}), 201)
    await record(reversal_of(spend, by=saver))
    assert await saver.holds() == (300, 0, 0)
    row = await row_of(saver, spend.receipt)
    assert (
        row["round_up"].items()
        >= {
            "allocations": [{"goal_id": goal["id"], "amount_cents": 200}],
            "amount_cents": 200,
            "outcome": "saved",
            "reason": "already_withdrawn",
        }.items()
    )
    assert (
        row["explanation"].items()
        >= {
            "text": "M-PESA reversed this payment. Of its round-up, KES 1 went back to your wallet;"
            " KES 2 had already left the goal, and you owe nothing.",
            "undone_cents": 100,
            "round_up_cents": 200,
        }.items()
    )


async def test_a_round_up_withdrawn_whole_stays_where_it_is(record: Recorder, saver: Saver) -> None:
    goal = await saver.goal()
    await saver.deposit(300)
    spend = spend_of(saver)
    await record(spend)
    answered(await saver.delete(f"/goals/{goal['id']}"))
    (undone,) = await record(reversal_of(spend, by=saver))
    assert undone.status is PROCESSED
    assert await saver.holds() == (300, 0, 0)
    assert (await row_of(saver, spend.receipt))["round_up"]["reason"] == "already_withdrawn"


async def test_each_goal_gives_back_its_own_part(record: Recorder, saver: Saver) -> None:
    first = await saver.goal("first", allocation_percent=50)
    second = await saver.goal("second", allocation_percent=30)
    await saver.deposit(10_000)
    spend = spend_of(saver)
    await record(spend)
    answered(await saver.post(f"/goals/{first['id']}/withdrawals", {"amount_cents": 150}), 201)
    answered(await saver.post(f"/goals/{second['id']}/deposits", {"amount_cents": 1_000}), 201)
    await record(reversal_of(spend, by=saver))
    saved = {goal["name"]: goal["saved_cents"] for goal in await saver.goals()}
    assert saved == {"first": 0, "second": 1_000, "Spare change": 0}
    assert (await row_of(saver, spend.receipt))["explanation"]["undone_cents"] == 90 + 60


async def test_a_reversal_is_carried_out_once(record: Recorder, saver: Saver) -> None:
    goal = await saver.goal()
    await saver.deposit(10_000)
    spend = spend_of(saver)
    await record(spend)
    answered(await saver.post(f"/goals/{goal['id']}/deposits", {"amount_cents": 5_000}), 201)
    news = reversal_of(spend, by=saver)
    assert [item.status for item in await record(news, news)] == [PROCESSED, DUPLICATE]
    assert [item.status for item in await record(news)] == [DUPLICATE]
    assert [item.status for item in await record(reversal_of(spend, by=saver, receipt=new_receipt()))] == [
        DUPLICATE
    ]
    assert (await saver.read_goal(goal))["saved_cents"] == 5_000


async def test_a_reversal_under_a_receipt_of_its_own_takes_back_the_one_it_names(
    record: Recorder, saver: Saver
) -> None:
    await saver.deposit(1_000)
    spend, other = spend_of(saver), spend_of(saver)
    await record(spend, other)
    await record(reversal_of(spend, by=saver, receipt=new_receipt()))
    assert await saver.holds() == (700, 300, 0)
    assert (await row_of(saver, spend.receipt))["status"] == "reversed"
    assert (await row_of(saver, other.receipt))["status"] == "completed"
    assert len(await saver.feed(type="spend")) == 2


@pytest.mark.parametrize("own_receipt", [True, False], ids=["of its own", "of the spend"])
async def test_a_spend_that_arrives_after_its_reversal_saves_nothing(
    record: Recorder, saver: Saver, *, own_receipt: bool
) -> None:
    await saver.deposit(1_000)
    spend = spend_of(saver)
    news = reversal_of(spend, by=saver, receipt=new_receipt() if own_receipt else None)
    assert [item.status for item in await record(news)] == [PROCESSED]
    (late,) = await record(spend)
    assert late.round_up is not None
    assert (late.round_up.outcome, late.round_up.reason) == ("skipped", "reversed")
    assert await saver.holds() == (1_000, 0, 0)
    assert (await row_of(saver, spend.receipt))["status"] == "reversed"
    assert len(await saver.feed(type="spend")) == 1


@pytest.mark.parametrize("reversed_first", [True, False])
async def test_a_spend_and_its_reversal_in_one_call_save_nothing(
    record: Recorder, saver: Saver, *, reversed_first: bool
) -> None:
    await saver.deposit(1_000)
    spend = spend_of(saver)
    news = reversal_of(spend, by=saver, receipt=new_receipt())
    await record(*((news, spend) if reversed_first else (spend, news)))
    assert await saver.holds() == (1_000, 0, 0)
    assert (await row_of(saver, spend.receipt))["status"] == "reversed"


async def test_a_reversal_finds_the_spend_by_its_receipt_whoever_holds_the_number_now(
    record: Recorder, saver: Saver
) -> None:
    await saver.deposit(1_000)
    spend = spend_of(saver)
    await record(spend)
    (undone,) = await record(reversal_of(spend, by=None, receipt=new_receipt()))
    assert undone.status is PROCESSED
    assert await saver.holds() == (1_000, 0, 0)


async def test_a_reversal_that_is_nobodys_consumes_nothing(record: Recorder, saver: Saver) -> None:
    spend = spend_of(saver)
    (unmatched,) = await record(reversal_of(spend, by=None, receipt=new_receipt()))
    assert unmatched.status is UNMATCHED
    assert [item.round_up and item.round_up.outcome for item in await record(spend)] == ["waiting"]


async def test_a_reversal_that_meets_its_spend_half_recorded_waits_and_takes_it_back(
    api: Api, record: Recorder, saver: Saver
) -> None:
    await saver.deposit(1_000)
    spend = spend_of(saver)
    async with api.db.transaction(Role.SYSTEM) as tx:
        await record_spends(tx, [spend], policy=record.policy())
        # Nobody holds the number of this news, so whose money it touches shows only after the commit.
        undoing = asyncio.create_task(record(reversal_of(spend, by=None, receipt=new_receipt())))
        await api.until_a_statement_waits()
    assert [item.status for item in await undoing] == [PROCESSED]
    assert await saver.holds() == (1_000, 0, 0)


async def test_a_reversal_gives_its_part_of_a_cap_back(record: Recorder, saver: Saver) -> None:
    await saver.deposit(1_000)
    await record.set_rule(saver, cap_per_day_cents=300)
    at = now()
    first, second, third = (spend_of(saver, at=at) for _ in range(3))
    assert await record.outcomes(first, second) == [(300, "saved", None), (0, "skipped", "cap_reached")]
    await record(reversal_of(first, by=saver))
    assert await record.outcomes(third) == [(300, "saved", None)]


async def test_a_duplicate_after_the_reversal_carries_the_first_decision(
    record: Recorder, saver: Saver
) -> None:
    await saver.deposit(1_000)
    spend = spend_of(saver)
    (first,) = await record(spend)
    await record(reversal_of(spend, by=saver))
    (again,) = await record(spend)
    assert (again.status, again.round_up) == (DUPLICATE, first.round_up)
    assert await saver.holds() == (1_000, 0, 0)


async def test_milestones_stay_reached_after_a_reversal(record: Recorder, saver: Saver) -> None:
    goal = await saver.goal(target_cents=300)
    await saver.deposit(1_000)
    spend = spend_of(saver)
    await record(spend)
    await record(reversal_of(spend, by=saver))
    goal = await saver.read_goal(goal)
    assert (goal["saved_cents"], len(goal["milestones"])) == (0, 4)


async def test_money_paid_in_to_us_is_no_spend_when_the_spend_came_first(
    record: Recorder, saver: Saver
) -> None:
    await saver.deposit(1_000)
    spend = spend_of(saver)
    await record(spend)
    await saver.deposit(spend.amount_cents, receipt=spend.receipt)
    assert await saver.holds() == (1_000 + 14_700, 0, 0)
    row = await row_of(saver, spend.receipt, kind="spend")
    assert (row["status"], row["round_up"]["reason"]) == ("completed", "own_shortcode")
    assert len(await saver.feed(type="deposit")) == 2


async def test_money_paid_in_to_us_is_no_spend_when_the_deposit_came_first(
    record: Recorder, saver: Saver
) -> None:
    receipt = await saver.deposit(14_700)
    assert await record.outcomes(spend_of(saver, receipt=receipt)) == [(0, "skipped", "own_shortcode")]
    assert await saver.holds() == (14_700, 0, 0)


async def test_a_deposit_undoes_the_spend_of_another_saver_who_paid_it(
    api: Api, record: Recorder, saver: Saver
) -> None:
    payer = await api.new_saver()
    await payer.deposit(1_000)
    spend = spend_of(payer)
    await record(spend)
    await saver.deposit(spend.amount_cents, receipt=spend.receipt)
    assert await payer.holds() == (1_000, 0, 0)
    assert await saver.holds() == (14_700, 0, 0)


async def test_a_payment_into_suspense_is_no_spend_either(api: Api, record: Recorder, saver: Saver) -> None:
    await saver.deposit(1_000)
    spend = spend_of(saver)
    await record(spend)
    await api.pay_in(spend.amount_cents, account_reference="whoever", receipt=spend.receipt)
    assert await saver.holds() == (1_000, 0, 0)


async def test_a_spend_and_its_deposit_at_the_same_moment_leave_the_deposit_alone(saver: Saver) -> None:
    await saver.deposit(10_000)
    told = [(new_receipt(), 14_700) for _ in range(8)]
    spends = [saver.spend(cents, receipt=receipt) for receipt, cents in told]
    deposits = [saver.deposit(cents, receipt=receipt) for receipt, cents in told]
    mixed = [each for pair in zip(spends, deposits, strict=True) for each in pair]
    await asyncio.gather(*mixed)
    assert await saver.holds() == (10_000 + 8 * 14_700, 0, 0)


async def test_a_spend_and_the_deposit_another_saver_got_of_it_at_the_same_moment_know_of_each_other(
    api: Api, saver: Saver
) -> None:
    payer = await api.new_saver()
    await payer.deposit(10_000)
    receipts = [new_receipt() for _ in range(12)]
    spends = [payer.spend(14_700, receipt=receipt) for receipt in receipts]
    deposits = [saver.deposit(14_700, receipt=receipt) for receipt in receipts]
    await asyncio.gather(*(each for pair in zip(spends, deposits, strict=True) for each in pair))
    assert await payer.holds() == (10_000, 0, 0)
    assert await saver.holds() == (12 * 14_700, 0, 0)
    reasons = {row["round_up"]["reason"] for row in await payer.feed(type="spend")}
    assert reasons == {"own_shortcode"}


async def test_a_spend_that_was_reversed_and_then_paid_in_is_undone_once(
    record: Recorder, saver: Saver
) -> None:
    goal = await saver.goal()
    await saver.deposit(10_000)
    spend = spend_of(saver)
    await record(spend)
    answered(await saver.post(f"/goals/{goal['id']}/deposits", {"amount_cents": 5_000}), 201)
    await record(reversal_of(spend, by=saver))
    told = await row_of(saver, spend.receipt)
    await saver.deposit(spend.amount_cents, receipt=spend.receipt)
    assert (await saver.read_goal(goal))["saved_cents"] == 5_000
    assert await row_of(saver, spend.receipt) == told


async def test_reversals_delivered_many_times_at_once_take_back_once(record: Recorder, saver: Saver) -> None:
    goal = await saver.goal()
    await saver.deposit(10_000)
    await saver.joined(now() - timedelta(days=1))
    spends = [spend_of(saver) for _ in range(3)]
    await record(*spends)
    answered(await saver.post(f"/goals/{goal['id']}/deposits", {"amount_cents": 5_000}), 201)
    news = [reversal_of(spend, by=saver) for spend in spends for _ in range(6)]
    recorded = [item for items in await asyncio.gather(*(record(each) for each in news)) for item in items]
    assert [item.status for item in recorded].count(PROCESSED) == 3
    assert await saver.holds() == (5_000, 5_000, 0)


async def row_of(saver: Saver, receipt: str, *, kind: str = "spend") -> Json:
    """Return the one row of the feed with this receipt, explained."""
    (row,) = [row for row in await saver.feed(type=kind) if row["receipt"] == receipt]
    return await saver.transaction(row)


# What a saver's own word may undo


async def test_a_savers_message_undoes_the_spend_that_a_message_of_theirs_told_of(
    record: Recorder, saver: Saver
) -> None:
    await saver.deposit(1_000)
    spend = spend_of(saver, source=Source.SMS)
    await record(spend)
    assert await saver.holds() == (700, 300, 0)
    (undone,) = await record(own_reversal_of(spend, by=saver))
    assert undone.status is PROCESSED
    assert await saver.holds() == (1_000, 0, 0)
    (again,) = await record(own_reversal_of(spend, by=saver))
    assert again.status is DUPLICATE
    assert await saver.holds() == (1_000, 0, 0)


async def test_a_savers_message_undoes_nothing_of_another_savers(
    record: Recorder, api: Api, saver: Saver
) -> None:
    other = await api.new_saver()
    for each in (saver, other):
        await each.deposit(1_000)
    receipt = new_receipt()
    for each in (saver, other):
        await record(spend_of(each, source=Source.SMS, receipt=receipt))
    await record(own_reversal_of(spend_of(saver, receipt=receipt), by=saver))
    assert await saver.holds() == (1_000, 0, 0)
    assert await other.holds() == (700, 300, 0)


async def test_a_savers_message_undoes_no_spend_that_a_signed_relay_told_of(
    record: Recorder, saver: Saver
) -> None:
    await saver.deposit(1_000)
    spend = spend_of(saver)
    await record(spend)
    await record(own_reversal_of(spend, by=saver))
    assert await saver.holds() == (700, 300, 0)
    # The signed news still counts: a message has not used it up.
    (undone,) = await record(reversal_of(spend, by=saver))
    assert undone.status is PROCESSED
    assert await saver.holds() == (1_000, 0, 0)


async def test_a_savers_message_spoils_no_signed_spend_that_comes_later(
    record: Recorder, api: Api, saver: Saver
) -> None:
    other = await api.new_saver()
    await other.deposit(1_000)
    spend = spend_of(other)
    await record(own_reversal_of(spend, by=saver))
    await record(spend)
    assert await other.holds() == (700, 300, 0)


async def test_a_reversal_that_comes_before_the_message_it_reverses_is_remembered(
    record: Recorder, saver: Saver
) -> None:
    await saver.deposit(1_000)
    spend = spend_of(saver, source=Source.SMS)
    await record(own_reversal_of(spend, by=saver))
    (came,) = await record.outcomes(spend)
    assert came == (0, "skipped", "reversed")
    assert await saver.holds() == (1_000, 0, 0)


async def test_a_message_and_its_reversal_in_one_call_leave_nothing(record: Recorder, saver: Saver) -> None:
    await saver.deposit(1_000)
    spend = spend_of(saver, source=Source.STATEMENT)
    await record(spend, own_reversal_of(spend, by=saver))
    assert await saver.holds() == (1_000, 0, 0)


async def test_a_message_of_nobody_undoes_nothing(record: Recorder, saver: Saver) -> None:
    await saver.deposit(1_000)
    spend = spend_of(saver, source=Source.SMS)
    await record(spend)
    (came,) = await record(own_reversal_of(spend, by=None))
    assert came.status is UNMATCHED
    assert await saver.holds() == (700, 300, 0)


def own_reversal_of(spend: Spend, *, by: Saver | None) -> Spend:
    """Build a saver's own message that a spend was taken back."""
    return spend_of(
        by,
        spend.amount_cents,
        at=spend.event_at,
        receipt=new_receipt(),
        source=Source.SMS,
        is_reversal=True,
        reverses=spend.receipt,
    )
