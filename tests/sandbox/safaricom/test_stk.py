"""STK push and query: what is accepted, what the owner of the handset decides, and what follows."""

import re
from typing import Any

import pytest

from tests.sandbox.safaricom.caller import OTIENO, PAYBILL, WANJIKU, Caller, HandClock
from zanari_api.sandbox.safaricom.emulator import SafaricomEmulator
from zanari_api.sandbox.safaricom.handsets import NoPrompt

RECEIPT = re.compile(r"UKP[A-Z0-9]{7}")
"""November is K and the 25th is P, in 2026, which is U."""


def callback(heard: list[tuple[str, Any]]) -> dict[str, Any]:
    [body] = [body for kind, body in heard if kind == "stk_callback"]
    return body["Body"]["stkCallback"]


def items(callback: dict[str, Any]) -> dict[str, Any]:
    return {item["Name"]: item.get("Value") for item in callback["CallbackMetadata"]["Item"]}


async def test_an_approved_prompt_moves_money_and_fires_both_callbacks(caller: Caller) -> None:
    await caller.register()
    accepted = (await caller.push()).json()
    heard = await caller.heard()
    told = callback(heard)
    [confirmation] = [body for kind, body in heard if kind == "c2b_confirmation"]
    assert set(accepted) == {
        "MerchantRequestID",
        "CheckoutRequestID",
        "ResponseCode",
        "ResponseDescription",
        "CustomerMessage",
    }
    assert accepted["ResponseCode"] == "0"
    assert accepted["CheckoutRequestID"] == "ws_CO_25112026101500000712345678"
    assert (told["CheckoutRequestID"], told["ResultCode"]) == (accepted["CheckoutRequestID"], 0)
    assert told["MerchantRequestID"] == accepted["MerchantRequestID"]
    paid = items(told)
    assert paid["TransactionDate"] == 20261125101500
    assert paid["PhoneNumber"] == int(WANJIKU)
    assert RECEIPT.fullmatch(paid["MpesaReceiptNumber"])
    assert confirmation["TransID"] == paid["MpesaReceiptNumber"]
    assert confirmation["BillRefNumber"] == "12345674"
    assert caller.emulator.books.position()[PAYBILL].utility_cents == 60_000
    assert caller.emulator.handset(WANJIKU).balance_cents == 14_990_000


async def test_the_amount_is_written_with_two_places_and_the_reference_is_not_returned(
    caller: Caller,
) -> None:
    await caller.push()
    await caller.emulator.quiet()
    [delivery] = caller.emulator.deliveries
    assert b'{"Name":"Amount","Value":100.00}' in delivery.body
    assert b"12345674" not in delivery.body
    assert (delivery.path, delivery.status) == ("/stk", 200)


@pytest.mark.parametrize(("behaviour", "code"), [("cancel", 1032), ("wrong_pin", 2001), ("approve", 0)])
async def test_what_the_owner_does_is_the_result(caller: Caller, behaviour: str, code: int) -> None:
    await caller.emulator.set_handset(WANJIKU, behaviour=behaviour)
    await caller.push()
    told = callback(await caller.heard())
    assert told["ResultCode"] == code
    assert ("CallbackMetadata" in told) == (code == 0)


async def test_nobody_answers_and_the_prompt_ends_after_a_minute(caller: Caller, clock: HandClock) -> None:
    await caller.emulator.set_handset(WANJIKU, behaviour="no_answer")
    await caller.push()
    await clock.move(59)
    assert await caller.heard() == []
    await clock.move(1)
    assert callback(await caller.heard())["ResultCode"] == 1037


@pytest.mark.parametrize(
    ("answer", "code"),
    [("approve", 0), ("cancel", 1032), ("wrong_pin", 2001), ("time_out", 1037), ("expire", 1019)],
)
async def test_a_handset_that_asks_waits_for_the_button(caller: Caller, answer: str, code: int) -> None:
    await caller.emulator.set_handset(WANJIKU, behaviour="ask")
    checkout = (await caller.push()).json()["CheckoutRequestID"]
    assert await caller.heard() == []
    [prompt] = caller.emulator.open_prompts()
    assert (prompt.msisdn, prompt.amount_cents, prompt.checkout_request_id) == (WANJIKU, 10_000, checkout)
    await caller.emulator.answer(WANJIKU, answer)
    assert callback(await caller.heard())["ResultCode"] == code
    assert caller.emulator.open_prompts() == []
    with pytest.raises(NoPrompt):
        await caller.emulator.answer(WANJIKU, answer)


async def test_a_button_comes_before_the_habit(caller: Caller, clock: HandClock) -> None:
    caller.emulator.delays.prompt_s = 2
    await caller.push()
    await caller.emulator.answer(WANJIKU, "cancel")
    assert callback(await caller.heard())["ResultCode"] == 1032


async def test_a_prompt_is_decided_and_told_after_the_usual_whiles(caller: Caller, clock: HandClock) -> None:
    caller.emulator.delays.prompt_s, caller.emulator.delays.callback_s = 2, 0.3
    checkout = (await caller.push()).json()["CheckoutRequestID"]
    await clock.move(1.9)
    assert (await caller.query(checkout)).json()["errorCode"] == "500.001.1001"
    await clock.move(0.2)
    assert (await caller.query(checkout)).json()["ResultCode"] == "0"
    assert caller.emulator.deliveries == []
    await clock.move(0.3)
    assert callback(await caller.heard())["ResultCode"] == 0


