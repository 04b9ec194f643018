"""Compares the emulator's books with ours, account by account and to the cent."""

from datetime import timedelta

from tests.support.app import Api
from zanari_api.ledger import accounts, balances
from zanari_api.ledger.accounts import FloatAccount
from zanari_api.mpesa import float_service
from zanari_api.mpesa.float_service import Booked, Move, Place
from zanari_api.runtime.db import Role, Tx
from zanari_api.sandbox.safaricom.books import Account

OPENING = "OPENING"


async def book_openings(api: Api) -> None:
    """Book what the emulator's accounts held when it began, as the company's own money. Safe to repeat."""

    async def book(tx: Tx) -> None:
        for (shortcode, account), cents in _openings(api).items():
            await float_service.open_floats(tx, shortcode=shortcode)
            if cents:
                move = Move(
                    source=None,
                    target=Place(shortcode, FloatAccount(account)),
                    amount_cents=cents,
                    receipt=f"{OPENING}{shortcode}{account[:4].upper()}",
                    # Before anything that a test does, and before the day of any statement.
                    event_at=api.clock.now() - timedelta(days=2),
                )
                assert await float_service.book(tx, move, operator="tests") in {Booked.BOOKED, Booked.ALREADY}

    await api.db.unit_of_work(book, role=Role.SYSTEM)


async def assert_books_agree(api: Api) -> None:
    """Assert that each of our floats is what the emulator's account holds, openings that we booked included.

    An opening that was not booked (see `book_openings`) is left out of the emulator's side.
    """
    assert await floats_held(api) == await accounts_held(api)


async def accounts_held(api: Api) -> dict[tuple[str, str], int]:
    """Return what the emulator's accounts hold, without openings that our books do not have."""
    booked = {
        row["place"]
        for row in await api.rows(
            "SELECT to_shortcode || ':' || to_account AS place FROM mpesa.float_moves WHERE receipt LIKE $1",
            f"{OPENING}%",
        )
    }
    held: dict[tuple[str, str], int] = {}
    for (shortcode, account), opening in _openings(api).items():
        held[shortcode, account] = api.emulator.books.balance(shortcode, Account(account))
        if f"{shortcode}:{account}" not in booked:
            held[shortcode, account] -= opening
    return held


async def floats_held(api: Api) -> dict[tuple[str, str], int]:
    """Return what our floats hold; one that was never opened holds nothing."""
    places = {place: accounts.float_id(place[0], FloatAccount(place[1])) for place in _openings(api)}
    async with api.db.transaction(Role.SYSTEM) as tx:
        held = await balances.balances(tx, list(places.values()))
    return {place: held.get(account_id, 0) for place, account_id in places.items()}


def _openings(api: Api) -> dict[tuple[str, str], int]:
    return {
        (shortcode, str(account)): getattr(opening, f"{account}_cents")
        for shortcode, opening in api.emulator.books.openings.items()
        for account in Account
    }
