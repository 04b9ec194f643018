"""What a payer may type as account number, and what it is taken to mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zanari_api.deposits.references import (
    INTENT_NUMBERS,
    IntentReference,
    MemberReference,
    make_intent_reference,
    parse_account_reference,
)
from zanari_api.kit.damm import MEMBER_NUMBERS, member_code

CODE = member_code(1_234_567)
INTENT = make_intent_reference(9_876_543_210)


@pytest.mark.parametrize(
    "typed",
    [
        CODE,
        f" {CODE} ",
        f"{CODE[:4]} {CODE[4:]}",
        f"{CODE[:4]}-{CODE[4:]}",
        f"{CODE[:4]}\u2013{CODE[4:]}",
        f"{CODE[:7]}.{CODE[7:]}",
        f"#{CODE}",
        " ".join(CODE),
        f"{CODE}\n",
    ],
)
def test_a_member_code_is_read_however_it_is_spaced(typed: str) -> None:
    assert parse_account_reference(typed) == MemberReference(CODE, None)


@pytest.mark.parametrize("typed", [f"{CODE}B", f"{CODE}b", f"{CODE} b", f"{CODE}-B", f"{CODE} / b."])
def test_a_letter_after_the_code_names_a_goal(typed: str) -> None:
    assert parse_account_reference(typed) == MemberReference(CODE, "B")


@pytest.mark.parametrize("typed", [f"{CODE}BB", f"{CODE} rent", f"{CODE}B7", f"{CODE}-a-b"])
def test_a_mistyped_goal_leaves_the_member_code_standing(typed: str) -> None:
    assert parse_account_reference(typed) == MemberReference(CODE, None)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "   ",
        "Sample Transaction",
        CODE[:7],
        f"{CODE}7",
        f"{CODE}78",
        f"7{CODE}",
        f"A{CODE}",
        f"{CODE}é",
        f"{CODE}bé",
        f"{CODE}\u0131",
        f"{CODE}?",
        CODE[:7] + str((int(CODE[7]) + 1) % 10),
        CODE[1] + CODE[0] + CODE[2:],
        "".join(chr(0x0660 + int(digit)) for digit in CODE),
        "0712345678",
        "254712345678",
        CODE + "B" * 100,
        "\x00",
    ],
)
def test_what_holds_no_member_code_is_matched_to_nobody(typed: str) -> None:
    assert parse_account_reference(typed) is None


@given(st.integers(MEMBER_NUMBERS.start, MEMBER_NUMBERS.stop - 1), st.sampled_from("ABCXYZ"))
def test_every_member_code_is_read_back_with_its_goal(number: int, letter: str) -> None:
    code = member_code(number)
    assert parse_account_reference(code + letter.lower()) == MemberReference(code, letter)


@pytest.mark.parametrize(
    "typed",
    [INTENT, INTENT.lower(), f" {INTENT} ", f"{INTENT[:4]} {INTENT[4:8]}-{INTENT[8:]}", f"#{INTENT}."],
)
def test_the_reference_of_an_intent_is_read_however_it_is_spaced(typed: str) -> None:
    assert parse_account_reference(typed) == IntentReference(INTENT)


@pytest.mark.parametrize(
    "typed",
    [INTENT[1:], INTENT[:-1], f"{INTENT}0", f"{INTENT}B", f"Y{INTENT[1:]}", f"Z{INTENT}", f"Ż{INTENT[1:]}"],
)
def test_what_is_not_quite_the_reference_of_an_intent_is_none(typed: str) -> None:
    assert parse_account_reference(typed) is None


@given(st.integers(INTENT_NUMBERS.start, INTENT_NUMBERS.stop - 1))
def test_every_intent_has_a_reference_that_daraja_takes_and_that_is_read_back(number: int) -> None:
    reference = make_intent_reference(number)
    assert len(reference) == 12
    assert parse_account_reference(reference) == IntentReference(reference)
    assert parse_account_reference(reference.lower()) == IntentReference(reference)


@given(st.integers(INTENT_NUMBERS.start, INTENT_NUMBERS.stop - 1), st.integers(1, 11), st.integers(1, 9))
def test_one_digit_mistyped_is_no_other_intent(number: int, place: int, off_by: int) -> None:
    reference = make_intent_reference(number)
    wrong = str((int(reference[place]) + off_by) % 10)
    assert parse_account_reference(reference[:place] + wrong + reference[place + 1 :]) is None


@pytest.mark.parametrize("number", [-1, 10_000_000_000])
def test_a_number_that_does_not_fit_makes_no_reference(number: int) -> None:
    with pytest.raises(ValueError, match="ten digits"):
        make_intent_reference(number)


@given(st.text())
def test_any_text_is_a_reference_or_none(typed: str) -> None:
    reference = parse_account_reference(typed)
    assert reference is None or isinstance(reference, MemberReference | IntentReference)
