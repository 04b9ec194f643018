"""Turns shillings as others write them into integer cents, exactly, and cents into text. Never rounds."""

import re
from decimal import Decimal
from typing import Final

CENTS_PER_SHILLING: Final = 100

LARGEST_AMOUNT_CENTS: Final = 100_000_000_000
"""KES 10^9, the most that is believed of one payment: far over any limit, far from harming a sum."""

_LARGEST_EXPONENT: Final = 15
"""KES 10^16 and more is refused before any arithmetic: an exponent costs its sender only ten bytes."""

_PLAIN_AMOUNT: Final = re.compile(r"(-?)([0-9]{1,16})(?:\.([0-9]{1,16}))?")
_DECIMALS: Final = 2
"""A cent is the second place."""


def to_cents(shillings: Decimal | int) -> int:
    """Return the amount in cents. Raises ValueError when not finite, too large, or with parts of a cent."""
    amount = Decimal(shillings)
    if not amount.is_finite():
        raise ValueError("not a finite amount")
    if amount.is_zero():
        return 0
    if amount.adjusted() > _LARGEST_EXPONENT:
        raise ValueError("too large an amount")
    sign, digits, exponent = amount.as_tuple()
    assert isinstance(exponent, int)  # noqa: S101 (only NaN and infinity have a letter there)
    kept = "".join(map(str, digits)).rstrip("0")
    exponent += len(digits) - len(kept)
    if exponent < -_DECIMALS:
        raise ValueError("more than two decimals")
    cents = int(kept) * 10 ** (exponent + _DECIMALS)
    return -cents if sign else cents


def parse_kes(text: str) -> int:
    """Read a plain decimal such as `147`, `147.5` or `-20.00` as cents. Raises ValueError for other text."""
    plain = _PLAIN_AMOUNT.fullmatch(text)
    if plain is None:
        raise ValueError("not a decimal amount")
    sign, shillings, decimals = plain.groups()
    kept = (decimals or "").rstrip("0")
    if len(kept) > _DECIMALS:
        raise ValueError("more than two decimals")
    cents = int(shillings) * CENTS_PER_SHILLING + int(kept.ljust(_DECIMALS, "0"))
    return -cents if sign else cents


def format_kes(cents: int) -> str:
    """Write cents for a person: `KES 147`, `KES 1,247.50`. Whole shillings carry no decimals."""
    shillings, rest = divmod(abs(cents), CENTS_PER_SHILLING)
    sign = "-" if cents < 0 else ""
    return f"{sign}KES {shillings:,}" + (f".{rest:02d}" if rest else "")
