"""Hides people in a callback's body before an operator sees it: names, numbers, what payers typed. Stores nothing."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, TypeAlias

from zanari_api.daraja.redaction import mask_checkout_id
from zanari_api.kit.wire_json import JsonValue, UnreadableJson, read_object
from zanari_api.runtime.redaction import redact_text

MASKED: Final = "[masked]"

Shown: TypeAlias = "str | bool | int | list[Shown] | dict[str, Shown] | None"

_ITEM_NAMES: Final = ("Name", "Key", "name", "key")
_ITEM_VALUES: Final = frozenset({"Value", "value"})
_PRIVATE_WORDS: Final = ("name", "msisdn", "phone", "party")
_TYPED_BY_PAYERS: Final = frozenset({"billrefnumber", "billreference", "accountreference"})
_NOBODYS: Final = re.compile(r"[A-Za-z]?[0-9]{0,8}[A-Za-z]?|[Zz][0-9]{11}")
"""What can be neither a name nor a number of a person: our codes and references, and slips in them."""


def mask_people(body: bytes) -> str:
    """Return a body as text to look at, without anything that names a person. What is no JSON is not shown at all."""
    try:
        fields = read_object(body)
    except UnreadableJson:
        return f"[{len(body)} bytes that are no JSON object]"
    return json.dumps(_masked(fields), indent=2, ensure_ascii=False)


def _masked(value: JsonValue, name: str = "") -> Shown:
    match value:
        case Mapping():
            item = next((value[each] for each in _ITEM_NAMES if isinstance(value.get(each), str)), None)
            if isinstance(item, str) and len(value) <= 2:  # noqa: PLR2004 (a name and a value)
                # One item of a list: its name says what its value is.
                return {
                    key: _masked(nested, item) if key in _ITEM_VALUES else str(nested)
                    for key, nested in value.items()
                }
            return {key: _masked(nested, key) for key, nested in value.items()}
        case str():
            return _text(value, name)
        case None | bool():
            return value
        case int() | Decimal():
            text = _text(str(value), name)
            return value if isinstance(value, int) and text == str(value) else text
        case _:
            return [_masked(nested, name) for nested in value]


def _text(text: str, name: str) -> str:
    letters = re.sub(r"[^a-z]", "", name.lower())
    if letters == "checkoutrequestid":
        return mask_checkout_id(text)
    private = any(word in letters for word in _PRIVATE_WORDS)
    if letters in _TYPED_BY_PAYERS:
        private = _NOBODYS.fullmatch(text.strip()) is None
    return MASKED if private and text else redact_text(text)
