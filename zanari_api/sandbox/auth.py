"""An emulator of Supabase Auth for development and tests: mints tokens. Never checks who asks for one."""

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
from starlette.responses import JSONResponse
from starlette.routing import Route

from zanari_api.kit.ids import new_id
from zanari_api.kit.schema import Schema

KEY_FILE: Final = "auth-emulator-key.pem"
EXPIRES_IN_S: Final = 3600
EXPIRES_IN_MAX_S: Final = 30 * 24 * 3600


class TokenMint:
    """Mints ES256 access tokens as Supabase Auth does. The key is made once, in `directory`."""

    def __init__(self, directory: Path, *, issuer: str) -> None:
        self.issuer = issuer
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
        """Return a token for `sub`. `overrides` replace claims; None leaves one out."""
        now = int(time.time())
        claims: dict[str, object] = {
            "iss": self.issuer,
            "aud": "authenticated",
            "sub": str(sub),
            "role": "authenticated",
            "aal": "aal1",
            "session_id": str(new_id()),
            "is_anonymous": False,
            "phone": phone or "",
            "email": "",
            "iat": now,
            "exp": now + expires_in,
        }
        kept = {name: value for name, value in (claims | overrides).items() if value is not None}
        return jwt.encode(kept, self._key, algorithm="ES256", headers={"kid": self.kid})


class Wish(Schema):
    """What kind of token a developer asks for; a new user when there is no `sub`."""

    sub: UUID | None = None
    phone: Annotated[str, Field(pattern=r"^\+?[0-9]{6,15}$")] | None = None
    expires_in: Annotated[int, Field(gt=0, le=EXPIRES_IN_MAX_S)] = EXPIRES_IN_S


def create_auth_app(mint: TokenMint) -> Starlette:
    """Serve `mint` over HTTP, under the paths Supabase Auth has them."""

    async def jwks(_request: Request) -> JSONResponse:
        return JSONResponse(mint.jwks(), headers={"Cache-Control": "public, max-age=600"})

    async def token(request: Request) -> JSONResponse:
        """Mint a token for `{"sub": uuid?, "phone": digits?, "expires_in": seconds?}`."""
        try:
            wish = Wish.model_validate_json(await request.body())
        except ValidationError as error:
            first = error.errors()[0]
            sentence = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            return JSONResponse({"error": "invalid_request", "error_description": sentence}, 400)
        sub, phone = wish.sub or new_id(), wish.phone
        answer = {
            "access_token": mint.mint(sub, phone, expires_in=wish.expires_in),
            "token_type": "bearer",
            "expires_in": wish.expires_in,
            "user": {"id": str(sub), "aud": "authenticated", "role": "authenticated", "phone": phone or ""},
        }
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    return Starlette(
        routes=[
            Route("/auth/v1/.well-known/jwks.json", jwks),
            Route("/auth/v1/token", token, methods=["POST"]),
        ]
    )


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
