"""Decides what an answer that is no plain success proves: refused for certain, or perhaps carried out."""

import re
from collections.abc import Mapping
from typing import Final

from zanari_api.daraja.errors import (
    DarajaError,
    DarajaRefused,
    DarajaUnresolved,
    Doubt,
    DuplicateRequest,
    Operation,
    RefusalReason,
)
from zanari_api.daraja.values import Fields, code_of, text_of
from zanari_api.kit.wire_json import JsonValue, UnreadableJson, read_object

INVALID_TOKEN_CODES: Final = frozenset({"404.001.03", "400.003.01", "401.002.01", "401.001"})
"""What "your access token is not valid" is called by the different APIs. The request was not looked at."""

MONEY_OUT: Final = frozenset({Operation.B2C, Operation.REVERSAL})
"""Where a refusal that is none would pay somebody twice: only what is known to be definite counts as one."""

_KNOWN_CODE: Final = re.compile(r"[0-9A-Za-z._-]{1,40}")

_REASONS: Final[Mapping[str, RefusalReason]] = {
    **dict.fromkeys(INVALID_TOKEN_CODES, RefusalReason.INVALID_TOKEN),
    "400.008.01": RefusalReason.MISCONFIGURED,
    "400.008.02": RefusalReason.MISCONFIGURED,
    "400.002.02": RefusalReason.BAD_REQUEST,
    "400.002.05": RefusalReason.BAD_REQUEST,
    "400.003.02": RefusalReason.BAD_REQUEST,
    "404.001.01": RefusalReason.MISCONFIGURED,
    "404.002.01": RefusalReason.MISCONFIGURED,
    "404.003.01": RefusalReason.MISCONFIGURED,
    "404.001.04": RefusalReason.MISCONFIGURED,
    "405.001": RefusalReason.MISCONFIGURED,
}
"""Codes that mean one thing whatever was called, and always that nothing happened."""

_OVERLOADED: Final = "500.001.1001"
_SYSTEM_FAULT: Final = "500.002.1001"
_REGISTERED: Final = "500.003.1001"
_LIMITS: Final = frozenset({"500.003.02", "500.003.03"})

_BAD_GATEWAY_FAULTS: Final = 500
_REQUEST_TIMEOUT: Final = 408
_UNAUTHORIZED: Final = 401


def read_error_code(fields: Fields) -> str | None:
    """Return the errorCode, if it looks like one: what does not may hold anything, and is not repeated."""
    code = code_of(fields.get("errorCode"))
    return code if code is not None and _KNOWN_CODE.fullmatch(code) else None


def refusal_of(operation: Operation, http_status: int, body: bytes) -> DarajaError:
    """Return the error that an answer amounts to, for an answer that is no success.

    The same errorCode may say several things, which only its message tells apart: a B2C duplicate and a plain
    fault share one. What is on no list is unresolved for 5xx; for 4xx too where money would leave.
    """
    try:
        fields: Fields = read_object(body)
    except UnreadableJson:
        fields = {}
    code = read_error_code(fields)
    message = (text_of(fields.get("errorMessage")) or "").lower()
    if operation is Operation.B2C and code == _SYSTEM_FAULT and "duplicate" in message:
        return DuplicateRequest(operation, error_code=code, http_status=http_status)
    reason = _reason(operation, http_status, code, message)
    if reason is None:
        return DarajaUnresolved(operation, Doubt.SERVER_FAULT, error_code=code, http_status=http_status)
    return DarajaRefused(operation, reason, error_code=code, http_status=http_status)


def _reason(operation: Operation, http_status: int, code: str | None, message: str) -> RefusalReason | None:
    """Return why it was refused, definitely; None where that is not certain."""
    if code in _REASONS:
        return _REASONS[code]
    if http_status == _UNAUTHORIZED:
        return RefusalReason.INVALID_TOKEN
    if code in _LIMITS:
        return _limit(operation, message)
    match operation, code:
        case Operation.STK_PUSH, "500.001.1001":
            return _overloaded(message)
        case Operation.REGISTER_URLS, "500.003.1001":
            return RefusalReason.ALREADY_REGISTERED
        case _:
            pass
    certain = 400 <= http_status < _BAD_GATEWAY_FAULTS and http_status != _REQUEST_TIMEOUT  # noqa: PLR2004 (4xx)
    return RefusalReason.BAD_REQUEST if certain and operation not in MONEY_OUT else None


def _limit(operation: Operation, message: str) -> RefusalReason | None:
    """Spike arrest and quota stop a request at the gateway; "busy" under the same code may come from behind it."""
    stopped = "spike" in message or "quota" in message
    return RefusalReason.THROTTLED if stopped or operation not in MONEY_OUT else None


def _overloaded(message: str) -> RefusalReason | None:
    """Tell apart what one code says of a push. The subscriber's lock, and our own credentials, come first."""
    if "lock subscriber" in message:
        return RefusalReason.PROMPT_OPEN
    if "merchant does not exist" in message or "wrong credentials" in message:
        return RefusalReason.MISCONFIGURED
    return None


def not_accepted(operation: Operation, http_status: int, fields: Fields) -> DarajaError:
    """Return the error of a 2xx whose ResponseCode is not 0: refused, or unresolved where money would leave."""
    code: JsonValue = code_of(fields.get("ResponseCode"))
    known = code if isinstance(code, str) and _KNOWN_CODE.fullmatch(code) else None
    if known is None or operation in MONEY_OUT:
        return DarajaUnresolved(operation, Doubt.UNREADABLE, error_code=known, http_status=http_status)
    return DarajaRefused(operation, RefusalReason.NOT_ACCEPTED, error_code=known, http_status=http_status)
