"""What the doctor sees of Supabase, Safaricom and the address of callbacks, as their answers show it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from tests.doctor.conftest import patient_with
from tests.support.app import Api
from tests.support.daraja import certificate_pem
from zanari_api.daraja.credential import expires_at
from zanari_api.doctor import own, safaricom, supabase
from zanari_api.doctor.findings import Finding, Outcome
from zanari_api.kit.clock import Clock

KEY = "sb_secret_hunter2"
GOOD_BUCKET = {
    "id": "kyc-documents",
    "public": False,
    "file_size_limit": 52_428_800,
    "allowed_mime_types": ["image/jpeg", "image/png", "image/gif", "application/pdf"],
}


class Standing(Clock):
    """A clock that stands still."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        return self._at


@asynccontextmanager
async def answering(
    body: object = None, *, status: int = 200, date_header: str | None = None, key: str | None = None
) -> AsyncIterator[str]:
    """Serve one answer at every address; with `key`, only to whoever bears it."""
    text = (body if isinstance(body, str) else json.dumps(body)).encode()
    date_line = "" if date_header is None else f"Date: {date_header}\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        allowed = key is None or f"Bearer {key}".encode() in asked
        head = f"HTTP/1.1 {status if allowed else 401} X\r\n{date_line}Content-Length: {len(text)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + text)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def jwk(**changes: object) -> dict[str, Any]:
    public: dict[str, Any] = ECAlgorithm.to_jwk(
        ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True
    )
    return {**public, "kid": "k", "alg": "ES256", "use": "sig", **changes}


# Keys of tokens


async def test_keys_that_can_verify_tokens_are_counted() -> None:
    async with answering({"keys": [jwk(), jwk(kid="l"), {"kty": "oct", "kid": "m"}]}) as url:
        seen = await supabase.keys_are_there(patient_with(jwks_url=url))
    assert (seen.outcome, seen.found) == (Outcome.PASSED, "2 usable keys")


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"keys": []}, 200, "no key for ES256"),
        ({"keys": [{"kty": "oct", "kid": "m"}]}, 200, "no key for ES256"),
        ("<html>", 200, "no key set"),
        ({"keys": []}, 404, "404"),
    ],
    ids=["none", "shared-secret", "page", "absent"],
)
async def test_keys_that_verify_nothing_fail(body: object, status: int, word: str) -> None:
    async with answering(body, status=status) as url:
        seen = await supabase.keys_are_there(patient_with(jwks_url=url))
    assert seen.outcome is Outcome.FAILED
    assert word in seen.found


async def test_an_issuer_that_is_away_fails_and_none_is_not_checked() -> None:
    assert (
        await supabase.keys_are_there(patient_with(jwks_url="http://127.0.0.1:9/"))
    ).outcome is Outcome.FAILED
    assert (await supabase.keys_are_there(patient_with())).outcome is Outcome.NOT_CHECKED
    assert (await supabase.clock_is_right(patient_with())).outcome is Outcome.NOT_CHECKED


# Clocks


@pytest.mark.parametrize(
    ("apart_s", "outcome"), [(0, Outcome.PASSED), (-60, Outcome.FAILED), (60, Outcome.FAILED)]
)
async def test_a_clock_is_read_from_an_answer(apart_s: int, outcome: Outcome) -> None:
    there = datetime.now(UTC) + timedelta(seconds=apart_s)
    async with answering({}, date_header=format_datetime(there, usegmt=True)) as url:
        for seen in (
            await supabase.clock_is_right(patient_with(jwks_url=url)),
            await safaricom.clock_is_right(patient_with(base_url=url)),
        ):
            assert seen.outcome is outcome


@pytest.mark.parametrize("date_header", [None, "soon"], ids=["none", "unreadable"])
async def test_a_clock_that_is_not_told_is_not_checked(date_header: str | None) -> None:
    async with answering({}, date_header=date_header) as url:
        seen = await safaricom.clock_is_right(patient_with(base_url=url))
    assert (seen.outcome, seen.found) == (Outcome.NOT_CHECKED, "its answer tells no time")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://nowhere.invalid", "http://[::1"])
async def test_a_clock_of_nobody_is_not_checked(url: str) -> None:
    seen = await safaricom.clock_is_right(patient_with(base_url=url))
    assert seen.outcome is Outcome.NOT_CHECKED
    assert "does not answer" in seen.found


