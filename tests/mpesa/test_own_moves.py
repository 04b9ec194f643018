"""A receipt of a move of our own, and what else M-PESA may say that it was: it counts as one thing, and is named."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from tests.support.app import SHORTCODE, Api
from tests.support.prompts import Prompter
from tests.support.savers import Saver, new_receipt
from zanari_api.ledger import accounts
from zanari_api.ledger.accounts import FloatAccount
from zanari_api.mpesa import float_service, suspense_service
from zanari_api.mpesa.float_service import Booked, Move, Place
from zanari_api.mpesa.suspense_service import Act, Result
from zanari_api.runtime.db import Role

UTILITY = Place(SHORTCODE, FloatAccount.UTILITY)
AT = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)


async def fund(api: Api, receipt: str, cents: int = 5_000) -> Booked:
    booking = Move(source=None, target=UTILITY, amount_cents=cents, receipt=receipt, event_at=AT)
    return await api.db.unit_of_work(
        lambda tx: float_service.book(tx, booking, operator="wanjiku"), role=Role.SYSTEM
    )


async def give_back(api: Api, return_receipt: str, receipt: str | None = None) -> Result:
    """Have a payment of nobody's, and record that M-PESA gave it back by this receipt."""
    held = receipt or new_receipt()
    if receipt is None:
        await api.pay_in(5_000, account_reference="rent", receipt=held)
    act = Act(operator="wanjiku", evidence="a ticket", now=datetime.now(UTC))
    resolved = await api.db.unit_of_work(
        lambda tx: suspense_service.return_(tx, receipt=held, return_receipt=return_receipt, act=act),
        role=Role.SYSTEM,
    )
    return resolved.result


async def named(api: Api, receipt: str) -> list[tuple[str, int]]:
    """Return the open breaks of a receipt, and see that each has its discrepancy."""
    rows = await api.rows(
        "SELECT kind, amount_cents FROM mpesa.breaks WHERE subject = $1 AND closed_at IS NULL",
        f"receipt:{receipt}",
    )
    noted = await api.rows(
        "SELECT differs FROM mpesa.discrepancies WHERE receipt = $1 AND role = 'own_move'", receipt
    )
    assert [row["differs"] for row in noted] == [["role"]] * len(noted)
    assert len(noted) == len(rows)
    return [tuple(row) for row in rows]


async def float_cents(api: Api) -> int:
    return await api.books.balance(accounts.float_id(SHORTCODE))


@pytest.mark.parametrize("booked_by", [fund, give_back])
async def test_a_confirmation_with_the_receipt_of_our_own_move_credits_nobody_and_is_named(
    api: Api, saver: Saver, booked_by: Callable[[Api, str], Awaitable[object]]
) -> None:
    receipt = new_receipt()
    await booked_by(api, receipt)
    before, held = await float_cents(api), await api.books.balance(accounts.SUSPENSE)
    for reference in (saver.member_code, saver.member_code, "rent"):
        await api.pay_in(5_000, account_reference=reference, receipt=receipt)
    assert await saver.holds() == (0, 0, 0)
    assert (await float_cents(api), await api.books.balance(accounts.SUSPENSE)) == (before, held)
    assert await named(api, receipt) == [("receipt_booked_as_move", 5_000)]
    (row, *_) = await api.rows(
        "SELECT outcome, note FROM mpesa.callbacks ORDER BY last_received_at DESC, id DESC LIMIT 1"
    )
    assert tuple(row) == ("quarantined", "receipt_conflict")


@pytest.mark.parametrize("way", ["callback", "c2b", "c2b of another amount", "pull"])
async def test_what_was_asked_for_is_not_paid_by_a_receipt_of_our_own_move(
    api: Api, saver: Saver, way: str
) -> None:
    prompter, receipt = Prompter(api), new_receipt()
    asked = await prompter.prompted(saver, 50_000)
    intent = await prompter.intent(asked)
    await fund(api, receipt, 50_000)
    before = await float_cents(api)
    match way:
        case "callback":
            await prompter.tell(prompter.handle(saver), receipt=receipt)
        case "pull":
            await prompter.pull(intent, receipt=receipt)
        case "c2b":
            await prompter.pay(intent, receipt=receipt)
        case _:
            await prompter.pay(intent, receipt=receipt, cents=40_000)
    assert await saver.holds() == (0, 0, 0)
    assert await float_cents(api) == before
    assert (await prompter.intent(asked)).receipt is None
    assert await named(api, receipt) == [("receipt_booked_as_move", 40_000 if "another" in way else 50_000)]


async def test_a_receipt_is_either_a_move_or_a_return_and_never_both(api: Api) -> None:
    moved, returned = new_receipt(), new_receipt()
    await fund(api, moved)
    assert await give_back(api, moved) is Result.RECEIPT_USED
    assert await give_back(api, returned) is Result.DONE
    assert await fund(api, returned) is Booked.OTHER_ROLE


async def test_a_move_and_a_payment_of_one_receipt_at_once_are_one_of_the_two(api: Api, saver: Saver) -> None:
    for _ in range(5):
        receipt, before = new_receipt(), await float_cents(api)
        await asyncio.gather(
            fund(api, receipt),
            api.pay_in(5_000, account_reference=saver.member_code, receipt=receipt),
        )
        assert await float_cents(api) == before + 5_000


async def test_another_amount_for_one_receipt_is_a_break_once(api: Api, saver: Saver) -> None:
    receipt = await saver.deposit(10_000)

    async def breaks() -> list[tuple[str, int]]:
        rows = await api.rows(
            "SELECT b.kind, b.amount_cents FROM mpesa.breaks AS b JOIN mpesa.discrepancies AS d"
            " ON b.subject = 'discrepancy:' || d.id WHERE d.receipt = $1 AND b.closed_at IS NULL",
            receipt,
        )
        return [tuple(row) for row in rows]

    for _ in range(2):
        await api.pay_in(12_000, account_reference=saver.member_code, receipt=receipt)
    assert await breaks() == [("receipt_amount_differs", 2_000)]
    await api.alter(
        "UPDATE mpesa.breaks SET closed_at = $1, closed_because = 'seen' WHERE kind = 'receipt_amount_differs'",
        api.clock.now(),
    )
    await api.pay_in(12_000, account_reference="rent", receipt=receipt)
    assert await breaks() == []
    assert await saver.holds() == (10_000, 0, 0)
