"""Makes and checks member codes: seven digits and a Damm digit, which shows every single slip of a thumb."""

import re
from typing import Final

MEMBER_NUMBERS: Final = range(10_000_000)

_MEMBER_CODE: Final = re.compile(r"[0-9]{8}")

# A totally anti-symmetric quasigroup of order ten (H. Michael Damm, 2004). Its zero diagonal makes a number
# followed by its check digit come to 0; any one digit changed, or two neighbours swapped, does not.
_QUASIGROUP: Final = (
    (0, 3, 1, 7, 5, 9, 8, 6, 4, 2),
    (7, 0, 9, 2, 1, 5, 4, 8, 6, 3),
    (4, 2, 0, 6, 8, 7, 1, 3, 5, 9),
    (1, 7, 5, 0, 9, 8, 3, 4, 2, 6),
    (6, 1, 2, 3, 0, 4, 5, 9, 7, 8),
    (3, 6, 7, 4, 2, 0, 9, 5, 8, 1),
    (5, 8, 6, 9, 7, 2, 0, 1, 3, 4),
    (8, 9, 4, 5, 3, 6, 2, 0, 1, 7),
    (9, 4, 3, 8, 6, 1, 7, 2, 0, 5),
    (2, 5, 8, 1, 4, 3, 6, 7, 9, 0),
)


def check_digit(digits: str) -> int:
    """Return the Damm digit of ASCII digits; of digits that already end in theirs it is 0."""
    interim = 0
    for digit in digits:
        interim = _QUASIGROUP[interim][int(digit)]
    return interim


def member_code(number: int) -> str:
    """Return the code of a member number. Raises ValueError when it has more than seven digits."""
    if number not in MEMBER_NUMBERS:
        raise ValueError("a member number has at most seven digits")
    digits = f"{number:07d}"
    return f"{digits}{check_digit(digits)}"


def is_member_code(text: str) -> bool:
    return _MEMBER_CODE.fullmatch(text) is not None and check_digit(text) == 0
