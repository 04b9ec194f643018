"""Takes credentials out of what Safaricom posted before it is stored, and numbers out of handles for the log.

The notice that a payout waited too long is the request itself, SecurityCredential included. A body without a
secret stays as it came, byte by byte; in one with a secret nothing else is changed.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

REDACTED: Final = "[redacted]"

Tree: TypeAlias = "str | _Number | bool | Sequence[Tree] | Mapping[str, Tree] | None"

_PRIVATE: Final = frozenset(
    {
        "securitycredential",
        "password",
        "initiatorpassword",
        "passkey",
        "accesstoken",
        "token",
        "authorization",
        "consumersecret",
        "consumerkey",
    }
)
_NAMES: Final = (
    rb"(?:security_?credential|(?:initiator_?)?password|passkey|(?:access_?)?token|authorization"
    rb"|consumer_?(?:secret|key))"
)
# A string that was cut off has no closing quote.
_STRING: Final = rb'"(?:[^"\\]|\\.)*(?:"|\\?\Z)'
_FIELD: Final = re.compile(rb'(?is)("' + _NAMES + rb'"\s*:\s*)' + _STRING)
_ITEM: Final = re.compile(rb'(?is)("(?:key|name)"\s*:\s*"' + _NAMES + rb'"\s*,\s*"value"\s*:\s*)' + _STRING)
_TEXT_FIELD: Final = re.compile(rb"(?i)(" + _NAMES + rb"\s*[=:>]\s*)[^\s&,;\"'<>]+")
_ANYWHERE: Final = re.compile(
    rb"(?i)(access token\W{1,5}|bearer\s{1,5})[\w.~+/=-]{12,}"
    rb"|(/callbacks\\?/)[^/\\\"'?\s]+"
    rb"|()(?<![0-9A-Za-z+/])(?:[0-9A-Za-z+]|\\?/){300,}={0,2}"
)
_CHECKOUT_ID: Final = re.compile(r"(ws_CO_[0-9]{17})[0-9]+")
_LONG_NUMBER: Final = re.compile(r"[0-9]{9,}")


class _Number(str):
    """A JSON number by its characters, so that it is written as it was read."""

    __slots__ = ()


def redact_body(body: bytes) -> bytes:
    """Return a body without credentials and access tokens. Takes any bytes; never raises."""
    cleaned = _ITEM.sub(rb'\1"[redacted]"', _FIELD.sub(rb'\1"[redacted]"', body))
    cleaned = _ANYWHERE.sub(rb"\1\2\3[redacted]", cleaned)
    try:
        tree: Tree = json.loads(cleaned, parse_float=_Number, parse_int=_Number, parse_constant=_Number)
        # A name written with escapes, or a secret that is no string, is seen only by its meaning.
        hidden = _hide(tree)
        return cleaned if hidden == tree else _write(hidden).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return _TEXT_FIELD.sub(rb"\1[redacted]", cleaned)


def mask_checkout_id(checkout_request_id: str) -> str:
    """Return a CheckoutRequestID for the log, without the number of a person that newer ones end in."""
    known = _CHECKOUT_ID.fullmatch(checkout_request_id)
    if known is not None:
        return f"{known[1]}{'*' * (len(checkout_request_id) - len(known[1]))}"
    if re.fullmatch(r"ws_CO_[0-9]{1,17}", checkout_request_id):
        return checkout_request_id
    return _LONG_NUMBER.sub(lambda number: "*" * len(number[0]), checkout_request_id)


def _hide(tree: Tree) -> Tree:
    match tree:
        case Mapping():
            # An item of a list has its name as one value and what is to be hidden as another.
            named = any(_is_private(value) for name, value in tree.items() if name.lower() in {"key", "name"})
            return {
                name: REDACTED if _is_private(name) or (named and name.lower() == "value") else _hide(value)
                for name, value in tree.items()
            }
        case Sequence() if not isinstance(tree, str):
            return [_hide(value) for value in tree]
        case _:
            return tree


def _is_private(name: Tree) -> bool:
    return isinstance(name, str) and re.sub(r"[^a-z]", "", name.lower()) in _PRIVATE


def _write(tree: Tree) -> str:
    match tree:
        case _Number():
            return str(tree)
        case Mapping():
            return "{" + ",".join(f"{json.dumps(name)}:{_write(value)}" for name, value in tree.items()) + "}"
        case Sequence() if not isinstance(tree, str):
            return "[" + ",".join(map(_write, tree)) + "]"
        case _:
            return json.dumps(tree)