# The bucket


async def bucket(body: object, **more: Any) -> Finding:
    async with answering(body, key=KEY, **more) as url:
        return await supabase.bucket_is_private(patient_with(url=url, service_key=KEY))


async def test_a_private_bucket_passes() -> None:
    assert (await bucket(GOOD_BUCKET)).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"public": True}, "PUBLIC"),
        ({"file_size_limit": None}, "any bytes"),
        ({"file_size_limit": 10}, "10 bytes"),
        ({"allowed_mime_types": None}, "any type"),
        ({"allowed_mime_types": ["image/svg+xml"]}, "image/svg+xml"),
    ],
    ids=["public", "no-limit", "other-limit", "any-type", "other-type"],
)
async def test_a_bucket_that_is_otherwise_is_told_in_what(change: dict[str, object], word: str) -> None:
    seen = await bucket(GOOD_BUCKET | change)
    assert seen.outcome is Outcome.FAILED
    assert word in seen.found


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [({}, 400, "not there"), ({}, 403, "refuses the key"), ({}, 200, "cannot be read")],
    ids=["absent", "refused", "unreadable"],
)
async def test_a_bucket_that_is_not_shown_fails(body: object, status: int, word: str) -> None:
    seen = await bucket(body, status=status)
    assert seen.outcome is Outcome.FAILED
    assert word in seen.found
    assert KEY not in f"{seen}"


async def test_a_bucket_that_cannot_be_asked_for_is_not_checked() -> None:
    assert "SUPABASE_URL" in (await supabase.bucket_is_private(patient_with())).found
    seen = await supabase.bucket_is_private(patient_with(url="http://127.0.0.1:9"))
    assert (seen.outcome, "SUPABASE_SERVICE_KEY" in seen.found) == (Outcome.NOT_CHECKED, True)
    seen = await supabase.bucket_is_private(patient_with(url="http://127.0.0.1:9", service_key=KEY))
    assert seen.outcome is Outcome.FAILED


# Backups


PROJECT = "https://abcdefghijklmnopqrst.supabase.co"


@pytest.mark.parametrize(
    ("body", "status", "outcome"),
    [
        (
            {"pitr_enabled": True, "walg_enabled": True, "region": "eu-west-1", "backups": []},
            200,
            Outcome.PASSED,
        ),
        ({"pitr_enabled": False}, 200, Outcome.FAILED),
        ({}, 200, Outcome.FAILED),
        ({}, 401, Outcome.FAILED),
        ({}, 404, Outcome.FAILED),
    ],
    ids=["on", "off", "unreadable", "refused", "unknown"],
)
async def test_whether_backups_go_to_any_moment_is_asked_of_the_management_api(
    body: object, status: int, outcome: Outcome
) -> None:
    async with answering(body, status=status) as url:
        patient = patient_with(url=PROJECT, access_token=KEY, management_url=url)
        seen = await supabase.backups_go_to_any_moment(patient)
    assert seen.outcome is outcome
    assert KEY not in f"{seen}"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "not that of a project"),
        ({"url": "https://auth.zanari.co.ke"}, "not that of a project"),
        ({"url": PROJECT}, "SUPABASE_ACCESS_TOKEN"),
    ],
    ids=["none", "own-domain", "no-token"],
)
async def test_backups_that_cannot_be_asked_about_are_not_checked(changes: dict[str, Any], word: str) -> None:
    seen = await supabase.backups_go_to_any_moment(patient_with(**changes))
    assert seen.outcome is Outcome.NOT_CHECKED
    assert word in seen.found


# Safaricom


async def test_a_host_that_answers_anything_is_reached() -> None:
    async with answering({}, status=404) as url:
        assert (await safaricom.is_reached(patient_with(base_url=url))).outcome is Outcome.PASSED
    assert (await safaricom.is_reached(patient_with())).outcome is Outcome.FAILED


async def test_a_token_is_held_and_looking_does_not_end_it(api: Api) -> None:
    client = api.app.state.parts.daraja
    first = await safaricom.token_is_given(patient_with(client=client))
    again = await safaricom.token_is_given(patient_with(client=client))
    assert first.outcome is Outcome.PASSED
    assert first == again


