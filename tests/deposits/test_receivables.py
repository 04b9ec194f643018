"""What a saver owes: opened by a deposit taken back, in the way of money out, repaid first by later deposits."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mpesa.reversing import take
from tests.support.app import SHORTCODE, Api
from tests.support.payouts import payer, withdraw
from tests.support.pins import step_up_token
from tests.support.savers import Saver, code_of, new_receipt
from zanari_api.deposits import receivables
from zanari_api.ledger import accounts
from zanari_api.mpesa.taking_back import Result
from zanari_api.runtime.db import Role


async def owed(api: Api, saver: Saver, *, role: Role = Role.SYSTEM) -> int:
    async with api.db.transaction(role, saver.id if role is Role.API else None) as tx:
        return await receivables.owed(tx, saver_id=saver.id)


async def owing(api: Api, saver: Saver, cents: int) -> None:
    """Have the saver owe that much: a deposit of it left by another way, and was then taken back."""
    receipt = await saver.deposit(cents)
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
    await take(api, receipt)


@given(owed_cents=st.integers(0, 10**12), amount_cents=st.integers(1, 10**12))
def test_a_split_loses_no_cent_and_repays_no_more_than_is_owed(owed_cents: int, amount_cents: int) -> None:
    split = receivables.split(owed_cents=owed_cents, amount_cents=amount_cents)
    assert split.repaid_cents + split.rest_cents == amount_cents
    assert 0 <= split.repaid_cents <= owed_cents
    assert split.rest_cents == 0 or split.repaid_cents == owed_cents


@pytest.mark.parametrize(
    ("repaid", "told"),
    [(0, ""), (12_300, "KES 123 of it repaid what you owed for a payment that M-PESA took back.")],
)
def test_a_repayment_is_told_and_none_is_not(repaid: int, told: str) -> None:
    assert receivables.Split(repaid, 100).told() == told


async def test_a_saver_who_owes_nothing_has_no_such_account(api: Api, saver: Saver) -> None:
    assert await owed(api, saver) == 0
    rows = await api.rows("SELECT FROM ledger.accounts WHERE saver_id = $1 AND kind = 'receivable'", saver.id)
    assert rows == []


async def test_the_account_is_opened_once(api: Api, saver: Saver) -> None:
    async with api.db.transaction(Role.SYSTEM) as tx:
        first = await receivables.receivable_account(tx, saver_id=saver.id)
        assert await receivables.receivable_account(tx, saver_id=saver.id) == first
    async with api.db.transaction(Role.SYSTEM) as tx:
        assert await receivables.receivable_account(tx, saver_id=saver.id) == first


async def test_the_savers_own_request_knows_what_is_owed(api: Api, saver: Saver) -> None:
    await owing(api, saver, 30_000)
    assert await owed(api, saver) == 30_000
    assert await owed(api, saver, role=Role.API) == 30_000


async def test_a_later_deposit_repays_first_and_the_rest_is_saved(api: Api, saver: Saver) -> None:
    await owing(api, saver, 30_000)
    await saver.deposit(50_000)
    assert await owed(api, saver) == 0
    assert await saver.holds() == (20_000, 0, 0)
    text = (await saver.transaction((await saver.feed())[0]))["explanation"]["text"]
    assert "KES 300 of it repaid what you owed" in text


async def test_a_deposit_smaller_than_the_debt_repays_a_part_and_saves_nothing(
    api: Api, saver: Saver
) -> None:
    await owing(api, saver, 30_000)
    await saver.deposit(10_000)
    assert (await owed(api, saver), await saver.holds()) == (20_000, (0, 0, 0))
    await saver.deposit(25_000)
    assert (await owed(api, saver), await saver.holds()) == (0, (5_000, 0, 0))


async def test_a_deposit_meant_for_a_goal_repays_first_too(api: Api, saver: Saver) -> None:
    goal = await saver.goal()
    await owing(api, saver, 30_000)
    await saver.deposit(50_000, letter=goal["letter"])
    assert (await saver.read_goal(goal))["saved_cents"] == 20_000
    assert await owed(api, saver) == 0


async def test_deposits_at_once_repay_the_debt_once(api: Api, saver: Saver) -> None:
    await owing(api, saver, 30_000)
    await asyncio.gather(*(saver.deposit(10_000) for _ in range(6)))
    assert await owed(api, saver) == 0
    assert await saver.holds() == (30_000, 0, 0)


async def test_a_deposit_that_repaid_and_is_itself_taken_back_is_owed_again(api: Api, saver: Saver) -> None:
    await owing(api, saver, 30_000)
    receipt = new_receipt()
    await saver.deposit(50_000, receipt=receipt)
    await take(api, receipt)
    assert await saver.holds() == (0, 0, 0)
    assert await owed(api, saver) == 30_000


async def test_the_float_is_what_mpesa_has_whatever_is_owed(api: Api, saver: Saver) -> None:
    await saver.deposit(1_000)
    before = await api.books.balance(accounts.float_id(SHORTCODE))
    await owing(api, saver, 30_000)
    assert await api.books.balance(accounts.float_id(SHORTCODE)) == before
    await saver.deposit(50_000)
    assert await api.books.balance(accounts.float_id(SHORTCODE)) == before + 50_000


async def test_nothing_goes_out_while_something_is_owed(api: Api) -> None:
    saver = await payer(api, cents=0)
    await owing(api, saver, 30_000)
    assert code_of(await withdraw(saver, 1_000)) == (409, "money_owed")
    await saver.deposit(60_000)
    assert (await withdraw(saver, 1_000)).status_code == 202


async def test_a_reversal_and_a_payout_at_once_never_use_the_same_money(api: Api) -> None:
    saver = await payer(api, cents=0)
    receipt = await saver.deposit(50_000)
    token = await step_up_token(saver)
    answer, taken = await asyncio.gather(withdraw(saver, 50_000, token=token), take(api, receipt))
    assert taken.result is Result.TAKEN_BACK
    if answer.status_code == 202:
        # The payout was first: its money is on its way, and is owed.
        assert (await owed(api, saver), await saver.holds()) == (50_000, (0, 0, 0))
    else:
        assert code_of(answer)[0] == 409
        assert (await owed(api, saver), await saver.holds()) == (0, (0, 0, 0))
