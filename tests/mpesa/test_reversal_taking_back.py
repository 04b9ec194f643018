"""A deposit that M-PESA took back: whose money goes, in which order, what is owed, and that it happens once."""

import asyncio
from datetime import timedelta

import pytest

from tests.mpesa.reversing import Owing, take
from tests.support.app import SHORTCODE, Api
from tests.support.collecting import Collector
from tests.support.savers import Saver, answered, new_receipt
from zanari_api.ledger import accounts
from zanari_api.mpesa.taking_back import Result
from zanari_api.runtime.db import Role
from zanari_api.transactions import receipts


@pytest.fixture
def owed(api: Api) -> Owing:
    return Owing(api)


async def test_a_deposit_that_is_still_in_the_wallet_leaves_it_again(
    api: Api, saver: Saver, owed: Owing
) -> None:
    before = await api.books.balance(accounts.float_id(SHORTCODE)) if await _float_is_open(api) else 0
    receipt = await saver.deposit(50_000)
    taken = await take(api, receipt)
    assert taken.result is Result.TAKEN_BACK
    assert await saver.holds() == (0, 0, 0)
    assert await owed(saver.id) == 0
    assert await api.books.balance(accounts.float_id(SHORTCODE)) == before


async def _float_is_open(api: Api) -> bool:
    return bool(await api.rows("SELECT FROM ledger.accounts WHERE shortcode = $1", SHORTCODE))


async def test_the_feed_shows_the_deposit_as_reversed_and_says_where_the_money_came_from(
    api: Api, saver: Saver
) -> None:
    receipt = await saver.deposit(50_000)
    goal = await saver.goal("Rent")
    answered(await saver.post(f"/goals/{goal['id']}/deposits", {"amount_cents": 30_000}), 201)
    await take(api, receipt)
    (row,) = [row for row in await saver.feed() if row["type"] == "deposit"]
    assert (row["status"], row["amount_cents"]) == ("reversed", 50_000)
    explanation = (await saver.transaction(row))["explanation"]
    assert explanation["text"] == (
        "M-PESA took this payment of KES 500 back. KES 200 came from your wallet and KES 300 came from Rent."
    )
    assert explanation["goals"] == [{"goal_id": goal["id"], "amount_cents": 30_000}]
    assert (explanation["wallet_cents"], explanation["owed_cents"]) == (20_000, 0)


async def test_the_wallet_pays_first_then_unlocked_goals_from_the_least_cared_for_then_locked_ones(
    api: Api, saver: Saver
) -> None:
    until = (api.clock.now() + timedelta(days=30)).isoformat()
    dearest = await saver.goal_holding(10_000, "Dearest", priority=1)
    dear = await saver.goal_holding(10_000, "Dear", priority=2)
    locked = await saver.goal_holding(10_000, "Locked", priority=3, locked_until=until)
    receipt = await saver.deposit(26_000)
    default = await saver.default_goal()
    for goal, cents in ((default, 4_000), (dear, 12_000)):
        answered(await saver.post(f"/goals/{goal['id']}/deposits", {"amount_cents": cents}), 201)
    assert await saver.holds() == (10_000, 46_000, 0)
    # 10,000 in the wallet, 4,000 in Spare change, and 12,000 of Dear's 22,000.
    await take(api, receipt)
    assert await saver.holds() == (0, 30_000, 0)
    assert (await saver.read_goal(default))["saved_cents"] == 0
    assert (await saver.read_goal(dear))["saved_cents"] == 10_000
    assert (await saver.read_goal(dearest))["saved_cents"] == 10_000
    assert (await saver.read_goal(locked))["saved_cents"] == 10_000


async def test_a_locked_goal_pays_only_when_nothing_else_is_left(api: Api, saver: Saver, owed: Owing) -> None:
    until = (api.clock.now() + timedelta(days=30)).isoformat()
    locked = await saver.goal("Locked", priority=1, locked_until=until)
    receipt = await saver.deposit(30_000)
    answered(await saver.post(f"/goals/{locked['id']}/deposits", {"amount_cents": 20_000}), 201)
    other = await saver.goal("Open", priority=2)
    answered(await saver.post(f"/goals/{other['id']}/deposits", {"amount_cents": 10_000}), 201)
    await take(api, receipt)
    assert await saver.holds() == (0, 0, 0)
    assert await owed(saver.id) == 0


