"""C2B callbacks as Safaricom posts them, built from the documented shapes. Asserts nothing."""

import json
from pathlib import Path
from typing import Any, Final

from tests.support.app import SHORTCODE
from tests.support.savers import new_receipt

PAYLOADS: Final = Path(__file__).parents[1] / "support/daraja_payloads"
SHAPES: Final = sorted(path.stem for path in PAYLOADS.glob("c2b_*.json"))

CONFIRMATION: Final = "/c2b/confirmation"
VALIDATION: Final = "/c2b/validation"


def shape(name: str) -> dict[str, Any]:
    """Return a documented body as it was published."""
    read: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))
    return read


def payment(
    account_reference: str, *, like: str = "c2b_confirmation_masked_with_spaces", **fields: object
) -> bytes:
    """Return a body in a documented shape, for our paybill and with a receipt of its own."""
    ours = {
        "TransID": new_receipt(),
        "BusinessShortCode": SHORTCODE,
        "BillRefNumber": account_reference,
    }
    return json.dumps(shape(like) | ours | fields).encode()
