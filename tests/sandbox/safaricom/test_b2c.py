"""B2C: accepted is not paid; the result says so, the fee is charged, and one id pays once."""

from typing import Any

import pytest

from tests.sandbox.safaricom.caller import PAYBILL, PAYER, WANJIKU, Caller
from zanari_api.sandbox.safaricom.tariff import payout_fee_cents


def parameters(result: Any) -> dict[str, Any]:
    return {item["Key"]: item.get("Value") for item in result["ResultParameters"]["ResultParameter"]}


async def only_result(caller: Caller) -> Any:
    [(kind, body)] = await caller.heard()
    assert kind == "b2c_result"
    return body["Result"]


async def test_a_payout_is_accepted_then_paid_then_told(caller: Caller) -> None:
    accepted = (await caller.pay(OriginatorConversationID="ours-1")).json()
    result = await only_result(caller)
    told = parameters(result)
    assert accepted["OriginatorConversationID"] == result["OriginatorConversationID"] == "ours-1"
    assert accepted["ConversationID"] == result["ConversationID"]
    assert accepted["ConversationID"].startswith("AG_20261125_")
    assert (accepted["ResponseCode"], result["ResultCode"], result["ResultType"]) == ("0", 0, 0)
    assert told["TransactionReceipt"] == result["TransactionID"]
    assert told["TransactionAmount"] == 500
    assert told["TransactionCompletedDateTime"] == "25.11.2026 10:15:00"
    assert told["B2CUtilityAccountAvailableFunds"] == 99_500
    assert told["B2CWorkingAccountAvailableFunds"] == 3_000
    assert told["B2CChargesPaidAccountAvailableFunds"] == -15
    assert told["B2CRecipientIsRegisteredCustomer"] == "Y"
    assert told["ReceiverPartyPublicName"].endswith(caller.emulator.handset(WANJIKU).name)
    assert result["ReferenceData"]["ReferenceItem"]["Key"] == "QueueTimeoutURL"
    position = caller.emulator.books.position()[PAYER]
    assert (position.utility_cents, position.charges_paid_cents) == (9_950_000, -1_500)
    assert caller.emulator.handset(WANJIKU).balance_cents == 15_050_000


async def test_the_same_id_pays_once(caller: Caller) -> None:
    await caller.pay(OriginatorConversationID="ours-1")
    again = await caller.pay(OriginatorConversationID="ours-1", Amount=700)
    assert (again.status_code, again.json()["errorCode"]) == (500, "500.002.1001")
    assert again.json()["errorMessage"] == "Duplicate OriginatorConversationID."
    await only_result(caller)
    assert caller.emulator.books.position()[PAYER].utility_cents == 9_950_000


async def test_a_refused_request_does_not_use_up_its_id(caller: Caller) -> None:
    assert (await caller.pay(OriginatorConversationID="ours-1", Remarks="x")).status_code == 400
    assert (await caller.pay(OriginatorConversationID="ours-1")).status_code == 200


@pytest.mark.parametrize(
    ("handset", "request_", "code"),
    [
        ({}, {"Amount": 9}, 2),
        ({}, {"Amount": 250_001}, 3),
        ({}, {"Amount": 100_001}, 1),
        ({}, {"PartyA": "999999"}, 11),
        ({"registered": False}, {}, 2040),
        ({"balance_cents": 49_950_001}, {}, 8),
        ({}, {"InitiatorName": "somebody"}, 2001),
    ],
)
async def test_what_cannot_be_paid_fails_and_moves_nothing(
    caller: Caller, handset: dict[str, Any], request_: dict[str, Any], code: int
) -> None:
    before = caller.emulator.books.position()
    await caller.emulator.set_handset(WANJIKU, **handset)
    assert (await caller.pay(**request_)).status_code == 200
    result = await only_result(caller)
    assert result["ResultCode"] == code
    assert len(result["TransactionID"]) == 10
    # A single parameter is an object.
    assert isinstance(result.get("ResultParameters", {"ResultParameter": {}})["ResultParameter"], dict)
    assert caller.emulator.books.position() == before


async def test_failures_come_with_and_without_parameter_and_with_both_kinds_of_id(caller: Caller) -> None:
    for _ in range(16):
        await caller.pay(Amount=9)
    results = [body["Result"] for _, body in await caller.heard()]
    assert {"ResultParameters" in result for result in results} == {True, False}
    assert {result["TransactionID"] == "UKP0000000" for result in results} == {True, False}


async def test_a_wrong_password_locks_the_initiator_in_the_end(caller: Caller) -> None:
    passwords = ["wrong", None] + ["wrong"] * 5 + [None]
    for password in passwords:
        await caller.pay(SecurityCredential=caller.credential(password))
        await caller.heard()
    codes = [body["Result"]["ResultCode"] for _, body in await caller.heard()]
    assert codes == [2001, 0] + [2001] * 5 + [8006]
    await caller.emulator.unlock_initiator()
    await caller.pay()
    assert (await caller.heard())[-1][1]["Result"]["ResultCode"] == 0


async def test_a_credential_that_is_not_ours_to_read_is_a_wrong_one(caller: Caller) -> None:
    await caller.pay(SecurityCredential="A" * 344)
    await caller.pay(SecurityCredential="~" * 344)
    assert [body["Result"]["ResultCode"] for _, body in await caller.heard()] == [2001, 2001]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"OriginatorConversationID": ""}, "OriginatorConversationID"),
        ({"OriginatorConversationID": None}, "OriginatorConversationID"),
        ({"InitiatorName": None}, "InitiatorName"),
        ({"SecurityCredential": "Safaricom"}, "SecurityCredential"),
        ({"CommandID": "Payment"}, "CommandID"),
        ({"Amount": "10.50"}, "Amount"),
        ({"PartyB": "0712345678"}, "PartyB"),
        ({"Remarks": "x"}, "Remarks"),
        ({"Remarks": "x" * 101}, "Remarks"),
        ({"QueueTimeOutURL": ""}, "QueueTimeOutURL"),
        ({"ResultURL": None}, "ResultURL"),
        ({"Occassion": "x" * 101}, "Occassion"),
    ],
)
async def test_a_field_that_is_wrong_is_named(caller: Caller, change: dict[str, Any], field: str) -> None:
    refused = await caller.pay(**change)
    assert (refused.status_code, refused.json()["errorCode"]) == (400, "400.002.02")
    assert refused.json()["errorMessage"] == f"Bad Request - Invalid {field}"
    assert await caller.heard() == []


@pytest.mark.parametrize(
    ("shillings", "fee"),
    [
        (10, 0),
        (100, 0),
        (101, 5),
        (1_500, 5),
        (1_501, 9),
        (5_000, 9),
        (5_001, 11),
        (20_000, 11),
        (20_001, 13),
    ],
)
def test_the_fee_is_the_tariff_s(shillings: int, fee: int) -> None:
    assert payout_fee_cents(shillings * 100) == fee * 100


async def test_a_free_payout_charges_nothing(caller: Caller) -> None:
    await caller.pay(Amount=100)
    await only_result(caller)
    assert caller.emulator.books.position()[PAYER].charges_paid_cents == -1_000
    assert caller.emulator.books.position()[PAYBILL].utility_cents == 50_000
