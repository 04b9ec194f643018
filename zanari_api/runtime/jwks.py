"""The public keys of the issuer: fetched, kept, renewed without a request waiting. Never holds a secret."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

import httpx
import structlog
from jwt import PyJWK, PyJWTError
from pydantic import BaseModel

from zanari_api.kit.errors import Unavailable
from zanari_api.runtime import trust

FRESH_S: Final = 600.0
"""How long a key set is used before it is asked for again; a key that was withdrawn ends within this."""
UNKNOWN_KID_PAUSE_S: Final = 30.0
"""The least time between fetches, so that made-up key ids cannot make us call the issuer."""
FIRST_FETCH_PAUSE_S: Final = 1.0
"""The same, while no key set was ever fetched and nobody can be let in."""
TIMEOUT_S: Final = 3.0

ALGORITHMS: Final[Mapping[str, str]] = {"EC": "ES256", "RSA": "RS256"}
"""What each kind of public key is used for. A symmetric key in a public document is no key of ours."""
RSA_BITS_MIN: Final = 2048

log = structlog.get_logger(__name__)


class AuthUnavailable(Unavailable):
    """Access tokens cannot be checked right now. Nothing was changed; send the same request again."""

    code = "auth_unavailable"


class _Document(BaseModel):
    """A JWKS document (RFC 7517)."""

    keys: list[dict[str, Any]]


class KeySet:
    """The issuer's keys by id. The last good set is kept when the issuer cannot be reached."""

    def __init__(self, url: str, *, unknown_kid_pause_s: float = UNKNOWN_KID_PAUSE_S) -> None:
        self._url = url
        self._unknown_kid_pause_s = unknown_kid_pause_s
        self._http = httpx.AsyncClient(timeout=TIMEOUT_S, verify=trust.authorities())
        self._keys: dict[str, PyJWK] | None = None
        self._fetched_at = -FRESH_S
        self._tried_at = -FRESH_S
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: str) -> PyJWK | None:
        """Return the key with this id, None when there is none. Raises AuthUnavailable without any."""
        if self._keys is None:
            if self._may_fetch(FIRST_FETCH_PAUSE_S):
                await self._fetch_once()
            if self._keys is None:
                raise AuthUnavailable
        elif kid not in self._keys:
            if self._may_fetch(self._unknown_kid_pause_s):
                await self._fetch_once()
        elif time.monotonic() - self._fetched_at > FRESH_S and self._may_fetch(self._unknown_kid_pause_s):
            # Known and usable: this request does not wait for the renewal.
            self._start_fetch()
        return self._keys.get(kid)

    async def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])
        await self._http.aclose()

    def _may_fetch(self, pause_s: float) -> bool:
        """Say whether to fetch now, or wait for the fetch that is under way."""
        return self._fetching is not None or time.monotonic() - self._tried_at > pause_s

    async def _fetch_once(self) -> None:
        # Shielded: one caller that gives up must not end the fetch that others wait for.
        await asyncio.shield(self._start_fetch())

    def _start_fetch(self) -> asyncio.Task[None]:
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch())
            self._fetching.add_done_callback(self._fetched)
        return self._fetching

    def _fetched(self, _task: asyncio.Task[None]) -> None:
        self._fetching = None
        self._tried_at = time.monotonic()

    async def _fetch(self) -> None:
        try:
            response = await self._http.get(self._url)
            response.raise_for_status()
            self._keys = read_keys(response.content)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            log.warning("keys_not_fetched", error=type(error).__name__, kept=len(self._keys or ()))
            return
        self._fetched_at = time.monotonic()
        log.info("keys_fetched", count=len(self._keys))


def read_keys(document: bytes) -> dict[str, PyJWK]:
    """Read a JWKS document, without the keys that cannot verify an access token. Raises ValueError."""
    read = [_read_key(entry) for entry in _Document.model_validate_json(document).keys]
    return {str(key.key_id): key for key in read if key is not None}


def _read_key(entry: dict[str, Any]) -> PyJWK | None:
    algorithm = ALGORITHMS.get(str(entry.get("kty")))
    usable = (
        algorithm is not None
        and isinstance(entry.get("kid"), str)
        and entry.get("alg", algorithm) == algorithm
        and entry.get("use", "sig") == "sig"
        and entry.get("crv", "P-256") == "P-256"
    )
    if not usable:
        return None
    try:
        key = PyJWK(entry, algorithm)
    except (PyJWTError, ValueError, TypeError):
        return None
    return key if getattr(key.key, "key_size", 0) >= RSA_BITS_MIN or algorithm == "ES256" else None
