"""Writes and reads JSON as Safaricom does: amounts by their digits (`1.00`), times in East Africa Time."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

from zanari_api.kit.clock import EAT

JsonValue: TypeAlias = "bool | int | Decimal | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
JsonObject: TypeAlias = "Mapping[str, JsonValue]"


def dumps(value: JsonValue) -> bytes:
    """Return the JSON of `value`; a Decimal is written with the digits it has."""
    return _write(value).encode()


def loads_object(body: bytes) -> dict[str, JsonValue]:
    """Return the JSON object in `body`, fractions as Decimal. Raises ValueError."""
    value: JsonValue = json.loads(body.decode(), parse_float=Decimal)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 (of the text, not of a caller)
    return value


def shillings(cents: int) -> Decimal:
    """Return cents as shillings with two places: 100 is `1.00`."""
    return Decimal(cents).scaleb(-2)


def kes(cents: int) -> str:
    """Return cents as the text Safaricom writes: 100 is `"1.00"`."""
    return f"{shillings(cents):f}"


def stamp(instant: datetime) -> str:
    """Return `YYYYMMDDHHmmss`."""
    return instant.astimezone(EAT).strftime("%Y%m%d%H%M%S")


def dotted(instant: datetime) -> str:
    """Return `dd.MM.yyyy HH:mm:ss`, which B2C results alone use."""
    return instant.astimezone(EAT).strftime("%d.%m.%Y %H:%M:%S")


def code_value(code: str, *, as_text: bool) -> int | str:
    """Return a result code as a number where it is one, or as text; `SFC_IC0003` is always text."""
    return code if as_text or not code.isdigit() else int(code)


def _write(value: JsonValue) -> str:
    match value:
        case Decimal():
            return f"{value:f}"
        case None | bool() | int() | str():
            return json.dumps(value, ensure_ascii=False)
        case Mapping():
            pairs = (f"{json.dumps(key, ensure_ascii=False)}:{_write(item)}" for key, item in value.items())
            return "{" + ",".join(pairs) + "}"
        case _:
            return "[" + ",".join(map(_write, value)) + "]"
