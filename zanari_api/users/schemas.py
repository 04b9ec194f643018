"""The profile's JSON."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from zanari_api.kit.schema import Schema, Text

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
