"""C2B: addresses registered, a customer pays the paybill, validation is asked, the confirmation follows."""

import asyncio
import hashlib
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tests.sandbox.safaricom.caller import PAYBILL, PAYER, WANJIKU, Caller, HandClock, Listener
from zanari_api.sandbox.safaricom.c2b import Payment, PaymentRefused
from zanari_api.sandbox.safaricom.emulator import SafaricomEmulator


async def pay(emulator: SafaricomEmulator, **changes: Any) -> Payment:
    wish = {"amount_cents": 12_345, "account_reference": "1234 5671 b", "msisdn": WANJIKU}
    return await emulator.pay_bill(**wish | changes)


async def test_a_payment_is_confirmed_in_strings(caller: Caller) -> None:
    assert set((await caller.register()).json()) == {
        "OriginatorCoversationID",
        "ResponseCode",
        "ResponseDescription",
    }
    payment = await pay(caller.emulator)
    [(kind, body)] = await caller.heard()
    assert kind == "c2b_confirmation"
    assert body == {
        "TransactionType": "Pay Bill",
        "TransID": payment.receipt,
        "TransTime": "20261125101500",
        "TransAmount": "123.45",
        "BusinessShortCode": PAYBILL,
        "BillRefNumber": "1234 5671 b",
        "InvoiceNumber": "",
        "OrgAccountBalance": "623.45",
        "ThirdPartyTransID": "",
        "MSISDN": "2547 ***** 678",
        "FirstName": caller.emulator.handset(WANJIKU).first_name,
        "MiddleName": "",
        "LastName": "",
    }
    assert caller.emulator.books.position()[PAYBILL].utility_cents == 62_345


async def test_version_1_hashes_the_number_and_version_2_masks_it(caller: Caller) -> None:
    shown: list[Any] = []
    for version in (1, 2):
        await caller.register(version=version)
        await pay(caller.emulator)
        shown.append((await caller.heard())[-1][1]["MSISDN"])
    assert shown == [hashlib.sha256(WANJIKU.encode()).hexdigest(), "2547 ***** 678"]


async def test_without_registered_addresses_the_payment_happens_unannounced(caller: Caller) -> None:
    payment = await pay(caller.emulator, validate=True)
    assert await caller.heard() == []
    assert caller.emulator.books.find(payment.receipt)


@pytest.mark.parametrize(
    "change",
    [
        {"ResponseType": "completed"},
        {"ResponseType": ""},
        {"ShortCode": "174379"},
        {"ConfirmationURL": "https://api.example.org/mpesa/confirmation"},
        {"ValidationURL": "https://example.org/SQL/validation"},
        {"ValidationURL": "ftp://example.org/validation"},
    ],
)
async def test_odd_registrations_are_refused(caller: Caller, change: dict[str, Any]) -> None:
    refused = await caller.register(**change)
    assert (refused.status_code, refused.json()["errorCode"]) == (400, "400.003.02")
    await pay(caller.emulator)
    assert await caller.heard() == []


async def test_validation_is_asked_only_where_it_is_switched_on(caller: Caller) -> None:
    await caller.register()
    await pay(caller.emulator)
    assert [kind for kind, _ in await caller.heard()] == ["c2b_confirmation"]
    await pay(caller.emulator, validate=True)
    kinds = [kind for kind, _ in await caller.heard()]
    assert kinds == ["c2b_confirmation", "c2b_validation", "c2b_confirmation"]


async def test_validation_knows_no_balance_and_its_reference_comes_back(
    caller: Caller, listener: Listener
) -> None:
    async def accept(path: str) -> Response:
        return JSONResponse({"ResultCode": "0", "ResultDesc": "Accepted", "ThirdPartyTransID": "T-1"})

    await caller.register()
    listener.answer = accept
    payment = await pay(caller.emulator, validate=True)
    [(_, asked), (_, told)] = await caller.heard()
    assert (asked["OrgAccountBalance"], asked["ThirdPartyTransID"]) == ("", "")
    assert (told["OrgAccountBalance"], told["ThirdPartyTransID"]) == ("623.45", "T-1")
    assert asked["TransID"] == told["TransID"] == payment.receipt


async def test_a_refused_validation_moves_nothing(caller: Caller, listener: Listener) -> None:
    async def refuse(path: str) -> Response:
        return JSONResponse({"ResultCode": "C2B00012", "ResultDesc": "Rejected"})

    await caller.register()
    listener.answer = refuse
    with pytest.raises(PaymentRefused, match="C2B00012"):
        await pay(caller.emulator, validate=True)
    assert [kind for kind, _ in await caller.heard()] == ["c2b_validation"]
    assert caller.emulator.books.position()[PAYBILL].utility_cents == 50_000
    assert caller.emulator.handset(WANJIKU).balance_cents == 15_000_000


@pytest.mark.parametrize("body", ["", "no json", "[]", "{}"])
@pytest.mark.parametrize("status", [200, 503])
async def test_the_response_type_decides_where_validation_says_nothing(
    caller: Caller, listener: Listener, status: int, body: str
) -> None:
    async def mumble(path: str) -> Response:
        return PlainTextResponse(body, status)

    listener.answer = mumble
    await caller.register(ResponseType="Completed")
    await pay(caller.emulator, validate=True)
    await caller.register(ResponseType="Cancelled")
    with pytest.raises(PaymentRefused, match="no answer"):
        await pay(caller.emulator, validate=True)


async def test_validation_has_its_time(caller: Caller, listener: Listener) -> None:
    async def dawdle(path: str) -> Response:
        await asyncio.sleep(0.2)
        return JSONResponse({"ResultCode": "0"})

    caller.emulator.delays.validation_timeout_s = 0.05
    listener.answer = dawdle
    await caller.register(ResponseType="Cancelled")
    with pytest.raises(PaymentRefused, match="in time"):
        await pay(caller.emulator, validate=True)


@pytest.mark.parametrize(
    ("handset", "changes"),
    [
        ({"balance_cents": 100}, {}),
        ({"registered": False}, {}),
        ({}, {"shortcode": "123456"}),
    ],
)
async def test_what_a_phone_cannot_pay_is_refused(
    emulator: SafaricomEmulator, handset: dict[str, Any], changes: dict[str, Any]
) -> None:
    before = emulator.books.position()
    await emulator.set_handset(WANJIKU, **handset)
    with pytest.raises(PaymentRefused):
        await pay(emulator, **changes)
    assert emulator.books.position() == before


async def test_a_confirmation_nobody_takes_is_not_sent_again(
    caller: Caller, listener: Listener, clock: HandClock
) -> None:
    async def away(path: str) -> Response:
        return PlainTextResponse("", 503)

    listener.answer = away
    await caller.register(ShortCode=PAYER)
    await pay(caller.emulator, shortcode=PAYER)
    await caller.heard()
    await clock.move(3_600)
    await caller.emulator.drain()
    [delivery] = caller.emulator.deliveries
    assert (delivery.status, len(listener.heard)) == (503, 1)


async def test_an_address_where_nobody_listens_is_logged_as_an_error(caller: Caller) -> None:
    await caller.register(ConfirmationURL="http://127.0.0.1:9/confirmation")
    await pay(caller.emulator)
    await caller.heard()
    [delivery] = caller.emulator.deliveries
    assert (delivery.status, delivery.error) == (None, "ConnectError")
