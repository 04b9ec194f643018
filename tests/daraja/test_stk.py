"""STK pushes as Safaricom tells of them: callbacks, replies and answers to queries, in every shape."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings

from tests.support.daraja_shapes import ToldStk, sample, samples, stk_bodies, told_stk, write
from zanari_api.daraja.codes import Kind, Reason
from zanari_api.daraja.stk import (
    StkAccepted,
    StkCallback,
    read_stk_accepted,
    read_stk_callback,
    read_stk_outcome,
)
from zanari_api.daraja.values import UnreadableCallback


def success(**items: Any) -> dict[str, Any]:
    """The published success with some items replaced; None takes one away."""
    body = sample("p01")
    metadata = body["Body"]["stkCallback"]["CallbackMetadata"]
    told = {item["Name"]: item["Value"] for item in metadata["Item"]} | items
    metadata["Item"] = [{"Name": name, "Value": value} for name, value in told.items() if value is not None]
    return body


def read(body: Any) -> StkCallback:
    return read_stk_callback(write(body))


def test_the_documented_success_is_read_in_our_words() -> None:
    assert read(sample("p01")) == StkCallback(
        merchant_request_id="29115-34620561-1",
        checkout_request_id="ws_CO_191220191020363925",
        result_code="0",
        result_text="The service request is processed successfully.",
        amount_cents=100,
        receipt="NLJ7RT61SV",
        occurred_at=datetime(2019, 12, 19, 7, 21, 15, tzinfo=UTC),
        msisdn_raw="254708374149",
        extra={},
    )


def test_the_documented_cancellation_has_no_metadata() -> None:
    callback = read(sample("p06"))
    assert (callback.result_code, callback.meaning.reason) == ("1032", Reason.CANCELLED)
    assert (callback.amount_cents, callback.receipt, callback.occurred_at) == (None, None, None)
    assert callback.msisdn_raw is None


@pytest.mark.parametrize("told", samples("stk_callback"), ids=lambda each: each["id"])
def test_every_sample_is_readable(told: dict[str, Any]) -> None:
    assert read(told["body"]).checkout_request_id.startswith("ws_CO_")


@pytest.mark.parametrize(
    ("written", "code"),
    [
        (0, "0"),
        ("0", "0"),
        (Decimal("0.0"), "0"),
        ("SFC_IC0003", "SFC_IC0003"),
        (1032, "1032"),
        (" 17 ", "17"),
    ],
)
def test_a_code_is_one_text_however_it_is_written(written: object, code: str) -> None:
    body = sample("p06")
    body["Body"]["stkCallback"]["ResultCode"] = written
    assert read(body).result_code == code


def test_a_code_nobody_knows_is_kept_and_decides_nothing() -> None:
    body = sample("p06")
    body["Body"]["stkCallback"]["ResultCode"] = "NEW_9"
    callback = read(body)
    assert (callback.result_code, callback.meaning.kind) == ("NEW_9", Kind.UNRESOLVED)


@pytest.mark.parametrize(
    ("written", "cents"),
    [
        (Decimal("1.00"), 100),
        (1, 100),
        ("1", 100),
        ("50.5", 5_050),
        ("{Amount={BasicAmount=50.5}}", 5_050),
        ("{Amount={CurrencyCode=KES, MinimumAmount=618683, BasicAmount=6186.83}}", 618_683),
        (Decimal("1.005"), None),
        (0, None),
        (-1, None),
        (True, None),
        ("{Amount={BasicAmount=1}}{Amount={BasicAmount=2}}", None),
        ("{Amount={BasicAmount=1e3}}", None),
        (10**12, None),
    ],
)
def test_the_amount_is_read_by_its_digits_or_not_at_all(written: object, cents: int | None) -> None:
    assert read(success(Amount=written)).amount_cents == cents


def test_items_are_found_by_name_in_any_order_and_the_balance_needs_no_value() -> None:
    body = success()
    items = body["Body"]["stkCallback"]["CallbackMetadata"]["Item"]
    items.reverse()
    items.insert(1, {"Name": "Balance"})
    callback = read(body)
    assert (callback.amount_cents, callback.receipt) == (100, "NLJ7RT61SV")
    assert callback.extra == {"Item.Balance": None}


def test_a_single_item_may_come_without_its_list() -> None:
    body = success()
    body["Body"]["stkCallback"]["CallbackMetadata"]["Item"] = {
        "Name": "MpesaReceiptNumber",
        "Value": "NLJ7RT61SV",
    }
    callback = read(body)
    assert (callback.receipt, callback.amount_cents) == ("NLJ7RT61SV", None)


@pytest.mark.parametrize(("name", "other"), [("Amount", 500), ("MpesaReceiptNumber", "NLJ7RT61SW")])
def test_what_is_told_twice_in_two_ways_is_not_decided_by_order(name: str, other: object) -> None:
    body = success()
    items = body["Body"]["stkCallback"]["CallbackMetadata"]["Item"]
    for place in (0, len(items)):
        twice = success()
        twice["Body"]["stkCallback"]["CallbackMetadata"]["Item"].insert(place, {"Name": name, "Value": other})
        callback = read(twice)
        assert (callback.amount_cents if name == "Amount" else callback.receipt) is None


def test_what_is_told_twice_in_one_way_is_told() -> None:
    body = success()
    items = body["Body"]["stkCallback"]["CallbackMetadata"]["Item"]
    items.append({"Name": "Amount", "Value": 1})
    assert read(body).amount_cents == 100


@pytest.mark.parametrize(
    "metadata", [None, {}, [], "none", {"Item": None}, {"Item": "x"}, {"Item": [None, 7]}]
)
def test_a_success_without_readable_metadata_is_still_read(metadata: object) -> None:
    body = sample("p01")
    body["Body"]["stkCallback"]["CallbackMetadata"] = metadata
    callback = read(body)
    assert (callback.result_code, callback.receipt, callback.amount_cents) == ("0", None, None)


def test_unknown_keys_are_kept_by_where_they_were() -> None:
    body = success(Channel="USSD")
    body["Extra"] = 1
    body["Body"]["Note"] = {"a": [Decimal("1.50")]}
    body["Body"]["stkCallback"]["Region"] = "KE"
    body["Body"]["stkCallback"]["CallbackMetadata"]["Count"] = 4
    assert read(body).extra == {
        "Extra": 1,
        "Body.Note": {"a": [Decimal("1.50")]},
        "stkCallback.Region": "KE",
        "CallbackMetadata.Count": 4,
        "Item.Channel": "USSD",
    }


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ("CheckoutRequestID", None),
        ("CheckoutRequestID", ""),
        ("CheckoutRequestID", ["ws_CO_1"]),
        ("CheckoutRequestID", "w" * 300),
        ("ResultCode", None),
        ("ResultCode", True),
        ("ResultCode", {}),
        ("ResultCode", Decimal("1.5")),
        ("ResultCode", "9" * 50),
    ],
)
def test_without_a_handle_or_a_code_it_is_no_callback(field: str, written: object) -> None:
    body = sample("p06")
    body["Body"]["stkCallback"][field] = written
    with pytest.raises(UnreadableCallback, match=field):
        read(body)


@pytest.mark.parametrize(
    "body", [{}, {"Body": []}, {"Body": {}}, {"Body": {"stkCallback": "x"}}, {"Result": {}}]
)
def test_another_envelope_is_unreadable(body: object) -> None:
    with pytest.raises(UnreadableCallback):
        read(body)


@settings(deadline=None)
@given(told_stk())
def test_whatever_way_it_is_written_it_says_the_same(written: tuple[bytes, ToldStk]) -> None:
    body, told = written
    callback = read_stk_callback(body)
    assert callback.checkout_request_id == told.checkout_request_id
    assert callback.result_code == told.result_code
    assert (callback.amount_cents, callback.receipt) == (told.amount_cents, told.receipt)
    assert callback.occurred_at == told.occurred_at


@settings(deadline=None)
@given(stk_bodies)
def test_a_distorted_callback_is_read_or_unreadable(body: bytes) -> None:
    try:
        callback = read_stk_callback(body)
    except UnreadableCallback:
        return
    assert callback.checkout_request_id
    assert callback.amount_cents is None or callback.amount_cents > 0


def test_the_reply_gives_the_handles() -> None:
    assert read_stk_accepted(sample("p10")) == StkAccepted(
        merchant_request_id="2654-4b64-97ff-b827b542881d3130",
        checkout_request_id="ws_CO_1007202409152617172396192",
    )


def test_a_reply_without_the_handle_is_none() -> None:
    assert read_stk_accepted({"ResponseCode": "0"}) is None


@pytest.mark.parametrize(
    ("fields", "code", "kind", "reason"),
    [
        ({"ResultCode": "0", "CheckoutRequestID": "ws_CO_1"}, "0", Kind.SUCCESS, Reason.OK),
        ({"ResultCode": 1032}, "1032", Kind.FAILED, Reason.CANCELLED),
        ({"ResultCode": "4999"}, "4999", Kind.PENDING, Reason.PROCESSING),
        (
            {"errorCode": "500.001.1001", "errorMessage": "The transaction is being processed"},
            "500.001.1001",
            Kind.PENDING,
            Reason.PROCESSING,
        ),
        (sample("p12"), "01", Kind.UNRESOLVED, Reason.NOT_FOUND),
    ],
)
def test_a_query_is_answered_by_a_code_or_by_an_error_that_is_one(
    fields: dict[str, Any], code: str, kind: Kind, reason: Reason
) -> None:
    outcome = read_stk_outcome(fields)
    assert outcome is not None
    assert (outcome.result_code, outcome.meaning.kind, outcome.meaning.reason) == (code, kind, reason)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"ResultCode": None},
        {"errorCode": "500.001.1001", "errorMessage": "Merchant does not exist"},
        {"errorCode": "500.003.02", "errorMessage": "System is busy"},
        {"errorMessage": "The transaction is being processed"},
    ],
)
def test_other_errors_are_no_answer(fields: dict[str, Any]) -> None:
    assert read_stk_outcome(fields) is None
