"""The values of bodies: text that is something and can be stored, times that mean one thing."""

from datetime import UTC, date, datetime
from typing import Annotated, Any

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from zanari_api.kit.schema import Day, Instant, Text

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


def test_days_and_times_are_read_as_they_are_written() -> None:
    assert TypeAdapter(Day).validate_python("2026-11-23") == date(2026, 11, 23)
    nine_in_nairobi = TypeAdapter(Instant).validate_python("2026-11-23T09:00:00+03:00")
    assert nine_in_nairobi == datetime(2026, 11, 23, 6, tzinfo=UTC)


@pytest.mark.parametrize("number", [0, 86_400, 1.5, 1_800_000_000_000, "0", "86400", "1800000000", True])
@pytest.mark.parametrize("kind", [Day, Instant])
def test_a_number_is_no_time(kind: Any, number: object) -> None:
    with pytest.raises(ValidationError, match="YYYY-MM-DD"):
        TypeAdapter(kind).validate_python(number)


def test_a_time_needs_its_offset() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        TypeAdapter(Instant).validate_python("2026-11-23T09:00:00")


def test_a_time_is_kept_in_utc() -> None:
    kept = TypeAdapter(Instant).validate_python("2026-11-23T09:00:00+03:00")
    assert kept.isoformat() == "2026-11-23T06:00:00+00:00"


@pytest.mark.parametrize(
    "end",
    [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "1969-12-31T23:59:59Z",
        "9000-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
        "9999-12-31T23:59:59-12:00",
    ],
)
def test_the_ends_of_the_calendar_are_no_times(end: str) -> None:
    with pytest.raises(ValidationError, match="1970 to 8999"):
        TypeAdapter(Instant).validate_python(end)
