"""The wallet: what is in no goal, what is in goals, what waits."""

from tests.support.app import Api
from tests.support.savers import Saver, code_of


async def test_a_new_saver_holds_nothing(saver: Saver) -> None:
    assert await saver.wallet() == {
        "balance_cents": 0,
        "saved_cents": 0,
        "waiting_cents": 0,
        "currency": "KES",
    }


async def test_a_deposit_shows_as_balance_and_a_goal_as_saved(saver: Saver) -> None:
    await saver.goal_holding(30_000)
    await saver.deposit(12_345)
    assert await saver.holds() == (12_345, 30_000, 0)


async def test_a_round_up_that_the_wallet_covers_moves_from_balance_to_saved(saver: Saver) -> None:
    await saver.deposit(1_000)
    await saver.spend(14_700)
    assert await saver.holds() == (700, 300, 0)


async def test_a_round_up_that_the_wallet_cannot_cover_is_shown_as_waiting(saver: Saver) -> None:
    await saver.deposit(200)
    await saver.spend(14_700)
    assert await saver.holds() == (200, 0, 300)


async def test_nobody_elses_money_is_in_the_wallet(api: Api, saver: Saver) -> None:
    other = await api.new_saver()
    await other.deposit(5_000)
    await other.spend(14_700)
    assert await saver.holds() == (0, 0, 0)


async def test_the_wallet_needs_a_token(api: Api) -> None:
    assert code_of(await api.client.get("/api/v1/users/me/wallet")) == (401, "token_missing")
