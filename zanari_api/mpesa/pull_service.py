"""Payments that Safaricom lists and whose confirmation may never have come: one row is booked as a confirmation is.

A page of several rows is kept as it came, and each row by itself: so one that cannot be booked stops no other.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

import orjson

from zanari_api.daraja.payloads import C2BPayment
from zanari_api.daraja.pull import PullPage, PullRow, read_pull
from zanari_api.daraja.values import Fields, UnreadableCallback, text_of
from zanari_api.deposits.rows import Channel
from zanari_api.kit.clock import EAT
from zanari_api.kit.money import CENTS_PER_SHILLING
from zanari_api.mpesa import c2b_service, callback_store, pull_queries
from zanari_api.mpesa.callback_store import Delivery
from zanari_api.mpesa.inbox import CallbackKind, Effected, InboxItem, Intake, Note, Outcome
from zanari_api.runtime.db import Tx

CLOCKS_DIFFER_BY: Final = timedelta(minutes=5)
"""Safaricom's clock may be ahead of ours by this much; what is later still has not happened yet."""

SHORTCODE: Final = "shortcode"
"""What we add to a row, whose own fields do not say which shortcode was paid."""

PAYMENTS_IN: Final = "c2b"
"""How the type of a payment to us begins. Whatever else may be listed one day is not money that came in."""


class Zone(StrEnum):
    """What the Z at the end of a row's time means. Nobody has verified it."""

    UTC = "utc"
    "what is written"

    EAT = "eat"
    "East Africa Time, as on every other API"

    def time_of(self, row: PullRow) -> datetime | None:
        return row.occurred_at_as_utc if self is Zone.UTC else row.occurred_at_as_eat


def zone_of(rows: Sequence[PullRow], *, known: Mapping[str, datetime], now: datetime) -> Zone:
    """Say which zone the times of these rows are in. `known` are the times of receipts that others told us of.

    Where none of them is among the rows, it is East Africa Time if anything would be in the future otherwise.
    """
    for_eat = for_utc = 0
    for row in rows:
        told = known.get(row.receipt)
        if told is not None and row.occurred_at_as_eat != row.occurred_at_as_utc:
            for_eat += row.occurred_at_as_eat == told
            for_utc += row.occurred_at_as_utc == told
    if for_eat != for_utc:
        return Zone.EAT if for_eat > for_utc else Zone.UTC
    latest = now + CLOCKS_DIFFER_BY
    in_the_future = any(
        row.occurred_at_as_utc is not None and row.occurred_at_as_utc > latest for row in rows
    )
    return Zone.EAT if in_the_future else Zone.UTC


def deliveries_of(page: PullPage, *, shortcode: str | None, zone: Zone) -> Iterator[Delivery]:
    """Return each row of a page as a delivery of its own, what could not be read of it included.

    A row's time is written with its offset, so that it means one thing from now on.
    """
    for row in page.rows:
        yield _delivery(_fields(row, zone=zone), shortcode=shortcode)
    for fields in page.unread_rows:
        yield _delivery(fields, shortcode=shortcode)


async def receive(tx: Tx, item: InboxItem, intake: Intake) -> Effected:
    """Book a row, or keep each row of a page for the worker. An effect: see inbox.Effect."""
    try:
        page = read_pull(item.body)
    except UnreadableCallback:
        return Effected(Outcome.QUARANTINED, note=Note.UNREADABLE)
    match (page.rows, page.unread):
        case ((), 0):
            return Effected(Outcome.NOTED)
        case ((), 1):
            return Effected(Outcome.QUARANTINED, note=Note.UNREADABLE)
        case ((row,), 0):
            return await _book(tx, row, callback_id=item.id, intake=intake)
        case _:
            return await _keep_each(tx, page, intake=intake)


async def _book(tx: Tx, row: PullRow, *, callback_id: UUID, intake: Intake) -> Effected:
    if not row.transaction_type.lower().startswith(PAYMENTS_IN):
        return Effected(Outcome.QUARANTINED, note=Note.UNKNOWN_TYPE)
    shortcode = _shortcode_of(row, intake=intake)
    if shortcode is None:
        return Effected(Outcome.QUARANTINED, note=Note.UNKNOWN_SHORTCODE)
    zone = zone_of([row], known={}, now=intake.policy.now)
    told = _payment_of(row, shortcode=shortcode, occurred_at=zone.time_of(row))
    return await c2b_service.book(tx, told, channel=Channel.PULL, callback_id=callback_id, intake=intake)


async def _keep_each(tx: Tx, page: PullPage, *, intake: Intake) -> Effected:
    """Store each row of a page for the worker, which takes one transaction, and so one set of locks, for each."""
    now = intake.policy.now
    for delivery in deliveries_of(page, shortcode=None, zone=zone_of(page.rows, known={}, now=now)):
        await callback_store.store(tx, delivery, intake=intake, outcome=Outcome.WAITING, due_at=now)
    return Effected(Outcome.NOTED)


def _shortcode_of(row: PullRow, *, intake: Intake) -> str | None:
    """Return which of our shortcodes a row is of: the one that it names, or the only one there is."""
    told = text_of(row.extra.get(SHORTCODE))
    if told is None and len(intake.shortcodes) == 1:
        [told] = intake.shortcodes
    return told if told in intake.shortcodes else None


def _payment_of(row: PullRow, *, shortcode: str, occurred_at: datetime | None) -> C2BPayment:
    return C2BPayment(
        receipt=row.receipt,
        amount_cents=row.amount_cents,
        shortcode=shortcode,
        occurred_at=occurred_at,
        transaction_type=row.transaction_type,
        account_reference=row.account_reference,
        invoice_number=None,
        org_balance_cents=None,
        third_party_id=None,
        msisdn_raw=row.msisdn_raw,
        first_name=None,
        middle_name=None,
        last_name=None,
        extra=row.extra,
    )


def _fields(row: PullRow, *, zone: Zone) -> Fields:
    """Write a row down again as it was, but for its time."""
    occurred_at = zone.time_of(row)
    shillings, cents = divmod(row.amount_cents, CENTS_PER_SHILLING)
    return {
        **row.extra,
        "transactionid": row.receipt,
        "trxdate": row.occurred_at_raw if occurred_at is None else occurred_at.astimezone(EAT).isoformat(),
        "amount": f"{shillings}.{cents:02d}",
        "billreference": row.account_reference,
        "transactiontype": row.transaction_type,
        "sender": row.sender,
        "msisdn": row.msisdn_raw,
        "organizationname": row.organization,
    }


def _delivery(fields: Fields, *, shortcode: str | None) -> Delivery:
    named = dict(fields) if shortcode is None else {**fields, SHORTCODE: shortcode}
    return Delivery(kind=CallbackKind.PULL, body=orjson.dumps(named, default=str))


async def pulled_until(tx: Tx, *, shortcode: str) -> datetime | None:
    """Return until when every payment that Safaricom listed is in our books or the inbox; None before any pull."""
    state = await pull_queries.find(tx, shortcode=shortcode)
    return None if state is None else state.pulled_until