async def test_a_token_that_cannot_be_asked_for_is_not_checked() -> None:
    assert (await safaricom.token_is_given(patient_with())).outcome is Outcome.NOT_CHECKED


async def test_the_address_of_callbacks_has_to_lead_to_the_api() -> None:
    async with answering({"status": "healthy"}) as url:
        seen = await safaricom.calls_come_back(patient_with(callback_base_url=url))
        assert (seen.outcome, "not from Safaricom" in seen.found) == (Outcome.PASSED, True)
    for body, status in (({"status": "fine"}, 200), ("<html>", 200), ({}, 502)):
        async with answering(body, status=status) as url:
            seen = await safaricom.calls_come_back(patient_with(callback_base_url=url))
            assert (seen.outcome, "something else" in seen.found) == (Outcome.FAILED, True)


@pytest.mark.parametrize(
    ("url", "production", "word"),
    [
        ("http://127.0.0.1:9", False, "does not lead here"),
        ("http://127.0.0.1:9/mpesa", False, "mpesa"),
        ("http://callbacks.zanari.co.ke", True, "https"),
        ("https://10.0.0.1", True, "public"),
    ],
)
async def test_an_address_that_safaricom_would_not_take_or_reach_fails(
    url: str, word: str, *, production: bool
) -> None:
    seen = await safaricom.calls_come_back(patient_with(callback_base_url=url, is_production=production))
    assert seen.outcome is Outcome.FAILED
    assert word in seen.found


async def test_no_address_of_callbacks_is_not_checked() -> None:
    assert (await safaricom.calls_come_back(patient_with())).outcome is Outcome.NOT_CHECKED


@pytest.mark.parametrize(
    ("left", "outcome", "word"),
    [
        (timedelta(days=15), Outcome.PASSED, "valid until"),
        (timedelta(days=13), Outcome.FAILED, "13 days"),
        (timedelta(0), Outcome.FAILED, "EXPIRED"),
        (timedelta(days=-1), Outcome.FAILED, "EXPIRED"),
    ],
)
async def test_a_certificate_is_renewed_before_it_expires(
    left: timedelta, outcome: Outcome, word: str
) -> None:
    clock = Standing(expires_at(certificate_pem()) - left)
    seen = await safaricom.certificate_is_valid(patient_with(clock=clock))
    assert seen.outcome is outcome
    assert word in seen.found


async def test_a_certificate_that_is_none_fails_and_no_certificate_is_not_checked() -> None:
    assert (await safaricom.certificate_is_valid(patient_with(certificate="none"))).outcome is Outcome.FAILED
    assert (
        await safaricom.certificate_is_valid(patient_with(certificate=None))
    ).outcome is Outcome.NOT_CHECKED


@pytest.mark.parametrize(
    ("age_days", "outcome", "word"),
    [
        (0, Outcome.PASSED, "90 days left"),
        (76, Outcome.PASSED, "14 days left"),
        (77, Outcome.FAILED, "expires in 13 days"),
        (90, Outcome.FAILED, "EXPIRED 0 days ago"),
        (-1, Outcome.FAILED, "lies ahead"),
    ],
)
async def test_the_initiators_password_is_changed_before_it_expires(
    age_days: int, outcome: Outcome, word: str
) -> None:
    clock = Standing(datetime(2026, 11, 25, 8, tzinfo=UTC))
    set_on = date(2026, 11, 25) - timedelta(days=age_days)
    seen = await safaricom.password_is_young(patient_with(clock=clock, initiator_password_set_on=set_on))
    assert seen.outcome is outcome
    assert word in seen.found


async def test_a_password_whose_day_nobody_wrote_down_is_not_checked() -> None:
    seen = await safaricom.password_is_young(patient_with())
    assert (seen.outcome, "MPESA_INITIATOR_PASSWORD_SET_ON" in seen.found) == (Outcome.NOT_CHECKED, True)


# The gateway of messages


async def test_a_gateway_that_answers_is_reached() -> None:
    async with answering({}, status=405) as url:
        assert (await own.messages_can_go(patient_with(sms_gateway_url=url))).outcome is Outcome.PASSED
    assert (
        await own.messages_can_go(patient_with(sms_gateway_url="http://127.0.0.1:9"))
    ).outcome is Outcome.FAILED
    assert (await own.messages_can_go(patient_with())).outcome is Outcome.NOT_CHECKED
