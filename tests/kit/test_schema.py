"""The text of bodies: stripped, never empty after that, and storable in Postgres."""

from typing import Annotated

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from zanari_api.kit.schema import Text

short = TypeAdapter(Annotated[Text, Field(max_length=5)])


def test_text_is_stripped_before_it_is_measured() -> None:
    assert short.validate_python("  abcde \n") == "abcde"


@pytest.mark.parametrize("blank", ["", " ", " \t\n", "\u00a0"])
def test_blanks_are_no_text(blank: str) -> None:
    with pytest.raises(ValidationError):
        short.validate_python(blank)


@pytest.mark.parametrize("unstorable", ["a\x00", "\ud800", "a\udfff"])
def test_what_postgres_cannot_store_is_refused(unstorable: str) -> None:
    with pytest.raises(ValidationError, match="NUL or unpaired surrogate"):
        short.validate_python(unstorable)


def test_text_over_its_maximum_is_refused() -> None:
    with pytest.raises(ValidationError, match="at most 5"):
        short.validate_python("abcdef")
