"""The signed round-up webhook over HTTP: who may speak, what is taken, and that one spend has one effect."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import SecretStr

from tests.support.app import WEBHOOK_SECRET, Api, Serve
from tests.support.savers import Saver, answered, code_of, new_phone, new_receipt, refused_fields
from zanari_api.mpesa.signature import sign

KEY = Ed25519PrivateKey.generate()
PUBLIC_PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def record(phone: str | None, **fields: object) -> dict[str, object]:
    return {
        "transaction_id": new_receipt(),
        "transaction_type": "buy_goods",
        "amount": "147.00",
        "phone_number": phone,
        "transaction_time": datetime.now(UTC).isoformat(timespec="seconds"),
        **fields,
    }


def body_of(told: dict[str, object], **envelope: object) -> bytes:
    return json.dumps({"record": told, **envelope}).encode()


def mac(body: bytes, *, at: datetime | None = None, secret: str = WEBHOOK_SECRET) -> str:
    return sign(secret, body, at or datetime.now(UTC))


def untimed(body: bytes) -> str:
    return hmac.new(WEBHOOK_SECRET.encode(), body, hashlib.sha256).hexdigest()


def ed25519(body: bytes, key: Ed25519PrivateKey = KEY) -> str:
    seconds = str(int(datetime.now(UTC).timestamp()))
    return f"t={seconds},v1a={base64.b64encode(key.sign(seconds.encode() + b'.' + body)).decode()}"


async def spends_of(api: Api, saver: Saver) -> int:
    return (await api.rows("SELECT count(*) FROM savings.spends WHERE saver_id = $1", saver.id))[0][0]


async def test_a_signed_spend_becomes_a_saving(api: Api, saver: Saver) -> None:
    await saver.deposit(50_000)
    answer = answered(await api.deliver(body_of(record(saver.phone))))
    assert answer["status"] == "processed"
    assert answer["round_up"]["amount_cents"] == 300
    assert await saver.holds() == (49_700, 300, 0)


Header = Callable[[bytes], str | None]

REFUSED: dict[str, Header] = {
    "missing": lambda _: None,
    "empty": lambda _: " ",
    "another secret": lambda body: mac(body, secret="some other secret"),
    "stale": lambda body: mac(body, at=datetime.now(UTC) - timedelta(seconds=310)),
    "future": lambda body: mac(body, at=datetime.now(UTC) + timedelta(seconds=310)),
    "of another body": lambda body: mac(body + b" "),
    "of the body re-serialised": lambda body: mac(json.dumps(json.loads(body), indent=1).encode()),
    "untimed": untimed,
    "no time": lambda body: mac(body).partition(",")[2],
    "no signature": lambda body: mac(body).partition(",")[0],
    "two times": lambda body: f"t=1,{mac(body)}",
    "huge time": lambda body: f"t={'9' * 400},{mac(body).partition(',')[2]}",
    "negative time": lambda body: f"t=-1,{mac(body).partition(',')[2]}",
    "names in capitals": lambda body: mac(body).replace("v1=", "V1="),
    "not hex": lambda _: f"t={int(datetime.now(UTC).timestamp())},v1={'z' * 64}",
    "short": lambda body: mac(body)[:-1],
    "ed25519 where no key is set": ed25519,
    "too many parts": lambda body: mac(body) + ",v1=00" * 2_000,
    "noise": lambda _: ",,==,;\t",
}


@pytest.mark.parametrize("header", REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_not_signed_now_by_us_is_refused_and_does_nothing(
    api: Api, saver: Saver, header: Header
) -> None:
    body = body_of(record(saver.phone))
    response = await api.deliver(body, signature=header(body))
    assert code_of(response) == (401, "invalid_signature")
    assert await spends_of(api, saver) == 0


async def test_a_header_of_other_bytes_is_refused(api: Api) -> None:
    headers = {"X-Mpesa-Signature": "t=1,v1=é".encode()}
    response = await api.client.post("/api/v1/mpesa/webhooks/roundup", content=b"{}", headers=headers)
    assert code_of(response) == (401, "invalid_signature")


async def test_one_of_several_signatures_is_enough(api: Api, saver: Saver) -> None:
    body = body_of(record(saver.phone))
    header = f"{mac(body)},v1={'0' * 64}"
    assert answered(await api.deliver(body, signature=header))["status"] == "processed"


async def test_while_a_secret_is_replaced_both_sign(serve: Serve) -> None:
    secrets = SecretStr(f"the next secret, {WEBHOOK_SECRET}".replace(", ", ","))
    async with serve(mpesa_webhook_secret=secrets) as other:
        saver = await other.new_saver()
        for secret in ("the next secret", WEBHOOK_SECRET):
            body = body_of(record(saver.phone))
            response = await other.deliver(body, signature=mac(body, secret=secret))
            assert answered(response)["status"] == "processed"


async def test_an_untimed_signature_is_taken_only_where_it_is_allowed(serve: Serve) -> None:
    async with serve(mpesa_webhook_allow_untimed=True) as other:
        saver = await other.new_saver()
        body = body_of(record(saver.phone))
        assert answered(await other.deliver(body, signature=untimed(body)))["status"] == "processed"
        assert (await other.deliver(body + b" ", signature=untimed(body))).status_code == 401


async def test_an_ed25519_key_signs_where_it_is_set(serve: Serve) -> None:
    async with serve(mpesa_webhook_public_key=PUBLIC_PEM, mpesa_webhook_secret=None) as other:
        saver = await other.new_saver()
        body = body_of(record(saver.phone))
        assert answered(await other.deliver(body, signature=ed25519(body)))["status"] == "processed"
        forged = ed25519(body, Ed25519PrivateKey.generate())
        assert code_of(await other.deliver(body, signature=forged)) == (401, "invalid_signature")
        assert (await other.deliver(body, signature=mac(body))).status_code == 401


async def test_without_any_key_nothing_is_taken(serve: Serve) -> None:
    async with serve(mpesa_webhook_secret=None) as other:
        response = await other.deliver(body_of(record(new_phone())))
        assert code_of(response) == (503, "webhook_not_configured")
        assert response.headers["retry-after"]


async def test_fifty_deliveries_at_once_have_one_effect_and_one_answer(api: Api, saver: Saver) -> None:
    await saver.deposit(50_000)
    body = body_of(record(saver.phone))
    responses = await asyncio.gather(*(api.deliver(body) for _ in range(50)))
    answers = [answered(response) for response in responses]
    assert sorted(answer["status"] for answer in answers) == ["duplicate"] * 49 + ["processed"]
    assert len({response.content.partition(b'"round_up":')[2] for response in responses}) == 1
    assert await saver.holds() == (49_700, 300, 0)
    assert await spends_of(api, saver) == 1


async def test_a_spend_of_nobody_consumes_nothing_and_is_taken_once_its_number_is_linked(api: Api) -> None:
    phone = new_phone()
    body = body_of(record(phone, transaction_time=datetime.now(UTC).isoformat()))
    assert answered(await api.deliver(body)) == {
        "status": "unmatched",
        "transaction_id": json.loads(body)["record"]["transaction_id"],
        "round_up": None,
    }
    (kept,) = await api.rows("SELECT * FROM mpesa.unmatched_spends")
    assert [len(kept["receipt_hash"]), len(kept["number_hash"])] == [32, 32]
    saver = await api.new_saver(phone=phone)
    await saver.joined(datetime.now(UTC) - timedelta(hours=1))
    answer = answered(await api.deliver(body))
    assert (answer["status"], answer["round_up"]["outcome"]) == ("processed", "waiting")


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_over_64_kib_is_refused(api: Api, declared: bool) -> None:  # noqa: FBT001 (a parameter)
    body = body_of(record(new_phone(), note="x" * 65_536))

    async def stream() -> AsyncIterator[bytes]:
        yield body

    content = body if declared else stream()
    headers = {"X-Mpesa-Signature": mac(body)}
    response = await api.client.post("/api/v1/mpesa/webhooks/roundup", content=content, headers=headers)
    assert code_of(response) == (413, "body_too_large")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"record": null}',
        b'{"record": NaN}',
        b"[" * 60_000,
        b"\xff\xfe",
        b'{"record": {"amount": ' + b"9" * 5_000 + b"}}",
    ],
)
async def test_signed_garbage_is_malformed(api: Api, body: bytes) -> None:
    assert code_of(await api.deliver(body)) == (422, "malformed_record")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", "0"),
        ("amount", -1),
        ("amount", "1.001"),
        ("amount", "NaN"),
        ("amount", "1e3"),
        ("amount", True),
        ("amount", "1000000000.01"),
        ("transaction_id", "short"),
        ("transaction_id", None),
        ("phone_number", "+44 7700 900123"),
        ("transaction_time", "yesterday"),
        ("transaction_time", "2026-11-23T12:00:00"),
        ("status", "perhaps"),
        ("transaction_type", 7),
    ],
)
async def test_a_wrong_field_is_named_and_not_repeated(
    api: Api, saver: Saver, field: str, value: object
) -> None:
    response = await api.deliver(body_of(record(saver.phone, **{field: value})))
    assert refused_fields(response) == {field}
    assert str(saver.phone) not in response.text


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
async def test_text_that_no_database_can_keep_is_malformed(api: Api, saver: Saver, text: str) -> None:
    response = await api.deliver(body_of(record(saver.phone, merchant_name=text)))
    assert code_of(response) == (422, "malformed_record")


async def test_a_spend_more_than_five_minutes_ahead_is_refused(api: Api, saver: Saver) -> None:
    ahead = (datetime.now(UTC) + timedelta(minutes=6)).isoformat()
    assert refused_fields(await api.deliver(body_of(record(saver.phone, transaction_time=ahead)))) == {
        "transaction_time"
    }


async def test_an_update_is_the_same_spend_again_and_a_deletion_is_nothing(api: Api, saver: Saver) -> None:
    told = record(saver.phone)
    first = answered(await api.deliver(body_of(told, type="INSERT", table="transactions", old_record=None)))
    again = answered(await api.deliver(body_of(told, type="UPDATE")))
    gone = answered(await api.deliver(json.dumps({"type": "DELETE", "old_record": told}).encode()))
    assert [first["status"], again["status"], gone["status"]] == ["processed", "duplicate", "ignored"]
    assert first["round_up"] == again["round_up"]


async def test_a_failed_payment_is_ignored(api: Api, saver: Saver) -> None:
    assert answered(await api.deliver(body_of(record(saver.phone, status="failed"))))["status"] == "ignored"
    assert await spends_of(api, saver) == 0


async def test_a_known_receipt_with_other_content_is_a_duplicate_and_a_discrepancy(
    api: Api, saver: Saver
) -> None:
    told = record(saver.phone)
    first = answered(await api.deliver(body_of(told)))
    for _ in range(2):
        later = answered(await api.deliver(body_of(told | {"amount": "149"})))
        assert (later["status"], later["round_up"]) == ("duplicate", first["round_up"])
    noted = await api.rows("SELECT * FROM mpesa.discrepancies WHERE receipt = $1", told["transaction_id"])
    assert [(row["first_amount_cents"], row["later_amount_cents"], row["differs"]) for row in noted] == [
        (14_700, 14_900, ["amount_cents"])
    ]


async def test_a_reversal_takes_the_saving_back_once(api: Api, saver: Saver) -> None:
    await saver.deposit(50_000)
    told = record(saver.phone)
    first = answered(await api.deliver(body_of(told)))
    back = [answered(await api.deliver(body_of(told | {"status": "reversed"}))) for _ in range(2)]
    assert [(answer["status"], answer["round_up"]) for answer in back] == [
        ("processed", None),
        ("duplicate", None),
    ]
    assert await saver.holds() == (50_000, 0, 0)
    again = answered(await api.deliver(body_of(told)))
    assert (again["status"], again["round_up"]) == ("duplicate", first["round_up"])
    assert (await saver.feed(type="spend"))[0]["status"] == "reversed"


async def test_what_is_signed_is_never_rate_limited(serve: Serve) -> None:
    async with serve(rate_limit_address=2, rate_limit_saver=2) as other:
        body = body_of(record(new_phone()))
        for _ in range(10):
            assert answered(await other.deliver(body))["status"] == "unmatched"
            assert (await other.deliver(body, signature="t=1,v1=00")).status_code == 401


async def test_while_round_ups_are_off_a_spend_is_recorded_and_skipped(serve: Serve) -> None:
    async with serve(feature_rollup_enabled=False) as other:
        saver = await other.new_saver()
        await saver.deposit(50_000)
        round_up = (await saver.spend(14_700))["round_up"]
        assert (round_up["outcome"], round_up["reason"]) == ("skipped", "feature_disabled")
        assert len(await saver.feed(type="spend")) == 1


async def test_without_its_database_nothing_is_acknowledged(serve: Serve) -> None:
    nowhere = SecretStr("postgresql://zanari_service@127.0.0.1:1/zanari")
    async with serve(database_url=nowhere) as other:
        response = await other.deliver(body_of(record(new_phone())))
        assert code_of(response) == (503, "database_unavailable")
        assert int(response.headers["retry-after"]) >= 1


async def test_what_was_done_is_counted(api: Api, saver: Saver) -> None:
    def count(name: str) -> float:
        lines = api.runtime.metrics.expose()[0].decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    names = (
        'zanari_webhook_requests_total{outcome="processed"}',
        'zanari_webhook_requests_total{outcome="invalid_signature"}',
        'zanari_spends_total{outcome="waiting",reason="none"}',
        'transaction_amount_kes_sum{type="spend"}',
    )
    before = [count(name) for name in names]
    await saver.spend(14_700)
    await api.deliver(b"{}", signature=None)
    assert [count(name) - was for name, was in zip(names, before, strict=True)] == [1, 1, 1, 147]
