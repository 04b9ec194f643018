"""What a saver may move: by tier, less what the day has used, and whether payouts wait."""

from datetime import datetime, timedelta

from tests.support.app import Api
from tests.support.pins import step_up_token, with_pin
from tests.support.savers import Json, Saver, answered, code_of, new_key, new_phone
from zanari_api.kit.clock import EAT


async def limits_of(saver: Saver) -> Json:
    return answered(await saver.get("/users/me/limits"))


async def pay(api: Api, saver: Saver, cents: int) -> None:
    """Pay in at the service's time, which other tests may have moved."""
    paid_at = api.clock.now().astimezone(EAT).strftime("%Y%m%d%H%M%S")
    await api.pay_in(cents, account_reference=saver.member_code, TransTime=paid_at)


async def test_a_new_saver_has_the_limits_of_somebody_of_whom_only_the_number_is_known(saver: Saver) -> None:
    assert await limits_of(saver) == {
        "kyc_tier": 0,
        "deposit": {
            "min_cents": 100,
            "max_cents": 5_000_000,
            "day_cents": 10_000_000,
            "day_used_cents": 0,
            "day_left_cents": 10_000_000,
        },
        "payout": {
            "min_cents": 1_000,
            "max_cents": 2_000_000,
            "day_cents": 4_000_000,
            "day_used_cents": 0,
            "day_left_cents": 4_000_000,
            "held_until": None,
            "next_at": None,
        },
        "currency": "KES",
    }


async def test_a_higher_tier_has_higher_limits(api: Api, saver: Saver) -> None:
    await api.alter("UPDATE savings.savers SET kyc_tier = 3 WHERE saver_id = $1", saver.id)
    limits = await limits_of(saver)
    assert limits["kyc_tier"] == 3
    assert limits["deposit"]["max_cents"] == limits["payout"]["max_cents"] == 25_000_000


async def test_what_came_in_today_is_used_up_and_the_limit_is_no_reason_to_refuse_it(
    api: Api, saver: Saver
) -> None:
    await pay(api, saver, 12_345)
    deposit = (await limits_of(saver))["deposit"]
    assert (deposit["day_used_cents"], deposit["day_left_cents"]) == (12_345, 10_000_000 - 12_345)
    await pay(api, saver, 10_000_000)
    deposit = (await limits_of(saver))["deposit"]
    assert (deposit["day_used_cents"], deposit["day_left_cents"]) == (10_012_345, 0)
    api.clock.advance(days=1)
    assert (await limits_of(saver))["deposit"]["day_used_cents"] == 0


async def test_what_left_today_is_used_up_and_after_five_in_an_hour_the_next_one_waits(
    api: Api, saver: Saver
) -> None:
    await with_pin(saver)
    await saver.deposit(50_000)
    for count in range(1, 6):
        assert (await limits_of(saver))["payout"]["next_at"] is None
        await withdraw(api, saver, 1_000)
        payout = (await limits_of(saver))["payout"]
        assert (payout["day_used_cents"], payout["day_left_cents"]) == (
            count * 1_000,
            4_000_000 - count * 1_000,
        )
    next_at = datetime.fromisoformat(payout["next_at"])
    assert timedelta(minutes=59) < next_at - api.clock.now() <= timedelta(hours=1)
    api.clock.advance(hours=1)
    assert (await limits_of(saver))["payout"]["next_at"] is None


async def test_a_hold_is_shown_until_it_is_over(api: Api, saver: Saver) -> None:
    before = api.clock.now()
    moved = api.token(saver.id, new_phone())
    answered(await api.client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {moved}"}))
    held_until = datetime.fromisoformat((await limits_of(saver))["payout"]["held_until"])
    assert before + timedelta(hours=48) <= held_until <= api.clock.now() + timedelta(hours=48)
    api.clock.advance(hours=48)
    assert (await limits_of(saver))["payout"]["held_until"] is None


async def withdraw(api: Api, saver: Saver, cents: int) -> None:
    (number,) = await api.rows("SELECT id FROM savings.mpesa_accounts WHERE saver_id = $1", saver.id)
    answer = await api.client.post(
        "/api/v1/mpesa/withdrawals",
        json={"amount_cents": cents, "account_id": str(number["id"])},
        headers={
            "Authorization": f"Bearer {saver.token}",
            "Idempotency-Key": new_key(),
            "X-Step-Up-Token": await step_up_token(saver),
        },
    )
    answered(answer, 202)


async def test_nobody_elses_money_is_in_the_limits(api: Api, saver: Saver) -> None:
    other = await api.new_saver()
    await other.deposit(5_000)
    assert (await limits_of(saver))["deposit"]["day_used_cents"] == 0


async def test_the_limits_need_a_token(api: Api) -> None:
    assert code_of(await api.client.get("/api/v1/users/me/limits")) == (401, "token_missing")
