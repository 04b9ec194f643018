"""Shillings to cents and back, exactly."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zanari_api.kit.money import format_kes, parse_kes, to_cents


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("147", 14_700),
        ("147.5", 14_750),
        ("147.05", 14_705),
        ("147.000", 14_700),
        ("0", 0),
        ("0.00", 0),
        ("-20.00", -2_000),
        ("007.10", 710),
        ("9999999999999999", 999_999_999_999_999_900),
    ],
)
def test_plain_decimals_are_read(text: str, cents: int) -> None:
    assert parse_kes(text) == cents


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1,247",
        "1.",
        ".5",
        "+1",
        "1e2",
        "1_000",
        " 1",
        "1\n",
        "NaN",
        "inf",
        "1.005",
        "0x10",
        "1" * 17,
        "--1",
    ],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="decimal"):
        parse_kes(text)


@pytest.mark.parametrize(
    "amount", ["NaN", "sNaN", "Infinity", "-Infinity", "1e16", "1e999999999", "0.001", "1e-999999999"]
)
def test_amounts_that_are_no_whole_cents_are_refused(amount: str) -> None:
    with pytest.raises(ValueError, match=r"finite|large|decimals"):
        to_cents(Decimal(amount))


@pytest.mark.parametrize(
    ("amount", "cents"),
    [("1e2", 10_000), ("1.2300e1", 1_230), ("0e-999999999", 0), ("0e999999999", 0), ("-0.10", -10)],
)
def test_exponents_are_read_exactly(amount: str, cents: int) -> None:
    assert to_cents(Decimal(amount)) == cents


def test_more_digits_than_the_decimal_context_holds_are_not_rounded_away() -> None:
    with localcontext() as context:
        context.prec = 5
        assert to_cents(Decimal("1234567.89")) == 123_456_789
        with pytest.raises(ValueError, match="two decimals"):
            to_cents(Decimal("1." + "0" * 40 + "1"))


def test_thousands_of_zeros_are_still_an_amount() -> None:
    assert to_cents(Decimal("1." + "0" * 5_000)) == 100


@pytest.mark.parametrize(
    ("cents", "text"),
    [
        (0, "KES 0"),
        (5, "KES 0.05"),
        (300, "KES 3"),
        (14_750, "KES 147.50"),
        (124_700, "KES 1,247"),
        (100_000_000_001, "KES 1,000,000,000.01"),
        (-2_050, "-KES 20.50"),
    ],
)
def test_cents_are_written_for_a_person(cents: int, text: str) -> None:
    assert format_kes(cents) == text


@given(st.integers(-(10**17), 10**17))
def test_what_is_written_reads_back_the_same(cents: int) -> None:
    assert parse_kes(format_kes(cents).replace("KES ", "").replace(",", "")) == cents


@given(st.integers(0, 10**15))
def test_whole_shillings_are_a_hundred_cents_each(shillings: int) -> None:
    assert to_cents(shillings) == shillings * 100
