"""Payments in suspense when several hands reach for one: an operator, another operator, and M-PESA itself."""

import asyncio
from datetime import UTC, datetime

from tests.support.app import Api
from tests.support.prompts import Prompter, owe
from tests.support.savers import Saver, new_receipt
from zanari_api.deposits.references import MemberReference
from zanari_api.ledger import accounts
from zanari_api.mpesa import suspense_service
from zanari_api.mpesa.suspense_service import Act, Resolved, Result
from zanari_api.runtime.db import Role

ACT = Act(operator="wanjiku", evidence="a ticket", now=datetime(2026, 11, 25, tzinfo=UTC))


async def held(api: Api, cents: int = 5_000) -> str:
    receipt = new_receipt()
    await api.pay_in(cents, account_reference="rent", receipt=receipt)
    return receipt


async def assign(api: Api, receipt: str, saver: Saver) -> Resolved:
    to = MemberReference(saver.member_code, None)
    return await api.db.unit_of_work(
        lambda tx: suspense_service.assign(tx, receipt=receipt, to=to, act=ACT), role=Role.SYSTEM
    )


async def give_back(api: Api, receipt: str) -> Resolved:
    back = new_receipt()
    return await api.db.unit_of_work(
        lambda tx: suspense_service.return_(tx, receipt=receipt, return_receipt=back, act=ACT),
        role=Role.SYSTEM,
    )


async def test_of_many_hands_one_has_it(api: Api) -> None:
    receipt = await held(api)
    in_suspense = await api.books.balance(accounts.SUSPENSE)
    savers = [await api.new_saver() for _ in range(5)]
    resolved = await asyncio.gather(
        *(assign(api, receipt, saver) for saver in savers), *(give_back(api, receipt) for _ in range(5))
    )
    results = [each.result for each in resolved]
    assert sorted(results) == [Result.DONE] + [Result.NOT_HELD] * 9
    assert await api.books.balance(accounts.SUSPENSE) == in_suspense - 5_000
    got = sum([(await saver.holds())[0] for saver in savers])
    returned = await api.rows(
        "SELECT 1 FROM mpesa.suspense_items WHERE receipt = $1 AND state = 'returned'", receipt
    )
    assert got == (0 if returned else 5_000)


async def test_what_the_saver_owes_is_repaid_first(api: Api, saver: Saver) -> None:
    await owe(api, saver, 2_000)
    await assign(api, await held(api), saver)
    assert await saver.holds() == (3_000, 0, 0)


async def test_a_payment_that_turns_out_to_be_a_prompts_is_moved_to_its_saver(api: Api, saver: Saver) -> None:
    prompter = Prompter(api)
    asked = await prompter.prompted(saver, 5_000)
    receipt = await held(api)
    in_suspense = await api.books.balance(accounts.SUSPENSE)
    await prompter.tell(prompter.handle(saver), receipt=receipt, cents=5_000)
    assert await saver.holds() == (5_000, 0, 0)
    assert (await prompter.state(saver, asked))[0] == "settled"
    assert await api.books.balance(accounts.SUSPENSE) == in_suspense - 5_000
    assert (await assign(api, receipt, saver)).result is Result.NOT_HELD
    assert await saver.holds() == (5_000, 0, 0)
