"""The callback of a push in every shape that was published: acted on, or kept for a person, and never a 500."""

import json
from typing import Any

import pytest

from tests.support.app import Api
from tests.support.prompts import Prompter
from tests.support.savers import Json, Saver
from zanari_api.mpesa.inbox import CallbackKind

SUCCESS: Json = {
    "Item": [
        {"Name": "Amount", "Value": 500.00},
        {"Name": "Balance"},
        {"Name": "TransactionDate", "Value": 20261125102115},
        {"Name": "PhoneNumber", "Value": 254708374149},
    ]
}


@pytest.fixture
def prompter(api: Api) -> Prompter:
    return Prompter(api)


async def call_back(api: Api, body: bytes) -> str:
    """Post a callback of a push, which is always acknowledged. Returns what became of it."""
    response = await api.call_back("/stk", body)
    assert response.status_code == 200, response.text
    assert response.json()["ResultCode"] == 0
    keys = await api.runtime.service_keys.keys()
    digest = keys.index.digest("callback", CallbackKind.STK.encode(), body)
    (row,) = await api.rows("SELECT outcome FROM mpesa.callbacks WHERE dedupe_hash = $1", digest)
    return row["outcome"]


def callback(handle: str, code: int | str, metadata: Json | None = None, **more: Any) -> bytes:
    told = {"MerchantRequestID": "29115-1", "CheckoutRequestID": handle, "ResultCode": code, "ResultDesc": ""}
    if metadata is not None:
        told["CallbackMetadata"] = metadata
    return json.dumps({"Body": {"stkCallback": told | more}}).encode()


def paid(receipt: str, *, turned: bool = False, java: bool = False, whole: bool = False) -> Json:
    """Return the metadata of a success of KES 500: its items the other way round, or the amount otherwise written."""
    items = [*SUCCESS["Item"], {"Name": "MpesaReceiptNumber", "Value": receipt}]
    if java:
        items.append({"Name": "Balance", "Value": "{Amount={BasicAmount=50.5}}"})
    if whole:
        items[0] = {"Name": "Amount", "Value": 500}
    return {"Item": items[::-1] if turned else items}


@pytest.mark.parametrize("shape", [{}, {"turned": True}, {"java": True}, {"whole": True}], ids=str)
@pytest.mark.parametrize("code", [0, "0"])
async def test_a_success_settles_in_every_shape(
    api: Api, saver: Saver, prompter: Prompter, shape: dict[str, bool], code: int | str
) -> None:
    await prompter.prompted(saver)
    handle = prompter.handle(saver)
    receipt = f"UK{'A' if code else 'B'}{saver.member_code[1:]}"
    assert await call_back(api, callback(handle, code, paid(receipt, **shape))) == "settled"
    assert await saver.holds() == (50_000, 0, 0)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1, "insufficient_funds"),
        ("1032", "cancelled"),
        (1037, "no_answer"),
        (17, "rule_limited"),
        (2001, "wrong_pin"),
        ("SFC_IC0003", "no_such_number"),
    ],
)
async def test_a_failure_fails_by_its_code_alone(
    api: Api, saver: Saver, prompter: Prompter, code: int | str, reason: str
) -> None:
    asked = await prompter.prompted(saver)
    said = callback(prompter.handle(saver), code, ResultDesc="The service request is processed successfully.")
    assert await call_back(api, said) == "failed"
    assert await prompter.state(saver, asked) == ("failed", reason)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        b"{}",
        b"[]",
        b'{"Body": null}',
        b'{"Body": {"stkCallback": []}}',
        b'{"Body": {"stkCallback": {"ResultCode": 0}}}',
        b'{"Body": {"stkCallback": {"CheckoutRequestID": "ws_CO_1"}}}',
        b'{"Body": {"stkCallback": {"CheckoutRequestID": 7, "ResultCode": {}}}}',
        b"\xff\xfe",
    ],
)
async def test_what_cannot_be_read_is_kept_for_a_person(api: Api, body: bytes) -> None:
    assert await call_back(api, body) == "quarantined"


async def test_a_doubt_after_a_definite_answer_is_noted_and_changes_nothing(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    asked = await prompter.prompted(saver)
    handle = prompter.handle(saver)
    assert await call_back(api, callback(handle, 0, paid("UKC" + saver.member_code[1:]))) == "settled"
    assert await call_back(api, callback(handle, 26)) == "noted"
    assert await call_back(api, callback(handle, 0, {"Item": []})) == "noted"
    assert await prompter.state(saver, asked) == ("settled", None)


async def test_another_amount_after_a_failure_waits_for_a_person_too(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    asked = await prompter.prompted(saver, 60_000)
    handle = prompter.handle(saver)
    assert await call_back(api, callback(handle, 1032)) == "failed"
    assert await call_back(api, callback(handle, 0, paid("UKD" + saver.member_code[1:]))) == "quarantined"
    assert await prompter.state(saver, asked) == ("failed", "cancelled")
    (row,) = await api.rows(
        "SELECT kind FROM mpesa.breaks WHERE subject = $1 AND closed_at IS NULL", f"intent:{asked['id']}"
    )
    assert row["kind"] == "prompt_unresolved"


async def test_a_callback_names_nobody_in_the_inbox(api: Api, saver: Saver, prompter: Prompter) -> None:
    await prompter.prompted(saver)
    handle = prompter.handle(saver)
    await call_back(api, callback(handle, 1032))
    assert saver.phone is not None
    for row in await api.rows("SELECT body FROM mpesa.callbacks"):
        assert handle.encode() not in row["body"]
    (intent,) = await api.rows("SELECT * FROM savings.intents WHERE saver_id = $1", saver.id)
    stored = b"".join(value for value in intent.values() if isinstance(value, bytes))
    assert handle.encode() not in stored
    assert saver.phone.encode() not in stored
