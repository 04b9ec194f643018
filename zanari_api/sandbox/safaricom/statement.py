"""Writes an account's statement of a day as a CSV file. Invented: Safaricom publishes no description of its own.

One file is one account of one shortcode. Columns, in this order, all of them always there:

    Receipt No.            the receipt; movements on other accounts may share it
    Completion Time        `YYYY-MM-DD HH:MM:SS` in East Africa Time
    Initiation Time        the same
    Details                words; a customer's number is masked in them
    Transaction Status     `Completed`, always
    Paid In                shillings with two places, or empty
    Withdrawn              shillings with two places and without a sign, or empty
    Balance                of this account, after this movement; below zero for charges paid
    Reason Type            `Pay Bill Online`, `Business Payment to Customer via API`, ...
    Other Party Info       who paid or was paid: `254712***678 - NAME`, or empty
    Linked Transaction ID  the receipt that a reversal takes back, or empty
    A/C No.                what the customer typed, or empty

The newest movement comes first, as in the portal. A day without movements has the header alone.
"""

import csv
import io
from datetime import date
from typing import Final

from zanari_api.kit.clock import EAT, eat_date
from zanari_api.sandbox.safaricom.books import Account, Movement
from zanari_api.sandbox.safaricom.callbacks import movement_reason
from zanari_api.sandbox.safaricom.core import Core
from zanari_api.sandbox.safaricom.wire import kes

COLUMNS: Final = (
    "Receipt No.",
    "Completion Time",
    "Initiation Time",
    "Details",
    "Transaction Status",
    "Paid In",
    "Withdrawn",
    "Balance",
    "Reason Type",
    "Other Party Info",
    "Linked Transaction ID",
    "A/C No.",
)


def statement_csv(core: Core, shortcode: str, day: date, account: Account) -> str:
    """Return the statement of a Nairobi day."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for movement in reversed(core.books.movements):
        if (movement.shortcode, movement.account, eat_date(movement.at)) == (shortcode, account, day):
            writer.writerow(_row(core, movement))
    return text.getvalue()


def _row(core: Core, movement: Movement) -> tuple[str, ...]:
    at = f"{movement.at.astimezone(EAT):%Y-%m-%d %H:%M:%S}"
    story, change_cents = movement.story, movement.change_cents
    masked = f"{story.msisdn[:6]}***{story.msisdn[-3:]}" if story.msisdn else ""
    return (
        movement.receipt,
        at,
        at,
        story.details,
        "Completed",
        kes(change_cents) if change_cents > 0 else "",
        kes(-change_cents) if change_cents < 0 else "",
        kes(movement.balance_cents),
        movement_reason(movement),
        f"{masked} - {core.handsets.of(story.msisdn).name}" if story.msisdn else "",
        story.reverses or "",
        story.account_reference,
    )
