"""Asks another service one question over HTTP, and reads its clock from the answer. Changes nothing there."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from zanari_api.doctor.database import judge_skew
from zanari_api.doctor.findings import Finding, not_checked

TIMEOUT_S: Final = 5.0
SKEW_MAX: Final = timedelta(seconds=5)
"""Of a clock that is read from a header: it tells whole seconds, and there may be a cache in between."""


@dataclass(frozen=True, slots=True)
class Told:
    """What was answered, between which moments of ours, and what time it was there."""

    status: int
    body: bytes
    before: datetime
    after: datetime
    at: datetime | None


async def ask(url: str, *, headers: Mapping[str, str] | None = None) -> Told | str:
    """GET an address, following nothing. Returns why there was no answer, as a word without the address."""
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as http:
            before = datetime.now(UTC)
            answer = await http.get(url, headers=headers)
            after = datetime.now(UTC)
    except httpx.InvalidURL:
        return "its address cannot be read"
    except httpx.HTTPError as error:
        return _why(error)
    return Told(answer.status_code, answer.content, before, after, _date(answer.headers.get("date")))


def clock_of(told: Told | str) -> Finding:
    """Judge the clock that an answer shows."""
    if isinstance(told, str):
        return not_checked(f"it does not answer ({told})")
    if told.at is None:
        return not_checked("its answer tells no time")
    # The header has no fractions: it stands for the whole second that it begins.
    return judge_skew(told.at, before=told.before - timedelta(seconds=1), after=told.after, limit=SKEW_MAX)


def _why(error: httpx.HTTPError) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if "CERTIFICATE_VERIFY_FAILED" in str(cause):
            return "its TLS certificate is not believed"
        if "Name or service not known" in str(cause) or "nodename nor servname" in str(cause):
            return "its name is not known"
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


def _date(header: str | None) -> datetime | None:
    try:
        return None if header is None else parsedate_to_datetime(header).astimezone(UTC)
    except ValueError:
        return None
