"""What a simulation ends with finds each broken promise, so that its silence means something."""

from uuid import uuid4

import pytest

from tests.support.app import SHORTCODE, Api
from tests.support.savers import Saver, answered, new_receipt
from tests.support.two_books import book_openings
from zanari_api.mpesa.inbox import CallbackKind
from zanari_api.simulation.promises import examine
from zanari_api.simulation.savers import Promises


@pytest.fixture(autouse=True)
async def _both_books_begin_alike(api: Api) -> None:
    await book_openings(api)
    parts = api.app.state.parts
    await parts.daraja.register_c2b_urls(
        shortcode=SHORTCODE,
        confirmation_url=parts.mpesa.callback_url(CallbackKind.C2B_CONFIRMATION),
        validation_url=parts.mpesa.callback_url(CallbackKind.C2B_VALIDATION),
    )


async def broken(api: Api, promises: Promises | None = None) -> list[str]:
    return list((await examine(api.db, api.emulator, promises or Promises())).broken)


async def test_a_world_in_order_is_found_in_order(api: Api, saver: Saver) -> None:
    promises = Promises()
    await api.emulator.pay_bill(
        amount_cents=30_000, account_reference=saver.member_code, msisdn=str(saver.phone)
    )
    await api.work()
    told = await saver.spend(14_700, at=api.clock.now())
    promises.spends.add(told["transaction_id"])
    assert await broken(api, promises) == []


@pytest.mark.parametrize("kind", ["spends", "intents", "payouts", "movements"])
async def test_a_yes_that_left_no_trace_is_found(api: Api, kind: str) -> None:
    promises = Promises()
    getattr(promises, kind).add(new_receipt() if kind == "spends" else uuid4())
    (found,) = await broken(api, promises)
    assert found.startswith("I: ")


async def test_money_that_only_safaricom_has_is_found_twice_as_a_float_and_as_a_receipt(
    api: Api, saver: Saver
) -> None:
    api.emulator.faults.next("c2b", "lose_callback")
    await api.emulator.pay_bill(
        amount_cents=30_000, account_reference=saver.member_code, msisdn=str(saver.phone)
    )
    await api.emulator.quiet()
    found = await broken(api)
    assert [one.split(":")[0] for one in found] == ["II", "III"]
    # It is booked after all, so that the next test begins in order.
    lost = api.emulator.books.movements[-1]
    await saver.api.pay_in(30_000, account_reference=saver.member_code, receipt=lost.receipt)
    assert await broken(api) == []


async def test_a_prompt_that_nobody_asks_about_is_found(api: Api, saver: Saver) -> None:
    made = answered(await saver.post("/mpesa/deposits", {"amount_cents": 10_000}), 202)
    (found,) = await broken(api)
    assert found == f"IV: intent {made['id']} is requested, and no break names it"
    await api.work()
    assert await broken(api) == []


async def test_a_500_is_a_broken_promise(api: Api) -> None:
    promises = Promises()
    promises.done["spend: 500"] = 2
    assert await broken(api, promises) == ["500 was answered: spend: 500, 2 times"]
