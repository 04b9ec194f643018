"""An emulator of Supabase Auth for development and tests: tokens, sessions, bans. Never checks who asks for one."""

import hashlib
import json
import os
import secrets
import time
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import ECAlgorithm
from jwt.utils import base64url_encode
from pydantic import Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from zanari_api.kit.clock import utc_now
from zanari_api.kit.ids import new_id
from zanari_api.kit.schema import Schema
from zanari_api.sandbox.auth_sessions import BAN_DURATION, Sessions

KEY_FILE: Final = "auth-emulator-key.pem"
LEEWAY_S: Final = 10
EXPIRES_IN_S: Final = 3600
EXPIRES_IN_MAX_S: Final = 30 * 24 * 3600


class TokenMint:
    """Mints ES256 access tokens as Supabase Auth does. The key is made once, in `directory`."""

    def __init__(self, directory: Path, *, issuer: str) -> None:
        self.issuer = issuer
        self.sessions = Sessions()
        self._key = _load_or_make_key(directory / KEY_FILE)
        self._public: dict[str, Any] = ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        self.kid = _thumbprint(self._public)

    def jwks(self) -> dict[str, Any]:
        """Return the key set that verifies these tokens."""
        return {
            "keys": [{**self._public, "kid": self.kid, "alg": "ES256", "use": "sig", "key_ops": ["verify"]}]
        }

    def mint(
        self,
        sub: UUID | str,
        phone: str | None = None,
        *,
        expires_in: int = EXPIRES_IN_S,
        **overrides: object,
    ) -> str:
        """Return a token for `sub`, who has just signed in. `overrides` replace claims; None leaves one out."""
        now = int(time.time())
        claims: dict[str, object] = {
            "iss": self.issuer,
            "aud": "authenticated",
            "sub": str(sub),
            "role": "authenticated",
            "aal": "aal1",
            "amr": [{"method": "otp", "timestamp": now}],
            "session_id": str(new_id()),
            "is_anonymous": False,
            "phone": phone or "",
            "email": "",
            "iat": now,
            "exp": now + expires_in,
        }
        kept = {name: value for name, value in (claims | overrides).items() if value is not None}
        self.sessions.begin(kept)
        return jwt.encode(kept, self._key, algorithm="ES256", headers={"kid": self.kid})

    def read(self, token: str) -> dict[str, Any]:
        """Return the claims of a token of this mint. Raises PyJWTError for any other, and for one that expired."""
        return jwt.decode(
            token,
            self._key.public_key(),
            algorithms=["ES256"],
            audience="authenticated",
            issuer=self.issuer,
            leeway=LEEWAY_S,
            options={"require": ["sub", "session_id", "iat", "exp"]},
        )


class Wish(Schema):
    """What kind of token a developer asks for; a new user when there is no `sub`."""

    sub: UUID | None = None
    phone: Annotated[str, Field(pattern=r"^\+?[0-9]{6,15}$")] | None = None
    expires_in: Annotated[int, Field(gt=0, le=EXPIRES_IN_MAX_S)] = EXPIRES_IN_S


class UserUpdate(Schema):
    """What an administrator may change of a user here."""

    ban_duration: Annotated[str, Field(pattern=BAN_DURATION)]


def create_auth_app(mint: TokenMint) -> Starlette:
    """Serve `mint` over HTTP, under the paths Supabase Auth has them."""
    answers = _Answers(mint)
    return Starlette(
        routes=[
            Route("/auth/v1/.well-known/jwks.json", answers.jwks),
            Route("/auth/v1/token", answers.token, methods=["POST"]),
            Route("/auth/v1/user", answers.user),
            Route("/auth/v1/logout", answers.logout, methods=["POST"]),
            Route("/auth/v1/admin/users/{user_id:uuid}", answers.update_user, methods=["PUT"]),
        ]
    )


class _Refused(Exception):  # noqa: N818 (an answer, not an error of ours)
    """Carries the answer that a request gets in place of the one it asked for."""

    def __init__(self, answer: JSONResponse) -> None:
        self.answer = answer


