"""Asks Supabase Auth whether a token's session still stands, before money leaves. Keeps no answer."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import ClassVar, Final
from uuid import UUID

import httpx
import structlog
from pydantic import AwareDatetime, BaseModel, ValidationError

from zanari_api.kit.clock import utc_now
from zanari_api.kit.errors import Refusal
from zanari_api.runtime import trust
from zanari_api.runtime.jwks import AuthUnavailable

TIMEOUT_S: Final = 3.0

UNAUTHORIZED: Final = 401
ENDED: Final = frozenset({403, 404})
"""What Auth answers for a session that was signed out, a user who is gone, banned, or never was."""

log = structlog.get_logger(__name__)


class SessionEnded(Refusal):
    """Your session has ended. Sign in again."""

    code = "session_ended"
    status = 401
    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": "Bearer"}


class _User(BaseModel):
    """The part of Auth's user that is looked at."""

    id: UUID
    banned_until: AwareDatetime | None = None


class _Problem(BaseModel):
    """Auth names each of its errors, in one of two fields; the gateway before it names none."""

    code: str | int | None = None
    error_code: str | None = None


class SessionChecker:
    """Asks Auth at each call: a token that was verified here stays valid after its session has ended.

    `api_key` is the project's publishable (anon) key, which Supabase's gateway asks of every caller.
    """

    def __init__(
        self,
        *,
        auth_url: str,
        api_key: str,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._url = f"{auth_url}/user"
        self._api_key = api_key
        self._clock = clock
        self._http = httpx.AsyncClient(timeout=timeout_s, verify=trust.authorities())

    async def ensure_live(self, token: str, *, saver_id: UUID) -> None:
        """Return only when Auth itself says now that `token` is of a session of this saver's.

        Raises SessionEnded, or AuthUnavailable for every answer that says neither yes nor no.
        """
        headers = {"Authorization": f"Bearer {token}", "apikey": self._api_key}
        try:
            response = await self._http.get(self._url, headers=headers)
            if response.status_code in ENDED or _names_an_error(response):
                raise SessionEnded
            response.raise_for_status()
            user = _User.model_validate_json(response.content)
        except (httpx.HTTPError, ValidationError) as error:
            status_code = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else None
            log.warning("session_not_checked", error=type(error).__name__, answered=status_code)
            raise AuthUnavailable from error
        # Auth answers some requests of banned users, and says until when.
        if user.id != saver_id or (user.banned_until is not None and user.banned_until > self._clock()):
            raise SessionEnded

    async def close(self) -> None:
        await self._http.aclose()


def _names_an_error(response: httpx.Response) -> bool:
    """Tell Auth's own 401 from the gateway's, which refuses our key and knows nothing of the session."""
    if response.status_code != UNAUTHORIZED:
        return False
    try:
        problem = _Problem.model_validate_json(response.content)
    except ValidationError:
        return False
    return problem.code is not None or problem.error_code is not None
