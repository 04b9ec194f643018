"""Reads one value of Safaricom's JSON, whichever way it was written: text, code, cents, time, list of items."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from zanari_api.kit.clock import EAT, parse_daraja_time
from zanari_api.kit.money import LARGEST_AMOUNT_CENTS, parse_kes, to_cents
from zanari_api.kit.receipt import parse_receipt
from zanari_api.kit.wire_json import JsonValue, UnreadableJson, read_object

Fields = Mapping[str, JsonValue]

MPESA_YEARS: Final = range(2007, 2100)
"""From M-PESA's first year to one that no clock shows yet: a time outside was never a payment's."""

_LONGEST_CODE: Final = 40
_LONGEST_ID: Final = 200
_LARGEST_WHOLE: Final = 15
"""Numbers of up to 16 digits are read as text: times, phone numbers and codes are none of them longer."""

_JAVA_AMOUNT: Final = re.compile(r"\bBasicAmount=(-?[0-9]{1,16}(?:\.[0-9]{1,16})?)(?=[,}\s])")
_DOTTED_TIME: Final = re.compile(r"[0-9]{2}\.[0-9]{2}\.[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}")


class UnreadableCallback(ValueError):  # noqa: N818 (reads as what it says of the callback)
    """The body lacks what a payment cannot be without. It names the field and never quotes the value."""


def read_fields(body: bytes) -> dict[str, JsonValue]:
    """Return the JSON object of a body. Raises UnreadableCallback."""
    try:
        return read_object(body)
    except UnreadableJson as error:
        raise UnreadableCallback(str(error)) from error


def text_of(value: JsonValue) -> str | None:
    """Return what was written, a whole number by its digits (`254708374149.0` too); None where nothing was."""
    match value:
        case bool():
            return None
        case int():
            return str(value)
        case Decimal():
            return _whole_digits(value)
        case str():
            return value.strip() or None
        case _:
            return None


def code_of(value: JsonValue) -> str | None:
    """Return a result or error code as text: `0`, `"0"` and `0.0` are one code, and letters may be in it."""
    code = text_of(value)
    return code if code is not None and len(code) <= _LONGEST_CODE else None


def id_of(value: JsonValue) -> str | None:
    """Return a handle that Safaricom or we gave to a request; None where there is none, or no end to it."""
    handle = text_of(value)
    return handle if handle is not None and len(handle) <= _LONGEST_ID else None


def cents_of(value: JsonValue) -> int | None:
    """Return shillings as cents, by their digits: number, decimal text or Java's `{Amount={BasicAmount=50.5}}`.

    None for anything else, parts of a cent included: what cannot be read exactly is not read.
    """
    try:
        match value:
            case bool():
                return None
            case int() | Decimal():
                return to_cents(value)
            case str():
                return parse_kes(_amount_text(value))
            case _:
                return None
    except ValueError:
        return None


def payment_cents(value: JsonValue) -> int | None:
    """Return the amount of a payment in cents; None where it is not more than nothing, or past belief."""
    cents = cents_of(value)
    return cents if cents is not None and 0 < cents <= LARGEST_AMOUNT_CENTS else None


def receipt_of(value: JsonValue) -> str | None:
    try:
        return parse_receipt(text_of(value) or "")
    except ValueError:
        return None


def time_of(value: JsonValue) -> datetime | None:
    """Return an instant in UTC from `YYYYMMDDHHmmss` or `dd.MM.yyyy HH:mm:ss`, both East Africa Time."""
    text = text_of(value) or ""
    try:
        if _DOTTED_TIME.fullmatch(text):
            told = datetime.strptime(text, "%d.%m.%Y %H:%M:%S").replace(tzinfo=EAT)
            instant = told.astimezone(UTC)
        else:
            instant = parse_daraja_time(text)
    except (ValueError, OverflowError):
        return None
    return instant if instant.year in MPESA_YEARS else None


def object_of(value: JsonValue) -> Fields:
    """Return a nested object; an empty one where there is none."""
    return value if isinstance(value, Mapping) else {}


def items_of(value: JsonValue) -> dict[str, JsonValue]:
    """Return a list of `{Name|Key, Value?}` by name. A single item may come without its list.

    A name given again with another value has a tuple of all its values, which is no text and no amount: what
    is contradictory is not decided by the order it came in. Spaces in names are dropped, since Safaricom
    writes both `ConversationID` and `Conversation ID`. An item without a Value is None.
    """
    found: dict[str, list[JsonValue]] = {}
    for item in _listed(value):
        fields = object_of(item)
        name = text_of(_either(fields, "Name", "Key", "name", "key"))
        if name is not None:
            values = found.setdefault(name.replace(" ", ""), [])
            told = _either(fields, "Value", "value")
            if told is not None and told not in values:
                values.append(told)
    return {name: _single(values) for name, values in found.items()}


def without(fields: Fields, known: frozenset[str], *, path: str = "") -> dict[str, JsonValue]:
    """Return what of `fields` is not known, each name after the path that leads to it."""
    return {f"{path}{name}": value for name, value in fields.items() if name not in known}


def _listed(value: JsonValue) -> Sequence[JsonValue]:
    if isinstance(value, Mapping):
        return (value,)
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _either(fields: Fields, *names: str) -> JsonValue:
    return next((fields[name] for name in names if name in fields), None)


def _single(values: list[JsonValue]) -> JsonValue:
    if not values:
        return None
    return values[0] if len(values) == 1 else tuple(values)


def _whole_digits(value: Decimal) -> str | None:
    if not value.is_finite() or value.adjusted() > _LARGEST_WHOLE or value != value.to_integral_value():
        return None
    return str(int(value))


def _amount_text(text: str) -> str:
    amounts = _JAVA_AMOUNT.findall(text)
    return amounts[0] if len(amounts) == 1 else text.strip()