async def test_the_goal_that_the_deposit_went_into_pays_before_other_goals(api: Api, saver: Saver) -> None:
    last = await saver.goal_holding(10_000, "Last", priority=9)
    first = await saver.goal("First", priority=1)
    receipt = await saver.deposit(10_000, letter=first["letter"])
    await take(api, receipt)
    assert (await saver.read_goal(first))["saved_cents"] == 0
    assert (await saver.read_goal(last))["saved_cents"] == 10_000


async def test_a_lock_that_is_over_protects_nothing(api: Api, saver: Saver) -> None:
    soon = (api.clock.now() + timedelta(hours=1)).isoformat()
    was_locked = await saver.goal("Was locked", priority=9, locked_until=soon)
    open_goal = await saver.goal_holding(5_000, "Open", priority=1)
    receipt = await saver.deposit(5_000)
    answered(await saver.post(f"/goals/{was_locked['id']}/deposits", {"amount_cents": 5_000}), 201)
    api.clock.advance(hours=2)
    await take(api, receipt)
    assert (await saver.read_goal(was_locked))["saved_cents"] == 0
    assert (await saver.read_goal(open_goal))["saved_cents"] == 5_000


async def test_what_is_missing_is_owed_and_told(api: Api, saver: Saver, owed: Owing) -> None:
    receipt = await saver.deposit(50_000)
    await _gone(api, saver, 35_000)
    taken = await take(api, receipt)
    assert taken.owed_cents == 35_000
    assert await saver.holds() == (0, 0, 0)
    assert await owed(saver.id) == 35_000
    (row,) = [row for row in await saver.feed() if row["type"] == "deposit"]
    text = (await saver.transaction(row))["explanation"]["text"]
    assert "KES 350 is no longer here, so you owe it to Zanari" in text
    assert "your next deposits repay it first" in text


async def test_all_of_it_is_owed_where_nothing_is_left(api: Api, saver: Saver, owed: Owing) -> None:
    receipt = await saver.deposit(50_000)
    await _gone(api, saver, 50_000)
    await take(api, receipt)
    assert await owed(saver.id) == 50_000
    (row,) = [row for row in await saver.feed() if row["type"] == "deposit"]
    text = (await saver.transaction(row))["explanation"]["text"]
    assert text.startswith("M-PESA took this payment of KES 500 back. KES 500 is no longer here")


async def test_a_second_reversal_that_is_not_covered_adds_to_what_is_owed(
    api: Api, saver: Saver, owed: Owing
) -> None:
    first, second = await saver.deposit(10_000), await saver.deposit(20_000)
    await _gone(api, saver, 30_000)
    await take(api, first)
    await take(api, second)
    assert await owed(saver.id) == 30_000


async def test_it_is_taken_back_once_whatever_is_said_how_often(api: Api, saver: Saver) -> None:
    receipt = await saver.deposit(50_000)
    await saver.deposit(70_000)
    assert (await take(api, receipt)).result is Result.TAKEN_BACK
    assert (await take(api, receipt)).result is Result.ALREADY
    assert await saver.holds() == (70_000, 0, 0)


async def test_two_at_once_take_it_back_once(api: Api, saver: Saver) -> None:
    receipt = await saver.deposit(50_000)
    await saver.deposit(70_000)
    results = await asyncio.gather(*(take(api, receipt) for _ in range(8)))
    assert sorted(taken.result for taken in results) == sorted([Result.TAKEN_BACK, *[Result.ALREADY] * 7])
    assert await saver.holds() == (70_000, 0, 0)


async def test_a_reversal_and_a_withdrawal_at_once_never_spend_the_same_money(
    api: Api, saver: Saver, owed: Owing
) -> None:
    receipt = await saver.deposit(50_000)
    goal = await saver.goal()
    moves = [
        saver.post(f"/goals/{goal['id']}/deposits", {"amount_cents": 50_000}),
        take(api, receipt),
    ]
    moved, taken = await asyncio.gather(*moves)
    assert taken.result is Result.TAKEN_BACK
    assert moved.status_code in {201, 409}
    assert await saver.holds() == (0, 0, 0)
    assert await owed(saver.id) == 0


