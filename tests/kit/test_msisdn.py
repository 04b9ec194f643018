"""The one form of a Kenyan mobile number, from any way of writing it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zanari_api.kit.msisdn import parse_msisdn


@pytest.mark.parametrize(
    "written",
    [
        "254708374149",
        "+254708374149",
        "0708374149",
        "708374149",
        "00254708374149",
        "000254708374149",
        "2540708374149",
        "+254 (0)708 374 149",
        "+254 708 374 149",
        "0708-374-149",
        "(0708) 374149",
        "0708.374.149",
        " 0708374149 ",
    ],
)
def test_every_way_of_writing_a_number_is_one_number(written: str) -> None:
    assert parse_msisdn(written) == "254708374149"


def test_numbers_of_the_newer_range_are_read() -> None:
    assert parse_msisdn("0110 123456") == "254110123456"


def test_a_number_from_a_range_nobody_had_last_year_is_read() -> None:
    assert parse_msisdn("254199999999") == "254199999999"


@pytest.mark.parametrize(
    "written",
    [
        "",
        "   ",
        "12",
        "0202222222",
        "254202222222",
        "+14155552671",
        "+44 7911 123456",
        "07083741490",
        "070837414",
        "2547 ***** 149",
        "25470****149",
        "0708374149 x5",
        "0708FLOWER",
        "call 0708374149",
        "".join(chr(0x0660 + int(digit)) for digit in "0708374149"),
        "0" * 31,
        "+" * 12,
        "0708374149\x00",
        "bbff37cea44ac0b2d964ee0dfb8d2df8513dc7ba1b36129a929fc3fbd6dd4af4",
    ],
)
def test_what_is_no_kenyan_mobile_number_is_refused_and_not_quoted(written: str) -> None:
    with pytest.raises(ValueError, match="number") as refused:
        parse_msisdn(written)
    assert not set("0123456789") & set(str(refused.value))


@given(st.text(alphabet="0123456789+-(). ", max_size=40) | st.text(max_size=20))
def test_any_text_is_a_number_in_the_one_form_or_a_value_error(written: str) -> None:
    try:
        msisdn = parse_msisdn(written)
    except ValueError:
        return
    assert len(msisdn) == 12
    assert msisdn[:4] in {"2547", "2541"}
    assert parse_msisdn(msisdn) == msisdn
