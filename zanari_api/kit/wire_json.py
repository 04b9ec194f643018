"""Reads JSON that others sent, strictly: one meaning for each text, numbers by their digits, not floats."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, NoReturn, TypeAlias

JsonValue: TypeAlias = "bool | int | Decimal | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"


class UnreadableJson(ValueError):  # noqa: N818 (reads as what it says of the bytes)
    """The bytes are not one JSON object with one meaning that Postgres could store. Never quotes them."""


def read_object(body: bytes) -> dict[str, JsonValue]:
    """Return the JSON object in `body`; a number with a fraction or exponent comes as Decimal.

    Raises UnreadableJson for anything else: other encodings than UTF-8, NaN and infinity, a key that comes
    twice, numbers of thousands of digits, endless nesting, and text that Postgres cannot store (NUL and
    halves of surrogate pairs).
    """
    try:
        text = body.decode()
        value: JsonValue = _DECODER.decode(text)
        # Raw text holds neither after decoding and parsing; only an escape can bring one in.
        if "\\u" in text:
            _refuse_unstorable(value)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise UnreadableJson("not readable as JSON") from error
    if not isinstance(value, dict):
        raise UnreadableJson("not a JSON object")
    return value


def _refuse_constant(_: str) -> NoReturn:
    raise UnreadableJson("NaN and infinity are not JSON")


def _refuse_repeated_keys(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise UnreadableJson("a key comes twice")
    return read


def _refuse_unstorable(value: JsonValue) -> None:
    if isinstance(value, str):
        if any(char == "\x00" or "\ud800" <= char <= "\udfff" for char in value):
            raise UnreadableJson("holds NUL or half of a surrogate pair")
    elif isinstance(value, Mapping):
        for key, nested in value.items():
            _refuse_unstorable(key)
            _refuse_unstorable(nested)
    elif isinstance(value, Sequence):
        for nested in value:
            _refuse_unstorable(nested)


# Made once: the module's own shorthand makes one for each text, which takes as long as a short text does.
_DECODER: Final = json.JSONDecoder(
    parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_refuse_repeated_keys
)
