"""Reads what a payer typed as account number: a member code or the reference of an intent. Looks nobody up."""

import re
from dataclasses import dataclass
from typing import Final

from zanari_api.kit.damm import check_digit, is_member_code

INTENT_NUMBERS: Final = range(10_000_000_000)

_LONGEST: Final = 64

# What people put between digits and letters, dashes of every width included.
_SEPARATORS: Final = re.compile(r"[\s\-\u2010-\u2015\u2212._/:#,]+")

_MEMBER: Final = re.compile(r"(?P<code>[0-9]{8})(?P<suffix>[A-Za-z]\w*)?", re.ASCII)

_INTENT: Final = re.compile(r"[Zz](?P<digits>[0-9]{11})")


@dataclass(frozen=True, slots=True)
class MemberReference:
    """A member code whose check digit holds; whether anybody has it is for the database to say."""

    member_code: str
    goal_letter: str | None


@dataclass(frozen=True, slots=True)
class IntentReference:
    """The reference of something we asked a payment for, in the form it is stored in."""

    reference: str


def parse_account_reference(text: str) -> MemberReference | IntentReference | None:
    """Return the member and goal, or the intent, that a payer meant; None where neither can be read.

    A suffix that starts with a letter but is no single letter is a goal mistyped: the code still stands, and
    the money goes to the wallet. More digits are no suffix: they make it another number, such as a phone's,
    of which one in ten would pass for a member code.
    """
    if len(text) > _LONGEST:
        return None
    typed = _SEPARATORS.sub("", text)
    intent = _INTENT.fullmatch(typed)
    if intent is not None:
        digits = intent["digits"]
        return IntentReference(f"Z{digits}") if check_digit(digits) == 0 else None
    match = _MEMBER.fullmatch(typed)
    if match is None or not is_member_code(match["code"]):
        return None
    suffix = match["suffix"]
    letter = suffix.upper() if suffix is not None and len(suffix) == 1 else None
    return MemberReference(match["code"], letter)


def make_intent_reference(number: int) -> str:
    """Return the reference of an intent number: Z, ten digits and their check digit, twelve characters.

    Daraja takes no longer AccountReference. The letter comes first, so that it is neither a member code with a
    goal nor a phone number. Raises ValueError when the number has more than ten digits.
    """
    if number not in INTENT_NUMBERS:
        raise ValueError("an intent number has at most ten digits")
    digits = f"{number:010d}"
    return f"Z{digits}{check_digit(digits)}"
