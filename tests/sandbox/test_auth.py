"""The Auth emulator: one key however many start at once, and tokens that the service takes as real ones."""

import multiprocessing
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.loopback import served
from zanari_api.kit.ids import new_id
from zanari_api.runtime.auth import TokenVerifier
from zanari_api.runtime.metrics import Metrics
from zanari_api.sandbox.auth import KEY_FILE, TokenMint, create_auth_app

ISSUER = "http://127.0.0.1:54321/auth/v1"


@pytest.fixture
def mint(tmp_path: Path) -> TokenMint:
    return TokenMint(tmp_path, issuer=ISSUER)


@pytest.fixture
async def client(mint: TokenMint) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_auth_app(mint))
    async with httpx.AsyncClient(transport=transport, base_url="http://auth.test") as client:
        yield client


async def test_the_service_takes_its_tokens_by_its_published_key(mint: TokenMint) -> None:
    async with served(create_auth_app(mint)) as url, httpx.AsyncClient(base_url=url) as client:
        verifier = TokenVerifier(
            issuer=ISSUER, jwks_url=f"{url}/auth/v1/.well-known/jwks.json", metrics=Metrics()
        )
        answer = (await client.post("/auth/v1/token", json={"phone": "254712345678"})).json()
        principal = await verifier.verify(answer["access_token"])
        assert str(principal.saver_id) == answer["user"]["id"]
        assert principal.phone == "254712345678"
        await verifier.close()


async def test_a_token_can_be_had_for_a_user_and_a_time(client: httpx.AsyncClient) -> None:
    sub = new_id()
    answer = (await client.post("/auth/v1/token", json={"sub": str(sub), "expires_in": 60})).json()
    claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert claims["sub"] == str(sub)
    assert claims["exp"] - claims["iat"] == answer["expires_in"] == 60
    assert answer["token_type"] == "bearer"


async def test_without_a_wish_it_is_a_new_user_each_time(client: httpx.AsyncClient) -> None:
    users = {(await client.post("/auth/v1/token", json={})).json()["user"]["id"] for _ in range(2)}
    assert len({UUID(user) for user in users}) == 2


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b'{"sub": "wanjiku"}', b'{"phone": 254712345678}', b'{"phone": "none"}',
    b'{"expires_in": 0}', b'{"expires_in": 99999999}', b'{"role": "service_role"}',
])  # fmt: skip
async def test_an_odd_wish_is_a_400_with_a_sentence(client: httpx.AsyncClient, body: bytes) -> None:
    response = await client.post("/auth/v1/token", content=body)
    assert response.status_code == 400
    assert response.json()["error_description"]


async def test_only_the_public_half_of_the_key_is_published(client: httpx.AsyncClient) -> None:
    [key] = (await client.get("/auth/v1/.well-known/jwks.json")).json()["keys"]
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")
    assert "d" not in key


def test_the_key_is_kept_for_the_next_start_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    directory = tmp_path / "made" / "on" / "demand"
    first, second = TokenMint(directory, issuer=ISSUER), TokenMint(directory, issuer=ISSUER)
    assert first.kid == second.kid
    assert [file.name for file in directory.iterdir()] == [KEY_FILE]
    assert stat.S_IMODE((directory / KEY_FILE).stat().st_mode) == 0o600


def _kid_of(directory: Path) -> str:
    return TokenMint(directory, issuer=ISSUER).kid


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        kids = pool.map(_kid_of, [tmp_path] * 12, chunksize=1)
    assert len(set(kids)) == 1
    assert [file.name for file in tmp_path.iterdir()] == [KEY_FILE]


def test_another_kind_of_key_in_its_place_is_refused(tmp_path: Path) -> None:
    pem = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    (tmp_path / KEY_FILE).write_bytes(pem)
    with pytest.raises(TypeError, match="P-256"):
        TokenMint(tmp_path, issuer=ISSUER)


def test_claims_can_be_replaced_and_left_out(mint: TokenMint) -> None:
    token = mint.mint(new_id(), aud="other", role=None)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["aud"] == "other"
    assert "role" not in claims
    assert claims["iss"] == ISSUER
