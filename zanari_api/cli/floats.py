"""`zanari float`: our own money at Safaricom, between our accounts and the company's bank. Never a saver's."""

from datetime import datetime
from typing import Annotated

import typer

from zanari_api.cli.moments import AtOption, moment
from zanari_api.cli.session import OperatorOption, named, operating
from zanari_api.cli.terminal import fail, run, say, table
from zanari_api.kit.money import format_kes, parse_kes
from zanari_api.kit.receipt import parse_receipt
from zanari_api.ledger import balances
from zanari_api.ledger.accounts import FloatAccount
from zanari_api.mpesa import float_service
from zanari_api.mpesa.float_service import Booked, Move, Place, parse_place
from zanari_api.runtime.db import Role, Tx

app = typer.Typer(
    help="Book moves of our own money at Safaricom, and see what we hold.", no_args_is_help=True
)

AT = "An account of ours: SHORTCODE:utility, :working or :charges_paid."
Amount = Annotated[str, typer.Option("--amount", help="Shillings: 2500 or 99.50.")]
Receipt = Annotated[str, typer.Option("--receipt", help="M-PESA's receipt of the move; it is booked once.")]
Target = Annotated[str, typer.Argument(help=AT)]


@app.command("list")
def list_floats() -> None:
    """Show what our books say that each account of ours holds."""
    run(_list())


@app.command("open")
def open_float(
    shortcode: Annotated[str, typer.Argument(help="The shortcode.")], operator: OperatorOption = None
) -> None:
    """Open the accounts of a shortcode in our books, at zero. Safe to repeat."""
    run(_open(shortcode, operator=named(operator)))


@app.command()
def fund(
    place: Target, amount: Amount, receipt: Receipt, at: AtOption = None, operator: OperatorOption = None
) -> None:
    """Book money that came from the company's bank into an account of ours."""
    run(_book(None, place, amount, receipt, at=at, operator=named(operator)))


@app.command()
def defund(
    place: Target, amount: Amount, receipt: Receipt, at: AtOption = None, operator: OperatorOption = None
) -> None:
    """Book money that went from an account of ours to the company's bank."""
    run(_book(place, None, amount, receipt, at=at, operator=named(operator)))


@app.command()
def move(
    source: Annotated[str, typer.Option("--from", help=AT)],
    target: Annotated[str, typer.Option("--to", help=AT)],
    amount: Amount,
    receipt: Receipt,
    at: AtOption = None,
    operator: OperatorOption = None,
) -> None:
    """Book money that moved from one account of ours to another."""
    run(_book(source, target, amount, receipt, at=at, operator=named(operator)))


async def _list() -> None:
    async with operating() as o:
        places = [
            Place(shortcode, account)
            for shortcode in o.parts.reconciling().shortcodes
            for account in FloatAccount
        ]
        async with o.database.transaction(Role.SYSTEM) as tx:
            held = await balances.balances(tx, [place.account_id for place in places])
    rows = [
        (place, format_kes(held[place.account_id]) if place.account_id in held else "not open")
        for place in places
    ]
    table(("account", "our books"), rows)


async def _open(shortcode: str, *, operator: str) -> None:
    try:
        place = parse_place(f"{shortcode}:utility")
    except ValueError:
        fail(f"{shortcode} is no shortcode")
    async with operating(operator) as o:

        async def open_all(tx: Tx) -> bool:
            return await float_service.open_floats_by_hand(tx, shortcode=place.shortcode, operator=o.operator)

        opened = await o.database.unit_of_work(open_all, role=Role.SYSTEM)
    say(f"The accounts of {place.shortcode} {'are' if opened else 'were'} open.")


async def _book(
    source: str | None,
    target: str | None,
    amount: str,
    receipt: str,
    *,
    at: datetime | None,
    operator: str,
) -> None:
    async with operating(operator) as o:
        booking = _read(source, target, amount, receipt, at=moment(at, now=o.clock.now()))

        async def book(tx: Tx) -> Booked:
            return await float_service.book(tx, booking, operator=o.operator)

        booked = await o.database.unit_of_work(book, role=Role.SYSTEM)
    told = f"{format_kes(booking.amount_cents)} from {booking.source or 'the bank'} to {booking.target or 'the bank'}"
    match booked:
        case Booked.BOOKED:
            say(f"Booked {told}.")
        case Booked.ALREADY:
            say(f"{booking.receipt} was booked before: {told}. Nothing moved again.")
        case Booked.OTHER_MOVE:
            fail(f"{booking.receipt} was booked before as another move; nothing moved")
        case Booked.OTHER_ROLE:
            fail(f"{booking.receipt} is a saver's payment; nothing moved")


def _read(source: str | None, target: str | None, amount: str, receipt: str, *, at: datetime) -> Move:
    try:
        return Move(
            source=None if source is None else parse_place(source),
            target=None if target is None else parse_place(target),
            amount_cents=parse_kes(amount.replace(",", "")),
            receipt=parse_receipt(receipt),
            event_at=at,
        )
    except ValueError as error:
        fail(str(error))
