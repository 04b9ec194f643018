"""Reads what Safaricom says of an STK push: the reply to it, the callback after it, the answer to a query."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from zanari_api.daraja.codes import Api, Kind, Meaning, Reason, meaning
from zanari_api.daraja.values import (
    Fields,
    UnreadableCallback,
    code_of,
    id_of,
    items_of,
    object_of,
    payment_cents,
    read_fields,
    receipt_of,
    text_of,
    time_of,
    without,
)
from zanari_api.kit.wire_json import JsonValue

_CALLBACK_FIELDS: Final = frozenset(
    {"MerchantRequestID", "CheckoutRequestID", "ResultCode", "ResultDesc", "CallbackMetadata"}
)
_ITEMS: Final = frozenset({"Amount", "MpesaReceiptNumber", "TransactionDate", "PhoneNumber"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StkAccepted:
    """The push was taken on: a prompt will be shown. Nothing is paid yet."""

    merchant_request_id: str | None
    checkout_request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StkCallback:
    """What became of a prompt. `checkout_request_id` is the only link to what was asked for.

    `amount_cents`, `receipt`, `occurred_at` and `msisdn_raw` are None on failure, where the wire has no
    metadata, and where a success lacks them or tells them twice in two ways. `extra` holds what is not
    known, by the path that leads to it.
    """

    merchant_request_id: str | None
    checkout_request_id: str
    result_code: str
    result_text: str
    amount_cents: int | None
    receipt: str | None
    occurred_at: datetime | None
    msisdn_raw: str | None
    extra: Mapping[str, JsonValue]

    @property
    def meaning(self) -> Meaning:
        return meaning(Api.STK, self.result_code)


@dataclass(frozen=True, slots=True, kw_only=True)
class StkOutcome:
    """What a query says of a prompt now. It never has a receipt, and a failure here never undoes a success."""

    checkout_request_id: str | None
    result_code: str
    result_text: str
    meaning: Meaning


def read_stk_callback(body: bytes) -> StkCallback:
    """Read the callback of a push. Raises UnreadableCallback without CheckoutRequestID or ResultCode."""
    envelope = read_fields(body)
    outer = object_of(envelope.get("Body"))
    fields = object_of(outer.get("stkCallback"))
    checkout_request_id = id_of(fields.get("CheckoutRequestID"))
    if checkout_request_id is None:
        raise UnreadableCallback("CheckoutRequestID is no id")
    result_code = code_of(fields.get("ResultCode"))
    if result_code is None:
        raise UnreadableCallback("ResultCode is no code")
    metadata = object_of(fields.get("CallbackMetadata"))
    items = items_of(metadata.get("Item"))
    return StkCallback(
        merchant_request_id=id_of(fields.get("MerchantRequestID")),
        checkout_request_id=checkout_request_id,
        result_code=result_code,
        result_text=text_of(fields.get("ResultDesc")) or "",
        amount_cents=payment_cents(items.get("Amount")),
        receipt=receipt_of(items.get("MpesaReceiptNumber")),
        occurred_at=time_of(items.get("TransactionDate")),
        msisdn_raw=text_of(items.get("PhoneNumber")),
        extra=without(envelope, frozenset({"Body"}))
        | without(outer, frozenset({"stkCallback"}), path="Body.")
        | without(fields, _CALLBACK_FIELDS, path="stkCallback.")
        | without(metadata, frozenset({"Item"}), path="CallbackMetadata.")
        | without(items, _ITEMS, path="Item."),
    )


def read_stk_accepted(fields: Fields) -> StkAccepted | None:
    """Read the reply to a push; None where it lacks the handle without which nothing can be followed."""
    checkout_request_id = id_of(fields.get("CheckoutRequestID"))
    if checkout_request_id is None:
        return None
    return StkAccepted(
        merchant_request_id=id_of(fields.get("MerchantRequestID")), checkout_request_id=checkout_request_id
    )


def read_stk_outcome(fields: Fields) -> StkOutcome | None:
    """Read the answer to a query, error bodies that are answers included; None where it is not one.

    While the prompt is on the handset the answer is an error body (HTTP 500), and so it is for a handle that
    Safaricom does not know, which right after a push says nothing yet.
    """
    result_code = code_of(fields.get("ResultCode"))
    if result_code is not None:
        return StkOutcome(
            checkout_request_id=id_of(fields.get("CheckoutRequestID")),
            result_code=result_code,
            result_text=text_of(fields.get("ResultDesc")) or "",
            meaning=meaning(Api.STK, result_code),
        )
    error_code = code_of(fields.get("errorCode"))
    error_text = text_of(fields.get("errorMessage")) or ""
    answered = _error_that_answers(error_code, error_text)
    if error_code is None or answered is None:
        return None
    return StkOutcome(
        checkout_request_id=None, result_code=error_code, result_text=error_text, meaning=answered
    )


def _error_that_answers(code: str | None, text: str) -> Meaning | None:
    if code == "500.001.1001" and "process" in text.lower():
        return Meaning(Kind.PENDING, Reason.PROCESSING, "The M-PESA prompt is still waiting for an answer.")
    if code == "01":
        return Meaning(Kind.UNRESOLVED, Reason.NOT_FOUND, "M-PESA does not know this request.")
    return None
