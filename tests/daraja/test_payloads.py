"""Every shape in which a C2B payment is known to come, and what cannot be a payment."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zanari_api.daraja.payloads import C2BPayment, UnreadableCallback, read_c2b

SAMPLES = Path(__file__).parent.parent / "support" / "daraja_payloads"
CONFIRMATION: dict[str, Any] = json.loads((SAMPLES / "c2b_confirmation_masked_with_spaces.json").read_bytes())


def sample(name: str) -> C2BPayment:
    return read_c2b((SAMPLES / f"{name}.json").read_bytes())


def changed(**fields: Any) -> C2BPayment:
    return read_c2b(json.dumps(CONFIRMATION | fields).encode())


def test_the_documented_confirmation_is_read_in_our_words() -> None:
    assert sample("c2b_confirmation_masked_with_spaces") == C2BPayment(
        receipt="RKL51ZDR4F",
        amount_cents=500,
        shortcode="600966",
        occurred_at=datetime(2023, 11, 21, 9, 13, 25, tzinfo=UTC),
        transaction_type="Pay Bill",
        account_reference="Sample Transaction",
        invoice_number=None,
        org_balance_cents=2_500,
        third_party_id=None,
        msisdn_raw="2547 ***** 126",
        first_name="NICHOLAS",
        middle_name=None,
        last_name=None,
        extra={},
    )


def test_the_documented_validation_is_read_without_a_balance() -> None:
    payment = sample("c2b_validation_masked")
    assert (payment.receipt, payment.amount_cents) == ("RKTQDM7W6S", 1_000)
    assert (payment.account_reference, payment.org_balance_cents) == ("invoice008", None)
    assert (payment.msisdn_raw, payment.last_name) == ("25470****149", "Doe")


@pytest.mark.parametrize(
    ("name", "msisdn_raw"),
    [
        (
            "c2b_confirmation_hashed_number",
            "bbff37cea44ac0b2d964ee0dfb8d2df8513dc7ba1b36129a929fc3fbd6dd4af4",
        ),
        ("c2b_confirmation_plain_number", "254708374149"),
        ("c2b_confirmation_masked_with_spaces", "2547 ***** 126"),
    ],
)
def test_the_payers_number_is_kept_as_it_came(name: str, msisdn_raw: str) -> None:
    assert sample(name).msisdn_raw == msisdn_raw


def test_names_may_be_absent_and_the_type_empty() -> None:
    payment = sample("c2b_confirmation_first_name_only")
    assert (payment.first_name, payment.middle_name, payment.last_name) == ("NICHOLAS", None, None)
    assert (payment.transaction_type, payment.amount_cents) == ("", 98_050)


def test_numbers_where_strings_were_promised_are_read_by_their_digits() -> None:
    payment = sample("c2b_confirmation_numbers")
    assert (payment.amount_cents, payment.org_balance_cents) == (550, 3_050)
    assert (payment.shortcode, payment.account_reference) == ("600966", "12345678")
    assert (payment.msisdn_raw, payment.occurred_at) == (
        "254708374149",
        datetime(2023, 11, 21, 9, 13, 25, tzinfo=UTC),
    )


def test_an_aggregators_body_is_read_and_what_we_do_not_know_is_kept() -> None:
    payment = sample("c2b_confirmation_aggregator")
    assert (payment.transaction_type, payment.msisdn_raw) == ("Customer Merchant Payment", "0708374149")
    assert (payment.account_reference, payment.amount_cents) == ("", 1_000)
    assert payment.extra == {"Channel": "USSD", "Partner": {"Name": "Example Aggregator"}}


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("c2b_*.json")), ids=lambda path: path.stem)
def test_every_sample_is_readable(path: Path) -> None:
    payment = read_c2b(path.read_bytes())
    assert payment.amount_cents > 0
    assert payment.occurred_at is not None


@pytest.mark.parametrize(
    ("told", "cents"), [("5.00", 500), ("10", 1_000), ("980.50", 98_050), (10, 1_000), (" 7.5 ", 750)]
)
def test_amounts_are_read_in_every_writing(told: object, cents: int) -> None:
    assert changed(TransAmount=told).amount_cents == cents


def test_a_fraction_is_read_by_its_digits() -> None:
    body = json.dumps(CONFIRMATION | {"TransAmount": "@"}).replace('"@"', "70.07").encode()
    assert read_c2b(body).amount_cents == 7_007


@pytest.mark.parametrize(
    "told", ["", "soon", "2023-11-21", "20231321121325", "00010101000000", "99991231235959", None, 7, {}]
)
def test_an_unreadable_time_does_not_lose_the_payment(told: object) -> None:
    assert changed(TransTime=told).occurred_at is None


@pytest.mark.parametrize("told", ["", "lots", "1.234", None, [], True, "-"])
def test_an_unreadable_balance_does_not_lose_the_payment(told: object) -> None:
    assert changed(OrgAccountBalance=told).org_balance_cents is None


def test_a_balance_may_be_negative() -> None:
    assert changed(OrgAccountBalance="-1540.00").org_balance_cents == -154_000


@pytest.mark.parametrize(
    "missing",
    [name for name in CONFIRMATION if name not in {"TransID", "TransAmount", "BusinessShortCode"}],
)
def test_whatever_else_is_missing_the_payment_is_read(missing: str) -> None:
    body = json.dumps({name: value for name, value in CONFIRMATION.items() if name != missing}).encode()
    assert read_c2b(body).receipt == "RKL51ZDR4F"


def test_odd_values_in_side_fields_do_not_lose_the_payment() -> None:
    odd = {name: ["odd"] for name in ("BillRefNumber", "InvoiceNumber", "MSISDN", "FirstName", "LastName")}
    payment = changed(**odd, MiddleName=True)
    assert (payment.account_reference, payment.msisdn_raw, payment.last_name) == ("", None, None)
    assert payment.middle_name is None


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("TransID", ""),
        ("TransID", None),
        ("TransID", "short"),
        ("TransID", "RKL 51ZDR4F"),
        ("TransID", {"code": "RKL51ZDR4F"}),
        ("TransAmount", ""),
        ("TransAmount", None),
        ("TransAmount", "0"),
        ("TransAmount", "0.00"),
        ("TransAmount", "-5.00"),
        ("TransAmount", "5.005"),
        ("TransAmount", "980,50"),
        ("TransAmount", "NaN"),
        ("TransAmount", "1e3"),
        ("TransAmount", True),
        ("TransAmount", "1000000000.01"),
        ("TransAmount", [5]),
        ("BusinessShortCode", ""),
        ("BusinessShortCode", None),
        ("BusinessShortCode", "till"),
        ("BusinessShortCode", "6" * 11),
        ("BusinessShortCode", "\u0666\u0660\u0660"),
    ],
)
def test_without_receipt_amount_or_shortcode_it_is_no_payment(field: str, told: object) -> None:
    with pytest.raises(UnreadableCallback, match=field):
        changed(**{field: told})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<xml/>",
        b"[]",
        b'"text"',
        b"{}",
        b'{"TransID": NaN}',
        b"\xff\xfe",
        b"[" * 60_000,
        json.dumps(CONFIRMATION).encode()[:-1],
        b'{"TransAmount": "5.00", "TransAmount": "500.00"}',
        json.dumps(CONFIRMATION | {"BillRefNumber": "a\x00b"}).encode(),
    ],
)
def test_garbage_is_unreadable_and_never_another_error(body: bytes) -> None:
    with pytest.raises(UnreadableCallback):
        read_c2b(body)


def test_the_error_never_quotes_what_it_could_not_read() -> None:
    with pytest.raises(UnreadableCallback) as unreadable:
        changed(TransAmount="254708374149 paid")
    assert "254708374149" not in str(unreadable.value)


anything = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.just([])


@given(st.dictionaries(st.sampled_from(sorted(CONFIRMATION)) | st.text(max_size=3), anything))
def test_any_body_is_a_payment_of_whole_cents_or_unreadable(fields: dict[str, Any]) -> None:
    try:
        payment = changed(**fields)
    except UnreadableCallback:
        return
    assert type(payment.amount_cents) is int
    assert payment.amount_cents > 0


@given(st.decimals(Decimal("0.01"), Decimal(250_000), places=2))
def test_every_amount_of_whole_cents_is_read_exactly(amount: Decimal) -> None:
    assert changed(TransAmount=str(amount)).amount_cents == int(str(amount).replace(".", ""))
