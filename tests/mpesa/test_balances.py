"""What Safaricom says our accounts hold: asked for, kept once, in every shape, and never guessed."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.mpesa.payments import PAYLOADS
from tests.support.app import SHORTCODE, Api
from tests.support.savers import new_receipt
from zanari_api.kit.ids import new_id
from zanari_api.mpesa import balance_queries, balance_service
from zanari_api.mpesa.balance_service import Answer
from zanari_api.runtime.db import Role, Tx

RESULT = "/balance/result"
BALANCES = (
    "Working Account|KES|700000.00|700000.00|0.00|0.00&Float Account|KES|0.00|0.00|0.00|0.00"
    "&Utility Account|KES|228037.00|228037.00|0.00|0.00&Charges Paid Account|KES|-1540.00|-1540.00|0.00|0.00"
    "&Organization Settlement Account|KES|0.00|0.00|0.00|0.00"
)


def conversation() -> str:
    return f"AG_20261125_{new_receipt().lower()}"


async def asked(
    api: Api, *, conversation_id: str | None = None, requested_at: datetime | None = None
) -> UUID:
    """Store a question as if it had been asked; without an id, its reply never came."""
    request_id, now = new_id(), requested_at or api.clock.now()

    async def store(tx: Tx) -> None:
        await balance_queries.insert_request(
            tx, request_id=request_id, shortcode=SHORTCODE, booked_since="0", now=now
        )
        if conversation_id is not None:
            await balance_queries.mark_submitted(
                tx,
                request_id=request_id,
                conversation_id=conversation_id,
                originator_conversation_id="1-2-3",
                now=now,
            )

    await api.db.unit_of_work(store, role=Role.SYSTEM)
    return request_id


async def answer(api: Api, request_id: UUID) -> Answer:
    async with api.db.transaction(Role.SYSTEM) as tx:
        return await balance_service.find(tx, request_id=request_id)


def told(
    conversation_id: str, *, code: object = "0", balances: str | None = BALANCES, **parameters: Any
) -> bytes:
    items = {"BOCompletedTime": "20261125120000", **parameters}
    if balances is not None:
        items["AccountBalance"] = balances
    return json.dumps(
        {
            "Result": {
                "ResultType": "0",
                "ResultCode": code,
                "ResultDesc": "whatever",
                "ConversationID": conversation_id,
                "OriginatorConversationID": "1-2-3",
                "TransactionID": "OA90000000",
                "ResultParameters": {
                    "ResultParameter": [{"Key": key, "Value": value} for key, value in items.items()]
                },
            }
        }
    ).encode()


async def tell(api: Api, body: bytes) -> tuple[str, str | None]:
    assert (await api.call_back(RESULT, body)).status_code == 200
    rows = await api.rows(
        "SELECT outcome, note FROM mpesa.callbacks ORDER BY last_received_at DESC, id DESC LIMIT 1"
    )
    return rows[0]["outcome"], rows[0]["note"]


async def test_the_three_accounts_we_keep_books_of_are_kept_as_of_mpesas_time(api: Api) -> None:
    request_id = await asked(api, conversation_id=(id_ := conversation()))
    assert await tell(api, told(id_)) == ("noted", None)
    kept = await answer(api, request_id)
    assert kept.is_final
    assert {report.account: report.balance_cents for report in kept.reports} == {
        "utility": 22_803_700,
        "working": 70_000_000,
        "charges_paid": -154_000,
    }
    assert {report.reported_at for report in kept.reports} == {datetime(2026, 11, 25, 9, 0, tzinfo=UTC)}


async def test_the_published_samples_are_read(api: Api) -> None:
    samples = json.loads((PAYLOADS / "payloads.json").read_text(encoding="utf-8"))
    bodies = [each["body"] for each in samples if each["kind"] == "account_balance_result"]
    assert bodies
    for body in bodies:
        request_id = await asked(api, conversation_id=body["Result"]["ConversationID"])
        await tell(api, json.dumps(body).encode())
        assert (await answer(api, request_id)).reports


async def test_an_accident_in_one_account_leaves_the_others(api: Api) -> None:
    request_id = await asked(api, conversation_id=(id_ := conversation()))
    broken = BALANCES.replace("Utility Account|KES|228037.00", "Utility Account|KES|nonsense")
    await tell(api, told(id_, balances=broken))
    assert {report.account for report in (await answer(api, request_id)).reports} == {
        "working",
        "charges_paid",
    }


async def test_without_a_time_the_balances_are_of_when_they_came(api: Api) -> None:
    request_id = await asked(api, conversation_id=(id_ := conversation()))
    await tell(api, told(id_, BOCompletedTime="yesterday"))
    (report, *_) = (await answer(api, request_id)).reports
    assert abs(report.reported_at - api.clock.now()) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("body", "note"),
    [
        ({"code": "18"}, "initiator_invalid"),
        ({"code": "NEW"}, "unknown_code"),
        ({"balances": None}, "unreadable"),
    ],
)
async def test_an_answer_without_balances_fails_the_question(
    api: Api, body: dict[str, Any], note: str
) -> None:
    request_id = await asked(api, conversation_id=(id_ := conversation()))
    assert await tell(api, told(id_, **body)) == ("failed", note)
    failed = await answer(api, request_id)
    assert (failed.is_final, failed.request.reason, failed.reports) == (True, note, ())


async def test_balances_that_come_after_a_failure_are_kept_all_the_same(api: Api) -> None:
    request_id = await asked(api, conversation_id=(id_ := conversation()))
    await tell(api, told(id_, code="26"))
    assert await tell(api, told(id_)) == ("noted", None)
    assert len((await answer(api, request_id)).reports) == 3


async def test_a_second_answer_changes_nothing(api: Api) -> None:
    request_id = await asked(api, conversation_id=(id_ := conversation()))
    await tell(api, told(id_))
    assert (await tell(api, told(id_, balances=BALANCES.replace("228037", "1"))))[0] == "duplicate"
    utility = [report for report in (await answer(api, request_id)).reports if report.account == "utility"]
    assert [report.balance_cents for report in utility] == [22_803_700]


async def test_what_cannot_be_read_is_kept_for_a_person(api: Api) -> None:
    assert (await tell(api, b'{"Result": {"n": "%s"}}' % new_receipt().encode()))[0] == "quarantined"


async def test_an_answer_to_nothing_waits_and_then_waits_for_a_person(api: Api) -> None:
    await api.alter(
        "UPDATE mpesa.balance_requests SET submitted_at = requested_at WHERE submitted_at IS NULL"
    )
    body = told(conversation())
    assert (await tell(api, body))[0] == "waiting"
    api.clock.advance(hours=25)
    await api.work()
    rows = await api.rows(
        "SELECT outcome FROM mpesa.callbacks WHERE kind = 'balance_result' ORDER BY received_at DESC"
    )
    assert "quarantined" in {row["outcome"] for row in rows}


async def test_an_answer_whose_question_lost_its_reply_bothers_nobody(api: Api) -> None:
    await asked(api)
    body = told(conversation())
    assert (await tell(api, body))[0] == "waiting"
    api.clock.advance(minutes=3)
    assert await tell(api, body) == ("noted", "reply_lost")


async def test_an_answer_without_safaricoms_id_matches_nothing(api: Api) -> None:
    envelope = json.loads(told(conversation()))
    del envelope["Result"]["ConversationID"]
    assert (await tell(api, json.dumps(envelope).encode()))[0] in {"waiting", "noted"}


async def test_the_last_answer_of_a_stretch_of_time_is_found(api: Api) -> None:
    first = await asked(api, conversation_id=(one := conversation()))
    last = await asked(api, conversation_id=(two := conversation()))
    await tell(api, told(one, BOCompletedTime="20250101100000"))
    await tell(api, told(two, BOCompletedTime="20250101110000"))
    day = datetime(2025, 1, 1, tzinfo=UTC)
    async with api.db.transaction(Role.SYSTEM) as tx:
        found = await balance_service.find_last(
            tx, shortcode=SHORTCODE, since=day, until=day + timedelta(days=1)
        )
        assert found is not None
        assert found.request.id == last != first
        assert len(found.reports) == 3
        none = await balance_service.find_last(
            tx, shortcode=SHORTCODE, since=day - timedelta(days=1), until=day
        )
        assert none is None


async def test_the_horizon_is_that_of_the_last_question_before(api: Api) -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    await asked(api, requested_at=long_ago)
    async with api.db.transaction(Role.SYSTEM) as tx:
        assert await balance_service.find_horizon(tx, shortcode=SHORTCODE, moment=long_ago) == "0"
        assert await balance_service.find_horizon(tx, shortcode="99999", moment=api.clock.now()) == "0"
