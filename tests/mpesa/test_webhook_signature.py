"""Who may deliver a spend: the webhook's signature matrix over HTTP. Whatever is wrong with a header, it is 401."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import SecretStr

from tests.mpesa.conftest import Counted
from tests.mpesa.deliveries import PATH, record_of
from tests.support.app import WEBHOOK_SECRET, Api, Serve
from tests.support.observed import Written
from tests.support.savers import Saver, code_of
from zanari_api.mpesa.signature import sign

OTHER_SECRET = "the secret that comes next"
REFUSED = (401, "invalid_signature")


def body_of(saver: Saver) -> bytes:
    return json.dumps({"record": record_of(saver)}).encode()


def signed(body: bytes, *, secret: str = WEBHOOK_SECRET, age_s: int = 0) -> str:
    return sign(secret, body, datetime.now(UTC) - timedelta(seconds=age_s))


def bare(body: bytes, *, secret: str = WEBHOOK_SECRET) -> str:
    return hmac.digest(secret.encode(), body, hashlib.sha256).hex()


async def nothing_was_recorded(saver: Saver) -> bool:
    return await saver.feed() == []


async def is_taken(api: Api, body: bytes, header: str) -> bool:
    response = await api.deliver(body, signature=header)
    return response.status_code == 200 and response.json()["status"] == "processed"


@pytest.fixture
def private_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def pem(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def signed_by_key(key: Ed25519PrivateKey, body: bytes) -> str:
    seconds = str(int(datetime.now(UTC).timestamp()))
    signature = key.sign(seconds.encode() + b"." + body)
    return f"t={seconds},v1a={base64.b64encode(signature).decode()}"


@pytest.mark.parametrize("age_s", [0, 295, -295])
async def test_a_good_signature_is_taken_within_five_minutes_either_way(
    api: Api, saver: Saver, age_s: int
) -> None:
    body = body_of(saver)
    assert await is_taken(api, body, signed(body, age_s=age_s))


@pytest.mark.parametrize("age_s", [305, -305, 86_400])
async def test_a_stale_or_future_signature_is_refused(api: Api, saver: Saver, age_s: int) -> None:
    body = body_of(saver)
    assert code_of(await api.deliver(body, signature=signed(body, age_s=age_s))) == REFUSED
    assert await nothing_was_recorded(saver)


async def test_a_missing_signature_is_refused(api: Api, saver: Saver) -> None:
    assert code_of(await api.deliver(body_of(saver), signature=None)) == REFUSED


async def test_a_signature_of_another_secret_is_refused(api: Api, saver: Saver) -> None:
    body = body_of(saver)
    assert code_of(await api.deliver(body, signature=signed(body, secret=OTHER_SECRET))) == REFUSED
    assert await nothing_was_recorded(saver)


async def test_while_a_secret_is_replaced_both_sign(serve: Serve, saver: Saver) -> None:
    both = SecretStr(f"{OTHER_SECRET}, {WEBHOOK_SECRET}")
    async with serve(mpesa_webhook_secret=both) as rotating:
        for secret in (OTHER_SECRET, WEBHOOK_SECRET):
            body = body_of(saver)
            assert await is_taken(rotating, body, signed(body, secret=secret))
    async with serve(mpesa_webhook_secret=SecretStr(OTHER_SECRET)) as rotated:
        body = body_of(saver)
        assert code_of(await rotated.deliver(body, signature=signed(body))) == REFUSED


async def test_of_two_signatures_one_good_one_is_enough(api: Api, saver: Saver) -> None:
    for wrong_first in (True, False):
        body = body_of(saver)
        good = signed(body)
        time, _, mac = good.partition(",")
        other = "v1=" + "0" * 64
        header = f"{time},{other},{mac}" if wrong_first else f"{good},{other}"
        assert await is_taken(api, body, header)


async def test_a_changed_body_is_refused(api: Api, saver: Saver) -> None:
    body = body_of(saver)
    tampered = body.replace(b"147", b"947")
    assert tampered != body
    assert code_of(await api.deliver(tampered, signature=signed(body))) == REFUSED
    assert await nothing_was_recorded(saver)


async def test_a_body_that_says_the_same_in_other_bytes_is_refused(api: Api, saver: Saver) -> None:
    body = body_of(saver)
    reserialised = json.dumps(json.loads(body), separators=(",", ":")).encode()
    assert json.loads(reserialised) == json.loads(body)
    assert code_of(await api.deliver(reserialised, signature=signed(body))) == REFUSED


async def test_the_time_is_signed_too(api: Api, saver: Saver) -> None:
    body = body_of(saver)
    stale = signed(body, age_s=600)
    refreshed = f"t={int(datetime.now(UTC).timestamp())},{stale.partition(',')[2]}"
    assert code_of(await api.deliver(body, signature=refreshed)) == REFUSED


async def test_an_untimed_signature_is_taken_only_where_it_is_allowed(
    api: Api, serve: Serve, saver: Saver
) -> None:
    body = body_of(saver)
    assert code_of(await api.deliver(body, signature=bare(body))) == REFUSED
    async with serve(mpesa_webhook_allow_untimed=True) as lenient:
        assert code_of(await lenient.deliver(body, signature=bare(body + b" "))) == REFUSED
        assert code_of(await lenient.deliver(body, signature=signed(body, age_s=600))) == REFUSED
        assert await is_taken(lenient, body, bare(body))


async def test_an_ed25519_signature_is_taken_where_its_key_is_known(
    api: Api, serve: Serve, saver: Saver, private_key: Ed25519PrivateKey
) -> None:
    body = body_of(saver)
    assert code_of(await api.deliver(body, signature=signed_by_key(private_key, body))) == REFUSED
    stranger = Ed25519PrivateKey.generate()
    async with serve(mpesa_webhook_secret=None, mpesa_webhook_public_key=pem(private_key)) as keyed:
        assert code_of(await keyed.deliver(body, signature=signed_by_key(stranger, body))) == REFUSED
        assert code_of(await keyed.deliver(body, signature=signed(body))) == REFUSED
        assert await is_taken(keyed, body, signed_by_key(private_key, body))


# Each takes a good header apart: nothing but the form is wrong with it.
MALFORMED: dict[str, Callable[[str], str | bytes]] = {
    "empty": lambda _: " ",
    "a word": lambda _: "signature",
    "no time": lambda good: good.partition(",")[2],
    "an empty time": lambda good: "t=," + good.partition(",")[2],
    "a time that is no number": lambda good: "t=now," + good.partition(",")[2],
    "a negative time": lambda good: good.replace("t=", "t=-"),
    "a fraction of a second": lambda good: good.replace(",", ".0,"),
    "a time beyond all clocks": lambda good: "t=" + "9" * 400 + "," + good.partition(",")[2],
    "two times": lambda good: good.partition(",")[0] + "," + good,
    "no signature": lambda good: good.partition(",")[0],
    "an empty signature": lambda good: good.partition("v1=")[0] + "v1=",
    "a signature that is no hex": lambda good: good.partition("v1=")[0] + "v1=" + "z" * 64,
    "half a signature": lambda good: good[:-32],
    "a signature and a half": lambda good: good + "0" * 32,
    "an unknown version": lambda good: good.replace("v1=", "v2="),
    "capital names": lambda good: good.replace("v1=", "V1=").replace("t=", "T="),
    "another separator": lambda good: good.replace(",", ";"),
    "no equals signs": lambda good: good.replace("=", ":"),
    "a scheme before it": lambda good: f"sha256={good}",
    "quotes": lambda good: f'"{good}"',
    "base64 that is none": lambda good: good.partition(",")[0] + ",v1a=" + "*" * 88,
    "an Ed25519 signature cut short": lambda good: good.partition(",")[0] + ",v1a=AAAA",
    "one good and one broken signature": lambda good: good + ",v1=broken",
    "more parts than anybody sends": lambda good: good + ",x=1" * 50,
    "more bytes than anybody sends": lambda good: good + ",x=" + "1" * 4_000,
    "commas only": lambda _: "," * 20,
    "bytes that are no text": lambda good: good.encode() + b"\xff\xfe",
    "digits of another script": lambda good: good.replace("t=1", "t=\u00b9").encode("latin-1"),
    "a tab in a name": lambda good: good.replace("v1=", "v1\t="),
}


@pytest.mark.parametrize("kind", MALFORMED)
async def test_a_malformed_header_is_401_and_never_500(api: Api, saver: Saver, kind: str) -> None:
    body = body_of(saver)
    header = MALFORMED[kind](signed(body))
    raw = header if isinstance(header, bytes) else header.encode()
    response = await api.client.post(PATH, content=body, headers=[(b"X-Mpesa-Signature", raw)])
    assert code_of(response) == REFUSED
    assert await nothing_was_recorded(saver)


async def test_the_signature_is_looked_at_before_the_body(api: Api) -> None:
    assert code_of(await api.deliver(b"\x00 no JSON", signature="t=1,v1=" + "0" * 64)) == REFUSED


async def test_without_anything_to_verify_with_the_route_answers_503(serve: Serve, saver: Saver) -> None:
    body = body_of(saver)
    async with serve(mpesa_webhook_secret=None) as unconfigured:
        for header in (signed(body), None, "nonsense"):
            response = await unconfigured.deliver(body, signature=header)
            assert code_of(response) == (503, "webhook_not_configured")
            assert int(response.headers["retry-after"]) > 0
    assert await nothing_was_recorded(saver)


async def test_forged_signatures_are_counted_and_answered_alike_but_logged_within_a_budget(
    serve: Serve, saver: Saver, written: Written
) -> None:
    body = body_of(saver)
    forged = signed(body, secret=OTHER_SECRET)
    async with serve() as attacked:
        for _ in range(40):
            assert code_of(await attacked.deliver(body, signature=forged)) == REFUSED
        registry = attacked.runtime.metrics.registry
        assert registry.get_sample_value("zanari_credentials_refused_total", {"kind": "signature"}) == 40
    refused = [line for line in written.lines if line["level"] != "debug" and "credential" in line]
    assert 1 <= len(refused) <= 10
    assert len([line for line in written.lines if line["level"] == "info"]) < 10
    assert forged.partition("v1=")[2] not in written.text


async def test_a_refused_signature_is_counted(api: Api, saver: Saver, counted: Counted) -> None:
    await api.deliver(body_of(saver), signature=None)
    assert counted("zanari_credentials_refused_total", kind="signature") == 1
    assert counted("zanari_webhook_requests_total", outcome="invalid_signature") == 1
    assert counted("zanari_refusals_total", code="invalid_signature") == 1
    assert counted("http_requests_total", method="POST", route=PATH, status_code="401") == 1
