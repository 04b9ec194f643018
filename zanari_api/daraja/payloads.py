"""Reads Daraja's callback bodies, in every shape seen, into values with our names. Wire names end here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from zanari_api.daraja.values import (
    MPESA_YEARS,
    Fields,
    UnreadableCallback,
    cents_of,
    payment_cents,
    read_fields,
    receipt_of,
    text_of,
    time_of,
    without,
)
from zanari_api.kit.wire_json import JsonValue

__all__ = ["MPESA_YEARS", "C2BPayment", "UnreadableCallback", "read_c2b"]

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
    fields = read_fields(body)
    return C2BPayment(
        receipt=_read_receipt(fields),
        amount_cents=_read_amount(fields),
        shortcode=_read_shortcode(fields),
        occurred_at=time_of(fields.get("TransTime")),
        transaction_type=text_of(fields.get("TransactionType")) or "",
        account_reference=text_of(fields.get("BillRefNumber")) or "",
        invoice_number=text_of(fields.get("InvoiceNumber")),
        org_balance_cents=cents_of(fields.get("OrgAccountBalance")),
        third_party_id=text_of(fields.get("ThirdPartyTransID")),
        msisdn_raw=text_of(fields.get("MSISDN")),
        first_name=text_of(fields.get("FirstName")),
        middle_name=text_of(fields.get("MiddleName")),
        last_name=text_of(fields.get("LastName")),
        extra=without(fields, _C2B_FIELDS),
    )


def _read_receipt(fields: Fields) -> str:
    receipt = receipt_of(fields.get("TransID"))
    if receipt is None:
        raise UnreadableCallback("TransID is no receipt")
    return receipt


def _read_amount(fields: Fields) -> int:
    cents = payment_cents(fields.get("TransAmount"))
    if cents is None:
        raise UnreadableCallback("TransAmount is no amount")
    return cents


def _read_shortcode(fields: Fields) -> str:
    shortcode = text_of(fields.get("BusinessShortCode")) or ""
    if not (shortcode.isascii() and shortcode.isdigit() and len(shortcode) <= _LONGEST_SHORTCODE):
        raise UnreadableCallback("BusinessShortCode is no shortcode")
    return shortcode
