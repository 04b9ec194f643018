"""Every callback's address over HTTP: token, source, then on disk before it is acknowledged."""

import asyncio

import httpx
import pytest
from pydantic import SecretStr

from tests.mpesa.callbacks import ACKNOWLEDGED, body_of, kept, opened, path_of, stored
from tests.mpesa.conftest import Counted, Fragile
from tests.support.app import CALLBACK_TOKEN, Api, Serve, settings_for
from tests.support.observed import Written
from tests.support.postgres import Database
from tests.support.savers import Saver, answered, code_of, new_receipt
from zanari_api.assembly import NOBODY, assemble
from zanari_api.mpesa.config import CALLBACK_PATHS, PUBLISHED_SOURCES, Flow
from zanari_api.mpesa.inbox import CallbackKind, Outcome
from zanari_api.runtime.middleware import BODY_MAX_BYTES
from zanari_api.settings import SettingsInvalid

TOLD = [kind for kind in CallbackKind if kind is not CallbackKind.C2B_VALIDATION]
"""What Safaricom tells, rather than asks."""

LISTED = PUBLISHED_SOURCES[0]
ELSEWHERE = "198.51.100.7"
"""Where the tests' client calls from."""


async def called_from(
    api: Api, peer: str, kind: CallbackKind, body: bytes, *, forwarded: str | None = None
) -> httpx.Response:
    """Post a callback from an address, by way of a proxy where there is `forwarded`."""
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    transport = httpx.ASGITransport(api.app, client=(peer, 40000))
    async with httpx.AsyncClient(transport=transport, base_url="http://zanari.test") as client:
        return await client.post(f"/callbacks/{CALLBACK_TOKEN}{path_of(kind)}", content=body, headers=headers)


# What is answered and kept


@pytest.mark.parametrize("kind", TOLD, ids=str)
async def test_each_kind_is_acknowledged_and_kept_encrypted_and_once(api: Api, kind: CallbackKind) -> None:
    body = body_of(kind, Once="and for all")
    for _ in range(3):
        assert answered(await api.call_back(path_of(kind), body)) == ACKNOWLEDGED
    row = await kept(api, kind, body)
    assert (row["kind"], row["deliveries"]) == (kind, 3)
    assert b"for all" not in row["body"]
    assert (await opened(api, row))["Once"] == "and for all"


@pytest.mark.parametrize("kind", TOLD, ids=str)
@pytest.mark.parametrize("garbage", [b"", b"\xff\xfe", b"[1]", b"{}", b"not JSON"])
async def test_garbage_is_quarantined_or_decides_nothing(
    api: Api, kind: CallbackKind, garbage: bytes
) -> None:
    booked = await api.rows("SELECT count(*) FROM ledger.transfers")
    assert answered(await api.call_back(path_of(kind), garbage)) == ACKNOWLEDGED
    row = await kept(api, kind, garbage)
    assert row["outcome"] in {"quarantined", "noted"}
    if row["outcome"] == "quarantined":
        assert row["note"] == "unreadable"
    assert await api.rows("SELECT count(*) FROM ledger.transfers") == booked


async def test_the_credential_in_an_echoed_request_is_not_stored(api: Api) -> None:
    body = body_of(CallbackKind.B2C_TIMEOUT, Echo="of a payout")
    assert b"SecurityCredential" in body
    await api.call_back("/b2c/timeout", body)
    echoed = await opened(api, await kept(api, CallbackKind.B2C_TIMEOUT, body))
    assert echoed["SecurityCredential"] == "[redacted]"
    assert echoed["Echo"] == "of a payout"


@pytest.mark.parametrize("kind", CallbackKind, ids=str)
async def test_a_body_over_64_kib_is_413_and_is_not_kept(api: Api, kind: CallbackKind) -> None:
    body = body_of(kind, Padding="x" * BODY_MAX_BYTES)
    assert code_of(await api.call_back(path_of(kind), body)) == (413, "body_too_large")
    assert await stored(api, kind, body) == []


async def test_without_the_database_nothing_is_acknowledged(fragile: Fragile) -> None:
    await fragile.line.cut()
    for kind in TOLD:
        response = await fragile.api.call_back(path_of(kind), body_of(kind, Lost="at first"))
        assert code_of(response) == (503, "database_unavailable")
        assert int(response.headers["retry-after"]) > 0
    await fragile.line.mend()
    for kind in TOLD:
        body = body_of(kind, Lost="at first")
        assert await stored(fragile.api, kind, body) == []
        assert answered(await fragile.api.call_back(path_of(kind), body)) == ACKNOWLEDGED