class _Answers:
    """What each path answers."""

    def __init__(self, mint: TokenMint) -> None:
        self._mint = mint
        self._sessions = mint.sessions

    async def jwks(self, _request: Request) -> Response:
        return JSONResponse(self._mint.jwks(), headers={"Cache-Control": "public, max-age=600"})

    async def token(self, request: Request) -> Response:
        """Mint a token for `{"sub": uuid?, "phone": digits?, "expires_in": seconds?}`."""
        try:
            wish = Wish.model_validate_json(await request.body())
        except ValidationError as error:
            return _invalid_request(error)
        sub, phone = wish.sub or new_id(), wish.phone
        if self._sessions.banned_until(str(sub), now=utc_now()) is not None:
            return _problem(400, "user_banned", "User is banned")
        answer = {
            "access_token": self._mint.mint(sub, phone, expires_in=wish.expires_in),
            "token_type": "bearer",
            "expires_in": wish.expires_in,
            "user": self._user(str(sub), phone or ""),
        }
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    async def user(self, request: Request) -> Response:
        """Answer the user of a token whose session stands."""
        try:
            claims = self._signed_in(request)
        except _Refused as refused:
            return refused.answer
        return JSONResponse(self._user(claims["sub"], claims.get("phone", "")))

    async def logout(self, request: Request) -> Response:
        """End every session of the user, or with `scope=local` the token's own."""
        try:
            claims = self._signed_in(request)
        except _Refused as refused:
            return refused.answer
        if request.query_params.get("scope") == "local":
            self._sessions.end(claims)
        else:
            self._sessions.end_all(claims, now=utc_now())
        return Response(status_code=204)

    async def update_user(self, request: Request) -> Response:
        """Ban a user by `{"ban_duration": "24h"}`, or lift the ban by `none`."""
        user_id = str(request.path_params["user_id"])
        try:
            update = UserUpdate.model_validate_json(await request.body())
        except ValidationError as error:
            return _invalid_request(error)
        self._sessions.ban(user_id, update.ban_duration, now=utc_now())
        return JSONResponse(self._user(user_id, ""))

    def _signed_in(self, request: Request) -> dict[str, Any]:
        """Return the claims of a token whose session stands. Raises _Refused with what Supabase answers otherwise."""
        if not request.headers.get("apikey"):
            # The gateway's answer, in another form than Auth's own.
            raise _Refused(JSONResponse({"message": "No API key found in request"}, 401))
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise _Refused(_problem(401, "no_authorization", "This endpoint requires a valid Bearer token"))
        try:
            claims = self._mint.read(token)
        except jwt.PyJWTError as error:
            raise _Refused(_problem(403, "bad_jwt", f"invalid JWT: {type(error).__name__}")) from error
        if not self._sessions.stands(claims):
            raise _Refused(
                _problem(403, "session_not_found", "Session from session_id claim in JWT does not exist")
            )
        if self._sessions.banned_until(claims["sub"], now=utc_now()) is not None:
            raise _Refused(_problem(403, "user_banned", "User is banned"))
        return claims

    def _user(self, user_id: str, phone: str) -> dict[str, object]:
        user: dict[str, object] = {
            "id": user_id,
            "aud": "authenticated",
            "role": "authenticated",
            "phone": phone,
        }
        banned_until = self._sessions.banned_until(user_id, now=utc_now())
        return user if banned_until is None else user | {"banned_until": banned_until.isoformat()}


def _problem(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"code": status, "error_code": code, "msg": message}, status)


def _invalid_request(error: ValidationError) -> JSONResponse:
    first = error.errors()[0]
    sentence = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return JSONResponse({"error": "invalid_request", "error_description": sentence}, 400)


def _load_or_make_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Read the key, or make it. Of several processes that start at once, one makes it and all use it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        # The mode is set before there is content to read.
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
        try:
            # A link appears whole or not at all, and never replaces the key that another process made first.
            path.hardlink_to(new)
        except FileExistsError:
            pass
        finally:
            new.unlink()
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise TypeError(f"{path.name} holds no P-256 key")
    return key


def _thumbprint(public: dict[str, Any]) -> str:
    """Return the key's RFC 7638 thumbprint."""
    required = {name: public[name] for name in ("crv", "kty", "x", "y")}
    canonical = json.dumps(required, separators=(",", ":"), sort_keys=True).encode()
    return base64url_encode(hashlib.sha256(canonical).digest()).decode()
