"""The JSON of a saver's own M-PESA numbers."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from zanari_api.kit.msisdn import parse_msisdn
from zanari_api.kit.schema import Schema, Text

Phone = Annotated[Text, Field(max_length=40), AfterValidator(parse_msisdn)]
"""A Kenyan mobile number in any form that people write; read as 12 digits without a plus."""


class AccountCreate(Schema):
    """The number to link. KES 1 is asked of it; whoever enters its PIN proves that it is theirs."""

    phone: Phone


class AccountUpdate(Schema):
    """Make this number the one that is used where none is named. Another one is then the default no more."""

    is_default: Literal[True]


class Account(Schema):
    """A number that you have proven to be yours."""

    id: UUID
    phone: str
    is_default: bool
    proven_by: Literal["supabase_auth", "stk_push"]
    linked_at: datetime


class AccountList(Schema):
    """Your linked numbers, the default first."""

    data: tuple[Account, ...]