async def test_twenty_deliveries_of_one_confirmation_at_once_credit_it_once(api: Api, saver: Saver) -> None:
    kind = CallbackKind.C2B_CONFIRMATION
    body = body_of(kind, BillRefNumber=saver.member_code, TransAmount="50.00", TransID=new_receipt())
    answers = await asyncio.gather(*(api.call_back(path_of(kind), body) for _ in range(20)))
    assert [answer.json() for answer in answers] == [ACKNOWLEDGED] * 20
    assert (await kept(api, kind, body))["deliveries"] == 20
    assert await saver.holds() == (5_000, 0, 0)


# The token


@pytest.mark.parametrize("kind", CallbackKind, ids=str)
async def test_a_wrong_token_is_a_404_like_any_other_and_stores_nothing(api: Api, kind: CallbackKind) -> None:
    body = body_of(kind, Forged="token")
    for wrong in ("0" * 48, CALLBACK_TOKEN[:-1], CALLBACK_TOKEN.upper(), "%00", "%FF", "%C3%A9", "{token}"):
        response = await api.call_back(path_of(kind), body, callback_token=wrong)
        assert code_of(response) == (404, "not_found"), wrong
    assert await stored(api, kind, body) == []


async def test_each_flow_has_tokens_of_its_own_and_several_at_a_time(serve: Serve) -> None:
    tokens = {flow: [f"{number:02x}" * 16, f"{number + 100:02x}" * 16] for number, flow in enumerate(Flow)}
    entries = ",".join(f"{flow}:{token}" for flow, active in tokens.items() for token in active)
    async with serve(mpesa_callback_tokens=SecretStr(entries)) as bound:
        config = bound.app.state.mpesa
        for kind, (flow, path) in CALLBACK_PATHS.items():
            for other, active in tokens.items():
                for token in active:
                    response = await bound.call_back(path, body_of(kind), callback_token=token)
                    assert response.status_code == (200 if other is flow else 404), (kind, other)
            # What Safaricom is given from now on is the first of them.
            assert config.callback_url(kind).endswith(f"/callbacks/{tokens[flow][0]}{path}")


def test_a_flow_without_a_token_is_found_at_the_start(database: Database) -> None:
    settings = settings_for(database, mpesa_callback_tokens=SecretStr("stk:" + "a1" * 16))
    with pytest.raises(
        SettingsInvalid, match="MPESA_CALLBACK_TOKENS: a callback token must be there for each"
    ):
        assemble(settings, stead=NOBODY)


# Where it comes from


async def test_a_callback_from_elsewhere_is_reported_and_taken_in_all_the_same(
    serve: Serve, saver: Saver, written: Written
) -> None:
    kind = CallbackKind.C2B_CONFIRMATION
    bodies = [body_of(kind, BillRefNumber=saver.member_code, TransAmount="1.00") for _ in range(40)]
    async with serve() as reporting:
        for body in bodies:
            assert answered(await called_from(reporting, ELSEWHERE, kind, body)) == ACKNOWLEDGED
        labels = {"flow": "c2b", "mode": "reported"}
        sample = reporting.runtime.metrics.registry.get_sample_value
        assert sample("zanari_callbacks_source_refused_total", labels) == 40
        assert (await kept(reporting, kind, bodies[0]))["source_listed"] is False
    assert await saver.holds() == (4_000, 0, 0)
    lines = written.events("callback_source_not_listed")
    assert 0 < len(lines) <= 10
    assert (lines[0]["flow"], lines[0]["mode"], lines[0]["address"]) == ("c2b", "reported", ELSEWHERE)


async def test_a_callback_from_a_published_address_is_remembered_as_such(api: Api, counted: Counted) -> None:
    kind = CallbackKind.STK
    body = body_of(kind, From="Safaricom")
    await called_from(api, ELSEWHERE, kind, body)
    await called_from(api, LISTED, kind, body)
    assert (await kept(api, kind, body))["source_listed"] is True
    assert counted("zanari_callbacks_source_refused_total", flow="stk", mode="reported") == 1


async def test_where_the_list_is_enforced_a_callback_from_elsewhere_is_403_and_not_stored(
    serve: Serve, written: Written
) -> None:
    async with serve(mpesa_ip_allowlist_enforced=True) as strict:
        for kind in CallbackKind:
            for number in range(5):
                body = body_of(kind, Forged=f"source {number}")
                response = await called_from(strict, ELSEWHERE, kind, body)
                assert code_of(response) == (403, "source_not_allowed")
                assert await stored(strict, kind, body) == []
            assert (await called_from(strict, LISTED, kind, body_of(kind))).status_code == 200
        sample = strict.runtime.metrics.registry.get_sample_value
        labels = {"flow": "status", "mode": "enforced"}
        assert sample("zanari_callbacks_source_refused_total", labels) == 10
    assert len(written.events("callback_source_not_listed")) <= 10
    assert written.events("request_refused") == []


