"""What M-PESA charges for taking a deposit back: booked with the reversal, once, in both sets of books to the cent."""

import asyncio
from typing import Any

import pytest

from tests.mpesa.reversing import result, take
from tests.mpesa.test_reversal import ask, conversation, give_ids, paid, tell, work
from tests.support.app import SHORTCODE, Api
from tests.support.savers import Saver
from tests.support.two_books import assert_books_agree, book_openings
from zanari_api.kit.ids import new_id
from zanari_api.ledger import accounts
from zanari_api.ledger.accounts import FloatAccount
from zanari_api.mpesa import fees
from zanari_api.mpesa.fees import FeeSource
from zanari_api.runtime.db import Role, Tx
from zanari_api.sandbox.safaricom.tariff import REVERSAL_FEE_CENTS

CHARGES_PAID = accounts.float_id(SHORTCODE, FloatAccount.CHARGES_PAID)


@pytest.fixture(autouse=True)
async def no_faults(api: Api) -> None:
    api.emulator.faults.clear()


async def booked(api: Api, receipt: str) -> list[tuple[int, str]]:
    """Return what is booked as the fee for taking this deposit back, and by whose word."""
    rows = await api.rows(
        "SELECT f.cents, f.source FROM mpesa.fees AS f JOIN savings.deposits AS d ON d.id = f.deposit_id"
        " WHERE d.receipt = $1 AND f.shortcode = $2",
        receipt,
        SHORTCODE,
    )
    return [(row["cents"], row["source"]) for row in rows]


async def post(api: Api, subject: fees.Subject, cents: int, source: FeeSource) -> None:
    async def work_(tx: Tx) -> None:
        await fees.post_fee(
            tx, subject, shortcode=SHORTCODE, cents=cents, event_at=api.clock.now(), source=source
        )

    await api.db.unit_of_work(work_, role=Role.SYSTEM)


def told(receipt: str, conversation_id: str, *, charge: object, code: object = 0) -> bytes:
    """Return the result of a reversal that names its charge; None leaves it out."""
    parameters: dict[str, Any] = {
        "Amount": 500.0,
        "TransCompletedTime": "20261125120000",
        "OriginalTransactionID": receipt,
    }
    if charge is not None:
        parameters["Charge"] = charge
    return result(code=code, conversation_id=conversation_id, parameters=parameters)


async def test_the_charge_of_a_reversal_is_booked_with_it_and_both_books_agree(
    api: Api, saver: Saver
) -> None:
    await book_openings(api)
    receipt = await paid(api, saver)
    spent = await api.books.balance(accounts.FEES)
    await ask(api, receipt)
    await work(api)
    assert await booked(api, receipt) == [(REVERSAL_FEE_CENTS, "status")]
    assert await api.books.balance(accounts.FEES) == spent + REVERSAL_FEE_CENTS
    assert await saver.holds() == (0, 0, 0)
    await assert_books_agree(api)


async def test_a_result_that_comes_twice_is_charged_once(api: Api, saver: Saver) -> None:
    api.emulator.faults.next("reversal", "duplicate_callback", times=3)
    receipt = await paid(api, saver)
    spent = await api.books.balance(accounts.FEES)
    await ask(api, receipt)
    await work(api)
    assert await api.books.balance(accounts.FEES) == spent + REVERSAL_FEE_CENTS


async def test_a_deposit_that_an_operator_took_back_before_the_result_is_charged_all_the_same(
    api: Api, saver: Saver
) -> None:
    receipt, conversation_id = await paid(api, saver), conversation()
    await ask(api, receipt)
    await give_ids(api, receipt, conversation_id)
    await take(api, receipt)
    assert await booked(api, receipt) == []
    assert await tell(api, told(receipt, conversation_id, charge="12.50")) == "settled"
    assert await booked(api, receipt) == [(1_250, "status")]


@pytest.mark.parametrize(
    ("charge", "fee"),
    [
        (0, [(0, "status")]),
        ("23.5", [(2_350, "status")]),
        (None, []),
        ("", []),
        ("a lot", []),
        (-5, []),
        ("1e18", []),
        ("0.001", []),
    ],
)
async def test_only_a_charge_that_can_be_one_is_booked(
    api: Api, saver: Saver, charge: object, fee: list[tuple[int, str]]
) -> None:
    receipt, conversation_id = await paid(api, saver), conversation()
    await ask(api, receipt)
    await give_ids(api, receipt, conversation_id)
    assert await tell(api, told(receipt, conversation_id, charge=charge)) == "settled"
    assert await booked(api, receipt) == fee
    assert await saver.holds() == (0, 0, 0)


async def test_a_reversal_that_failed_is_charged_nothing(api: Api, saver: Saver) -> None:
    receipt, conversation_id = await paid(api, saver), conversation()
    await ask(api, receipt)
    await give_ids(api, receipt, conversation_id)
    await tell(api, told(receipt, conversation_id, charge="12.50", code="R000002"))
    assert await booked(api, receipt) == []


async def test_the_statements_word_is_believed_over_the_results(api: Api) -> None:
    subject, before = fees.of_reversal(new_id()), await api.books.balance(accounts.FEES)
    await asyncio.gather(*(post(api, subject, 1_000, FeeSource.STATUS) for _ in range(4)))
    await post(api, subject, 900, FeeSource.STATEMENT)
    await post(api, subject, 1_000, FeeSource.STATUS)
    assert await api.books.balance(accounts.FEES) == before + 900
    async with api.db.transaction(Role.SYSTEM) as tx:
        assert await fees.list_posted(tx, [subject]) == {subject: 900}


async def test_a_payout_and_a_deposit_of_one_id_have_a_fee_each(api: Api) -> None:
    shared = new_id()
    await post(api, fees.of_payout(shared), 500, FeeSource.STATUS)
    await post(api, fees.of_reversal(shared), 700, FeeSource.STATUS)
    async with api.db.transaction(Role.SYSTEM) as tx:
        assert await fees.list_posted(tx, [fees.of_payout(shared), fees.of_reversal(shared)]) == {
            fees.of_payout(shared): 500,
            fees.of_reversal(shared): 700,
        }


async def test_the_release_before_posts_a_payouts_fee_on_the_same_table(api: Api) -> None:
    """Its statement, as it was: the new columns have to fill themselves."""
    payout_id = new_id()
    insert = (
        "INSERT INTO mpesa.fees (payout_id, shortcode, cents, source, event_at) VALUES ($1, '600000', 900, 'tariff',"
        " now()) ON CONFLICT (payout_id) DO NOTHING RETURNING payout_id"
    )
    async with api.db.transaction(Role.SYSTEM) as tx:
        inserted = [await tx.fetch_value(type(payout_id), insert, payout_id) for _ in range(2)]
    assert inserted == [payout_id, None]
