"""The base of every JSON body a saver sends or reads: frozen, and unknown keys are refused."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

MAX_CENTS = 100_000_000_000_000
"""KES 10^12: far above any real amount, far below what bigint sums can hold."""


def _refuse_unstorable(value: object) -> object:
    """Refuse text that Postgres cannot store: NUL, and halves of surrogate pairs."""
    if isinstance(value, str) and any(char == "\x00" or "\ud800" <= char <= "\udfff" for char in value):
        raise ValueError("must not contain NUL or unpaired surrogate characters")
    return value


class Schema(BaseModel):
    """A request or response body. Amounts are integer cents, times RFC 3339 in UTC."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


Storable = BeforeValidator(_refuse_unstorable)

Cents = Annotated[int, Field(strict=True, gt=0, le=MAX_CENTS)]
"""A positive amount in cents; a JSON integer, never a number with a fraction."""

# Constraints before the validator: behind it, Pydantic measures the text before it strips it.
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), Storable]
"""Text with something in it; give it a maximum with Field(max_length=...)."""
