"""The base of every JSON body a saver sends or reads: frozen, and unknown keys are refused."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

MAX_CENTS = 100_000_000_000_000
"""KES 10^12: far above any real amount, far below what bigint sums can hold."""

YEARS: Final = range(1970, 9000)
"""The ends of the calendar are no times: an offset leads out of it, and the driver reads them as infinite."""


def _refuse_unstorable(value: object) -> object:
    """Refuse text that Postgres cannot store: NUL, and halves of surrogate pairs."""
    if isinstance(value, str) and any(char == "\x00" or "\ud800" <= char <= "\udfff" for char in value):
        raise ValueError("must not contain NUL or unpaired surrogate characters")
    return value


def _refuse_numbers(value: object) -> object:
    """Refuse a time given as a number: of seconds, milliseconds or days, the sender alone knows."""
    if isinstance(value, int | float) or (isinstance(value, str) and not re.match(r"[0-9]{4}-", value)):
        raise ValueError("must be written as YYYY-MM-DD, a time with its offset after it")
    return value


def _as_utc(instant: datetime) -> datetime:
    if instant.year not in YEARS:
        raise ValueError(f"must be in the years {YEARS.start} to {YEARS.stop - 1}")
    return instant.astimezone(UTC)


class Schema(BaseModel):
    """A request or response body. Amounts are integer cents, times RFC 3339 in UTC."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


Storable = BeforeValidator(_refuse_unstorable)

Cents = Annotated[int, Field(strict=True, gt=0, le=MAX_CENTS)]
"""A positive amount in cents; a JSON integer, never a number with a fraction."""

# Constraints before the validator: behind it, Pydantic measures the text before it strips it.
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), Storable]
"""Text with something in it; give it a maximum with Field(max_length=...)."""

Day = Annotated[date, BeforeValidator(_refuse_numbers)]
"""A date as YYYY-MM-DD."""

Instant = Annotated[AwareDatetime, BeforeValidator(_refuse_numbers), AfterValidator(_as_utc)]
"""A time as RFC 3339 writes it, with its offset; kept in UTC."""
