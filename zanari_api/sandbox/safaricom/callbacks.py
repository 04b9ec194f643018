"""Builds the bodies of callbacks in Safaricom's shapes, quirks included. Sends none."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from zanari_api.sandbox.safaricom.books import Account, Books, Kind, Movement
from zanari_api.sandbox.safaricom.faults import Fault
from zanari_api.sandbox.safaricom.handsets import Handset
from zanari_api.sandbox.safaricom.ids import Ids
from zanari_api.sandbox.safaricom.records import Outcome, Push, Registration
from zanari_api.sandbox.safaricom.wire import JsonObject, JsonValue, code_value, kes, shillings, stamp

SUCCESS_TEXT = "The service request is processed successfully."
SUCCESS = Outcome("0", SUCCESS_TEXT)
INTERNAL = "https://internalsandbox.safaricom.co.ke/mpesa"

Parameters = Sequence[tuple[str, JsonValue]]


def stk_callback(
    push: Push, outcome: Outcome, *, ids: Ids, at: datetime, shape: Fault | None = None
) -> JsonObject:
    """Build `Body.stkCallback`: no CallbackMetadata on failure, items in any order, a Balance without Value."""
    callback: dict[str, JsonValue] = {
        "MerchantRequestID": push.merchant_request_id,
        "CheckoutRequestID": push.checkout_request_id,
        "ResultCode": code_value(outcome.code, as_text=shape is Fault.OTHER_CODE_TYPE),
        "ResultDesc": outcome.text,
    }
    if outcome.succeeded:
        whole = push.amount_cents // 100
        items: list[JsonValue] = [
            {
                "Name": "Amount",
                "Value": whole if shape is Fault.WHOLE_AMOUNT else shillings(push.amount_cents),
            },
            {"Name": "MpesaReceiptNumber", "Value": outcome.receipt},
            {"Name": "TransactionDate", "Value": int(stamp(at))},
            {"Name": "PhoneNumber", "Value": int(push.msisdn)},
        ]
        if shape is Fault.JAVA_AMOUNT:
            items.append({"Name": "Balance", "Value": "{Amount={BasicAmount=50.5}}"})
        elif ids.chance():
            items.append({"Name": "Balance"})
        callback["CallbackMetadata"] = {"Item": ids.shuffled(items)}
    return {"Body": {"stkCallback": callback}}


def c2b_body(  # noqa: PLR0913 (a payment, by name)
    *,
    receipt: str,
    shortcode: str,
    amount_cents: int,
    account_reference: str,
    handset: Handset,
    at: datetime,
    registration: Registration,
    balance_cents: int | None,
    third_party_id: str = "",
    shape: Fault | None = None,
) -> JsonObject:
    """Build what validation (no balance yet) and confirmation post: every value a string."""
    amount = kes(amount_cents)
    body: dict[str, JsonValue] = {
        "TransactionType": "Pay Bill",
        "TransID": receipt,
        "TransTime": stamp(at),
        "TransAmount": amount.removesuffix(".00") if shape is Fault.WHOLE_AMOUNT else amount,
        "BusinessShortCode": shortcode,
        "BillRefNumber": account_reference,
        "InvoiceNumber": "",
        "OrgAccountBalance": "" if balance_cents is None else kes(balance_cents),
        "ThirdPartyTransID": third_party_id,
        "MSISDN": shown_msisdn(handset.msisdn, version=registration.version, shape=shape),
        "FirstName": handset.first_name,
    }
    if shape is not Fault.ABSENT_NAMES:
        body |= {"MiddleName": "", "LastName": ""}
    return body


def shown_msisdn(msisdn: str, *, version: int, shape: Fault | None = None) -> str:
    """Return a customer's number as C2B shows it: hashed by version 1, masked by version 2."""
    match shape:
        case Fault.PLAIN_MSISDN:
            return msisdn
        case Fault.STARRED_MSISDN:
            return f"{msisdn[:5]}****{msisdn[-3:]}"
        case Fault.HASHED_MSISDN:
            hashed = True
        case Fault.MASKED_MSISDN:
            hashed = False
        case _:
            hashed = version == 1
    return hashlib.sha256(msisdn.encode()).hexdigest() if hashed else f"{msisdn[:4]} ***** {msisdn[-3:]}"


def result(
    outcome: Outcome,
    *,
    originator_conversation_id: str,
    conversation_id: str,
    transaction_id: str,
    parameters: Parameters | None,
    codes_as_text: bool,
    reference: JsonValue,
) -> JsonObject:
    """Build `Result`. A single parameter is an object, several are an array, none leave the key out."""
    body: dict[str, JsonValue] = {
        "ResultType": code_value("0", as_text=codes_as_text),
        "ResultCode": code_value(outcome.code, as_text=codes_as_text),
        "ResultDesc": outcome.text,
        "OriginatorConversationID": originator_conversation_id,
        "ConversationID": conversation_id,
        "TransactionID": transaction_id,
        "ReferenceData": {"ReferenceItem": reference},
    }
    if parameters:
        items: list[JsonValue] = [_parameter(key, value) for key, value in parameters]
        body["ResultParameters"] = {"ResultParameter": items[0] if len(items) == 1 else items}
    return {"Result": body}


def timeout_url_reference(api: str) -> JsonObject:
    """Return the ReferenceItem that most results have: an address inside Safaricom, and an object."""
    return {"Key": "QueueTimeoutURL", "Value": f"{INTERNAL}/{api}/v1/submit"}


def balance_text(books: Books, shortcode: str) -> str:
    """Return all accounts in one text: `Name|KES|current|available|reserved|uncleared`, joined by `&`."""
    accounts = [
        ("Working Account", books.balance(shortcode, Account.WORKING)),
        ("Float Account", 0),
        ("Utility Account", books.balance(shortcode, Account.UTILITY)),
        ("Charges Paid Account", books.balance(shortcode, Account.CHARGES_PAID)),
        ("Organization Settlement Account", 0),
    ]
    return "&".join(_account_text(name, cents) for name, cents in accounts)


def utility_text(books: Books, shortcode: str) -> str:
    return _account_text("Utility Account", books.balance(shortcode, Account.UTILITY))


def movement_reason(movement: Movement) -> str:
    """Return the ReasonType of a status answer."""
    return {
        Kind.PAYOUT: "Business Payment to Customer via API",
        Kind.PAY_BILL: "Pay Bill Online",
        Kind.PROMPTED: "Pay Bill Online",
        Kind.REVERSAL: "Transaction Reversal",
    }.get(movement.story.kind, "Organization Deposit of Funds")


def _account_text(name: str, cents: int) -> str:
    return f"{name}|KES|{kes(cents)}|{kes(cents)}|0.00|0.00"


def _parameter(key: str, value: JsonValue) -> JsonObject:
    return {"Key": key} if value is None else {"Key": key, "Value": value}
