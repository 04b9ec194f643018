"""Redaction: personal data and secrets go, in every place they can stand; what an engineer needs stays."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zanari_api.runtime.redaction import REDACTED, redact_event, redact_text

JWT = (
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImExIiwidHlwIjoiSldUIn0"
    ".eyJzdWIiOiIwMTkwZjNhMi0wMDAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDEiLCJwaG9uZSI6IjI1NDcxMjM0NTY3OCJ9"
    ".c2lnbmF0dXJlLW9mLXRoZS10b2tlbi1nb2VzLWhlcmU"
)
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

PHONES = [
    "+254712345678",
    "254712345678",
    "00254712345678",
    "0712345678",
    "0112345678",
    "254112345678",
    "+254 712 345 678",
    "+254-712-345-678",
    "0712 345 678",
    "0712-345-678",
    "07 12 34 56 78",
    "(0712) 345 678",
    "+254 (712) 345678",
    "+254.712.345.678",
    "0712\u00a0345\u00a0678",
    "0712\u2011345\u2011678",
]
SECRETS = [
    JWT,
    f"Bearer {JWT}",
    "Bearer opaque-credential",
    SHA256,
    SHA256.upper(),
    f"t=1700000000,v1={SHA256}",
    "v1=short-and-wrong",
    "v1a=MEUCIQDx3Z+abc/def==",
    "sb_secret_1a2b3c4d5e6f",
    "ws_CO_191220191020363925712345678",
    "postgresql://zanari:hunter2-hunter2@db.internal:5432/zanari",
    "/callbacks/4f0c9d1a2b3c4d5e6f708192/c2b/confirmation",
    "k1:dGhpcnR5LXR3byBieXRlcyBvZiBrZXkgbWF0ZXJpYWw=",
]
LEAKS = [
    "712345678", "112345678", "345678", "345 678", "345-678", "34 56 78", "eyJ", "opaque-credential",
    "9f86d0",
    "9F86D0", "short-and-wrong", "MEUC", "1a2b3c", "hunter2", "4f0c9d", "dGhpcnR5", "345.678", "345\u00a0678",
    "345\u2011678",
]  # fmt: skip


def leaks(value: object) -> list[str]:
    text = str(value)
    return [leak for leak in LEAKS if leak in text]


POSITIONS: dict[str, Callable[[str], dict[str, object]]] = {
    "message": lambda text: {"event": f"could not reach {text}, giving up"},
    "end of message": lambda text: {"event": f"reached={text}"},
    "value": lambda text: {"event": "spend_decided", "detail": text},
    "nested value": lambda text: {"event": "x", "context": {"inner": [{"deep": f"<{text}>"}]}},
    "tuple": lambda text: {"event": "x", "seen": (1, text)},
    "set": lambda text: {"event": "x", "seen": {text}},
    "key": lambda text: {"event": "x", text: 1},
    "nested key": lambda text: {"event": "x", "seen": {text: 1}},
    "request id": lambda text: {"event": "x", "request_id": text},
    "enum": lambda text: {"event": "x", "seen": StrEnum("Made", {"UP": text}).UP},
    "exception": lambda text: {"event": "x", "exception": {"message": text, "cause": {"message": text}}},
}


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("phone", PHONES)
def test_a_phone_number_is_hidden_wherever_it_stands(phone: str, position: str) -> None:
    redacted = redact_event(None, "info", POSITIONS[position](phone))
    assert leaks(redacted) == []
    assert REDACTED in str(redacted)


@pytest.mark.parametrize("position", [name for name in POSITIONS if name != "request id"])
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_hidden_wherever_it_stands(secret: str, position: str) -> None:
    redacted = redact_event(None, "info", POSITIONS[position](secret))
    assert leaks(redacted) == []
    assert REDACTED in str(redacted)


@pytest.mark.parametrize("key", [
    "phone", "phone_number", "PhoneNumber", "MSISDN", "msisdn", "name", "first_name", "FirstName", "lastName",
    "LAST_NAME", "merchant_name", "ReceiverPartyPublicName", "token", "access_token", "authorization",
    "Authorization",
    "signature", "X-Mpesa-Signature", "secret", "client_secret", "password", "passkey", "SecurityCredential",
    "sms", "sms_text", "email", "cookie", "BillRefNumber", "account_reference", "pin", "otp", "body",
    "payload",
    "apikey",
])  # fmt: skip
@pytest.mark.parametrize("value", ["Wanjiku", 4711, {"first": "Wanjiku"}, ["Wanjiku"], b"Wanjiku"], ids=str)
def test_what_a_private_key_holds_is_hidden_whatever_it_is(key: str, value: object) -> None:
    redacted = redact_event(None, "info", {"event": "x", key: value, "more": [{key: value}]})
    assert redacted[key] == REDACTED
    assert redacted["more"] == [{key: REDACTED}]


SAVER = UUID("0190f3a2-1111-7222-8333-254712345678")


@pytest.mark.parametrize("value", [
    SAVER,
    str(SAVER),
    f"goal_withdrawal:{SAVER}",
    "01712345-6780-7123-8456-780712345678",
    1_470_000,
    "1470000",
    147.25,
    0.1234567891,
    "0.1234567891",
    "took 0.712345678 s",
    None,
    True,
    datetime(2026, 11, 23, 7, 12, 34, 567890, UTC),
    date(2026, 7, 12),
    "2026-11-23T07:12:34.567890Z",
    "2026-07-12 07:12:34.567890+03:00",
    "2026-07-12",
    "20261123071234",
    1_700_000_000,
    "SFF6XYZ123",
    "01234567",
    "/api/v1/goals/{goal_id}",
    "transfers_key_unique",
    "127.0.0.1:8000",
    "3.11.7",
], ids=str)  # fmt: skip
def test_ids_amounts_and_times_survive(value: object) -> None:
    assert redact_event(None, "info", {"event": "x", "seen": value})["seen"] == value


def test_what_a_credential_was_is_shown_and_the_credential_is_not() -> None:
    shown = redact_event(None, "info", {"credential": "signature", "credentials": "hunter2"})
    assert shown == {"credential": "signature", "credentials": REDACTED}


def test_a_phone_number_sent_as_a_number_is_hidden_and_an_amount_is_not() -> None:
    seen = redact_event(
        None, "info", {"seen": 254712345678, "real": 254712345678.0, "saved_cents": 254712345678}
    )
    assert seen == {"seen": REDACTED, "real": REDACTED, "saved_cents": 254712345678}


def test_a_long_hexadecimal_request_id_can_be_followed_but_is_no_place_for_a_phone_number() -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    assert redact_event(None, "info", {"request_id": trace, "version": trace}) == {
        "request_id": trace,
        "version": trace,
    }
    assert redact_event(None, "info", {"request_id": "0712345678"}) == {"request_id": REDACTED}


class Wanjiku:
    def __repr__(self) -> str:
        return "Wanjiku 0712345678"


@pytest.mark.parametrize(("value", "shown"), [
    (Wanjiku(), "<Wanjiku>"), (b"0712345678", "<bytes>"), (Decimal("1.50"), "1.50"), (2**80, str(2**80)),
    (["a"] * 500, ["a"] * 100),
])  # fmt: skip
def test_what_is_no_plain_value_is_named_not_shown(value: object, shown: object) -> None:
    assert redact_event(None, "info", {"seen": value}) == {"seen": shown}


def test_a_structure_that_holds_itself_has_an_end() -> None:
    loop: dict[str, object] = {}
    loop["again"] = loop
    assert "too deep" in str(redact_event(None, "info", {"seen": loop}))


def test_long_text_is_cut_and_what_lies_across_the_cut_is_hidden() -> None:
    text = redact_text("x" * 3994 + "0712345678" + "y" * 5000)
    assert len(text) <= 4000
    assert leaks(text) == []
    assert "0712" not in text


def test_text_no_encoder_can_write_is_made_writable() -> None:
    redacted = redact_event(None, "info", {"seen": "\ud800 0712345678", "\ud801": 1})
    assert str(redacted).encode()
    assert leaks(redacted) == []


@given(before=st.text(max_size=30), after=st.text(max_size=30), phone=st.sampled_from(PHONES))
def test_a_phone_number_is_hidden_among_any_other_text(before: str, after: str, phone: str) -> None:
    text = f"{before}: {phone}; {after}"
    assert phone not in redact_text(text)


@given(st.uuids())
def test_every_uuid_survives(value: UUID) -> None:
    assert redact_text(str(value)) == str(value)
    assert redact_text(f"goal {value} of saver {value}.") == f"goal {value} of saver {value}."
