"""What a payer may type as account number, and what it is taken to mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zanari_api.deposits.references import MemberReference, parse_account_reference
from zanari_api.kit.damm import MEMBER_NUMBERS, member_code

CODE = member_code(1_234_567)


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


@given(st.text())
def test_any_text_is_a_reference_or_none(typed: str) -> None:
    reference = parse_account_reference(typed)
    assert reference is None or len(reference.member_code) == 8