async def test_a_wrong_token_is_a_404_wherever_it_comes_from(serve: Serve) -> None:
    async with serve(mpesa_ip_allowlist_enforced=True) as strict:
        response = await strict.call_back("/stk", b"{}", callback_token="0" * 48)
        assert code_of(response) == (404, "not_found")


async def test_production_enforces_the_list_unless_it_is_told_otherwise(serve: Serve) -> None:
    production = {
        "mpesa_environment": "production",
        "mpesa_callback_base_url": "https://callbacks.zanari.co.ke",
    }
    body = body_of(CallbackKind.STK, Production="true")
    async with serve(**production) as strict:
        assert (await called_from(strict, ELSEWHERE, CallbackKind.STK, body)).status_code == 403
    async with serve(**production, mpesa_ip_allowlist_enforced=False) as lenient:
        assert (await called_from(lenient, ELSEWHERE, CallbackKind.STK, body)).status_code == 200


async def test_the_source_is_the_right_most_hop_that_is_no_proxy_of_ours(serve: Serve) -> None:
    kind = CallbackKind.PULL
    async with serve(mpesa_ip_allowlist_enforced=True, trusted_proxies=("10.0.0.0/8",)) as strict:
        for forwarded, status in {
            LISTED: 200,
            f"{ELSEWHERE}, {LISTED}": 200,
            f"{ELSEWHERE}, {LISTED}, 10.9.9.9": 200,
            f"{LISTED}, {ELSEWHERE}": 403,
            f"{LISTED}, {ELSEWHERE}, 10.9.9.9": 403,
            f"{LISTED}, garbage": 403,
        }.items():
            response = await called_from(strict, "10.0.0.1", kind, body_of(kind), forwarded=forwarded)
            assert response.status_code == status, forwarded
        # Without a proxy of ours before it, the header is the caller's own word.
        response = await called_from(strict, ELSEWHERE, kind, body_of(kind), forwarded=LISTED)
        assert response.status_code == 403


async def test_a_list_of_our_own_takes_the_place_of_the_published_one(serve: Serve) -> None:
    kind = CallbackKind.STK
    async with serve(
        mpesa_ip_allowlist_enforced=True, mpesa_ip_allowlist=("203.0.113.0/24", "2001:db8::1")
    ) as strict:
        for address, status in {
            "203.0.113.77": 200,
            "::ffff:203.0.113.77": 200,
            "2001:db8::1": 200,
            "2001:db8::2": 403,
            "no address": 403,
            LISTED: 403,
        }.items():
            response = await called_from(strict, address, kind, body_of(kind))
            assert response.status_code == status, address


def test_a_list_that_is_none_is_found_at_the_start(database: Database) -> None:
    settings = settings_for(database, mpesa_ip_allowlist=("safaricom.co.ke",))
    with pytest.raises(SettingsInvalid, match="MPESA_IP_ALLOWLIST: a callback's source is an address"):
        assemble(settings, stead=NOBODY)


# What operators see of it


async def test_every_kind_and_outcome_is_counted_from_zero(api: Api) -> None:
    sample = api.runtime.metrics.registry.get_sample_value
    for kind in CallbackKind:
        for outcome in Outcome:
            assert sample("zanari_callbacks_total", {"kind": kind, "outcome": outcome}) is not None
    for flow in Flow:
        for mode in ("enforced", "reported"):
            assert sample("zanari_callbacks_source_refused_total", {"flow": flow, "mode": mode}) is not None


async def test_no_log_line_holds_what_a_callback_says_of_people(api: Api, written: Written) -> None:
    for kind in CallbackKind:
        await api.call_back(path_of(kind), body_of(kind, MSISDN="254722123456", FirstName="Wanjiku"))
    assert {line["kind"] for line in written.events("callback_received")} >= set(CallbackKind)
    for private in ("254722123456", "708374149", "wanjiku", "ws_co_", "securitycredential", CALLBACK_TOKEN):
        assert private not in written.text.lower()


def test_the_paths_are_those_that_the_tests_of_the_product_name() -> None:
    assert {path for _, path in CALLBACK_PATHS.values()} == {
        "/stk",
        "/c2b/validation",
        "/c2b/confirmation",
        "/b2c/result",
        "/b2c/timeout",
        "/status/result",
        "/status/timeout",
        "/balance/result",
        "/balance/timeout",
        "/reversal/result",
        "/reversal/timeout",
        "/pull",
    }
