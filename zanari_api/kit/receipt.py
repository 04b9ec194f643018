"""Reads M-PESA's receipt codes, the one name that every channel gives a payment. Claims none."""

import re
from typing import Final

_RECEIPT: Final = re.compile(r"[A-Z0-9]{6,20}")


def parse_receipt(text: str) -> str:
    """Return the receipt in the form M-PESA prints. Raises ValueError.

    M-PESA writes capitals only, so a receipt in small letters is the same one, retyped on its way. Left as
    it came, it would count a second time.
    """
    receipt = text.strip().upper()
    # Some letters that are not ASCII become ASCII in capitals.
    if not text.isascii() or _RECEIPT.fullmatch(receipt) is None:
        raise ValueError("not an M-PESA receipt: 6 to 20 letters and digits")
    return receipt
