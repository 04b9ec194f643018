"""Withdrawals over HTTP: what is taken on, what is refused and why, and that each request has one effect."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest

from tests.support.app import Api, Serve
from tests.support.payouts import (
    account_of,
    assert_nothing_is_in_flight,
    in_flight_cents,
    payer,
    results_after_replies,
    until_it_ends,
    withdraw,
    withdrawing,
)
from tests.support.pins import OTHER_PIN, put_pin, signed_in, step_up_token
from tests.support.savers import Saver, answered, code_of, new_phone
from zanari_api.deposits.correction_rows import Proof
from zanari_api.kit.clock import EAT
from zanari_api.mpesa import taking_back
from zanari_api.payouts import freeze
from zanari_api.runtime.db import Role


async def asked_for(saver: Saver) -> int:
    """Return how many payouts are stored for a saver."""
    rows = await saver.api.rows("SELECT FROM savings.payouts WHERE saver_id = $1", saver.id)
    return len(rows)


# Taken on ---------------------------------------------------------------------------------------------------


async def test_a_withdrawal_is_set_aside_sent_once_and_paid(api: Api) -> None:
    saver = await payer(api, cents=80_000)
    payout = await withdrawing(saver, 50_000)

    requested = await payout.read()
    assert (requested["state"], requested["amount_cents"], requested["currency"]) == (
        "requested",
        50_000,
        "KES",
    )
    assert requested["text"] == "KES 500 is set aside and about to be sent to M-PESA."
    assert (await saver.wallet())["balance_cents"] == 30_000
    assert await in_flight_cents(api) == 50_000
    assert (await payout.feed_row())["status"] == "pending"

    with results_after_replies(api):
        await api.work()

    paid = await payout.read()
    assert paid["state"] == "settled"
    assert paid["text"] == f"KES 500 was paid to your M-PESA, receipt {paid['receipt']}."
    assert await payout.steps() == ["requested", "submitting", "submitted", "settled"]
    assert payout.paid_by_safaricom() == 1
    assert (await saver.wallet())["balance_cents"] == 30_000
    row = await payout.feed_row()
    assert (row["type"], row["status"], row["direction"]) == ("payout", "completed", "out")
    assert row["receipt"] == paid["receipt"]
    await assert_nothing_is_in_flight(api)


async def test_a_goal_is_withdrawn_from_like_the_wallet(api: Api) -> None:
    saver = await payer(api, cents=0)
    goal = await saver.goal_holding(60_000)
    payout = await withdrawing(saver, 50_000, goal=goal)
    assert (await saver.read_goal(goal))["saved_cents"] == 10_000
    assert (await payout.read())["goal_id"] == goal["id"]
    assert await until_it_ends(payout) == "settled"
    assert (await saver.read_goal(goal))["saved_cents"] == 10_000


async def test_what_comes_back_goes_to_the_goal_it_left(api: Api) -> None:
    saver = await payer(api, cents=0)
    goal = await saver.goal_holding(60_000)
    await api.emulator.set_handset(saver.phone or "", registered=False)
    payout = await withdrawing(saver, 50_000, goal=goal)
    assert await until_it_ends(payout) == "failed"
    assert (await saver.read_goal(goal))["saved_cents"] == 60_000
    assert (await payout.read())["text"] == (
        "The number is not registered with M-PESA. KES 500 is back in the goal it came from."
    )


async def test_what_comes_back_goes_to_the_wallet_once_the_goal_is_closed(api: Api) -> None:
    saver = await payer(api, cents=0)
    goal = await saver.goal_holding(60_000)
    await api.emulator.set_handset(saver.phone or "", registered=False)
    payout = await withdrawing(saver, 50_000, goal=goal)
    answered(await saver.post(f"/goals/{goal['id']}/cancellation"))
    assert await until_it_ends(payout) == "failed"
    assert (await saver.wallet())["balance_cents"] == 60_000
    assert (await payout.read())["text"].endswith("KES 500 is back in your wallet.")


async def test_the_whole_amount_arrives_and_the_company_pays_the_fee(api: Api) -> None:
    saver = await payer(api, cents=80_000)
    before = api.emulator.handset(saver.phone or "").balance_cents
    payout = await withdrawing(saver, 50_000)
    assert await until_it_ends(payout) == "settled"
    assert api.emulator.handset(saver.phone or "").balance_cents == before + 50_000
    (fee,) = await api.rows("SELECT cents FROM mpesa.fees WHERE payout_id = $1", payout.id)
    assert fee["cents"] == 500
    assert (await saver.wallet())["balance_cents"] == 30_000


async def test_withdrawals_are_listed_newest_first_in_pages(api: Api) -> None:
    saver = await payer(api)
    made = [str((await withdrawing(saver, cents)).id) for cents in (1_000, 2_000, 3_000)]
    first = answered(await saver.get("/mpesa/withdrawals", limit=2))
    assert [each["id"] for each in first["data"]] == made[:0:-1]
    second = answered(await saver.get("/mpesa/withdrawals", limit=2, cursor=first["next_cursor"]))
    assert [each["id"] for each in second["data"]] == made[:1]
    assert second["next_cursor"] is None


# Once --------------------------------------------------------------------------------------------------------


async def test_the_same_key_gives_the_same_bytes_and_needs_no_second_token(api: Api) -> None:
    saver = await payer(api)
    account_id = await account_of(saver)
    first = await withdraw(saver, 5_000, account_id=account_id, key="once")
    await api.work()
    again = await withdraw(saver, 5_000, account_id=account_id, key="once", token=None)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert await asked_for(saver) == 1


async def test_the_same_key_with_another_amount_is_refused(api: Api) -> None:
    saver = await payer(api)
    answered(await withdraw(saver, 5_000, key="twice"), 202)
    assert code_of(await withdraw(saver, 6_000, key="twice")) == (422, "idempotency_key_reused")
    assert code_of(await withdraw(saver, 6_000, key=None)) == (400, "idempotency_key_required")
    assert await asked_for(saver) == 1


async def test_of_two_withdrawals_of_one_balance_one_is_taken_on(api: Api) -> None:
    saver = await payer(api, cents=50_000)
    tokens = [await step_up_token(saver), await step_up_token(saver)]
    account_id = await account_of(saver)
    both = await asyncio.gather(
        *(withdraw(saver, 40_000, account_id=account_id, token=token) for token in tokens)
    )
    assert sorted(each.status_code for each in both) == [202, 409]
    (refused,) = (each for each in both if each.status_code == 409)
    assert code_of(refused) == (409, "insufficient_funds")
    assert (await saver.wallet())["balance_cents"] == 10_000
    assert await asked_for(saver) == 1


async def test_one_token_is_good_for_one_of_two_withdrawals_at_once(api: Api) -> None:
    saver = await payer(api)
    token, account_id = await step_up_token(saver), await account_of(saver)
    both = await asyncio.gather(
        *(withdraw(saver, 1_000, account_id=account_id, token=token) for _ in range(2))
    )
    assert sorted(each.status_code for each in both) == [202, 403]
    assert await asked_for(saver) == 1


# Refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cents", [1_001, 1_050, 50_099])
async def test_cents_are_refused(api: Api, cents: int) -> None:
    saver = await payer(api)
    assert code_of(await withdraw(saver, cents, token=None)) == (422, "whole_shillings_only")


async def test_less_than_mpesa_pays_and_more_than_a_tier_may_take_are_refused(api: Api) -> None:
    saver = await payer(api, cents=9_000_000)
    assert code_of(await withdraw(saver, 900)) == (422, "amount_outside_limits")
    assert code_of(await withdraw(saver, 2_000_100)) == (422, "amount_outside_limits")
    answered(await withdraw(saver, 2_000_000), 202)
    answered(await withdraw(saver, 2_000_000), 202)
    refused = await withdraw(saver, 1_000)
    assert code_of(refused) == (409, "day_limit_reached")
    assert int(refused.headers["retry-after"]) > 0


async def test_a_higher_tier_may_take_out_all_that_mpesa_pays(api: Api) -> None:
    saver = await payer(api, cents=26_000_000)
    await api.alter("UPDATE savings.savers SET kyc_tier = 3 WHERE saver_id = $1", saver.id)
    assert code_of(await withdraw(saver, 25_000_100)) == (422, "amount_outside_limits")
    payout = await withdrawing(saver, 25_000_000)
    assert await until_it_ends(payout) == "settled"


async def test_what_came_back_counts_for_no_days_limit(api: Api) -> None:
    saver = await payer(api, cents=9_000_000)
    await api.emulator.set_handset(saver.phone or "", registered=False)
    for _ in range(2):
        assert await until_it_ends(await withdrawing(saver, 2_000_000)) == "failed"
    answered(await withdraw(saver, 2_000_000), 202)


async def test_many_withdrawals_in_a_row_are_slowed_down(api: Api) -> None:
    saver = await payer(api)
    for _ in range(5):
        answered(await withdraw(saver, 1_000), 202)
    refused = await withdraw(saver, 1_000)
    assert code_of(refused) == (429, "too_many_payouts")
    assert 0 < int(refused.headers["retry-after"]) <= 3600


@pytest.mark.parametrize("token", [None, "", "made-up", "x" * 500])
async def test_without_a_token_of_the_pin_nothing_leaves(api: Api, token: str | None) -> None:
    saver = await payer(api)
    assert code_of(await withdraw(saver, 1_000, token=token)) == (403, "step_up_required")
    assert await asked_for(saver) == 0


async def test_another_savers_token_opens_nothing(api: Api) -> None:
    saver, other = await payer(api), await payer(api)
    assert code_of(await withdraw(saver, 1_000, token=await step_up_token(other))) == (
        403,
        "step_up_required",
    )


async def test_a_token_is_not_spent_by_a_withdrawal_that_was_refused(api: Api) -> None:
    saver = await payer(api, cents=5_000)
    token = await step_up_token(saver)
    assert code_of(await withdraw(saver, 6_000, token=token)) == (409, "insufficient_funds")
    answered(await withdraw(saver, 5_000, token=token), 202)
    assert code_of(await withdraw(saver, 1_000, token=token)) == (403, "step_up_required")


async def test_a_session_that_has_ended_sends_no_money(api: Api) -> None:
    saver = await payer(api)
    token = await step_up_token(saver)
    bearer = {"Authorization": f"Bearer {saver.token}", "apikey": "a key"}
    async with httpx.AsyncClient() as auth:
        await auth.post(f"{api.auth.auth_url}/logout?scope=global", headers=bearer)
    assert code_of(await withdraw(saver, 1_000, token=token)) == (401, "session_ended")
    assert await asked_for(saver) == 0


async def test_after_a_pin_reset_nothing_leaves_for_48_hours(api: Api) -> None:
    saver = await payer(api)
    fresh = signed_in(saver)
    answered(await put_pin(fresh, OTHER_PIN))
    refused = await withdraw(fresh, 1_000, token=await step_up_token(fresh, OTHER_PIN))
    assert code_of(refused) == (409, "payouts_held")
    until = (api.clock.now() + timedelta(hours=48)).date().isoformat()
    assert until in refused.json()["detail"]
    assert 47 * 3600 < int(refused.headers["retry-after"]) <= 48 * 3600


async def test_who_owes_us_withdraws_nothing(api: Api) -> None:
    saver = await payer(api, cents=10_000)
    receipt = await saver.deposit(5_000)
    answered(await withdraw(saver, 14_000), 202)
    proof = Proof(
        cause="operator",
        text="a ticket",
        reversal_receipt=None,
        callback_id=None,
        event_at=api.clock.now(),
    )
    await api.db.unit_of_work(
        lambda tx: taking_back.take_back(
            tx, receipt=receipt, amount_cents=None, proof=proof, now=api.clock.now()
        ),
        role=Role.SYSTEM,
    )
    refused = await withdraw(saver, 1_000)
    assert code_of(refused) == (409, "money_owed")
    assert "KES 40" in refused.json()["detail"]


async def test_a_goal_that_is_locked_closed_or_not_there_gives_nothing(api: Api) -> None:
    saver = await payer(api, cents=100_000)
    locked = await saver.goal_holding(
        10_000, locked_until=(api.clock.now() + timedelta(days=9)).astimezone(EAT).isoformat()
    )
    closed = await saver.goal()
    answered(await saver.post(f"/goals/{closed['id']}/cancellation"))
    other = await (await payer(api)).goal_holding(10_000)
    assert code_of(await withdraw(saver, 1_000, goal=locked)) == (409, "goal_locked")
    assert code_of(await withdraw(saver, 1_000, goal=closed)) == (409, "goal_closed")
    assert code_of(await withdraw(saver, 1_000, goal=other)) == (404, "goal_not_found")
    assert code_of(await withdraw(saver, 1_000, goal={"id": str(uuid4())})) == (404, "goal_not_found")


async def test_only_a_linked_number_of_ones_own_is_paid(api: Api) -> None:
    saver, other = await payer(api), await payer(api)
    unlinked = await account_of(saver)
    await api.alter(
        "UPDATE savings.mpesa_accounts SET unlinked_at = clock_timestamp(), unlinked_because = 'removed_by_saver'"
        " WHERE saver_id = $1",
        saver.id,
    )
    for account_id in (await account_of(other), unlinked, uuid4()):
        refused = await withdraw(saver, 1_000, account_id=account_id)
        assert code_of(refused) == (404, "account_not_linked")


async def test_more_than_there_is_is_refused_and_moves_nothing(api: Api) -> None:
    saver = await payer(api, cents=5_000)
    assert code_of(await withdraw(saver, 6_000)) == (409, "insufficient_funds")
    assert (await saver.wallet())["balance_cents"] == 5_000
    assert await asked_for(saver) == 0


async def test_another_savers_withdrawal_is_not_to_be_seen(api: Api) -> None:
    saver, other = await payer(api), await payer(api)
    payout = await withdrawing(saver, 1_000)
    assert code_of(await other.get(f"/mpesa/withdrawals/{payout.id}")) == (404, "withdrawal_not_found")
    assert code_of(await other.get(f"/mpesa/withdrawals/{uuid4()}")) == (404, "withdrawal_not_found")
    assert answered(await other.get("/mpesa/withdrawals"))["data"] == []


async def test_goals_that_are_switched_off_give_nothing_and_the_wallet_does(serve: Serve) -> None:
    async with serve(feature_goals_enabled=False) as other:
        saver = await payer(other)
        goal = {"id": str(uuid4())}
        assert code_of(await withdraw(saver, 1_000, goal=goal)) == (403, "feature_disabled")
        answered(await withdraw(saver, 1_000), 202)


# Paused --------------------------------------------------------------------------------------------------------


async def test_while_money_out_is_paused_nothing_is_taken_on_or_sent(api: Api) -> None:
    saver = await payer(api)
    payout = await withdrawing(saver, 1_000)
    await api.db.unit_of_work(
        lambda tx: freeze.freeze(tx, because="the books do not add up", now=api.clock.now()), role=Role.SYSTEM
    )
    try:
        refused = await withdraw(saver, 1_000)
        assert code_of(refused) == (503, "payouts_paused")
        assert int(refused.headers["retry-after"]) > 0
        await api.work()
        waiting = await payout.read()
        assert (waiting["state"], waiting["reason"]) == ("queued", "paused")
        assert "paused while we check our books" in waiting["text"]
    finally:
        await api.db.unit_of_work(
            lambda tx: freeze.lift(tx, because="they do", now=api.clock.now()), role=Role.SYSTEM
        )
    assert await until_it_ends(payout) == "settled"


async def test_a_replay_of_what_was_taken_on_is_answered_while_paused(api: Api) -> None:
    saver = await payer(api)
    first = await withdraw(saver, 1_000, key="before-the-pause")
    await api.db.unit_of_work(
        lambda tx: freeze.freeze(tx, because="a drill", now=api.clock.now()), role=Role.SYSTEM
    )
    again = await withdraw(saver, 1_000, key="before-the-pause", token=None)
    await api.db.unit_of_work(
        lambda tx: freeze.lift(tx, because="a drill", now=api.clock.now()), role=Role.SYSTEM
    )
    assert again.content == first.content


async def test_a_new_number_is_not_yet_one_to_be_paid(api: Api) -> None:
    saver = await payer(api)
    moved = api.token(saver.id, new_phone())
    answered(await api.client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {moved}"}))
    (newest,) = await api.rows(
        "SELECT id FROM savings.mpesa_accounts WHERE saver_id = $1 ORDER BY linked_at DESC LIMIT 1", saver.id
    )
    assert code_of(await withdraw(saver, 1_000, account_id=newest["id"])) == (409, "payouts_held")
