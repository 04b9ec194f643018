"""Transaction status, account balance and reversal: asked at once, answered later."""

from typing import Any

import pytest

from tests.sandbox.safaricom.caller import PAYBILL, PAYER, WANJIKU, Caller, HandClock
from zanari_api.sandbox.safaricom.books import Account
from zanari_api.sandbox.safaricom.tariff import REVERSAL_FEE_CENTS


def pairs(result: Any) -> list[tuple[str, Any]]:
    return [(item["Key"], item.get("Value")) for item in result["ResultParameters"]["ResultParameter"]]


async def last_result(caller: Caller) -> Any:
    return (await caller.heard())[-1][1]["Result"]


@pytest.mark.parametrize("key", ["TransactionID", "OriginalConversationID", "OriginatorConversationID"])
async def test_a_payout_is_found_by_receipt_and_by_both_conversations(caller: Caller, key: str) -> None:
    accepted = (await caller.pay(OriginatorConversationID="ours-1")).json()
    receipt = (await last_result(caller))["TransactionID"]
    ids = [receipt] if key == "TransactionID" else ["ours-1", accepted["ConversationID"]]
    for wanted in ids:
        asked = (await caller.ask_status(**{key: wanted})).json()
        result = await last_result(caller)
        told = dict(pairs(result))
        assert result["OriginatorConversationID"] == asked["OriginatorConversationID"] != "ours-1"
        assert result["ConversationID"] == asked["ConversationID"]
        assert result["TransactionID"] == "UKP0000000"
        assert result["ReferenceData"] == {"ReferenceItem": {"Key": "Occasion"}}
        assert told["ReceiptNo"] == receipt
        assert told["TransactionStatus"] == "Completed"
        assert told["OriginatorConversationID"] == "ours-1"
        assert told["DebitPartyCharges"] == "Fee For B2C Payment|KES|5.00"
        assert int(told["Amount"]) == 500
        assert str(told["FinalisedTime"]) == "20261125101500"
        conversation = told.get("ConversationID") or told.get("Conversation ID")
        assert conversation == accepted["ConversationID"]


async def test_a_payout_that_failed_was_declined_and_one_on_its_way_is_pending(
    caller: Caller, clock: HandClock
) -> None:
    await caller.pay(OriginatorConversationID="ours-1", Amount=9)
    await last_result(caller)
    caller.emulator.delays.process_s = 10
    await caller.pay(OriginatorConversationID="ours-2")
    states: list[Any] = []
    for wanted in ("ours-1", "ours-2"):
        caller.emulator.delays.process_s = 0
        await caller.ask_status(OriginalConversationID=wanted)
        while len(caller.emulator.deliveries) < len(states) + 2:
            await clock.move(0)
        result: Any = caller.emulator.deliveries[-1].fields()["Result"]
        states.append(dict(pairs(result))["TransactionStatus"])
    assert states == ["Declined", "Pending"]
    await clock.move(10)
    assert (await last_result(caller))["ResultCode"] == 0


async def test_a_payment_in_and_its_reversal_are_found_by_receipt(caller: Caller) -> None:
    payment = await caller.emulator.pay_bill(amount_cents=10_050, account_reference="A", msisdn=WANJIKU)
    await caller.ask_status(TransactionID=payment.receipt, PartyA=PAYBILL)
    told = dict(pairs(await last_result(caller)))
    assert (str(told["Amount"]), told["TransactionStatus"]) == ("100.50", "Completed")
    assert told["DebitPartyName"].startswith(WANJIKU)
    assert told["CreditPartyName"].startswith(PAYBILL)
    reversal = await caller.emulator.reverse(payment.receipt)
    await caller.ask_status(TransactionID=reversal.receipt, PartyA=PAYBILL)
    told = dict(pairs(await last_result(caller)))
    assert (told["ReasonType"], told["DebitPartyName"][:6]) == ("Transaction Reversal", PAYBILL)


async def test_float_moves_are_found_by_receipt_too(caller: Caller) -> None:
    receipt = await caller.emulator.deposit_float(PAYBILL, 100)
    await caller.ask_status(TransactionID=receipt, PartyA=PAYBILL)
    assert dict(pairs(await last_result(caller)))["DebitPartyName"] == "Bank"


