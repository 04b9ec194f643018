"""Moves of our own money: each booked once per receipt, between floats and the company's bank, and audited."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.app import B2C_SHORTCODE, SHORTCODE, Api
from tests.support.savers import Saver, new_receipt
from zanari_api.ledger import accounts
from zanari_api.ledger.accounts import FloatAccount
from zanari_api.mpesa import float_service
from zanari_api.mpesa.float_service import Booked, Move, MoveKind, Place, parse_place
from zanari_api.runtime.db import Role, Tx

UTILITY = Place(SHORTCODE, FloatAccount.UTILITY)
WORKING = Place(B2C_SHORTCODE, FloatAccount.WORKING)
AT = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)


def move(**fields: Any) -> Move:
    given: dict[str, Any] = {
        "source": None,
        "target": UTILITY,
        "amount_cents": 10_000,
        "receipt": new_receipt(),
        "event_at": AT,
    }
    return Move(**(given | fields))


async def book(api: Api, booking: Move) -> Booked:
    async def work(tx: Tx) -> Booked:
        return await float_service.book(tx, booking, operator="wanjiku")

    return await api.db.unit_of_work(work, role=Role.SYSTEM)


async def held(api: Api, place: Place) -> int:
    async with api.db.transaction(Role.SYSTEM) as tx:
        await float_service.open_floats(tx, shortcode=place.shortcode)
    return await api.books.balance(place.account_id)


async def test_money_from_the_bank_is_the_companys_funding(api: Api) -> None:
    before, funding = await held(api, UTILITY), await api.books.balance(accounts.FUNDING)
    assert await book(api, move(amount_cents=25_000)) is Booked.BOOKED
    assert await held(api, UTILITY) == before + 25_000
    assert await api.books.balance(accounts.FUNDING) == funding + 25_000


async def test_money_to_the_bank_leaves_it_again(api: Api) -> None:
    before, funding = await held(api, UTILITY), await api.books.balance(accounts.FUNDING)
    assert await book(api, move(source=UTILITY, target=None, amount_cents=25_000)) is Booked.BOOKED
    assert await held(api, UTILITY) == before - 25_000
    assert await api.books.balance(accounts.FUNDING) == funding - 25_000


async def test_money_between_our_accounts_is_nobodys_funding(api: Api) -> None:
    before, funding = (
        (await held(api, UTILITY), await held(api, WORKING)),
        await api.books.balance(accounts.FUNDING),
    )
    assert await book(api, move(source=UTILITY, target=WORKING, amount_cents=400)) is Booked.BOOKED
    assert (await held(api, UTILITY), await held(api, WORKING)) == (before[0] - 400, before[1] + 400)
    assert await api.books.balance(accounts.FUNDING) == funding


async def test_a_receipt_is_booked_once_even_at_once(api: Api) -> None:
    before, booking = await held(api, UTILITY), move(amount_cents=7_700)
    results = await asyncio.gather(*(book(api, booking) for _ in range(6)))
    assert sorted(results) == sorted([Booked.BOOKED, *[Booked.ALREADY] * 5])
    assert await held(api, UTILITY) == before + 7_700


@pytest.mark.parametrize(
    "other",
    [{"amount_cents": 9_999}, {"target": WORKING}, {"source": WORKING}, {"source": UTILITY, "target": None}],
)
async def test_a_receipt_of_another_move_is_refused(api: Api, other: dict[str, Any]) -> None:
    booking = move()
    await book(api, booking)
    before = await held(api, UTILITY), await held(api, WORKING)
    assert await book(api, move(receipt=booking.receipt, **other)) is Booked.OTHER_MOVE
    assert (await held(api, UTILITY), await held(api, WORKING)) == before


async def test_a_savers_receipt_is_no_move(api: Api, saver: Saver) -> None:
    receipt = await saver.deposit(10_000)
    before = await held(api, UTILITY)
    assert await book(api, move(receipt=receipt)) is Booked.OTHER_ROLE
    assert await held(api, UTILITY) == before


async def test_each_move_is_audited_with_who_and_what(api: Api) -> None:
    booking = move(source=UTILITY, target=WORKING, amount_cents=100)
    await book(api, booking)
    (act,) = await api.rows(
        "SELECT act, operator, after::text FROM runtime.audit_log WHERE reason = $1",
        f"receipt {booking.receipt}",
    )
    assert (act["act"], act["operator"]) == ("float_move", "wanjiku")
    assert str(UTILITY) in act["after"]
    assert str(WORKING) in act["after"]


@pytest.mark.parametrize(
    ("source", "target", "kind"),
    [(None, UTILITY, MoveKind.FUND), (UTILITY, None, MoveKind.DEFUND), (UTILITY, WORKING, MoveKind.MOVE)],
)
def test_the_kind_follows_from_the_places(source: Place | None, target: Place | None, kind: MoveKind) -> None:
    assert move(source=source, target=target).kind is kind


@pytest.mark.parametrize(
    "fields",
    [
        {"source": None, "target": None},
        {"source": UTILITY, "target": UTILITY},
        {"amount_cents": 0},
        {"amount_cents": -5},
    ],
)
def test_a_move_of_nothing_or_to_nowhere_is_none(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"has to move|more than zero"):
        move(**fields)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("600000:utility", UTILITY),
        (" 600001:working ", WORKING),
        ("600000:charges_paid", Place(SHORTCODE, FloatAccount.CHARGES_PAID)),
    ],
)
def test_a_place_is_read_as_it_is_written(text: str, place: Place) -> None:
    assert parse_place(text) == place
    assert parse_place(str(place)) == place


@pytest.mark.parametrize(
    "text", ["", "600000", "600000:", ":utility", "abc:utility", "600000:wallet", "٦٠٠٠٠٠:utility"]
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a place is SHORTCODE:ACCOUNT"):
        parse_place(text)


async def test_the_changes_of_a_place_are_found_by_receipt(api: Api) -> None:
    there, away = move(amount_cents=100), move(source=UTILITY, target=WORKING, amount_cents=40)
    await book(api, there)
    await book(api, away)
    receipts = [there.receipt, away.receipt, new_receipt()]
    async with api.db.transaction(Role.SYSTEM) as tx:
        utility = await float_service.list_changes(tx, UTILITY, receipts=receipts)
        working = await float_service.list_changes(tx, WORKING, receipts=receipts)
    assert {(receipt, cents) for receipt, _, cents in utility} == {(there.receipt, 100), (away.receipt, -40)}
    assert [(receipt, cents) for receipt, _, cents in working] == [(away.receipt, 40)]
