"""What the round-up webhook's body may be, and what is refused, down to the field."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zanari_api.kit.spend_kind import SpendKind
from zanari_api.mpesa.errors import MalformedRecord
from zanari_api.mpesa.records import Change, Envelope, SpendRecord, SpendStatus, read_envelope

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
RECORD: dict[str, Any] = {
    "transaction_id": "UGAQXB3O0M",
    "transaction_type": "buy_goods",
    "amount": 147,
    "phone_number": "254708374149",
    "transaction_time": "2026-11-23T14:30:05+03:00",
}


def body(**changes: Any) -> bytes:
    return json.dumps({"record": RECORD | changes}).encode()


def raw(name: str, json_text: str) -> bytes:
    """Write the record with one value as literal JSON text, which json.dumps could not write."""
    return body(**{name: "@@"}).replace(b'"@@"', json_text.encode())


def read(told: bytes) -> SpendRecord:
    record = read_envelope(told, now=NOW).record
    assert record is not None
    return record


def refusal(told: bytes) -> MalformedRecord:
    with pytest.raises(MalformedRecord) as refused:
        read_envelope(told, now=NOW)
    return refused.value


def refused_fields(told: bytes) -> list[str]:
    return [error.field for error in refusal(told).field_errors]


def test_the_smallest_record_is_read() -> None:
    assert read(body()).model_dump() == {
        "receipt": "UGAQXB3O0M",
        "kind": SpendKind.TILL,
        "amount_cents": 14_700,
        "msisdn": "254708374149",
        "event_at": datetime(2026, 11, 23, 11, 30, 5, tzinfo=UTC),
        "merchant_name": None,
        "merchant_shortcode": None,
        "account_reference": None,
        "balance_after_cents": None,
        "status": SpendStatus.COMPLETED,
        "reverses": None,
    }


def test_everything_a_record_may_hold_is_read() -> None:
    record = read(
        body(
            merchant_name=" NAIVAS  WESTLANDS ",
            merchant_shortcode=600966,
            account_reference="INV 8",
            balance_after="337.49",
            status="reversed",
            reverses="UGAQXB485T",
        )
    )
    assert (record.merchant_name, record.merchant_shortcode) == ("NAIVAS  WESTLANDS", "600966")
    assert (record.account_reference, record.balance_after_cents) == ("INV 8", 33_749)
    assert (record.status, record.reverses) == (SpendStatus.REVERSED, "UGAQXB485T")


def test_null_and_blank_are_the_same_as_absent() -> None:
    optional = ("merchant_name", "merchant_shortcode", "account_reference", "balance_after", "reverses")
    assert read(body(**dict.fromkeys(optional))) == read(body())
    assert read(body(**dict.fromkeys(optional, "  "))) == read(body())
    assert read(body(status=None)) == read(body())


def test_unknown_keys_are_ignored_in_record_and_envelope() -> None:
    told = {"record": RECORD | {"id": 7, "nested": {"a": [1.5]}}, "schema": "public", "table": "spends"}
    assert read(json.dumps(told).encode()) == read(body())


def test_our_own_names_are_not_wire_names() -> None:
    told = {key: value for key, value in RECORD.items() if key != "amount"} | {"amount_cents": 14_700}
    assert refused_fields(json.dumps({"record": told}).encode()) == ["record.amount"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, Change.INSERT),
        ({"type": None}, Change.INSERT),
        ({"type": "INSERT"}, Change.INSERT),
        ({"type": "UPDATE"}, Change.UPDATE),
    ],
)
def test_an_envelope_tells_what_changed(change: dict[str, Any], expected: Change) -> None:
    envelope = read_envelope(json.dumps({"record": RECORD} | change).encode(), now=NOW)
    assert (envelope.change, envelope.receipt) == (expected, "UGAQXB3O0M")


@pytest.mark.parametrize(
    ("sides", "receipt"),
    [
        ({"old_record": RECORD, "record": None}, "UGAQXB3O0M"),
        ({"record": RECORD}, "UGAQXB3O0M"),
        ({"old_record": {"transaction_id": 7}, "record": RECORD}, "UGAQXB3O0M"),
        ({"old_record": "gone"}, None),
        ({}, None),
    ],
)
def test_a_deletion_is_read_whatever_it_holds(sides: dict[str, Any], receipt: str | None) -> None:
    told = json.dumps({"type": "DELETE"} | sides).encode()
    assert read_envelope(told, now=NOW) == Envelope(Change.DELETE, receipt, None)


@pytest.mark.parametrize("change", ["TRUNCATE", "insert", "", 7, {}, ["INSERT"]])
def test_a_change_of_another_kind_is_refused(change: object) -> None:
    assert refused_fields(json.dumps({"type": change, "record": RECORD}).encode()) == ["type"]


@pytest.mark.parametrize(
    ("json_text", "cents"),
    [
        ("147", 14_700),
        ("147.5", 14_750),
        ("147.00", 14_700),
        ("147.000", 14_700),
        ("1e2", 10_000),
        ("0.01", 1),
        ("1000000000", 100_000_000_000),
        ('"147"', 14_700),
        ('"147.05"', 14_705),
        ('"0.1"', 10),
        ("70.07", 7_007),  # a binary fraction would have come to 7006
        ("1.0000000000000000000000000000000000000", 100),
    ],
)
def test_an_amount_is_read_by_its_digits(json_text: str, cents: int) -> None:
    assert read(raw("amount", json_text)).amount_cents == cents


@pytest.mark.parametrize(
    "json_text",
    [
        "0",
        "0.00",
        "-1",
        "147.001",
        "1.00000000000000000000000000000000000001",
        "1000000000.01",
        "1e10",
        "1e999999999",
        "1e-999999999",
        "9" * 400,
        '"1,247.00"',
        '"147 "',
        '"KES 147"',
        '"1e2"',
        '"NaN"',
        '"Infinity"',
        '"+147"',
        '"-147"',
        '"\\u0661\\u0664\\u0667"',
        '""',
        "true",
        "null",
        "[147]",
        "{}",
    ],
)
def test_what_is_no_amount_is_refused_by_name(json_text: str) -> None:
    assert refused_fields(raw("amount", json_text)) == ["record.amount"]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("2026-11-23T11:30:05Z", datetime(2026, 11, 23, 11, 30, 5, tzinfo=UTC)),
        ("2026-11-23t11:30:05z", datetime(2026, 11, 23, 11, 30, 5, tzinfo=UTC)),
        ("2026-11-23 14:30:05.25+03:00", datetime(2026, 11, 23, 11, 30, 5, 250_000, tzinfo=UTC)),
        ("2026-11-23T11:30:05.123456789Z", datetime(2026, 11, 23, 11, 30, 5, 123_456, tzinfo=UTC)),
        ("20261123143005", datetime(2026, 11, 23, 11, 30, 5, tzinfo=UTC)),
        (20_261_123_143_005, datetime(2026, 11, 23, 11, 30, 5, tzinfo=UTC)),
        ("20231121000000", datetime(2023, 11, 20, 21, 0, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_with_its_offset_or_as_nairobi_time(told: object, expected: datetime) -> None:
    event_at = read(body(transaction_time=told)).event_at
    assert event_at == expected
    assert event_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "told",
    [
        "2026-11-23T11:30:05",
        "2026-11-23",
        "23/11/2026 11:30",
        "2026-13-01T00:00:00Z",
        "2026-11-23T11:30:61Z",
        "0001-01-01T00:00:00+03:00",
        "9999-12-31T23:59:59-03:00",
        "1970-01-01T00:00:00Z",
        "20261123",
        "20261323143005",
        "00010101000000",
        20_261_123,
        1_763_896_205.5,
        True,
        None,
        "",
        [],
    ],
)
def test_what_is_no_time_is_refused_by_name(told: object) -> None:
    assert refused_fields(body(transaction_time=told)) == ["record.transaction_time"]


def test_a_time_up_to_five_minutes_ahead_is_taken_and_more_is_refused() -> None:
    at_the_edge = NOW + timedelta(minutes=5)
    assert read(body(transaction_time=at_the_edge.isoformat())).event_at == at_the_edge
    late = refusal(body(transaction_time=(at_the_edge + timedelta(seconds=1)).isoformat()))
    assert [error.code for error in late.field_errors] == ["in_the_future"]


@pytest.mark.parametrize(
    "told",
    [
        "254708374149",
        "+254708374149",
        "0708374149",
        "708374149",
        "+254 708 374 149",
        254_708_374_149,
        708_374_149,
    ],
)
def test_any_kenyan_way_of_writing_a_number_is_read(told: object) -> None:
    assert read(body(phone_number=told)).msisdn == "254708374149"


@pytest.mark.parametrize(
    "told", ["", "2547 ***** 149", "+14155552671", "0202222222", "12", None, True, 1.5, {}]
)
def test_what_is_no_kenyan_mobile_number_is_refused_and_never_quoted(told: object) -> None:
    refused = refusal(body(phone_number=told))
    assert [error.field for error in refused.field_errors] == ["record.phone_number"]
    assert "4155552671" not in repr((refused.detail, refused.field_errors, refused.context))


def test_a_receipt_in_small_letters_is_the_same_receipt() -> None:
    assert read(body(transaction_id=" ugaqxb3o0m ")).receipt == "UGAQXB3O0M"
    assert read(body(reverses="ugaqxb485t")).reverses == "UGAQXB485T"


@pytest.mark.parametrize("told", ["", "UGAQX", "U" * 21, "UGAQ-XB3O0M", "ÜGAQXB3O0M", 1_234_567, None])
def test_what_is_no_receipt_is_refused_by_name(told: object) -> None:
    assert refused_fields(body(transaction_id=told)) == ["record.transaction_id"]


@pytest.mark.parametrize(
    ("wire", "kind"),
    [
        ("buy_goods", SpendKind.TILL),
        ("Buy Goods", SpendKind.TILL),
        ("CustomerBuyGoodsOnline", SpendKind.TILL),
        ("till", SpendKind.TILL),
        ("pay_bill", SpendKind.PAYBILL),
        ("Pay Bill", SpendKind.PAYBILL),
        ("paybill", SpendKind.PAYBILL),
        ("CustomerPayBillOnline", SpendKind.PAYBILL),
        ("pochi", SpendKind.POCHI),
        ("Pochi la Biashara", SpendKind.POCHI),
        ("send_money", SpendKind.SEND_MONEY),
        ("SEND-MONEY", SpendKind.SEND_MONEY),
        ("airtime", SpendKind.AIRTIME),
        ("withdraw", SpendKind.WITHDRAW),
        ("fuliza", SpendKind.FULIZA),
        ("deposit", SpendKind.DEPOSIT),
        ("receive", SpendKind.RECEIVE),
        ("standing_order", SpendKind.OTHER),
        ("", SpendKind.OTHER),
    ],
)
def test_kinds_are_read_from_the_words_of_the_wire(wire: str, kind: SpendKind) -> None:
    assert read(body(transaction_type=wire)).kind is kind


@pytest.mark.parametrize(
    ("kind", "private"),
    [
        ("till", False),
        ("paybill", False),
        ("airtime", True),
        ("send_money", True),
        ("pochi", True),
        ("receive", True),
        ("who_knows", True),
    ],
)
def test_a_counterparty_is_private_unless_it_surely_is_a_business(kind: str, *, private: bool) -> None:
    assert read(body(transaction_type=kind)).counterparty_is_private is private


@pytest.mark.parametrize(
    ("status", "reverses", "undone"),
    [
        ("completed", None, None),
        ("REVERSED", None, "UGAQXB3O0M"),
        ("reversed", "UGAQXB485T", "UGAQXB485T"),
        ("completed", "UGAQXB485T", "UGAQXB485T"),
        ("failed", None, None),
        ("failed", "UGAQXB485T", None),
    ],
)
def test_a_record_tells_which_receipt_it_undoes(
    status: str, reverses: str | None, undone: str | None
) -> None:
    assert read(body(status=status, reverses=reverses)).undoes == undone


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("status", "pending"),
        ("status", 0),
        ("transaction_type", 7),
        ("transaction_type", None),
        ("merchant_name", "x" * 201),
        ("merchant_name", 7),
        ("merchant_shortcode", "6" * 21),
        ("merchant_shortcode", 1.5),
        ("merchant_shortcode", True),
        ("account_reference", "x" * 101),
        ("balance_after", "lots"),
        ("balance_after", True),
        ("balance_after", 10**12),
        ("reverses", "no"),
    ],
)
def test_a_field_out_of_bounds_is_refused_by_name(name: str, told: object) -> None:
    assert refused_fields(body(**{name: told})) == [f"record.{name}"]


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert refused_fields(b'{"record": {}}') == [
        "record.transaction_id",
        "record.transaction_type",
        "record.amount",
        "record.phone_number",
        "record.transaction_time",
    ]


@pytest.mark.parametrize("told", [b"{}", b'{"record": null}', b'{"record": []}', b'{"record": "x"}'])
def test_a_body_without_a_record_is_refused_by_name(told: bytes) -> None:
    assert refused_fields(told) == ["record"]


GARBAGE: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"hello",
    "cut off": body()[:-1],
    "a list": b"[]",
    "a number": b"7",
    "two objects": body() + body(),
    "not UTF-8": b'{"record": "\xff"}',
    "UTF-16": json.dumps({"record": RECORD}).encode("utf-16"),
    "NaN": raw("amount", "NaN"),
    "infinity": raw("balance_after", "-Infinity"),
    "a number of 5000 digits": raw("unknown", "1" * 5_000),
    "an exponent of 30 digits": raw("amount", "1e" + "9" * 30),
    "a key twice": b'{"record": {}, "record": {}}',
    "an amount twice": body().replace(b'"amount"', b'"amount": 1, "amount"'),
    "nested without end": b"[" * 60_000,
    "nested objects": b'{"record":' * 5_000 + b"{}" + b"}" * 5_000,
    "NUL in a value": body(merchant_name="a\x00b"),
    "NUL in a key": body(**{"a\x00b": 1}),
    "NUL in an ignored value": body(unknown=[{"deep": "\x00"}]),
    "half a surrogate pair": body(merchant_name="\ud83d"),
    "a raw control character": body(merchant_name="@").replace(b"@", b"\x01"),
}


@pytest.mark.parametrize("told", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_is_refused_and_never_an_error(told: bytes) -> None:
    refused = refusal(told)
    assert (refused.status, refused.code) == (422, "malformed_record")
    assert refused.detail


def test_a_whole_surrogate_pair_is_an_ordinary_character() -> None:
    assert read(raw("merchant_name", '"\\ud83d\\ude00"')).merchant_name == "\U0001f600"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda nested: st.lists(nested, max_size=3) | st.dictionaries(st.text(), nested, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*RECORD, "status", "reverses", "balance_after"]), json_values))
def test_any_json_is_a_record_or_a_refusal(changes: dict[str, Any]) -> None:
    try:
        record = read(body(**changes))
    except MalformedRecord:
        return
    assert type(record.amount_cents) is int
    assert record.amount_cents > 0


@given(st.binary(max_size=200))
def test_any_bytes_are_a_refusal(told: bytes) -> None:
    refusal(told)


@given(st.decimals(Decimal("0.01"), Decimal(10**9), places=2))
def test_every_amount_of_whole_cents_is_read_exactly(amount: Decimal) -> None:
    expected = int(str(amount).replace(".", ""))
    assert read(raw("amount", str(amount))).amount_cents == expected
    assert read(body(amount=str(amount))).amount_cents == expected
