"""The Auth emulator: one key however many start at once, and tokens that the service takes as real ones."""

import multiprocessing
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
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

Asked = Callable[..., Awaitable[httpx.Response]]

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


@pytest.fixture
async def asked(client: httpx.AsyncClient) -> Asked:
    """Call a path that needs a session, with a token or without."""

    async def ask(method: str, path: str, token: str | None = None, key: str = "a key") -> httpx.Response:
        bearer = {"Authorization": f"Bearer {token}"} if token is not None else {}
        return await client.request(method, f"/auth/v1{path}", headers=bearer | {"apikey": key})

    return ask


async def test_a_token_says_whose_it_is_while_its_session_stands(mint: TokenMint, asked: Asked) -> None:
    sub = new_id()
    answer = await asked("GET", "/user", mint.mint(sub, "254712345678"))
    assert answer.status_code == 200
    assert (answer.json()["id"], answer.json()["phone"]) == (str(sub), "254712345678")
    assert "banned_until" not in answer.json()


async def test_a_token_of_another_process_with_the_same_key_is_good_too(
    mint: TokenMint, asked: Asked, tmp_path: Path
) -> None:
    elsewhere = TokenMint(tmp_path, issuer=ISSUER)
    assert (await asked("GET", "/user", elsewhere.mint(new_id()))).status_code == 200


async def test_signing_out_ends_one_session_or_all_that_there_were(mint: TokenMint, asked: Asked) -> None:
    sub = new_id()
    first, second, third = (mint.mint(sub) for _ in range(3))
    elsewhere = mint.mint(sub, session_id=str(new_id()), iat=int(time.time()) - 60)
    assert (await asked("POST", "/logout?scope=local", first)).status_code == 204
    assert [await ended(asked, token) for token in (first, second)] == ["session_not_found", None]
    assert (await asked("POST", "/logout?scope=global", second)).status_code == 204
    assert {await ended(asked, token) for token in (second, third, elsewhere)} == {"session_not_found"}
    assert await ended(asked, mint.mint(sub)) is None
    assert await ended(asked, mint.mint(new_id())) is None


async def test_signing_out_everywhere_ends_what_other_processes_had_begun(
    mint: TokenMint, asked: Asked, tmp_path: Path
) -> None:
    sub, elsewhere = new_id(), TokenMint(tmp_path, issuer=ISSUER)
    before = elsewhere.mint(sub)
    await asked("POST", "/logout", mint.mint(sub))
    assert await ended(asked, before) == "session_not_found"
    assert await ended(asked, elsewhere.mint(sub, iat=int(time.time()) + 1)) is None


async def test_a_banned_user_is_turned_away_until_the_ban_is_lifted(
    mint: TokenMint, asked: Asked, client: httpx.AsyncClient
) -> None:
    sub = new_id()
    token = mint.mint(sub)
    banned = await client.put(f"/auth/v1/admin/users/{sub}", json={"ban_duration": "876000h"})
    assert datetime.fromisoformat(banned.json()["banned_until"]).year > 2100
    assert await ended(asked, token) == "user_banned"
    assert (await client.post("/auth/v1/token", json={"sub": str(sub)})).status_code == 400
    lifted = await client.put(f"/auth/v1/admin/users/{sub}", json={"ban_duration": "none"})
    assert "banned_until" not in lifted.json()
    assert await ended(asked, token) is None


@pytest.mark.parametrize("body", [b"", b"{}", b'{"ban_duration": "for ever"}', b'{"ban_duration": "-1h"}'])
async def test_an_odd_ban_is_a_400(client: httpx.AsyncClient, body: bytes) -> None:
    assert (await client.put(f"/auth/v1/admin/users/{new_id()}", content=body)).status_code == 400


async def test_what_is_no_token_of_a_session_is_answered_as_supabase_does(
    mint: TokenMint, asked: Asked
) -> None:
    without_key = await asked("GET", "/user", mint.mint(new_id()), key="")
    assert (without_key.status_code, "error_code" in without_key.json()) == (401, False)
    assert (await asked("GET", "/user")).json()["error_code"] == "no_authorization"
    for token in ("x.y.z", mint.mint(new_id(), expires_in=-60), mint.mint(new_id(), session_id=None)):
        for answer in (await asked("GET", "/user", token), await asked("POST", "/logout", token)):
            assert (answer.status_code, answer.json()["error_code"]) == (403, "bad_jwt")


async def ended(asked: Asked, token: str) -> str | None:
    """Return why Auth no longer knows the token; None while it does."""
    answer = await asked("GET", "/user", token)
    return None if answer.status_code == 200 else answer.json()["error_code"]


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
