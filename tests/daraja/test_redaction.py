"""What Safaricom echoes is stored without credentials, and otherwise as it came."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.daraja_shapes import SAMPLES, callback_bodies, json_values, sample, write
from zanari_api.daraja.redaction import mask_checkout_id, redact_body

SECRET = "hJDLa0ELCzaYjE+6x/ozqA=="
CREDENTIAL = ("hJDLa0ELCzaYjE6x/oz" * 20)[:344]


@pytest.mark.parametrize("told", SAMPLES, ids=lambda each: each["id"])
def test_a_sample_without_a_secret_stays_as_it_came(told: dict[str, Any]) -> None:
    body = write(told["body"])
    if told["kind"] not in {"oauth_response", "b2c_queue_timeout_echo"}:
        assert redact_body(body) == body


def test_the_echo_of_a_payout_loses_its_credential_and_nothing_else() -> None:
    body = write(sample("p31") | {"SecurityCredential": SECRET})
    assert redact_body(body) == body.replace(SECRET.encode(), b"[redacted]")


@pytest.mark.parametrize(
    "body",
    [
        {"SecurityCredential": SECRET},
        {"securityCredential": SECRET},
        {"security_credential": SECRET},
        {"Password": SECRET},
        {"access_token": SECRET},
        {"accessToken": SECRET},
        {"Outer": [{"Inner": {"Passkey": SECRET}}]},
        {"SecurityCredential": {"is": [SECRET]}},
        {"Item": [{"Key": "SecurityCredential", "Value": SECRET}]},
        {"Item": [{"Value": SECRET, "Key": "SecurityCredential"}]},
        {"Item": [{"value": SECRET, "name": "Password"}]},
        {"errorMessage": f"Invalid Access Token - {SECRET}"},
        {"Authorization": f"Bearer {SECRET}"},
        {"note": f"sent with Bearer {SECRET} to you"},
        {"ResultURL": f"https://example.org/callbacks/{SECRET.replace('/', '')}/b2c/result"},
    ],
)
def test_a_secret_is_taken_out_wherever_it_is(body: dict[str, Any]) -> None:
    cleaned = redact_body(json.dumps(body).encode())
    assert json.loads(cleaned)
    for written in (SECRET, SECRET.replace("/", "")):
        assert written.encode() not in cleaned
    assert b"[redacted]" in cleaned


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"SecurityCredential": CREDENTIAL}).replace("/", "\\/").encode(),
        json.dumps({"Anything": CREDENTIAL}).replace("/", "\\/").encode(),
        json.dumps({"Anything": CREDENTIAL}).encode(),
        json.dumps({"SecurityCredential": CREDENTIAL}).replace("C", "\\u0043").encode(),
        json.dumps({"SecurityCredential": CREDENTIAL}).encode("utf-16"),
        json.dumps({"SecurityCredential": CREDENTIAL}).encode()[:-50],
        f'{{"SecurityCredential": "{CREDENTIAL[:40]}\\'.encode(),
        f"InitiatorName=x&SecurityCredential={CREDENTIAL}&Amount=10".encode(),
        f"<r><SecurityCredential>{CREDENTIAL}</SecurityCredential></r>".encode(),
        f"security_credential: {CREDENTIAL}".encode(),
        b"\xff" + CREDENTIAL.encode(),
        f'{{"SecurityCredential": "x", "SecurityCredential": "{CREDENTIAL}"}}'.encode(),
    ],
    ids=[
        "escaped",
        "unnamed escaped",
        "unnamed",
        "name escaped",
        "utf-16",
        "cut",
        "cut in an escape",
        "form",
        "xml",
        "text",
        "bytes",
        "twice",
    ],
)
def test_however_it_is_written_it_does_not_stay(body: bytes) -> None:
    cleaned = redact_body(body)
    assert CREDENTIAL[:30].encode() not in cleaned.replace(b"\\", b"").replace(b"\0", b"")
    assert b"[redacted]" in cleaned


def test_numbers_are_written_back_by_their_digits() -> None:
    body = b'{"Security\\u0043redential": {"a": 1}, "Amount": 10.00, "Big": 1e400, "List": [1, null, true, "\\ud800"]}'
    assert redact_body(body) == (
        b'{"SecurityCredential":"[redacted]","Amount":10.00,"Big":1e400,"List":[1,null,true,"\\ud800"]}'
    )


@pytest.mark.parametrize(
    "body", [b"", b"[" * 100_000, b'{"a":' * 50_000, b"\x00\xff", b"null", b'"Password"']
)
def test_any_bytes_are_taken(body: bytes) -> None:
    assert redact_body(body) == body


@settings(deadline=None)
@given(callback_bodies | json_values.map(write) | st.binary())
def test_redacting_twice_changes_no_more_than_once(body: bytes) -> None:
    once = redact_body(body)
    assert redact_body(once) == once


@settings(deadline=None)
@given(json_values, st.sampled_from(["SecurityCredential", "Password", "access_token"]))
def test_no_value_of_a_private_name_is_left(value: Any, name: str) -> None:
    cleaned = json.loads(redact_body(write({"Outer": {name: value}, "Amount": 1})))
    assert cleaned == {"Outer": {name: "[redacted]"}, "Amount": 1}


@pytest.mark.parametrize(
    ("handle", "masked"),
    [
        ("ws_CO_21072024125243250722943992", "ws_CO_21072024125243250*********"),
        ("ws_CO_1007202409152617172396192", "ws_CO_10072024091526171********"),
        ("ws_CO_12345678901234567", "ws_CO_12345678901234567"),
        ("HFA92FJ76TBT6HK", "HFA92FJ76TBT6HK"),
        ("push-254722943992", "push-************"),
        ("", ""),
    ],
)
def test_a_handle_is_logged_without_the_number_in_it(handle: str, masked: str) -> None:
    assert mask_checkout_id(handle) == masked
