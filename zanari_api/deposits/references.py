"""Reads what a payer typed as account number: a member code, perhaps a goal's letter. Looks nobody up."""

import re
from dataclasses import dataclass
from typing import Final

from zanari_api.kit.damm import is_member_code

_LONGEST: Final = 64

# What people put between digits and letters, dashes of every width included.
_SEPARATORS: Final = re.compile(r"[\s\-\u2010-\u2015\u2212._/:#,]+")

_REFERENCE: Final = re.compile(r"(?P<code>[0-9]{8})(?P<suffix>[A-Za-z]\w*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class MemberReference:
    """A member code whose check digit holds; whether anybody has it is for the database to say."""

    member_code: str
    goal_letter: str | None


def parse_account_reference(text: str) -> MemberReference | None:
    """Return the member and goal that a payer meant, or None where no member code can be read.

    A suffix that starts with a letter but is no single letter is a goal mistyped: the code still stands, and
    the money goes to the wallet. More digits are no suffix: they make it another number, such as a phone's,
    of which one in ten would pass for a member code.
    """
    if len(text) > _LONGEST:
        return None
    match = _REFERENCE.fullmatch(_SEPARATORS.sub("", text))
    if match is None or not is_member_code(match["code"]):
        return None
    suffix = match["suffix"]
    letter = suffix.upper() if suffix is not None and len(suffix) == 1 else None
    return MemberReference(match["code"], letter)
