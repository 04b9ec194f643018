"""The signature matrix of the round-up webhook, on the verifier itself. The keys are for these tests only."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from zanari_api.mpesa.errors import InvalidSignature
from zanari_api.mpesa.signature import SignatureVerifier, sign

NOW = datetime(2026, 11, 23, 12, 0, 0, 900_000, tzinfo=UTC)
BODY = b'{"record":{"transaction_id":"UGAQXB3O0M","amount":147}}'
SECRET = "for-tests-only-first"
OTHER_SECRET = "for-tests-only-second"
PRIVATE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_PEM = PRIVATE_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
SECONDS = str(int(NOW.timestamp()))
ARABIC_SECONDS = "".join(chr(0x0660 + int(digit)) for digit in SECONDS)


def verifier(
    *secrets: str, public_key_pem: str | None = None, allow_untimed: bool = False, now: datetime = NOW
) -> SignatureVerifier:
    return SignatureVerifier(
        secrets=secrets, public_key_pem=public_key_pem, allow_untimed=allow_untimed, clock=lambda: now
    )


def mac(secret: str = SECRET, body: bytes = BODY, seconds: str = SECONDS) -> str:
    return hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()


def bare_mac(body: bytes = BODY) -> str:
    return hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


def ed25519(body: bytes = BODY, seconds: str = SECONDS) -> str:
    return base64.b64encode(PRIVATE_KEY.sign(f"{seconds}.".encode() + body)).decode()


def test_a_body_signed_with_the_secret_is_accepted() -> None:
    verifier(SECRET).verify(sign(SECRET, BODY, NOW), BODY)


def test_sign_writes_the_documented_header() -> None:
    assert sign(SECRET, BODY, NOW) == f"t={SECONDS},v1={mac()}"


def test_an_empty_body_can_be_signed() -> None:
    verifier(SECRET).verify(sign(SECRET, b"", NOW), b"")


@pytest.mark.parametrize("signing", [SECRET, OTHER_SECRET])
def test_each_active_secret_is_accepted_while_secrets_rotate(signing: str) -> None:
    verifier(SECRET, OTHER_SECRET).verify(sign(signing, BODY, NOW), BODY)


@pytest.mark.parametrize("order", [(SECRET, "retired"), ("retired", SECRET)])
def test_one_good_signature_among_several_is_enough(order: tuple[str, str]) -> None:
    header = f"t={SECONDS},v1={mac(order[0])},v1={mac(order[1])}"
    verifier(SECRET).verify(header, BODY)


def test_a_retired_secret_is_refused() -> None:
    refuses(verifier(OTHER_SECRET), sign(SECRET, BODY, NOW))


def test_spaces_after_commas_and_upper_case_hex_are_accepted() -> None:
    verifier(SECRET).verify(f" t={SECONDS}, v1={mac().upper()} ", BODY)


def test_a_part_with_an_unknown_name_is_skipped() -> None:
    verifier(SECRET).verify(f"t={SECONDS},v0=anything,v1={mac()}", BODY)


@pytest.mark.parametrize("seconds", [-300, 300])
def test_a_clock_five_minutes_away_is_accepted(seconds: int) -> None:
    verifier(SECRET).verify(sign(SECRET, BODY, NOW + timedelta(seconds=seconds)), BODY)


@pytest.mark.parametrize("seconds", [-301, 301, -86_400, 86_400])
def test_a_genuine_signature_that_is_stale_or_from_the_future_is_refused(seconds: int) -> None:
    header = sign(SECRET, BODY, NOW + timedelta(seconds=seconds))
    assert refuses(verifier(SECRET), header).context == {"reason": "stale"}


def test_a_forged_stale_signature_is_called_wrong_and_not_stale() -> None:
    header = sign(OTHER_SECRET, BODY, NOW - timedelta(days=1))
    assert refuses(verifier(SECRET), header).context == {"reason": "wrong"}


def test_a_time_changed_after_signing_is_refused() -> None:
    refuses(verifier(SECRET), f"t={int(SECONDS) + 1},v1={mac()}")


@pytest.mark.parametrize(
    "received",
    [
        BODY.replace(b"147", b"148"),
        BODY + b"\n",
        BODY.replace(b":", b": "),
        b"",
    ],
    ids=["tampered", "a byte more", "re-serialised", "emptied"],
)
def test_another_body_than_the_one_signed_is_refused(received: bytes) -> None:
    refuses(verifier(SECRET), sign(SECRET, BODY, NOW), received)


def test_a_bare_signature_is_accepted_only_where_untimed_ones_are_allowed() -> None:
    verifier(SECRET, allow_untimed=True).verify(bare_mac(), BODY)
    refuses(verifier(SECRET), bare_mac())


def test_a_wrong_bare_signature_is_refused_where_untimed_ones_are_allowed() -> None:
    refuses(verifier(SECRET, allow_untimed=True), bare_mac(BODY + b" "))
    refuses(verifier(SECRET, allow_untimed=True), mac())


def test_timed_signatures_still_age_where_untimed_ones_are_allowed() -> None:
    header = sign(SECRET, BODY, NOW - timedelta(seconds=301))
    refuses(verifier(SECRET, allow_untimed=True), header)


def test_an_ed25519_signature_over_the_same_bytes_is_accepted() -> None:
    verifier(public_key_pem=PUBLIC_PEM).verify(f"t={SECONDS},v1a={ed25519()}", BODY)


def test_an_ed25519_signature_helps_where_the_secret_does_not_fit() -> None:
    header = f"t={SECONDS},v1={mac(OTHER_SECRET)},v1a={ed25519()}"
    verifier(SECRET, public_key_pem=PUBLIC_PEM).verify(header, BODY)


def test_one_good_ed25519_signature_among_several_is_enough() -> None:
    header = f"t={SECONDS},v1a={ed25519(BODY + b' ')},v1a={ed25519()}"
    verifier(public_key_pem=PUBLIC_PEM).verify(header, BODY)


def test_an_ed25519_signature_counts_for_nothing_without_a_public_key() -> None:
    refuses(verifier(SECRET), f"t={SECONDS},v1a={ed25519()}")


@pytest.mark.parametrize(
    "signature",
    [ed25519(BODY + b" "), ed25519(seconds="1"), base64.b64encode(bytes(64)).decode()],
    ids=["other body", "other time", "zeros"],
)
def test_a_wrong_ed25519_signature_is_refused(signature: str) -> None:
    refuses(verifier(public_key_pem=PUBLIC_PEM), f"t={SECONDS},v1a={signature}")


def test_an_ed25519_signature_ages_as_any_other() -> None:
    seconds = str(int(SECONDS) - 301)
    header = f"t={seconds},v1a={ed25519(seconds=seconds)}"
    refuses(verifier(public_key_pem=PUBLIC_PEM), header)


MALFORMED: dict[str, str | None] = {
    "missing": None,
    "empty": "",
    "blank": "  ",
    "a comma": ",",
    "a word": "signature",
    "time only": f"t={SECONDS}",
    "signature only": f"v1={mac()}",
    "two times": f"t={SECONDS},t={SECONDS},v1={mac()}",
    "empty time": f"t=,v1={mac()}",
    "signed time": f"t=-{SECONDS},v1={mac(seconds='-' + SECONDS)}",
    "time with a fraction": f"t={SECONDS}.0,v1={mac(seconds=SECONDS + '.0')}",
    "time in words": f"t=now,v1={mac(seconds='now')}",
    "time with an underscore": f"t=1_0,v1={mac(seconds='1_0')}",
    "time in Arabic digits": f"t={ARABIC_SECONDS},v1={mac(seconds=ARABIC_SECONDS)}",
    "huge time": f"t={'9' * 400},v1={mac(seconds='9' * 400)}",
    "time beyond the calendar": f"t=999999999999,v1={mac(seconds='999999999999')}",
    "upper-case names": f"T={SECONDS},V1={mac()}",
    "empty signature": f"t={SECONDS},v1=",
    "short signature": f"t={SECONDS},v1={mac()[:-2]}",
    "long signature": f"t={SECONDS},v1={mac()}00",
    "signature not in hex": f"t={SECONDS},v1={'g' * 64}",
    "signature with spaces inside": f"t={SECONDS},v1={mac()[:62]} {mac()[62]}",
    "signature not in ASCII": f"t={SECONDS},v1={'é' * 64}",
    "name not in ASCII": f"t={SECONDS},ü1={mac()}",
    "one good and one broken signature": f"t={SECONDS},v1={mac()},v1=zz",
    "Ed25519 not in base64": f"t={SECONDS},v1a={'*' * 88}",
    "Ed25519 too short": f"t={SECONDS},v1a=AAAA",
    "Ed25519 without padding": f"t={SECONDS},v1a={ed25519().rstrip('=')}",
    "other separators": f"t={SECONDS};v1={mac()}",
    "too many parts": f"t={SECONDS}" + f",v1={mac()}" * 16,
    "too long": f"t={SECONDS},v1={mac()},v0=" + "x" * 2_048,
    "a NUL": f"t={SECONDS},v1={mac()}\x00",
    "a line break": f"t={SECONDS},v1={mac()}\n",
    "bare and timed at once": f"{bare_mac()},t={SECONDS}",
}


@pytest.mark.parametrize("header", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_header_is_refused_and_never_an_error(header: str | None) -> None:
    refuses(verifier(SECRET, public_key_pem=PUBLIC_PEM, allow_untimed=True), header)


@given(st.text() | st.lists(st.sampled_from(["t=1", "v1=", "v1a=", "=", ",", " ", "\x00", "é"])).map("".join))
def test_no_header_at_all_makes_the_verifier_fail_otherwise(header: str) -> None:
    refuses(verifier(SECRET, public_key_pem=PUBLIC_PEM, allow_untimed=True), header)


def test_a_verifier_without_keys_is_not_configured_and_accepts_nothing() -> None:
    nobody = verifier()
    assert not nobody.configured
    refuses(nobody, sign(SECRET, BODY, NOW))
    refuses(verifier(allow_untimed=True), bare_mac())


def test_a_secret_or_a_public_key_is_enough_to_be_configured() -> None:
    assert verifier(SECRET).configured
    assert verifier(public_key_pem=PUBLIC_PEM).configured


def other_key_pem() -> str:
    key = X25519PrivateKey.generate().public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize(
    "make",
    [
        lambda: verifier(""),
        lambda: verifier(SECRET, "  "),
        lambda: verifier(public_key_pem="not a key"),
        lambda: verifier(public_key_pem=other_key_pem()),
    ],
    ids=["empty secret", "blank secret", "no PEM", "another kind of key"],
)
def test_keys_that_protect_nothing_stop_the_verifier_from_being_made(
    make: Callable[[], SignatureVerifier],
) -> None:
    with pytest.raises(ValueError, match=r"secret|public key"):
        make()


def test_the_refusal_is_a_401_and_tells_the_caller_nothing_of_the_cause() -> None:
    wrong = refuses(verifier(SECRET), sign(OTHER_SECRET, BODY, NOW))
    stale = refuses(verifier(SECRET), sign(SECRET, BODY, NOW - timedelta(days=1)))
    assert (wrong.status, wrong.code) == (401, "invalid_signature")
    assert wrong.detail == stale.detail


def refuses(verifier: SignatureVerifier, header: str | None, body: bytes = BODY) -> InvalidSignature:
    with pytest.raises(InvalidSignature) as refusal:
        verifier.verify(header, body)
    return refusal.value
