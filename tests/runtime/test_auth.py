"""Access tokens: whom they speak for, and every way in which they speak for nobody."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

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
    segment,
    verifying,
)
from tests.support.observed import Sample
from zanari_api.kit.ids import new_id
from zanari_api.runtime.auth import TokenVerifier
from zanari_api.runtime.metrics import Metrics
from zanari_api.sandbox.auth import TokenMint

LEGACY_SECRET = "the-legacy-secret-of-this-test-project-0123456789"


@pytest.fixture(scope="module")
def mint(tmp_path_factory: pytest.TempPathFactory) -> TokenMint:
    return TokenMint(tmp_path_factory.mktemp("mint"), issuer=ISSUER)


@pytest.fixture
def issuer(mint: TokenMint) -> Issuer:
    return make_issuer(mint)


@pytest.fixture(scope="module")
async def verifier(mint: TokenMint) -> AsyncIterator[TokenVerifier]:
    async with verifying(make_issuer(mint), Metrics()) as verifier:
        yield verifier


@pytest.fixture(scope="module")
async def legacy_verifier(mint: TokenMint) -> AsyncIterator[TokenVerifier]:
    async with verifying(make_issuer(mint), Metrics(), hs256_secret=LEGACY_SECRET) as verifier:
        yield verifier


async def test_a_token_says_who_calls(verifier: TokenVerifier, mint: TokenMint) -> None:
    before = int(time.time())
    principal = await verifier.verify(mint.mint(SAVER, "254712345678", expires_in=90))
    assert principal.saver_id == SAVER
    assert principal.phone == "254712345678"
    assert before <= principal.issued_at.timestamp() <= time.time()
    assert (principal.expires_at - principal.issued_at).total_seconds() == 90


async def test_a_token_signed_with_rsa_is_as_good(verifier: TokenVerifier) -> None:
    token = jwt.encode(claims(), RSA_KEY, "RS256", {"kid": "rsa"})
    assert (await verifier.verify(token)).saver_id == SAVER


async def test_the_legacy_secret_works_where_it_is_configured(
    legacy_verifier: TokenVerifier, verifier: TokenVerifier
) -> None:
    token = jwt.encode(claims(), LEGACY_SECRET, "HS256")
    assert (await legacy_verifier.verify(token)).saver_id == SAVER
    await refused(verifier, token)


async def test_a_sign_in_is_as_old_as_its_newest_proof_and_a_refreshed_token_is_none(
    verifier: TokenVerifier, mint: TokenMint
) -> None:
    amr = [
        {"method": "password", "timestamp": 1_700_000_000},
        {"method": "otp", "timestamp": 1_700_000_500},
        {"method": "token_refresh", "timestamp": 1_700_009_000},
    ]
    principal = await verifier.verify(mint.mint(SAVER, amr=amr))
    assert principal.signed_in_at == datetime(2023, 11, 14, 22, 21, 40, tzinfo=UTC)


@pytest.mark.parametrize("amr", [
    None, [], "otp", ["otp"], [None], {"method": "otp", "timestamp": 1_700_000_000}, [{"method": "otp"}],
    [{"timestamp": 1_700_000_000}], [{"method": "otp", "timestamp": "1700000000"}],
    [{"method": "otp", "timestamp": 10**30}], [{"method": "token_refresh", "timestamp": 1_700_000_000}],
], ids=repr)  # fmt: skip
async def test_a_token_that_does_not_say_when_is_of_nobody_who_has_just_signed_in(
    verifier: TokenVerifier, mint: TokenMint, amr: object
) -> None:
    assert (await verifier.verify(mint.mint(SAVER, amr=amr))).signed_in_at is None


@pytest.mark.parametrize(
    "phone", [None, "", 254712345678, "not a number", "<254712345678>", "1" * 40, ["2547"]]
)
async def test_a_phone_that_is_no_confirmed_number_is_no_phone(
    legacy_verifier: TokenVerifier, phone: object
) -> None:
    token = jwt.encode(claims(phone=phone), LEGACY_SECRET, "HS256")
    assert (await legacy_verifier.verify(token)).phone is None


NOW = int(time.time())
BAD_CLAIMS: dict[str, dict[str, object]] = {
    "expired": {"exp": NOW - 60, "iat": NOW - 120},
    "no expiry": {"exp": None},
    "expiry that is no number": {"exp": "soon"},
    "expiry beyond the calendar": {"exp": 10**18},
    "endless expiry": {"exp": float("inf")},
    "no number as expiry": {"exp": float("nan")},
    "issued in the future": {"iat": NOW + 3600},
    "no time of issue": {"iat": None},
    "not valid yet": {"nbf": NOW + 3600},
    "another issuer": {"iss": "https://other.supabase.test/auth/v1"},
    "issuer with a slash": {"iss": f"{ISSUER}/"},
    "no issuer": {"iss": None},
    "another audience": {"aud": "anon"},
    "no audience": {"aud": None},
    "no subject": {"sub": None},
    "empty subject": {"sub": ""},
    "subject that is no id": {"sub": "wanjiku"},
    "subject in braces": {"sub": "{" + str(SAVER) + "}"},
    "subject without dashes": {"sub": SAVER.hex},
    "subject as a URN": {"sub": f"urn:uuid:{SAVER}"},
    "subject that is a number": {"sub": 7},
    "anonymous role": {"role": "anon"},
    "service role": {"role": "service_role"},
    "no role": {"role": None},
    "a list of roles": {"role": ["authenticated"]},
    "anonymous user": {"is_anonymous": True},
    "anonymous in words": {"is_anonymous": "false"},
}


@pytest.mark.parametrize("wrong", BAD_CLAIMS)
async def test_a_token_with_wrong_claims_is_refused_whoever_signed_it(
    legacy_verifier: TokenVerifier, mint: TokenMint, wrong: str
) -> None:
    made = claims(**BAD_CLAIMS[wrong])
    await refused(legacy_verifier, jwt.encode(made, LEGACY_SECRET, "HS256"))
    await refused(legacy_verifier, jwt.encode(made, mint._key, "ES256", {"kid": mint.kid}))


async def test_an_expired_token_says_so_and_a_clock_a_little_off_is_forgiven(
    verifier: TokenVerifier, mint: TokenMint
) -> None:
    assert "expired" in (await refused(verifier, mint.mint(SAVER, expires_in=-60))).detail
    assert await verifier.verify(mint.mint(SAVER, expires_in=-2))
    assert await verifier.verify(mint.mint(SAVER, iat=int(time.time()) + 5))


ED25519_KEY = ed25519.Ed25519PrivateKey.generate()
OTHER_CURVE = ec.generate_private_key(ec.SECP384R1())

FORGERIES: dict[str, Callable[[TokenMint], str]] = {
    "unsigned": lambda mint: jwt.encode(claims(), None, "none", {"kid": mint.kid}),
    "unsigned, spelled otherwise": lambda mint: (
        f"{segment({'alg': 'nOnE', 'kid': mint.kid})}.{segment(claims())}."
    ),
    "a stranger's key": lambda mint: jwt.encode(claims(), STRANGER, "ES256", {"kid": mint.kid}),
    "a stranger's key in the header": lambda mint: jwt.encode(
        claims(),
        STRANGER,
        "ES256",
        {"kid": mint.kid, "jwk": mint.jwks()["keys"][0], "jku": "http://127.0.0.1:1/"},
    ),
    "an unknown key": lambda _: jwt.encode(claims(), STRANGER, "ES256", {"kid": "stranger"}),
    "no key named": lambda mint: jwt.encode(claims(), mint._key, "ES256"),
    "another curve": lambda mint: jwt.encode(claims(), OTHER_CURVE, "ES384", {"kid": mint.kid}),
    "another algorithm": lambda mint: jwt.encode(claims(), ED25519_KEY, "EdDSA", {"kid": mint.kid}),
    "RSA under the curve's name": lambda mint: jwt.encode(claims(), RSA_KEY, "RS256", {"kid": mint.kid}),
    "another hash": lambda _: jwt.encode(claims(), RSA_KEY, "RS512", {"kid": "rsa"}),
    "another padding": lambda _: jwt.encode(claims(), RSA_KEY, "PS256", {"kid": "rsa"}),
    "a critical extension": lambda mint: jwt.encode(
        claims(), mint._key, "ES256", {"kid": mint.kid, "crit": ["x"], "x": 1}
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forged_token_is_refused(
    legacy_verifier: TokenVerifier, mint: TokenMint, forgery: str
) -> None:
    await refused(legacy_verifier, FORGERIES[forgery](mint))


@pytest.mark.parametrize("legacy", [True, False])
async def test_a_public_key_is_no_shared_secret(
    verifier: TokenVerifier, legacy_verifier: TokenVerifier, mint: TokenMint, *, legacy: bool
) -> None:
    public = mint._key.public_key()
    spellings = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(mint.jwks()["keys"][0]).encode(),
        base64.urlsafe_b64decode(mint.jwks()["keys"][0]["x"] + "="),
        b"",
    ]
    for spelling in spellings:
        for header in ({"kid": mint.kid}, {}):
            await refused(legacy_verifier if legacy else verifier, hmac_forged(spelling, header))


@pytest.mark.parametrize("change", ["header", "claims", "signature", "no signature"])
async def test_a_tampered_token_is_refused_even_after_the_true_one_was_seen(
    verifier: TokenVerifier, mint: TokenMint, change: str
) -> None:
    token = mint.mint(SAVER)
    await verifier.verify(token)
    header, body, signature = token.split(".")
    tampered = {
        "header": [segment({"alg": "ES256", "kid": mint.kid, "typ": "at"}), body, signature],
        "claims": [header, segment(claims(sub=str(new_id()))), signature],
        "signature": [header, body, segment(b"0" * 64)],
        "no signature": [header, body, ""],
    }[change]
    await refused(verifier, ".".join(tampered))


@pytest.mark.parametrize("garbage", [
    "", "x", ".", "..", "...", "a.b.c", "e30.e30.", "e30.e30.e30", "Bearer x.y.z", "eyJhbGciOm51bGx9.e30.",
    "\x00", "é.é.é", "\ud800", "a" * 100_000, f"{segment(b'[' * 3000)}.e30.e30", f"{segment([])}.e30.e30",
    f"{segment({'alg': ['ES256']})}.e30.e30", f"{segment({'alg': 'ES256', 'kid': 7})}.e30.e30",
    f"{segment({'alg': 'ES256', 'kid': {}})}.e30.e30", f"{segment({'alg': 'HS256'})}.e30.e30",
    "_f8.e30.e30",
], ids=lambda text: text[:12].encode("unicode_escape").decode())  # fmt: skip
async def test_garbage_is_refused_like_any_bad_token(legacy_verifier: TokenVerifier, garbage: str) -> None:
    await refused(legacy_verifier, garbage)


async def test_refused_tokens_are_counted(
    issuer: Issuer, metrics: Metrics, sample: Sample, mint: TokenMint
) -> None:
    async with verifying(issuer, metrics) as verifier:
        await refused(verifier, "garbage")
        await refused(verifier, mint.mint(SAVER, role="service_role"))
    assert sample("zanari_credentials_refused_total", kind="access_token") == 2


async def test_a_verified_token_is_remembered_until_it_expires(
    issuer: Issuer, metrics: Metrics, mint: TokenMint
) -> None:
    async with verifying(issuer, metrics, leeway_s=0) as verifier:
        token = mint.mint(SAVER, expires_in=2)
        first = await verifier.verify(token)
        assert await verifier.verify(token) is first
        await asyncio.sleep(2.1)
        await refused(verifier, token)


async def test_a_remembered_token_costs_next_to_nothing(verifier: TokenVerifier, mint: TokenMint) -> None:
    token = mint.mint(SAVER)
    await verifier.verify(token)
    started = time.perf_counter()
    for _ in range(1000):
        await verifier.verify(token)
    assert (time.perf_counter() - started) / 1000 < 50e-6


async def test_the_memory_of_tokens_is_bounded(
    issuer: Issuer, metrics: Metrics, mint: TokenMint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zanari_api.runtime.auth.CACHED_TOKENS_MAX", 3)
    async with verifying(issuer, metrics) as verifier:
        for _ in range(10):
            await verifier.verify(mint.mint(SAVER))
        assert len(verifier._verified) == 3


async def test_no_token_is_kept_in_memory(verifier: TokenVerifier, mint: TokenMint) -> None:
    token = mint.mint(SAVER)
    await verifier.verify(token)
    assert token not in repr(vars(verifier))


def test_a_short_legacy_secret_stops_the_start_without_being_shown(metrics: Metrics) -> None:
    with pytest.raises(ValueError, match="at least 32 bytes") as caught:
        TokenVerifier(issuer=ISSUER, jwks_url="http://127.0.0.1:1/", metrics=metrics, hs256_secret="hunter2")
    assert "hunter2" not in str(caught.value)
