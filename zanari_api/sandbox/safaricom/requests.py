"""Reads requests as strictly as Safaricom does, and refuses with its error bodies. Carries nothing out."""

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final
from urllib.parse import urlsplit

from zanari_api.sandbox.safaricom.faults import Flow
from zanari_api.sandbox.safaricom.wire import JsonObject, JsonValue

MSISDN: Final = re.compile(r"254[17][0-9]{8}")
_WHOLE: Final = re.compile(r"[0-9]{1,9}")


class ApiError(Exception):
    """The error body Safaricom answers with."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One of Safaricom's APIs: what it is for, and the codes it refuses with."""

    flow: Flow
    token_refusal: tuple[int, str]
    field_code: str = "400.002.02"
    methods: tuple[str, ...] = ("POST",)


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back at once, and the task that goes on after it."""

    body: JsonObject
    goes_on: "asyncio.Task[None] | None" = None
    status: int = 200


@dataclass(frozen=True, slots=True)
class Fields:
    """A request's fields. Every method raises ApiError where Safaricom would refuse. `hurry` delays nothing."""

    body: Mapping[str, JsonValue]
    api: Api
    hurry: bool = field(default=False)

    def text(self, name: str, *, at_least: int = 1, at_most: int = 1000) -> str:
        """Return a text, or a number's digits."""
        value = self.body.get(name)
        written = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not isinstance(written, str) or not at_least <= len(written) <= at_most:
            raise self.refusal(name)
        return written

    def optional(self, name: str, *, at_most: int) -> str:
        """Return a text that may be left out."""
        return self.text(name, at_least=0, at_most=at_most) if self.body.get(name) is not None else ""

    def one_of(self, name: str, allowed: Iterable[str]) -> str:
        value = self.text(name)
        if value not in allowed:
            raise self.refusal(name)
        return value

    def msisdn(self, name: str) -> str:
        value = self.text(name)
        if MSISDN.fullmatch(value) is None:
            raise self.refusal(name)
        return value

    def whole_amount_cents(self, name: str = "Amount") -> int:
        """Return whole shillings, more than none, in cents."""
        value = self.body.get(name)
        digits = f"{value:f}" if isinstance(value, Decimal) else str(value)
        if isinstance(value, bool) or _WHOLE.fullmatch(digits) is None or not int(digits):
            raise self.refusal(name)
        return int(digits) * 100

    def url(self, name: str) -> str:
        value = self.text(name)
        try:
            parts = urlsplit(value)
        except ValueError as error:
            raise self.refusal(name) from error
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise self.refusal(name)
        return value

    def time(self, name: str, layout: str) -> datetime:
        """Return a time as written, without a zone."""
        try:
            return datetime.strptime(self.text(name), layout)  # noqa: DTZ007 (the wire has no zone)
        except ValueError as error:
            raise self.refusal(name) from error

    def refusal(self, name: str) -> ApiError:
        return ApiError(400, self.api.field_code, f"Bad Request - Invalid {name}")
