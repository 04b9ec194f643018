"""Pure decisions about PINs: which are too easy to guess, how long wrong tries lock, what a fresh sign-in is."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

SHORTEST: Final = 4
LONGEST: Final = 6
"""Four digits is what M-PESA has taught everybody; six for who wants more. The lock is what makes four enough."""

FREE_TRIES: Final = 5
"""Wrong tries in a row before the first lock."""
FIRST_LOCK: Final = timedelta(minutes=1)
LONGEST_LOCK: Final = timedelta(hours=24)
DOUBLINGS_MAX: Final = 11
"""After so many doublings a lock is longer than the longest: 2,048 minutes."""

FRESH_SIGN_IN: Final = timedelta(minutes=5)
"""How long a sign-in is new enough to replace a forgotten PIN."""

DIGITS: Final = "0123456789"
CENTURIES: Final = ("19", "20")

POPULAR: Final = frozenset(
    {
        # Lines, corners and crosses on a keypad.
        "0258", "0852", "1470", "1479", "0741", "1590", "0951", "1739", "1793", "1397", "1379", "2580", "2684",
        "2846", "3570", "0753", "3690", "0963", "7410", "7139", "7931", "9630", "9713", "1425", "1478", "3698",
        "14789", "36987", "74123", "15937", "35715", "25800", "02580", "147258", "258147", "258369", "369258",
        "159357", "357159", "159753", "753159", "951753", "147852", "147896", "789456", "456123", "789123",
        "123789", "321654", "987456", "741852", "852963", "963852", "748596", "142536", "102030", "010203",
        # Doubled, mirrored and counted.
        "1001", "1002", "1003", "1100", "1122", "1133", "1144", "1199", "1221", "1331", "1441", "1551",
        "2112", "2211", "2233", "2244", "2332", "3113", "3223", "3322", "3344", "4334", "4433", "4455", "5005",
        "5445", "5566", "6006", "6677", "6699", "7007", "7788", "8008", "8899", "9009", "9900", "9988", "2200",
        "1123", "1230", "1235", "1324", "1342", "1357", "2468", "3579", "8642", "1248", "1236", "1245", "4123",
        "11223", "12321", "12344", "13579", "24680", "54345", "11122", "12123", "10101", "20202",
        "112233", "223344", "332211", "334455", "445566", "123321", "321123", "456654", "654456", "789987",
        "112211", "122112", "111222", "222111", "222333", "121314", "101112", "111213", "135790",
        "135791", "246810", "246802", "864200", "123450", "012340", "100200", "100001", "100000", "200000",
        # Words on the keys, and numbers that mean something.
        "5683", "5693", "2255", "0007", "0070", "0700", "0701", "0710", "0720", "0722", "0733", "0110",
        "2547", "0254", "2540", "4200", "0420", "1312", "1337", "3141", "31415", "314159", "27182", "271828",
        "520131", "131420", "159951", "666999", "999666",
    }
)  # fmt: skip
"""What people choose when the patterns below are refused; a list of our own."""


def weakness(pin: str, *, known: Iterable[str]) -> str | None:
    """Say why `pin` is too easy to guess, in words for the saver; None when it is not.

    `known` is what a thief reads off the phone or a receipt: the saver's numbers and member code, as digits.
    """
    if _repeats(pin):
        return "It repeats itself."
    if pin in DIGITS * 2 or pin in DIGITS[::-1] * 2:
        return "Its digits count up or down."
    if len(pin) == SHORTEST and pin.startswith(CENTURIES):
        return "It is a year."
    if any(pin in digits for digits in known):
        return "It is part of your number or member code."
    return "Many people choose it." if pin in POPULAR else None


def _repeats(pin: str) -> bool:
    """Tell whether one to three digits are repeated until the end: 1111, 1212, 121212, 123123."""
    return any(pin[:length] * (len(pin) // length) == pin for length in range(1, len(pin) // 2 + 1))


def lock_for(wrong_tries: int) -> timedelta | None:
    """Return how long the try that made it `wrong_tries` in a row locks the PIN; None when it does not.

    Five are free, then each is followed by 1, 2, 4 ... minutes up to a day: 15 tries on the first day and
    in the end one a day, of 10,000 PINs.
    """
    if wrong_tries < FREE_TRIES:
        return None
    return min(LONGEST_LOCK, FIRST_LOCK * 2 ** min(wrong_tries - FREE_TRIES, DOUBLINGS_MAX))


def tries_left(wrong_tries: int) -> int:
    """Return how many wrong tries are left before the PIN locks; none after the first lock, until a right one."""
    return max(0, FREE_TRIES - wrong_tries)


def is_fresh(signed_in_at: datetime | None, *, now: datetime) -> bool:
    """Tell whether a sign-in is new enough to replace a forgotten PIN."""
    return signed_in_at is not None and now - signed_in_at <= FRESH_SIGN_IN
