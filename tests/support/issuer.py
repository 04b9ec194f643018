"""An issuer of access tokens that tests can change, break or slow down, and tokens that it never signed."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support.loopback import served
from zanari_api.kit.ids import new_id
from zanari_api.runtime.auth import InvalidToken, TokenVerifier
from zanari_api.runtime.metrics import Metrics
from zanari_api.sandbox.auth import TokenMint

SAVER = new_id()
ISSUER = "https://project.supabase.test/auth/v1"
RSA_KEY = rsa.generate_private_key(65537, 2048)
STRANGER = ec.generate_private_key(ec.SECP256R1())


class Issuer:
    """An issuer whose key set a test can change, break or slow down."""

    def __init__(self, keys: list[dict[str, Any]]) -> None:
        self.document: object = {"keys": keys}
        self.status = 200
        self.delay_s = 0.0
        self.asked = 0
        self.app = Starlette(routes=[Route("/jwks.json", self.answer)])

    async def answer(self, _request: Request) -> Response:
        self.asked += 1
        await asyncio.sleep(self.delay_s)
        return JSONResponse(self.document, self.status)


def rsa_jwk(key: rsa.RSAPrivateKey, kid: str) -> dict[str, Any]:
    return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "alg": "RS256", "use": "sig"}


def make_issuer(mint: TokenMint) -> Issuer:
    return Issuer([*mint.jwks()["keys"], rsa_jwk(RSA_KEY, "rsa")])


@asynccontextmanager
async def verifying(issuer: Issuer, metrics: Metrics, **options: Any) -> AsyncIterator[TokenVerifier]:
    """Yield a verifier that trusts `issuer`, served on a real socket."""
    async with served(issuer.app) as url:
        verifier = TokenVerifier(issuer=ISSUER, jwks_url=f"{url}/jwks.json", metrics=metrics, **options)
        try:
            yield verifier
        finally:
            await verifier.close()


def claims(**overrides: object) -> dict[str, object]:
    now = int(time.time())
    made: dict[str, object] = {
        "iss": ISSUER, "aud": "authenticated", "sub": str(SAVER), "role": "authenticated",
        "iat": now, "exp": now + 60,
    }  # fmt: skip
    return {name: value for name, value in (made | overrides).items() if value is not None}


def segment(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


async def refused(verifier: TokenVerifier, token: str) -> InvalidToken:
    with pytest.raises(InvalidToken) as caught:
        await verifier.verify(token)
    assert caught.value.status == 401
    assert caught.value.headers == {"WWW-Authenticate": "Bearer"}
    assert len(token) < len("x.y.z") or token not in caught.value.detail
    return caught.value


def hmac_forged(secret: bytes, header: dict[str, object]) -> str:
    """Sign with HS256 and any bytes as the secret; the library itself refuses public keys."""
    signed = f"{segment({'alg': 'HS256', 'typ': 'JWT'} | header)}.{segment(claims())}"
    signature = jwt.get_algorithm_by_name("HS256").sign(signed.encode(), secret)
    return f"{signed}.{segment(signature)}"
