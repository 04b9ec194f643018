"""What Safaricom charges a business: for payouts by its form of August 2023, and for reversals."""

from typing import Final

_PAYOUT_FEES: Final = ((10_000, 0), (150_000, 500), (500_000, 900), (2_000_000, 1_100))
"""Up to so many cents, so many cents of fee."""

_LARGEST_FEE_CENTS: Final = 1_300
"""The form ends at KES 150,000; the emulator charges its last fee above that too."""


REVERSAL_FEE_CENTS: Final = 2_350
"""Invented: published samples show a reversal's charge as 0. It is one that no payout has, so that neither passes for
the other."""


def payout_fee_cents(amount_cents: int) -> int:
    """Return the fee that a payout adds to what the business has been charged."""
    return next((fee for most, fee in _PAYOUT_FEES if amount_cents <= most), _LARGEST_FEE_CENTS)
