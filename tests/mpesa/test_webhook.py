"""The signed round-up webhook over HTTP: what each delivery does, and that it does it once."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.mpesa.deliveries import PATH, deliver, record_of, status_of
from tests.support.app import WEBHOOK_SECRET, Api
from tests.support.savers import Saver, answered, code_of, new_phone, now
from zanari_api.mpesa.signature import sign
from zanari_api.runtime.middleware import BODY_MAX_BYTES

SAVED = {"amount_cents": 300, "outcome": "saved", "reason": None}


# One effect


async def test_a_spend_is_rounded_up_into_a_goal_and_explained(api: Api, saver: Saver) -> None:
    await saver.deposit(10_000)
    goal = await saver.default_goal()
    answer = answered(await deliver(api, record := record_of(saver)))
    assert answer == {
        "status": "processed",
        "transaction_id": record["transaction_id"],
        "round_up": SAVED | {"allocations": [{"goal_id": goal["id"], "amount_cents": 300}]},
    }
    assert await saver.holds() == (9_700, 300, 0)
    (spend, _deposit) = await saver.feed()
    assert spend["round_up"]["amount_cents"] == 300
    assert "KES 3" in (await saver.transaction(spend))["explanation"]["text"]


async def test_fifty_deliveries_at_once_have_one_effect_and_one_answer(api: Api, saver: Saver) -> None:
    await saver.deposit(10_000)
    body = json.dumps({"record": record_of(saver)}).encode()
    answers = await asyncio.gather(*(api.deliver(body) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    statuses = [answer.json()["status"] for answer in answers]
    assert sorted(statuses) == ["duplicate"] * 49 + ["processed"]
    first, *others = {answer.content.partition(b'"round_up":')[2] for answer in answers}
    assert first
    assert others == []
    assert await saver.holds() == (9_700, 300, 0)
    assert len([row for row in await saver.feed() if row["type"] == "spend"]) == 1


async def test_the_first_answer_stands_whatever_has_changed_since(api: Api, saver: Saver) -> None:
    await saver.deposit(10_000)
    record = record_of(saver)
    first = answered(await deliver(api, record))
    await saver.rule(step_cents=10_000)
    await saver.goal("New goal")
    assert answered(await deliver(api, record)) == first | {"status": "duplicate"}


async def test_a_spend_that_the_wallet_cannot_cover_waits(api: Api, saver: Saver) -> None:
    answer = answered(await deliver(api, record_of(saver)))
    assert (answer["round_up"]["outcome"], answer["round_up"]["amount_cents"]) == ("waiting", 300)
    assert await saver.holds() == (0, 0, 300)


# Whose it is


async def test_a_number_that_nobody_has_consumes_nothing_and_leaves_keyed_hashes_only(
    api: Api, saver: Saver
) -> None:
    phone = new_phone()
    record = record_of(saver, phone_number=phone)
    receipt = record["transaction_id"]
    for _ in range(2):
        assert answered(await deliver(api, record)) == {
            "status": "unmatched",
            "transaction_id": receipt,
            "round_up": None,
        }
    assert await api.rows("SELECT 1 FROM mpesa.receipts WHERE receipt = $1", receipt) == []
    assert await api.rows("SELECT 1 FROM savings.spends WHERE receipt = $1", receipt) == []
    index = (await api.runtime.service_keys.keys()).index
    (row,) = await api.rows(
        "SELECT * FROM mpesa.unmatched_spends WHERE number_hash = $1", index.number(phone)
    )
    assert set(row.keys()) == {"receipt_hash", "number_hash", "first_seen_at", "last_seen_at"}
    # Whoever holds the table alone cannot try numbers against it: there are only a few million.
    assert row["number_hash"] != hashlib.sha256(phone.encode()).digest()
    assert row["receipt_hash"] != hashlib.sha256(receipt.encode()).digest()


async def test_what_was_unmatched_is_processed_once_the_number_is_linked(api: Api) -> None:
    phone = new_phone()
    saver = await api.new_saver(phone=None)
    record = record_of(saver, phone_number=phone)
    assert await status_of(api, record) == "unmatched"
    linked = await api.new_saver(phone=phone, saver_id=saver.id)
    await linked.deposit(1_000)
    assert answered(await deliver(api, record))["round_up"]["amount_cents"] == 300
    assert await status_of(api, record) == "duplicate"
    assert await linked.holds() == (700, 300, 0)


@pytest.mark.parametrize("form", ["+{}", "{}", "0{}", "00{}", "{} "])
async def test_the_number_may_be_written_in_any_kenyan_form(api: Api, saver: Saver, form: str) -> None:
    assert saver.phone is not None
    number = saver.phone.removeprefix("254") if form == "0{}" else saver.phone
    assert await status_of(api, record_of(saver, phone_number=form.format(number))) == "processed"


# What it may look like


@pytest.mark.parametrize("amount", [147, 147.0, "147", "147.00"])
async def test_the_amount_is_read_from_its_digits(api: Api, saver: Saver, amount: object) -> None:
    answer = answered(await deliver(api, record_of(saver, amount=amount)))
    assert answer["round_up"]["amount_cents"] == 300


async def test_darajas_time_is_nairobis(api: Api, saver: Saver) -> None:
    at = now()
    daraja = (at + timedelta(hours=3)).strftime("%Y%m%d%H%M%S")
    assert await status_of(api, record_of(saver, transaction_time=daraja)) == "processed"
    (row,) = await saver.feed()
    assert datetime.fromisoformat(row["occurred_at"]) == at


async def test_unknown_keys_are_ignored(api: Api, saver: Saver) -> None:
    record = record_of(saver, till_operator="x", nested={"a": [1]})
    assert await status_of(api, record, schema="public") == "processed"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        b"[]",
        b'"text"',
        b"{}",
        b'{"record": null}',
        b'{"record": []}',
        b'{"record": {}}',
        b'{"record": {"amount": NaN}}',
        b'{"record": {}, "record": {}}',
        b"\xff\xfe{}",
        b'{"record": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b'{"record": {"amount": ' + b"9" * 20_000 + b"}}",
    ],
)
async def test_garbage_is_422(api: Api, body: bytes) -> None:
    assert code_of(await api.deliver(body)) == (422, "malformed_record")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("transaction_id", ""),
        ("transaction_id", "AB\u0000CDEFGH"),
        ("merchant_name", "Shop\u0000"),
        ("merchant_name", "half a pair \ud83d"),
        ("amount", 0),
        ("amount", -1),
        ("amount", "1.234"),
        ("amount", "1.47e2"),
        ("amount", 10**9 + 1),
        ("amount", True),
        ("amount", None),
        ("phone_number", "12345"),
        ("phone_number", "+14155550100"),
        ("transaction_time", "yesterday"),
        ("transaction_time", "2026-11-23T10:00:00"),
        ("status", "perhaps"),
    ],
)
async def test_a_record_that_cannot_be_is_422_and_is_not_quoted(
    api: Api, saver: Saver, field: str, value: object
) -> None:
    response = await deliver(api, record_of(saver, **{field: value}))
    assert code_of(response) == (422, "malformed_record")
    if isinstance(value, str) and len(value) > 1:
        assert value not in response.text
    assert await saver.feed() == []


async def test_more_than_five_minutes_in_the_future_is_422(api: Api, saver: Saver) -> None:
    late = record_of(saver, transaction_time=(now() + timedelta(minutes=6)).isoformat())
    response = await deliver(api, late)
    assert code_of(response) == (422, "malformed_record")
    assert [error["field"] for error in response.json()["errors"]] == ["record.transaction_time"]
    soon = record_of(saver, transaction_time=(now() + timedelta(minutes=4)).isoformat())
    assert await status_of(api, soon) == "processed"


async def test_a_body_over_64_kib_is_413_declared_or_streamed(api: Api, saver: Saver) -> None:
    body = json.dumps({"record": record_of(saver), "padding": ""}).encode()
    fits = body.replace(b'""}', b'"' + b"x" * (BODY_MAX_BYTES - len(body)) + b'"}')
    too_large = fits.replace(b"xx", b"xxx", 1)
    assert (len(fits), len(too_large)) == (65_536, 65_537)
    assert code_of(await api.deliver(too_large)) == (413, "body_too_large")

    async def streamed() -> AsyncIterator[bytes]:
        for start in range(0, len(too_large), 1_000):
            yield too_large[start : start + 1_000]

    headers = {"X-Mpesa-Signature": sign(WEBHOOK_SECRET, too_large, datetime.now(UTC))}
    response = await api.client.post(PATH, content=streamed(), headers=headers)
    assert code_of(response) == (413, "body_too_large")
    assert await saver.feed() == []
    assert answered(await api.deliver(fits))["status"] == "processed"


# The envelope


async def test_an_insert_is_a_spend_and_an_update_is_the_same_told_again(api: Api, saver: Saver) -> None:
    record = record_of(saver)
    envelope = {"type": "INSERT", "table": "payments", "schema": "public", "old_record": None}
    assert await status_of(api, record, **envelope) == "processed"
    updated = {"type": "UPDATE", "table": "payments", "old_record": record}
    assert await status_of(api, record, **updated) == "duplicate"
    assert await status_of(api, record_of(saver), **updated) == "processed"


async def test_a_deletion_changes_nothing(api: Api, saver: Saver) -> None:
    record = record_of(saver)
    await deliver(api, record)
    held = await saver.holds()
    answer = answered(await deliver(api, None, type="DELETE", old_record=record))
    assert answer == {"status": "ignored", "transaction_id": record["transaction_id"], "round_up": None}
    assert await saver.holds() == held
    assert answered(await deliver(api, None, type="DELETE"))["transaction_id"] is None


async def test_another_type_of_envelope_is_422(api: Api, saver: Saver) -> None:
    response = await deliver(api, record_of(saver), type="TRUNCATE")
    assert code_of(response) == (422, "malformed_record")


async def test_a_failed_payment_is_ignored_and_consumes_nothing(api: Api, saver: Saver) -> None:
    record = record_of(saver, status="failed")
    assert await status_of(api, record) == "ignored"
    assert await saver.feed() == []
    assert await status_of(api, record | {"status": "completed"}) == "processed"


# The same receipt again


async def test_a_known_receipt_with_other_content_is_a_duplicate_and_a_recorded_discrepancy(
    api: Api, saver: Saver
) -> None:
    await saver.deposit(10_000)
    record = record_of(saver)
    first = answered(await deliver(api, record))
    for _ in range(2):
        changed = answered(await deliver(api, record | {"amount": 152}))
        assert changed == first | {"status": "duplicate"}
    await deliver(api, record | {"merchant_name": "Another Shop"})
    noted = await api.rows(
        "SELECT role, first_amount_cents, later_amount_cents, differs FROM mpesa.discrepancies"
        " WHERE receipt = $1 ORDER BY id",
        record["transaction_id"],
    )
    assert [tuple(row) for row in noted] == [
        ("signed_spend", 14_700, 15_200, ["amount_cents"]),
        ("signed_spend", 14_700, 14_700, ["details"]),
    ]
    assert await saver.holds() == (9_700, 300, 0)


async def test_a_receipt_is_one_savers_whoever_is_told_of_later(api: Api, saver: Saver) -> None:
    other = await api.new_saver()
    record = record_of(saver)
    await deliver(api, record)
    assert await status_of(api, record | {"phone_number": other.phone}) == "duplicate"
    assert await other.feed() == []


@pytest.mark.parametrize("has_receipt_of_its_own", [False, True])
async def test_a_reversal_gives_the_round_up_back_once(
    api: Api, saver: Saver, *, has_receipt_of_its_own: bool
) -> None:
    await saver.deposit(10_000)
    record = record_of(saver)
    assert await status_of(api, record) == "processed"
    assert await saver.holds() == (9_700, 300, 0)
    same = record | {"status": "reversed"}
    news = record_of(saver, reverses=record["transaction_id"]) if has_receipt_of_its_own else same
    for status in ("processed", "duplicate"):
        assert answered(await deliver(api, news)) == {
            "status": status,
            "transaction_id": news["transaction_id"],
            "round_up": None,
        }
        assert await saver.holds() == (10_000, 0, 0)


async def test_a_spend_that_arrives_after_its_reversal_saves_nothing(api: Api, saver: Saver) -> None:
    await saver.deposit(10_000)
    record = record_of(saver)
    assert await status_of(api, record_of(saver, reverses=record["transaction_id"])) == "processed"
    late = answered(await deliver(api, record))
    assert (late["round_up"]["outcome"], late["round_up"]["reason"]) == ("skipped", "reversed")
    assert await saver.holds() == (10_000, 0, 0)