@pytest.mark.parametrize("wanted", ["UKP1234567", "AG_20261125_00000000000000000000", "ours-9"])
async def test_what_is_not_there_is_not_found(caller: Caller, wanted: str) -> None:
    await caller.ask_status(TransactionID=wanted)
    result = await last_result(caller)
    assert result["ResultCode"] == 2032


async def test_another_shortcode_s_payment_is_not_found(caller: Caller) -> None:
    payment = await caller.emulator.pay_bill(amount_cents=10_000, account_reference="A", msisdn=WANJIKU)
    await caller.pay(OriginatorConversationID="ours-1")
    await caller.heard()
    for party, wanted in [(PAYER, payment.receipt), (PAYBILL, "ours-1")]:
        await caller.ask_status(TransactionID=wanted, PartyA=party)
        assert (await last_result(caller))["ResultCode"] == 2032


async def test_status_without_an_id_is_refused(caller: Caller) -> None:
    refused = await caller.ask_status()
    assert refused.json()["errorMessage"] == "Bad Request - Invalid TransactionID"


async def test_the_balance_is_one_text_with_codes_as_strings(caller: Caller) -> None:
    await caller.ask_balance()
    result = await last_result(caller)
    assert (result["ResultType"], result["ResultCode"]) == ("0", "0")
    text = dict(pairs(result))["AccountBalance"]
    accounts = [account.split("|") for account in text.split("&")]
    assert all(len(account) == 6 for account in accounts)
    assert {account[0]: account[2] for account in accounts} == {
        "Working Account": "3000.00",
        "Float Account": "0.00",
        "Utility Account": "100000.00",
        "Charges Paid Account": "-10.00",
        "Organization Settlement Account": "0.00",
    }


async def test_a_wrong_initiator_is_told_so_later(caller: Caller) -> None:
    for asked in (
        await caller.ask_balance(Initiator="somebody"),
        await caller.ask_status(Initiator="somebody", TransactionID="UKP1234567"),
    ):
        assert asked.json()["ResponseCode"] == "0"
        assert str((await last_result(caller))["ResultCode"]) == "2001"


async def test_a_payment_is_reversed_once(caller: Caller) -> None:
    payment = await caller.emulator.pay_bill(amount_cents=10_000, account_reference="A", msisdn=WANJIKU)
    await caller.ask_reversal(payment.receipt)
    result = await last_result(caller)
    told = dict(pairs(result))
    assert result["ResultCode"] == 0
    assert told["OriginalTransactionID"] == payment.receipt
    assert told["DebitAccountBalance"] == "Utility Account|KES|500.00|500.00|0.00|0.00"
    assert told["Amount"] == 100
    assert told["CreditPartyPublicName"].startswith(WANJIKU)
    assert caller.emulator.books.position()[PAYBILL].utility_cents == 50_000
    assert caller.emulator.handset(WANJIKU).balance_cents == 15_000_000
    [movement, charge] = caller.emulator.books.find(result["TransactionID"])
    assert movement.story.reverses == payment.receipt
    assert (charge.account, charge.change_cents) == ("charges_paid", -REVERSAL_FEE_CENTS)
    assert told["Charge"] == 23.5
    await caller.ask_reversal(payment.receipt)
    assert (await last_result(caller))["ResultCode"] == "R000001"


async def test_only_a_customer_s_payment_to_that_shortcode_can_be_reversed_whole(caller: Caller) -> None:
    payment = await caller.emulator.pay_bill(amount_cents=10_000, account_reference="A", msisdn=WANJIKU)
    await caller.pay()
    payout = (await last_result(caller))["TransactionID"]
    for changes in [
        {"receipt": "UKP1234567"},
        {"receipt": payout, "Amount": 500, "ReceiverParty": PAYER},
        {"receipt": payment.receipt, "Amount": 99},
        {"receipt": payment.receipt, "ReceiverParty": PAYER},
    ]:
        await caller.ask_reversal(**changes)  # type: ignore[arg-type]
        assert (await last_result(caller))["ResultCode"] == "R000002"
    assert caller.emulator.books.reversal_of(payment.receipt) is None


async def test_a_reversal_needs_the_money_to_be_there(caller: Caller) -> None:
    payment = await caller.emulator.pay_bill(amount_cents=10_000, account_reference="A", msisdn=WANJIKU)
    await caller.emulator.move_float(
        PAYBILL, source=Account.UTILITY, target=Account.WORKING, amount_cents=55_000
    )
    await caller.ask_reversal(payment.receipt)
    assert (await last_result(caller))["ResultCode"] == 1
