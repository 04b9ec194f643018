"""Payments into our paybill over HTTP: every documented shape, matched by member code, booked once."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.support.app import CALLBACK_TOKEN, SHORTCODE, Api, Serve
from tests.support.savers import Saver, code_of, new_receipt
from zanari_api.ledger.accounts import SUSPENSE
from zanari_api.runtime.crypto import Place

SAMPLES = sorted((Path(__file__).parents[1] / "support/daraja_payloads").glob("*.json"))
SUCCESS = {"ResultCode": 0, "ResultDesc": "Success"}


def wire(sample: Path, **fields: object) -> dict[str, Any]:
    """Return a documented body, made ours: our shortcode, a receipt of its own."""
    told = json.loads(sample.read_text())
    told = told.get("body", told)
    return told | {"TransID": new_receipt(), "BusinessShortCode": SHORTCODE} | fields


async def outcome_of(api: Api) -> str:
    rows = await api.rows("SELECT outcome FROM mpesa.callbacks ORDER BY received_at DESC, id DESC LIMIT 1")
    return rows[0]["outcome"]


async def suspense(api: Api) -> int:
    return await api.books.balance(SUSPENSE)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
async def test_every_documented_shape_is_credited(api: Api, saver: Saver, sample: Path) -> None:
    told = wire(sample, BillRefNumber=saver.member_code)
    response = await api.call_back("/c2b/confirmation", json.dumps(told).encode())
    assert (response.status_code, response.json()) == (200, SUCCESS)
    cents = round(float(told["TransAmount"]) * 100)
    assert await saver.holds() == (cents, 0, 0)
    (row,) = await saver.feed()
    assert (row["type"], row["direction"], row["amount_cents"], row["receipt"]) == (
        "deposit",
        "in",
        cents,
        told["TransID"],
    )


@pytest.mark.parametrize("write", ["{0}", " {0} ", "{1} {2}", "{1}-{2}", "{0}Z", "{0}-zz", "{0}a9"])
async def test_a_member_code_is_read_as_people_write_it(api: Api, saver: Saver, write: str) -> None:
    code = saver.member_code
    await api.pay_in(10_000, account_reference=write.format(code, code[:4], code[4:]))
    assert (await saver.holds())[0] == 10_000


async def test_a_goals_letter_deposits_straight_into_it(api: Api, saver: Saver) -> None:
    goal = await saver.goal("Bicycle", target_cents=20_000)
    await api.pay_in(10_000, account_reference=f"{saver.member_code} {goal['letter'].lower()}")
    assert await saver.holds() == (0, 10_000, 0)
    assert [each["percent"] for each in (await saver.read_goal(goal))["milestones"]] == [25, 50]


async def test_the_letter_of_a_cancelled_goal_credits_the_wallet(api: Api, saver: Saver) -> None:
    goal = await saver.goal("Bicycle")
    await saver.post(f"/goals/{goal['id']}/cancellation")
    await api.pay_in(10_000, account_reference=saver.member_code + goal["letter"])
    assert (await saver.holds())[0] == 10_000


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("", "no_reference"),
        ("rent", "no_reference"),
        ("31415933", "no_reference"),
        ("254712345678", "no_reference"),
    ],
)
async def test_what_names_nobody_waits_in_suspense(api: Api, reference: str, reason: str) -> None:
    before, receipt = await suspense(api), new_receipt()
    await api.pay_in(7_700, account_reference=reference, receipt=receipt)
    assert await suspense(api) == before + 7_700
    (item,) = await api.rows("SELECT * FROM mpesa.suspense_items WHERE receipt = $1", receipt)
    assert (item["amount_cents"], item["reason"]) == (7_700, reason)


async def test_a_code_that_nobody_has_waits_in_suspense(api: Api) -> None:
    receipt = new_receipt()
    await api.pay_in(7_700, account_reference="99999994", receipt=receipt)
    (item,) = await api.rows("SELECT reason FROM mpesa.suspense_items WHERE receipt = $1", receipt)
    assert item["reason"] in {"unknown_member", "no_reference"}


async def test_a_receipt_is_credited_once_however_it_is_told(api: Api, saver: Saver) -> None:
    receipt = new_receipt()
    body = {"TransID": receipt, "TransAmount": "100", "BusinessShortCode": SHORTCODE}
    body |= {"BillRefNumber": saver.member_code}
    for told in (body, body, body | {"FirstName": "JANE"}, body | {"TransID": receipt.lower()}):
        response = await api.call_back("/c2b/confirmation", json.dumps(told).encode())
        assert response.json() == SUCCESS
    assert (await saver.holds())[0] == 10_000
    assert await api.rows("SELECT 1 FROM mpesa.discrepancies WHERE receipt = $1", receipt) == []


async def test_the_same_receipt_with_another_amount_is_a_discrepancy(api: Api, saver: Saver) -> None:
    receipt = await saver.deposit(10_000)
    await saver.deposit(20_000, receipt=receipt)
    assert (await saver.holds())[0] == 10_000
    (noted,) = await api.rows("SELECT * FROM mpesa.discrepancies WHERE receipt = $1", receipt)
    assert (noted["first_amount_cents"], noted["later_amount_cents"]) == (10_000, 20_000)


async def test_fifty_confirmations_at_once_credit_once(api: Api, saver: Saver) -> None:
    receipt = new_receipt()
    await asyncio.gather(*(saver.deposit(10_000 + 0, receipt=receipt) for _ in range(50)))
    assert (await saver.holds())[0] == 10_000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00\xff",
        b"[" * 60_000,
        b"{}",
        b'{"TransID": "QWERTY1234", "TransAmount": "-5", "BusinessShortCode": "600000"}',
        b'{"TransID": "QWERTY1235", "TransAmount": "5", "BusinessShortCode": "600999"}',
    ],
)
async def test_what_is_not_ours_or_not_readable_is_kept_and_credits_nobody(api: Api, body: bytes) -> None:
    before = await suspense(api)
    response = await api.call_back("/c2b/confirmation", body)
    assert (response.status_code, response.json()) == (200, SUCCESS)
    assert await outcome_of(api) == "quarantined"
    assert await suspense(api) == before


async def test_a_raw_body_is_kept_encrypted(api: Api, saver: Saver) -> None:
    await api.pay_in(10_000, account_reference=saver.member_code, FirstName="WANJIKU")
    (kept,) = await api.rows("SELECT id, body FROM mpesa.callbacks WHERE saver_id = $1", saver.id)
    assert b"WANJIKU" not in kept["body"]
    keys = await api.runtime.service_keys.keys()
    assert b"WANJIKU" in keys.inbox.decrypt(kept["body"], Place("mpesa.callbacks", "body", kept["id"]))


@pytest.mark.parametrize("path", ["/c2b/confirmation", "/c2b/validation"])
async def test_a_wrong_token_finds_nothing(api: Api, path: str) -> None:
    for token in ("0" * 64, CALLBACK_TOKEN[:-1], CALLBACK_TOKEN.upper(), "x"):
        response = await api.call_back(path, b"{}", callback_token=token)
        assert code_of(response) == (404, "not_found")


async def test_a_token_opens_only_its_own_flow(serve: Serve) -> None:
    async with serve(mpesa_callback_tokens=SecretStr(f"stk:{'a' * 32},c2b:{'b' * 32}")) as other:
        closed = await other.call_back("/c2b/validation", b"{}", callback_token="a" * 32)
        opened = await other.call_back("/c2b/validation", b"{}", callback_token="b" * 32)
        assert (closed.status_code, opened.status_code) == (404, 200)


async def test_an_oversized_callback_is_refused(api: Api) -> None:
    response = await api.call_back("/c2b/confirmation", b"x" * 65_537)
    assert code_of(response) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({}, "0"),
        ({"BillRefNumber": "rent"}, "C2B00012"),
        ({"BillRefNumber": ""}, "C2B00012"),
        ({"TransAmount": "250001"}, "C2B00013"),
        ({"BusinessShortCode": "600999"}, "C2B00015"),
        ({"TransAmount": "much"}, "C2B00016"),
    ],
)
async def test_validation_answers_what_could_be_credited(
    api: Api, saver: Saver, fields: dict[str, str], verdict: str
) -> None:
    told = wire(SAMPLES[-1], BillRefNumber=saver.member_code) | fields
    response = await api.call_back("/c2b/validation", json.dumps(told).encode())
    described = "Accepted" if verdict == "0" else "Rejected"
    assert (response.status_code, response.json()) == (200, {"ResultCode": verdict, "ResultDesc": described})
    assert await saver.holds() == (0, 0, 0)


async def test_without_its_database_a_confirmation_is_not_acknowledged_and_a_validation_is_undecided(
    serve: Serve,
) -> None:
    nowhere = SecretStr("postgresql://zanari_service@127.0.0.1:1/zanari")
    async with serve(database_url=nowhere) as other:
        confirmed = await other.call_back("/c2b/confirmation", b"{}")
        assert code_of(confirmed) == (503, "database_unavailable")
        started = time.monotonic()
        validated = await other.call_back("/c2b/validation", b"{}")
        assert validated.json()["ResultCode"] == "C2B00016"
        assert time.monotonic() - started < 8  # M-PESA's own patience
