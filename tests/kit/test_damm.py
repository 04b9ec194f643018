"""Member codes: every slip of a thumb that a check digit should show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zanari_api.kit.damm import MEMBER_NUMBERS, check_digit, is_member_code, member_code

numbers = st.integers(MEMBER_NUMBERS.start, MEMBER_NUMBERS.stop - 1)


def test_the_published_example_has_its_published_digit() -> None:
    assert check_digit("572") == 4
    assert check_digit("5724") == 0


def test_a_code_is_seven_digits_and_the_check_digit() -> None:
    assert member_code(572) == "00005724"


@pytest.mark.parametrize("number", [-1, 10_000_000])
def test_a_number_of_more_than_seven_digits_has_no_code(number: int) -> None:
    with pytest.raises(ValueError, match="seven digits"):
        member_code(number)


@given(numbers)
def test_every_code_is_a_member_code(number: int) -> None:
    assert is_member_code(member_code(number))


@given(numbers, st.integers(0, 7), st.integers(1, 9))
def test_one_digit_changed_is_no_member_code(number: int, place: int, shift: int) -> None:
    code = member_code(number)
    other = str((int(code[place]) + shift) % 10)
    assert not is_member_code(code[:place] + other + code[place + 1 :])


@given(numbers, st.integers(0, 6))
def test_two_neighbours_swapped_are_no_member_code_unless_they_are_equal(number: int, place: int) -> None:
    code = member_code(number)
    swapped = code[:place] + code[place + 1] + code[place] + code[place + 2 :]
    assert is_member_code(swapped) == (swapped == code)


@pytest.mark.parametrize("text", ["", "5724", "000057240", "0000572x", " 0000572", "00005724\n", "٠٠٠٠٥٧٢٤"])
def test_other_text_is_no_member_code(text: str) -> None:
    assert not is_member_code(text)
