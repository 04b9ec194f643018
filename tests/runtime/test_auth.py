"""Access tokens: whom they speak for, every way they do not, and an issuer that is slow, away or changing."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support.loopback import served
from tests.support.observed import Sample
from zanari_api.kit.ids import new_id
from zanari_api.runtime.auth import AuthUnavailable, InvalidToken, TokenVerifier
from zanari_api.runtime.metrics import Metrics
from zanari_api.sandbox.auth import TokenMint

SAVER = new_id()
ISSUER = "https://project.supabase.test/auth/v1"
LEGACY_SECRET = "the-legacy-secret-of-this-test-project-0123456789"
RSA_KEY = rsa.generate_private_key(65537, 2048)
WEAK_RSA_KEY = rsa.generate_private_key(65537, 1024)  # noqa: S505 (it is there to be left out)


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


@pytest.fixture(scope="module")
def mint(tmp_path_factory: pytest.TempPathFactory) -> TokenMint:
    return TokenMint(tmp_path_factory.mktemp("mint"), issuer=ISSUER)


@pytest.fixture(scope="module")
def other_mint(tmp_path_factory: pytest.TempPathFactory) -> TokenMint:
    return TokenMint(tmp_path_factory.mktemp("other"), issuer=ISSUER)


def rsa_jwk(key: rsa.RSAPrivateKey, kid: str) -> dict[str, Any]:
    return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "alg": "RS256", "use": "sig"}


def make_issuer(mint: TokenMint) -> Issuer:
    return Issuer([*mint.jwks()["keys"], rsa_jwk(RSA_KEY, "rsa")])


@pytest.fixture
def issuer(mint: TokenMint) -> Issuer:
    return make_issuer(mint)


@asynccontextmanager
async def verifying(issuer: Issuer, metrics: Metrics, **options: Any) -> AsyncIterator[TokenVerifier]:
    """Yield a verifier that trusts `issuer`, served on a real socket."""
    async with served(issuer.app) as url:
        verifier = TokenVerifier(issuer=ISSUER, jwks_url=f"{url}/jwks.json", metrics=metrics, **options)
        try:
            yield verifier
        finally:
            await verifier.close()


@pytest.fixture(scope="module")
async def verifier(mint: TokenMint) -> AsyncIterator[TokenVerifier]:
    async with verifying(make_issuer(mint), Metrics()) as verifier:
        yield verifier


@pytest.fixture(scope="module")
async def legacy_verifier(mint: TokenMint) -> AsyncIterator[TokenVerifier]:
    async with verifying(make_issuer(mint), Metrics(), hs256_secret=LEGACY_SECRET) as verifier:
        yield verifier


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
STRANGER = ec.generate_private_key(ec.SECP256R1())
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


def hmac_forged(secret: bytes, header: dict[str, object]) -> str:
    """Sign with HS256 and any bytes as the secret; the library itself refuses public keys."""
    signed = f"{segment({'alg': 'HS256', 'typ': 'JWT'} | header)}.{segment(claims())}"
    signature = jwt.get_algorithm_by_name("HS256").sign(signed.encode(), secret)
    return f"{signed}.{segment(signature)}"


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


def test_a_short_legacy_secret_stops_the_start_without_being_shown(metrics: Metrics) -> None:
    with pytest.raises(ValueError, match="at least 32 bytes") as caught:
        TokenVerifier(issuer=ISSUER, jwks_url="http://127.0.0.1:1/", metrics=metrics, hs256_secret="hunter2")
    assert "hunter2" not in str(caught.value)
