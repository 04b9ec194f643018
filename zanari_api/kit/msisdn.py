"""Turns any way of writing a Kenyan mobile number into the one form used inside: `2547XXXXXXXX`."""

import re
from typing import Final

import phonenumbers

_MSISDN: Final = re.compile(r"254[17][0-9]{8}")
_WRITTEN: Final = re.compile(r"[+0-9(][0-9 ().\-]{7,30}")


def parse_msisdn(text: str) -> str:
    """Return the number as 12 digits without a plus. Raises ValueError, whose text never holds the number.

    The shape decides, not the library's list of ranges in use: a new range must not stop a saver's spends.
    """
    written = text.strip()
    if _MSISDN.fullmatch(written):
        return written
    if _WRITTEN.fullmatch(written) is None:
        raise ValueError("not a phone number")
    # Most of the world writes 00 for the plus; the library knows Kenya's own prefix, 000.
    international = re.sub(r"^00(?=254)", "+", written)
    try:
        parsed = phonenumbers.parse(international, "KE")
    except phonenumbers.NumberParseException as error:
        raise ValueError("not a phone number") from error
    msisdn = f"{parsed.country_code}{parsed.national_number}"
    if _MSISDN.fullmatch(msisdn) is None:
        raise ValueError("not a Kenyan mobile number")
    return msisdn
