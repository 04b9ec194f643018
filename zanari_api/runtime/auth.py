"""Says who a Supabase access token belongs to. Never makes tokens, and knows nothing of savers' rows."""

import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Final, cast
from uuid import UUID

import jwt

from zanari_api.kit.errors import Refusal
from zanari_api.runtime.jwks import UNKNOWN_KID_PAUSE_S, AuthUnavailable, KeySet
from zanari_api.runtime.metrics import Metrics

AUDIENCE: Final = "authenticated"
ROLE: Final = "authenticated"
PUBLIC_ALGORITHMS: Final = frozenset({"ES256", "RS256"})
LEGACY_ALGORITHM: Final = "HS256"
LEGACY_SECRET_MIN_BYTES: Final = 32
REQUIRED_CLAIMS: Final = ("exp", "iat", "iss", "aud", "sub")

LEEWAY_S: Final = 10
CACHED_TOKENS_MAX: Final = 20_000
TOKEN_MAX_CHARS: Final = 8192
NO_PROOF: Final = frozenset({"token_refresh", "anonymous"})
"""Methods in an `amr` claim by which nobody proved anything."""
UUID_TEXT: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
PHONE_CLAIM: Final = re.compile(r"\+?[0-9]{6,15}")

__all__ = ["AuthUnavailable", "InvalidToken", "Principal", "TokenMissing", "TokenVerifier"]


class TokenMissing(Refusal):
    """Send an access token: `Authorization: Bearer <token>`."""

    code = "token_missing"
    status = 401
    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": "Bearer"}


class InvalidToken(Refusal):
    """The access token is not valid here. Sign in again."""

    code = "invalid_token"
    status = 401
    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": "Bearer"}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a verified token speaks for, and what Supabase Auth says of them."""

    saver_id: UUID
    phone: str | None
    """The digits of the `phone` claim as Auth wrote them; None when there is no confirmed number."""
    issued_at: datetime
    expires_at: datetime
    signed_in_at: datetime | None = None
    """When the person last proved who they are, which no refreshed token does; None where Auth does not say."""


class TokenVerifier:
    """Verifies access tokens of one issuer, and remembers each verified one until it expires.

    `hs256_secret` is the legacy shared secret; without it no HS256 token is ever accepted. A key is only
    used with its own algorithm, so a public key can never pass as a shared secret.
    """

    def __init__(
        self,
        *,
        issuer: str,
        jwks_url: str,
        metrics: Metrics,
        hs256_secret: str | None = None,
        leeway_s: int = LEEWAY_S,
        unknown_kid_pause_s: float = UNKNOWN_KID_PAUSE_S,
    ) -> None:
        """Raises ValueError for a shared secret that is too short to be one."""
        self._secret = hs256_secret.encode() if hs256_secret else None
        if self._secret is not None and len(self._secret) < LEGACY_SECRET_MIN_BYTES:
            raise ValueError(f"the legacy secret must have at least {LEGACY_SECRET_MIN_BYTES} bytes")
        self._issuer = issuer
        self._metrics = metrics
        self._leeway_s = leeway_s
        self._keys = KeySet(jwks_url, unknown_kid_pause_s=unknown_kid_pause_s)
        self._verified: OrderedDict[bytes, Principal] = OrderedDict()

    async def verify(self, token: str) -> Principal:
        """Return whom `token` speaks for. Raises InvalidToken, or AuthUnavailable until keys were fetched."""
        # The digest, not the token, is what is kept: a memory dump then holds nothing that opens a door.
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        principal = self._verified.get(digest)
        if principal is not None and time.time() < principal.expires_at.timestamp() + self._leeway_s:
            self._verified.move_to_end(digest)
            return principal
        self._verified.pop(digest, None)
        try:
            principal = _principal(await self._claims(token))
        except InvalidToken:
            self._metrics.credentials_refused.labels("access_token").inc()
            raise
        self._verified[digest] = principal
        if len(self._verified) > CACHED_TOKENS_MAX:
            self._verified.popitem(last=False)
        return principal

    async def close(self) -> None:
        await self._keys.close()

    async def _claims(self, token: str) -> Mapping[str, Any]:
        """Check signature, times, issuer and audience, and return the claims."""
        if len(token) > TOKEN_MAX_CHARS or not token.isascii():
            raise InvalidToken(reason="malformed")
        algorithm, kid = _header(token)
        key: jwt.PyJWK | bytes | None = None
        if algorithm == LEGACY_ALGORITHM:
            key = self._secret
        elif algorithm in PUBLIC_ALGORITHMS and kid is not None:
            key = await self._keys.find(kid)
            if key is not None and key.algorithm_name != algorithm:
                key = None
        if key is None:
            raise InvalidToken(reason="no_key")
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=AUDIENCE,
                issuer=self._issuer,
                leeway=self._leeway_s,
                options={"require": list(REQUIRED_CLAIMS)},
            )
        except jwt.ExpiredSignatureError as error:
            raise InvalidToken("The access token has expired. Refresh it.", reason="expired") from error
        except (jwt.PyJWTError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
            raise InvalidToken(reason=type(error).__name__) from error


def _header(token: str) -> tuple[str, str | None]:
    """Return the algorithm and key id a token names. Nothing in it is believed yet."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise InvalidToken(reason="malformed") from error
    algorithm, kid = cast("object", header.get("alg")), cast("object", header.get("kid"))
    if not isinstance(algorithm, str) or not (kid is None or isinstance(kid, str)):
        raise InvalidToken(reason="malformed")
    return algorithm, kid


def _principal(claims: Mapping[str, Any]) -> Principal:
    """Read the claims of a verified token. Only a person who signed in for good may act as a saver."""
    if claims.get("role") != ROLE:
        raise InvalidToken(reason="role")
    if claims.get("is_anonymous", False) is not False:
        raise InvalidToken(
            "Anonymous users have no account here. Sign in with a phone number.", reason="anonymous"
        )
    subject, phone = cast("object", claims["sub"]), cast("object", claims.get("phone"))
    if not isinstance(subject, str) or not UUID_TEXT.fullmatch(subject):
        raise InvalidToken(reason="subject")
    try:
        issued_at, expires_at = (datetime.fromtimestamp(int(claims[name]), UTC) for name in ("iat", "exp"))
    except (ValueError, OverflowError, OSError, TypeError) as error:
        raise InvalidToken(reason="times") from error
    return Principal(
        saver_id=UUID(subject),
        phone=phone if isinstance(phone, str) and PHONE_CLAIM.fullmatch(phone) else None,
        issued_at=issued_at,
        expires_at=expires_at,
        signed_in_at=_signed_in_at(claims.get("amr")),
    )


def _signed_in_at(methods: object) -> datetime | None:
    """Return when the newest method of the `amr` claim was used; entries of another form count for nothing."""
    used_at: list[int] = []
    for method in cast("list[object]", methods) if isinstance(methods, list) else ():
        match method:
            case {"method": str(name), "timestamp": int(second)} if name not in NO_PROOF:
                used_at.append(second)
            case _:
                continue
    try:
        return datetime.fromtimestamp(max(used_at), UTC)
    except (ValueError, OverflowError, OSError):
        return None
