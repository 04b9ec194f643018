"""Takes personal data and secrets out of what is about to be logged. Never decides what is logged."""

import re
from collections.abc import Collection, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from itertools import islice
from typing import Final, cast
from uuid import UUID

REDACTED: Final = "[redacted]"
DEPTH_MAX: Final = 8
ITEMS_MAX: Final = 100
TEXT_MAX: Final = 4000
SHORTEST_SENSITIVE: Final = 8
"""No pattern below matches fewer characters, so shorter text is passed without looking."""

PRIVATE_WORDS: Final = (
    "phone",
    "msisdn",
    "token",
    "authorization",
    "signature",
    "secret",
    "password",
    "passkey",
    "passwd",
    "credentials",
    "securitycredential",
    "cookie",
    "apikey",
    "privatekey",
    "sms",
    "email",
    "billref",
    "accountreference",
    "nationalid",
    "birth",
)
"""A key with one of these in it, whatever its spelling, has its value hidden."""

PRIVATE_KEYS: Final = frozenset(
    {"body", "dsn", "jwt", "note", "notes", "otp", "payload", "pin", "raw", "text"}
)

PLAIN_NAMES: Final = frozenset(
    {"constraintname", "tablename", "schemaname", "filename", "hostname", "jobname", "metricname", "rolename"}
)
"""Keys that end in `name` and mean a thing of ours; any other name may be a person's."""

CORRELATION_KEYS: Final = frozenset({"request_id", "trace_id", "span_id", "version"})
"""Long hexadecimal ids are what these hold, so only numbers of people are looked for in them."""

CONSTANT_KEYS: Final = frozenset({"event", "level", "service", "environment", "method", "route"})
"""Keys with few values, each redacted once."""

# Comes first in the alternations: what must survive is consumed before a pattern could match inside it.
KEPT: Final = (
    r"(?<![0-9A-Za-z])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Za-z])"
    r"|(?<!\d)\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?)?(?!\d)"
)
GAP: Final = r"[\s()\u2010-\u2015-]"
PREFIX: Final = rf"(?:(?:00)?254(?:\.|{GAP}{{0,3}})|0{GAP}{{0,3}})"
"""0, 254, +254 or 00254. No dot after a bare 0: that is a fraction."""
PHONE: Final = rf"(?<!\d){PREFIX}[17](?:(?:\.|{GAP}{{0,2}})\d){{8}}(?!\d)"
CHECKOUT: Final = r"ws_CO_\w+"
SECRETS: Final = (
    r"eyJ[\w-]{5,}(?:\.[\w-]*){1,2}"
    r"|(?i:bearer)\s+[^\s\"',;]+"
    r"|\bv1a?=[A-Za-z0-9+/=_-]+"
    r"|\bsb_(?:secret|publishable)_\w+"
    r"|(?<![0-9A-Za-z])[0-9A-Fa-f]{32,}(?![0-9A-Za-z])"
    r"|(?<![0-9A-Za-z+/])[A-Za-z0-9+/]{43}=(?![0-9A-Za-z+/=])"
    r"|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"
    r"|(?<=/callbacks/)(?!\{)[^\s/\"'?]+"
)
PEOPLE: Final = re.compile(f"(?P<kept>{KEPT})|{CHECKOUT}|{PHONE}")
EVERYTHING: Final = re.compile(f"(?P<kept>{KEPT})|{CHECKOUT}|{SECRETS}|{PHONE}")

JSON_NUMBER_END: Final = 2**63
"""Where the encoder stops writing numbers as numbers."""

PHONES_AS_NUMBERS: Final = ((254_100_000_000, 254_199_999_999), (254_700_000_000, 254_799_999_999))
"""Daraja sends numbers of people as JSON numbers. Nothing we count starts so, cents aside."""


def redact_event(_logger: object, _method: str, event: Mapping[str, object]) -> dict[str, object]:
    """Redact one log event: the structlog processor after which only our own constants and the time are added."""
    return {_constant(key): _value(value, key, 0) for key, value in event.items()}


def redact_text(text: str) -> str:
    """Hide personal data and secrets in free text."""
    return _text(text)


def _value(value: object, key: str, depth: int) -> object:
    if value is None or isinstance(value, bool):
        return value
    if _is_private(key):
        return REDACTED
    match value:
        case str() if key in CONSTANT_KEYS:
            found: object = _constant(value)
        case str():
            found = _text(value, PEOPLE if key in CORRELATION_KEYS else EVERYTHING)
        case Enum():
            found = _value(cast("object", value.value), key, depth)
        case int() | float():
            found = _number(value, key)
        case UUID() | datetime() | date() | time():
            found = value
        case Decimal() | timedelta():
            found = _text(str(value))
        case Mapping() | list() | tuple() | set() | frozenset():
            found = _container(cast("Mapping[object, object] | Collection[object]", value), key, depth)
        case _:
            # An object's repr may hold anything; what it is says enough.
            found = f"<{type(value).__name__}>"
    return found


def _container(value: Mapping[object, object] | Collection[object], key: str, depth: int) -> object:
    if depth >= DEPTH_MAX:
        return "[too deep]"
    if isinstance(value, Mapping):
        items = islice(cast("Mapping[object, object]", value).items(), ITEMS_MAX)
        return {_constant(str(name)): _value(item, str(name), depth + 1) for name, item in items}
    return [_value(item, key, depth + 1) for item in islice(value, ITEMS_MAX)]


def _text(text: str, pattern: re.Pattern[str] = EVERYTHING) -> str:
    if len(text) < SHORTEST_SENSITIVE:
        return _printable(text)
    # A little more than is kept, so that what lies across the cut is seen whole.
    return pattern.sub(_replacement, _printable(text[: TEXT_MAX + 100]))[:TEXT_MAX]


def _replacement(match: re.Match[str]) -> str:
    return match["kept"] or REDACTED


def _printable(text: str) -> str:
    """Replace lone surrogates, which no encoder writes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _number(value: float, key: str) -> object:
    if not key.endswith("_cents") and any(first <= value <= last for first, last in PHONES_AS_NUMBERS):
        return REDACTED
    return value if abs(value) < JSON_NUMBER_END else str(value)


@lru_cache(maxsize=1000)
def _constant(text: str) -> str:
    """Redact what is the same in line after line, keys above all."""
    return _text(text)


@lru_cache(maxsize=1000)
def _is_private(key: str) -> bool:
    letters = re.sub(r"[^a-z]", "", key.lower())
    if letters in PRIVATE_KEYS:
        return True
    if letters.endswith(("name", "names")) and letters not in PLAIN_NAMES:
        return True
    return any(word in letters for word in PRIVATE_WORDS)
