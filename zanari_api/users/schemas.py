"""The JSON of the profile and of the PIN."""

import re
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, Field, SecretStr, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from zanari_api.kit.schema import Schema, Text
from zanari_api.users.pin_rules import LONGEST, SHORTEST
from zanari_api.users.step_up import Purpose

PIN_DIGITS: Final = f"^[0-9]{{{SHORTEST},{LONGEST}}}$"


def _require_digits(pin: SecretStr) -> SecretStr:
    if re.fullmatch(PIN_DIGITS, pin.get_secret_value()) is None:
        raise ValueError(f"must be {SHORTEST} to {LONGEST} digits")
    return pin


# Wrapped, so that it shows in no representation, and so in no log line and no trace.
Pin = Annotated[
    SecretStr,
    AfterValidator(_require_digits),
    WithJsonSchema({"type": "string", "format": "password", "pattern": PIN_DIGITS, "writeOnly": True}),
]
"""A PIN: text of digits, for it may begin with 0."""

Name = Annotated[Text, Field(max_length=60)]


class Profile(Schema):
    """A saver's own profile. `phone` is the number linked last, +2547..., or null when none is proven."""

    id: UUID
    member_code: str
    phone: str | None
    first_name: str | None
    last_name: str | None
    kyc_tier: int
    created_at: datetime


class ProfileUpdate(Schema):
    """What a saver may change; what is left out stays. Null takes a name away."""

    first_name: Name | None = None
    last_name: Name | None = None
    phone: SkipJsonSchema[object] = None
    """Refused as `phone_not_editable`: a number changes by proving the new one."""


class PinChange(Schema):
    """A new PIN. Without `current_pin` it is the first one, or replaces a forgotten one after a new sign-in."""

    pin: Pin
    current_pin: Pin | None = None


class PinStatus(Schema):
    """When the PIN was set. `payouts_held_until`: where a forgotten one was replaced, until that is over; else null."""

    set_at: datetime
    payouts_held_until: datetime | None


class PinVerification(Schema):
    """A PIN, and what it is entered for."""

    pin: Pin
    purpose: Purpose


class StepUpToken(Schema):
    """Send `token` as X-Step-Up-Token, once and for this purpose, before `expires_at`."""

    token: str
    purpose: Purpose
    expires_at: datetime