async def test_a_receipt_that_nobody_was_credited_with_moves_nothing(api: Api, saver: Saver) -> None:
    assert (await take(api, new_receipt())).result is Result.UNKNOWN_RECEIPT


async def test_another_amount_moves_nothing(api: Api, saver: Saver) -> None:
    receipt = await saver.deposit(50_000)
    assert (await take(api, receipt, amount_cents=40_000)).result is Result.AMOUNT_DIFFERS
    assert await saver.holds() == (50_000, 0, 0)
    assert (await take(api, receipt, amount_cents=50_000)).result is Result.TAKEN_BACK


async def test_history_keeps_the_deposit_and_gains_the_reversal(api: Api, saver: Saver) -> None:
    receipt = await saver.deposit(50_000)
    (before,) = await api.rows(
        "SELECT id, key FROM ledger.transfers WHERE key LIKE 'deposit:%' ORDER BY posted_at DESC LIMIT 1"
    )
    await take(api, receipt)
    (deposit,) = await api.rows("SELECT id, amount_cents FROM savings.deposits WHERE receipt = $1", receipt)
    keys = [
        row["key"]
        for row in await api.rows("SELECT key FROM ledger.transfers ORDER BY posted_at DESC LIMIT 2")
    ]
    assert keys == [f"deposit_reversal:{deposit['id']}", before["key"]]
    (kept,) = await api.rows(
        "SELECT cause, evidence, amount_cents FROM savings.deposit_reversals WHERE deposit_id = $1",
        deposit["id"],
    )
    assert tuple(kept) == ("operator", "the payer's bank called", 50_000)


async def test_a_spend_with_the_receipt_that_is_told_later_saves_nothing(api: Api, saver: Saver) -> None:
    receipt = await saver.deposit(50_000)
    await saver.deposit(10_000)
    await take(api, receipt)
    told = await saver.spend(14_700, receipt=receipt)
    assert told["round_up"]["amount_cents"] == 0


async def _gone(api: Api, saver: Saver, cents: int) -> None:
    """Have money leave the wallet for good, as a payout does."""
    await api.alter(
        """
        SELECT ledger.post(jsonb_build_array(jsonb_build_object(
            'id', gen_random_uuid(), 'key', 'test_payout:' || gen_random_uuid(), 'kind', 'test_payout',
            'event_at', now(), 'entries', jsonb_build_array(
                jsonb_build_array(s.wallet_account_id, -$2::bigint),
                jsonb_build_array('00000000-0000-8000-8000-000000000002', $2::bigint)))))
          FROM savings.savers AS s WHERE s.saver_id = $1
        """,
        saver.id,
        cents,
    )


async def test_the_payment_of_a_collection_is_taken_back_like_any_other(api: Api, owed: Owing) -> None:
    saver = await api.new_saver()
    collector = Collector(api)
    await collector.noon()
    await collector.wait(saver, 6_000, 4_000)
    receipt = await collector.pay(saver, await collector.ask(saver))
    assert receipt is not None
    assert await saver.holds() == (0, 10_000, 0)
    (row,) = [row for row in await saver.feed() if row["receipt"] == receipt]
    assert (await take(api, receipt)).result is Result.TAKEN_BACK
    assert await saver.holds() == (0, 0, 0)
    assert await owed(saver.id) == 0
    assert (await saver.transaction(row))["status"] == "reversed"


async def test_a_deposit_that_is_booked_while_it_is_looked_for_is_taken_back(api: Api, saver: Saver) -> None:
    receipt = new_receipt()
    async with api.db.transaction(Role.SYSTEM) as tx:
        await receipts.lock(tx, [receipt])
        paying = asyncio.create_task(saver.deposit(50_000, receipt=receipt))
        await api.until_a_statement_waits()
        taking = asyncio.create_task(take(api, receipt))
        await asyncio.sleep(0.2)
    await paying
    assert (await taking).result is Result.TAKEN_BACK
    assert await saver.holds() == (0, 0, 0)
