"""The issuer's keys: fetched once, kept through trouble, renewed unseen, and only those that are fit for use."""

import asyncio
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.issuer import (
    ISSUER,
    RSA_KEY,
    SAVER,
    STRANGER,
    Issuer,
    claims,
    hmac_forged,
    make_issuer,
    refused,
    rsa_jwk,
    segment,
    verifying,
)
from tests.support.loopback import served
from tests.support.observed import Sample
from zanari_api.kit.ids import new_id
from zanari_api.runtime.auth import AuthUnavailable, TokenVerifier
from zanari_api.runtime.metrics import Metrics
from zanari_api.sandbox.auth import TokenMint

WEAK_RSA_KEY = rsa.generate_private_key(65537, 1024)  # noqa: S505 (it is there to be left out)


@pytest.fixture(scope="module")
def mint(tmp_path_factory: pytest.TempPathFactory) -> TokenMint:
    return TokenMint(tmp_path_factory.mktemp("mint"), issuer=ISSUER)


@pytest.fixture(scope="module")
def other_mint(tmp_path_factory: pytest.TempPathFactory) -> TokenMint:
    return TokenMint(tmp_path_factory.mktemp("other"), issuer=ISSUER)


@pytest.fixture
def issuer(mint: TokenMint) -> Issuer:
    return make_issuer(mint)


async def test_keys_are_fetched_once_for_many_requests_at_once(
    issuer: Issuer, metrics: Metrics, mint: TokenMint
) -> None:
    issuer.delay_s = 0.1
    tokens = [mint.mint(new_id()) for _ in range(20)]
    async with verifying(issuer, metrics) as verifier:
        assert len(await asyncio.gather(*map(verifier.verify, tokens))) == 20
    assert issuer.asked == 1


async def test_a_caller_who_gives_up_does_not_end_the_fetch_for_others(
    issuer: Issuer, metrics: Metrics, mint: TokenMint
) -> None:
    issuer.delay_s = 0.2
    async with verifying(issuer, metrics) as verifier:
        impatient = asyncio.create_task(verifier.verify(mint.mint(SAVER)))
        patient = asyncio.create_task(verifier.verify(mint.mint(SAVER)))
        await asyncio.sleep(0.05)
        impatient.cancel()
        assert (await patient).saver_id == SAVER
    assert issuer.asked == 1


async def test_a_new_key_is_found_when_a_token_names_it(
    issuer: Issuer, metrics: Metrics, mint: TokenMint, other_mint: TokenMint
) -> None:
    async with verifying(issuer, metrics, unknown_kid_pause_s=0.2) as verifier:
        await verifier.verify(mint.mint(SAVER))
        issuer.document = {"keys": [*mint.jwks()["keys"], *other_mint.jwks()["keys"]]}
        await refused(verifier, other_mint.mint(SAVER))
        await asyncio.sleep(0.25)
        assert (await verifier.verify(other_mint.mint(SAVER))).saver_id == SAVER
        assert issuer.asked == 2


async def test_made_up_key_ids_do_not_make_us_ask_the_issuer_again_and_again(
    issuer: Issuer, metrics: Metrics, mint: TokenMint
) -> None:
    async with verifying(issuer, metrics, unknown_kid_pause_s=0.4) as verifier:
        await verifier.verify(mint.mint(SAVER))
        for turn in range(2):
            await asyncio.sleep(0.45)
            for number in range(20):
                kid = f"{turn}-{number}"
                await refused(verifier, jwt.encode(claims(), STRANGER, "ES256", {"kid": kid}))
        assert issuer.asked == 3


TROUBLES: dict[str, object] = {
    "error": {},
    "garbage": "x",
    "not a set": [],
    "keys that are none": {"keys": [1]},
    "away": {},
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_the_last_good_keys_are_kept_when_the_issuer_is_in_trouble(
    issuer: Issuer, metrics: Metrics, mint: TokenMint, trouble: str
) -> None:
    unknown = jwt.encode(claims(), STRANGER, "ES256", {"kid": "new"})
    async with served(issuer.app) as url:
        verifier = TokenVerifier(
            issuer=ISSUER, jwks_url=f"{url}/jwks.json", metrics=metrics, unknown_kid_pause_s=0.05
        )
        await verifier.verify(mint.mint(SAVER))
        await asyncio.sleep(0.1)
        issuer.status = 503 if trouble == "error" else 200
        issuer.document = TROUBLES[trouble]
        if trouble != "away":
            await refused(verifier, unknown)
            assert issuer.asked == 2
    await asyncio.sleep(0.1)
    await refused(verifier, unknown)
    assert (await verifier.verify(mint.mint(SAVER))).saver_id == SAVER
    await verifier.close()


async def test_keys_are_renewed_without_a_request_waiting_and_a_withdrawn_one_ends(
    issuer: Issuer, metrics: Metrics, mint: TokenMint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zanari_api.runtime.jwks.FRESH_S", 0.05)
    async with verifying(issuer, metrics, unknown_kid_pause_s=0.05) as verifier:
        await verifier.verify(mint.mint(SAVER))
        await asyncio.sleep(0.1)
        issuer.document, issuer.delay_s = {"keys": []}, 0.5
        await verifier.verify(mint.mint(SAVER))
        assert issuer.asked == 1, "the request was answered before the issuer was"
        await asyncio.sleep(0.7)
        await refused(verifier, mint.mint(SAVER))


async def test_before_any_key_was_fetched_the_answer_is_unavailable(
    issuer: Issuer, metrics: Metrics, mint: TokenMint, sample: Sample
) -> None:
    issuer.status = 500
    async with verifying(issuer, metrics) as verifier:
        for _ in range(2):
            with pytest.raises(AuthUnavailable) as caught:
                await verifier.verify(mint.mint(SAVER))
            assert (caught.value.status, caught.value.code) == (503, "auth_unavailable")
        assert issuer.asked == 1
        assert sample("zanari_credentials_refused_total", kind="access_token") == 0
        issuer.status = 200
        await asyncio.sleep(1.1)
        assert (await verifier.verify(mint.mint(SAVER))).saver_id == SAVER


USELESS_KEYS: list[dict[str, Any]] = [
    {"kty": "oct", "kid": "k", "k": segment(b"x" * 32), "alg": "HS256"},
    {"kty": "OKP", "kid": "k", "crv": "Ed25519", "x": segment(b"x" * 32)},
    rsa_jwk(WEAK_RSA_KEY, "k"),
    rsa_jwk(RSA_KEY, "k") | {"use": "enc"},
    rsa_jwk(RSA_KEY, "k") | {"alg": "RS512"},
    rsa_jwk(RSA_KEY, "k") | {"kid": None},
    rsa_jwk(RSA_KEY, "k") | {"n": "!!"},
    {"kty": "EC", "kid": "k", "crv": "P-384", "x": "x", "y": "y"},
    {"kty": "EC", "kid": "k", "crv": "P-256", "x": "AA", "y": "AA"},
    {"kid": "k"},
    {},
]


async def test_keys_that_cannot_verify_a_token_are_left_out_and_the_others_work(
    metrics: Metrics, mint: TokenMint
) -> None:
    async with verifying(Issuer([*USELESS_KEYS, *mint.jwks()["keys"]]), metrics) as verifier:
        assert (await verifier.verify(mint.mint(SAVER))).saver_id == SAVER
        assert list(verifier._keys._keys or {}) == [mint.kid]
        await refused(verifier, hmac_forged(b"x" * 32, {"kid": "k"}))
