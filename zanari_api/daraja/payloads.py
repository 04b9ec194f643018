"""Reads Daraja's callback bodies, in every shape seen, into values with our names. Wire names end here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from zanari_api.kit.clock import parse_daraja_time
from zanari_api.kit.money import LARGEST_AMOUNT_CENTS, parse_kes, to_cents
from zanari_api.kit.receipt import parse_receipt
from zanari_api.kit.wire_json import JsonValue, UnreadableJson, read_object

MPESA_YEARS: Final = range(2007, 2100)
"""From M-PESA's first year to one that no clock shows yet: a time outside was never a payment's."""

_LONGEST_SHORTCODE: Final = 10
_C2B_FIELDS: Final = frozenset(
    {
        "TransactionType",
        "TransID",
        "TransTime",
        "TransAmount",
        "BusinessShortCode",
        "BillRefNumber",
        "InvoiceNumber",
        "OrgAccountBalance",
        "ThirdPartyTransID",
        "MSISDN",
        "FirstName",
        "MiddleName",
        "LastName",
    }
)


class UnreadableCallback(ValueError):  # noqa: N818 (reads as what it says of the callback)
    """The body lacks what a payment cannot be without. It names the field and never quotes the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class C2BPayment:
    """A customer's payment to a paybill or till, as validation and confirmation tell it.

    `msisdn_raw` is as it came: plain, hashed or masked, so nothing is ever matched on it. `occurred_at` is
    None where M-PESA's time could not be read: the money has moved all the same.
    """

    receipt: str
    amount_cents: int
    shortcode: str
    occurred_at: datetime | None
    transaction_type: str
    account_reference: str
    invoice_number: str | None
    org_balance_cents: int | None
    third_party_id: str | None
    msisdn_raw: str | None
    first_name: str | None
    middle_name: str | None
    last_name: str | None
    extra: Mapping[str, JsonValue]


def read_c2b(body: bytes) -> C2BPayment:
    """Read a C2B validation or confirmation, which share one shape.

    Only receipt, amount and shortcode must be there and readable; of the rest, what is missing or odd is
    left out, because a payment that has happened cannot be refused. Raises UnreadableCallback.
    """
    try:
        fields = read_object(body)
    except UnreadableJson as error:
        raise UnreadableCallback(str(error)) from error
    return C2BPayment(
        receipt=_read_receipt(fields),
        amount_cents=_read_amount(fields),
        shortcode=_read_shortcode(fields),
        occurred_at=_read_time(fields),
        transaction_type=_text(fields.get("TransactionType")) or "",
        account_reference=_text(fields.get("BillRefNumber")) or "",
        invoice_number=_text(fields.get("InvoiceNumber")),
        org_balance_cents=_cents_or_none(fields.get("OrgAccountBalance")),
        third_party_id=_text(fields.get("ThirdPartyTransID")),
        msisdn_raw=_text(fields.get("MSISDN")),
        first_name=_text(fields.get("FirstName")),
        middle_name=_text(fields.get("MiddleName")),
        last_name=_text(fields.get("LastName")),
        extra={name: value for name, value in fields.items() if name not in _C2B_FIELDS},
    )


def _read_receipt(fields: Mapping[str, JsonValue]) -> str:
    try:
        return parse_receipt(_text(fields.get("TransID")) or "")
    except ValueError as error:
        raise UnreadableCallback("TransID is no receipt") from error


def _read_amount(fields: Mapping[str, JsonValue]) -> int:
    cents = _cents_or_none(fields.get("TransAmount"))
    if cents is None or not 0 < cents <= LARGEST_AMOUNT_CENTS:
        raise UnreadableCallback("TransAmount is no amount")
    return cents


def _read_shortcode(fields: Mapping[str, JsonValue]) -> str:
    shortcode = _text(fields.get("BusinessShortCode")) or ""
    if not (shortcode.isascii() and shortcode.isdigit() and len(shortcode) <= _LONGEST_SHORTCODE):
        raise UnreadableCallback("BusinessShortCode is no shortcode")
    return shortcode


def _read_time(fields: Mapping[str, JsonValue]) -> datetime | None:
    try:
        occurred_at = parse_daraja_time(_text(fields.get("TransTime")) or "")
    except (ValueError, OverflowError):
        return None
    return occurred_at if occurred_at.year in MPESA_YEARS else None


def _cents_or_none(value: JsonValue) -> int | None:
    try:
        match value:
            case bool():
                return None
            case int() | Decimal():
                return to_cents(value)
            case str():
                return parse_kes(value.strip())
            case _:
                return None
    except ValueError:
        return None


def _text(value: JsonValue) -> str | None:
    """Return what was written, a number by its digits; None where nothing was."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return (value.strip() or None) if isinstance(value, str) else None
