"""What Daraja is answered: acknowledgements and validation verdicts, in its own words. Decides neither."""

from enum import StrEnum
from typing import Final

import orjson


class Verdict(StrEnum):
    """The answer to a C2B validation; the code chooses the SMS that the payer gets."""

    ACCEPTED = "0"
    INVALID_ACCOUNT = "C2B00012"
    INVALID_AMOUNT = "C2B00013"
    INVALID_SHORTCODE = "C2B00015"
    OTHER = "C2B00016"
    "undecided: the payer may try again"


ACKNOWLEDGEMENT: Final = orjson.dumps({"ResultCode": 0, "ResultDesc": "Success"})
"""It is on disk. A confirmation cannot be refused: the money has moved."""


def verdict_body(verdict: Verdict) -> bytes:
    """Return the body for a verdict; here, unlike in an acknowledgement, the code is a string."""
    description = "Accepted" if verdict is Verdict.ACCEPTED else "Rejected"
    return orjson.dumps({"ResultCode": verdict.value, "ResultDesc": description})