async def test_only_one_prompt_at_a_time_on_a_handset(caller: Caller) -> None:
    for number in (WANJIKU, OTIENO):
        await caller.emulator.set_handset(number, behaviour="ask")
    assert (await caller.push()).status_code == 200
    second = await caller.push(Amount=200)
    assert (second.status_code, second.json()["errorCode"]) == (500, "500.001.1001")
    assert second.json()["errorMessage"].startswith("Unable to lock subscriber")
    assert (await caller.push(PartyA=OTIENO, PhoneNumber=OTIENO)).status_code == 200
    await caller.emulator.answer(WANJIKU, "cancel")
    await caller.heard()
    assert (await caller.push(Amount=200)).status_code == 200


async def test_the_same_amount_within_two_minutes_is_rule_limited(caller: Caller, clock: HandClock) -> None:
    async def pushed(**changes: Any) -> int:
        await caller.push(**changes)
        await caller.emulator.quiet()
        return caller.emulator.deliveries[-1].fields()["Body"]["stkCallback"]["ResultCode"]  # type: ignore[index]

    assert await pushed() == 0
    await clock.move(119)
    assert await pushed() == 17
    assert await pushed(Amount=101) == 0
    assert await pushed(PartyA=OTIENO, PhoneNumber=OTIENO) == 0
    await clock.move(1)
    assert await pushed() == 0
    assert caller.emulator.books.position()[PAYBILL].utility_cents == 50_000 + 40_100


@pytest.mark.parametrize(
    ("handset", "push", "code"),
    [
        ({"balance_cents": 9_999}, {}, 1),
        ({}, {"Amount": 250_001}, 3),
        ({"reachable": False}, {}, 1037),
        ({"registered": False}, {}, "SFC_IC0003"),
        ({}, {"PartyB": "777777"}, "SFC_IC0003"),
    ],
)
async def test_what_cannot_be_paid_fails_and_moves_nothing(
    caller: Caller, handset: dict[str, Any], push: dict[str, Any], code: int | str
) -> None:
    before = caller.emulator.books.position()
    await caller.emulator.set_handset(WANJIKU, **handset)
    await caller.push(**push)
    told = callback(await caller.heard())
    assert told["ResultCode"] == code
    assert type(told["ResultCode"]) is type(code)
    assert "CallbackMetadata" not in told
    assert caller.emulator.books.position() == before


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"BusinessShortCode": "174379"}, "BusinessShortCode"),
        ({"BusinessShortCode": None}, "BusinessShortCode"),
        ({"Timestamp": "2026-11-25"}, "Timestamp"),
        ({"Timestamp": "20261325101500"}, "Timestamp"),
        ({"TransactionType": "CustomerPayBill"}, "TransactionType"),
        ({"Amount": "1.5"}, "Amount"),
        ({"Amount": 1.5}, "Amount"),
        ({"Amount": 0}, "Amount"),
        ({"Amount": True}, "Amount"),
        ({"PartyA": "0712345678"}, "PartyA"),
        ({"PhoneNumber": "254212345678"}, "PhoneNumber"),
        ({"CallBackURL": "not a url"}, "CallBackURL"),
        ({"CallBackURL": "http://[::1"}, "CallBackURL"),
        ({"AccountReference": "1234567890123"}, "AccountReference"),
        ({"AccountReference": ""}, "AccountReference"),
        ({"TransactionDesc": "fourteen chars"}, "TransactionDesc"),
    ],
)
async def test_a_field_that_is_wrong_is_named(caller: Caller, change: dict[str, Any], field: str) -> None:
    refused = await caller.push(**change)
    assert (refused.status_code, refused.json()["errorCode"]) == (400, "400.002.02")
    assert refused.json()["errorMessage"] == f"Bad Request - Invalid {field}"
    assert await caller.heard() == []


async def test_the_password_must_be_made_of_shortcode_passkey_and_time(caller: Caller) -> None:
    wrong = await caller.push(Timestamp="20261125101501")
    assert (wrong.status_code, wrong.json()["errorMessage"]) == (500, "Wrong credentials")


async def test_amounts_may_come_as_text(caller: Caller) -> None:
    assert (await caller.push(Amount="100")).status_code == 200
    assert items(callback(await caller.heard()))["Amount"] == 100


async def test_a_query_tells_what_became_of_a_push(caller: Caller) -> None:
    await caller.emulator.set_handset(WANJIKU, behaviour="ask")
    checkout = (await caller.push()).json()["CheckoutRequestID"]
    pending = await caller.query(checkout)
    assert (pending.status_code, pending.json()["errorCode"]) == (500, "500.001.1001")
    assert pending.json()["errorMessage"] == "The transaction is being processed"
    await caller.emulator.answer(WANJIKU, "cancel")
    await caller.heard()
    done = (await caller.query(checkout)).json()
    assert (done["ResponseCode"], done["ResultCode"]) == ("0", "1032")
    assert done["CheckoutRequestID"] == checkout
    unknown = await caller.query("ws_CO_25112026101500000712345679")
    assert unknown.json()["errorMessage"] == "No transaction found"


async def test_a_till_is_paid_through_its_store(caller: Caller, emulator: SafaricomEmulator) -> None:
    await caller.push(TransactionType="CustomerBuyGoodsOnline", PartyB="600001")
    assert callback(await caller.heard())["ResultCode"] == 0
    assert emulator.books.position()["600001"].utility_cents == 10_010_000


async def test_what_is_on_no_screen_has_no_button(caller: Caller, clock: HandClock) -> None:
    caller.emulator.delays.prompt_s = 2
    await caller.emulator.set_handset(WANJIKU, reachable=False)
    await caller.push()
    assert caller.emulator.open_prompts() == []
    with pytest.raises(NoPrompt):
        await caller.emulator.answer(WANJIKU, "approve")
    assert (await caller.push(Amount=200)).status_code == 500
    await clock.move(2)
    assert callback(await caller.heard())["ResultCode"] == 1037
