"""Faults of callbacks, as the listener hears them: lost, doubled, late, overtaken, contradictory, forged."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.responses import PlainTextResponse, Response

from tests.sandbox.safaricom.caller import PAYBILL, PAYER, WANJIKU, Caller, HandClock, Listener
from zanari_api.sandbox.safaricom.faults import Fault, Flow

Ask = Callable[[Caller], Awaitable[object]]


async def _pay_bill(caller: Caller) -> object:
    return await caller.emulator.pay_bill(amount_cents=10_000, account_reference="A", msisdn=WANJIKU)


async def _reverse(caller: Caller) -> object:
    payment = await caller.emulator.pay_bill(
        shortcode=PAYER, amount_cents=10_000, account_reference="A", msisdn=WANJIKU
    )
    return await caller.ask_reversal(payment.receipt, ReceiverParty=PAYER)


ASKS: dict[Flow, Ask] = {
    Flow.STK: lambda caller: caller.push(),
    Flow.B2C: lambda caller: caller.pay(),
    Flow.STATUS: lambda caller: caller.ask_status(TransactionID="UKP1234567"),
    Flow.BALANCE: lambda caller: caller.ask_balance(),
    Flow.REVERSAL: _reverse,
    Flow.C2B: _pay_bill,
}
RESULTS = [Flow.B2C, Flow.STATUS, Flow.BALANCE, Flow.REVERSAL]
every_flow = pytest.mark.parametrize("flow", ASKS)
every_result = pytest.mark.parametrize("flow", RESULTS)


async def run(caller: Caller, flow: Flow, fault: Fault, **options: Any) -> None:
    if flow is Flow.C2B:
        await caller.register()
    caller.emulator.faults.next(flow, fault, **options)
    await ASKS[flow](caller)
    await caller.emulator.quiet()


def code(body: Any) -> str:
    told = body["Body"]["stkCallback"] if "Body" in body else body["Result"]
    return str(told["ResultCode"])


@every_flow
async def test_a_lost_callback_never_comes_though_all_else_happened(
    caller: Caller, listener: Listener, flow: Flow
) -> None:
    before = caller.emulator.books.position()
    await run(caller, flow, Fault.LOSE_CALLBACK)
    await caller.emulator.drain()
    [delivery] = caller.emulator.deliveries
    assert (delivery.lost, delivery.status, listener.heard) == (True, None, [])
    # A reversal takes back what was paid just before: what is left of it is its charge.
    moving = {Flow.STK, Flow.B2C, Flow.C2B, Flow.REVERSAL}
    assert (caller.emulator.books.position() != before) == (flow in moving)


@every_flow
async def test_a_doubled_callback_comes_as_often_as_said(
    caller: Caller, listener: Listener, flow: Flow
) -> None:
    await run(caller, flow, Fault.DUPLICATE_CALLBACK, times=3)
    assert len(listener.heard) == 3
    assert len(set(listener.heard)) == 1


@every_flow
async def test_a_late_callback_comes_when_its_time_has_passed(
    caller: Caller, listener: Listener, clock: HandClock, flow: Flow
) -> None:
    await run(caller, flow, Fault.DELAY_CALLBACK)
    await clock.move(59)
    await caller.emulator.quiet()
    assert listener.heard == []
    await clock.move(1)
    await caller.emulator.drain()
    assert len(listener.heard) == 1


async def test_an_overtaken_callback_comes_after_the_next_one(caller: Caller) -> None:
    await run(caller, Flow.B2C, Fault.REORDER_CALLBACK)
    assert caller.emulator.deliveries == []
    await caller.ask_balance()
    await caller.emulator.drain()
    assert [one.kind for one in caller.emulator.deliveries] == ["balance_result", "b2c_result"]


async def test_a_callback_that_nothing_overtakes_comes_in_the_end(caller: Caller, clock: HandClock) -> None:
    await run(caller, Flow.B2C, Fault.REORDER_CALLBACK, seconds=10)
    await clock.move(10)
    assert [kind for kind, _ in await caller.heard()] == ["b2c_result"]


async def test_the_confirmation_can_come_before_the_stk_callback(caller: Caller) -> None:
    await caller.register()
    await run(caller, Flow.STK, Fault.REORDER_CALLBACK)
    assert [kind for kind, _ in await caller.heard()] == ["c2b_confirmation", "stk_callback"]


@every_flow
async def test_garbage_can_come_first(caller: Caller, listener: Listener, flow: Flow) -> None:
    await run(caller, flow, Fault.GARBAGE_CALLBACK)
    [(first, garbage), (second, _)] = listener.heard
    assert first == second
    assert garbage.startswith(b"<html>")
    garbled, true = caller.emulator.deliveries
    assert (garbled.genuine, true.genuine) == (False, True)
    with pytest.raises(ValueError, match="Expecting value"):
        garbled.fields()


@every_result
async def test_a_timeout_can_echo_the_request_and_no_result_comes(
    caller: Caller, listener: Listener, flow: Flow
) -> None:
    await run(caller, flow, Fault.TIMEOUT_ECHO)
    await caller.emulator.drain()
    [(path, _)] = listener.heard
    [echo] = [one.fields() for one in caller.emulator.deliveries]
    assert path == "timeout"
    assert "Result" not in echo
    assert len(str(echo["SecurityCredential"])) == 344
    if flow is Flow.B2C:
        assert caller.emulator.books.position()[PAYER].utility_cents == 9_950_000


async def test_a_timeout_can_mean_that_nothing_was_carried_out(caller: Caller, listener: Listener) -> None:
    caller.emulator.faults.next("b2c", Fault.TIMEOUT_UNDONE)
    await caller.pay(OriginatorConversationID="ours-1")
    await caller.heard()
    await caller.ask_status(OriginalConversationID="ours-1")
    [(_, echo), (_, status)] = await caller.heard()
    told = {
        item["Key"]: item.get("Value") for item in status["Result"]["ResultParameters"]["ResultParameter"]
    }
    assert echo["OriginatorConversationID"] == "ours-1"
    assert told["TransactionStatus"] == "Expired"
    assert caller.emulator.books.position()[PAYER].utility_cents == 10_000_000


@every_result
async def test_a_result_can_follow_its_timeout(
    caller: Caller, listener: Listener, clock: HandClock, flow: Flow
) -> None:
    await run(caller, flow, Fault.TIMEOUT_THEN_RESULT, seconds=30)
    assert [path for path, _ in listener.heard] == ["timeout"]
    await clock.move(30)
    await caller.emulator.drain()
    assert [path for path, _ in listener.heard] == ["timeout", "result"]


@pytest.mark.parametrize("flow", [Flow.STK, Flow.B2C, Flow.REVERSAL])
@pytest.mark.parametrize(
    ("fault", "failed"),
    [(Fault.FAILURE_THEN_SUCCESS, [True, False]), (Fault.SUCCESS_THEN_FAILURE, [False, True])],
)
async def test_a_failure_can_contradict_a_success(
    caller: Caller, flow: Flow, fault: Fault, failed: list[bool]
) -> None:
    await run(caller, flow, fault)
    bodies: list[Any] = [body for _, body in await caller.heard()]
    assert [code(body) != "0" for body in bodies] == failed
    ids = {
        body["Body"]["stkCallback"]["CheckoutRequestID"]
        if "Body" in body
        else body["Result"]["ConversationID"]
        for body in bodies
    }
    assert len(ids) == 1


async def test_a_failure_is_never_contradicted_by_a_success(caller: Caller) -> None:
    await caller.emulator.set_handset(WANJIKU, behaviour="cancel")
    await run(caller, Flow.STK, Fault.SUCCESS_THEN_FAILURE)
    assert [code(body) for _, body in await caller.heard()] == ["1032"]


@every_flow
async def test_a_stranger_can_send_ids_that_nobody_made(caller: Caller, flow: Flow) -> None:
    await run(caller, flow, Fault.FORGED_UNKNOWN)
    forged, true = caller.emulator.deliveries
    assert (forged.genuine, true.genuine) == (False, True)
    assert forged.path == true.path
    mine: Any
    theirs: Any
    theirs, mine = forged.fields(), true.fields()
    assert theirs.keys() == mine.keys()
    if flow is Flow.C2B:
        assert theirs["BusinessShortCode"] == "999999"
        assert theirs["TransID"] != mine["TransID"]
    elif flow is Flow.STK:
        hers, his = theirs["Body"]["stkCallback"], mine["Body"]["stkCallback"]
        assert hers["CheckoutRequestID"] != his["CheckoutRequestID"]
    else:
        assert theirs["Result"]["ConversationID"] != mine["Result"]["ConversationID"]


async def test_a_stranger_can_send_another_amount_for_a_push(caller: Caller) -> None:
    await run(caller, Flow.STK, Fault.FORGED_AMOUNT)
    amounts: list[Any] = []
    checkouts: set[str] = set()
    for delivery in caller.emulator.deliveries:
        told: Any = delivery.fields()["Body"]["stkCallback"]  # type: ignore[index]
        checkouts.add(told["CheckoutRequestID"])
        amounts += [item["Value"] for item in told["CallbackMetadata"]["Item"] if item["Name"] == "Amount"]
    assert amounts == [1_100, 100]
    assert len(checkouts) == 1


async def test_a_stranger_can_send_another_amount_for_a_payout(caller: Caller) -> None:
    await run(caller, Flow.B2C, Fault.FORGED_AMOUNT)
    told: list[dict[str, Any]] = []
    for _, body in await caller.heard():
        items = body["Result"]["ResultParameters"]["ResultParameter"]
        told.append({item["Key"]: item["Value"] for item in items})
    assert [int(one["TransactionAmount"]) for one in told] == [1_234, 500]
    assert told[0]["TransactionReceipt"] != told[1]["TransactionReceipt"]


async def test_a_failed_payout_has_no_amount_to_forge(caller: Caller) -> None:
    caller.emulator.faults.next("b2c", Fault.FORGED_AMOUNT)
    await caller.pay(Amount=9)
    assert [code(body) for _, body in await caller.heard()] == ["2"]


async def test_a_stranger_repeats_a_confirmation_with_another_amount_once_it_was_taken(
    caller: Caller, listener: Listener
) -> None:
    async def away(path: str) -> Response:
        return PlainTextResponse("", 503)

    await run(caller, Flow.C2B, Fault.FORGED_AMOUNT)
    [(_, first), (_, second)] = await caller.heard()
    assert first["TransID"] == second["TransID"]
    assert (first["TransAmount"], second["TransAmount"]) == ("100.00", "1100.00")
    listener.answer = away
    await run(caller, Flow.C2B, Fault.FORGED_AMOUNT)
    assert len(caller.emulator.deliveries) == 3


@pytest.mark.parametrize("code_", ["1025", "9999", "SFC_IC0003", "7777"])
async def test_a_push_can_fail_with_any_code(caller: Caller, code_: str) -> None:
    await run(caller, Flow.STK, Fault.FAIL_WITH, code=code_)
    [(_, body)] = await caller.heard()
    assert code(body) == code_
    assert caller.emulator.books.position()[PAYBILL].utility_cents == 50_000
    assert caller.emulator.open_prompts() == []


@every_result
async def test_a_result_can_fail_with_any_code(caller: Caller, flow: Flow) -> None:
    await caller.register(ShortCode=PAYBILL)
    await run(caller, flow, Fault.FAIL_WITH, code="SFC_IC0003")
    await caller.emulator.drain()
    before = caller.emulator.books.position()[PAYER].utility_cents
    assert code((await caller.heard())[-1][1]) == "SFC_IC0003"
    assert before == (10_010_000 if flow is Flow.REVERSAL else 10_000_000)


async def test_codes_come_as_the_other_type(caller: Caller) -> None:
    for flow in (Flow.STK, Flow.B2C, Flow.BALANCE):
        await run(caller, flow, Fault.OTHER_CODE_TYPE)
    bodies: list[Any] = [body for _, body in await caller.heard()]
    assert bodies[0]["Body"]["stkCallback"]["ResultCode"] == "0"
    assert bodies[1]["Result"]["ResultCode"] == "0"
    assert bodies[2]["Result"]["ResultCode"] == 0


async def test_amounts_come_whole_and_in_java_text(caller: Caller) -> None:
    await caller.register()
    caller.emulator.faults.next("c2b", Fault.WHOLE_AMOUNT)
    await run(caller, Flow.STK, Fault.WHOLE_AMOUNT)
    raw = b"".join(one.body for one in caller.emulator.deliveries)
    assert b'{"Name":"Amount","Value":100}' in raw
    assert b'"TransAmount":"100",' in raw


async def test_the_balance_of_the_payer_comes_in_java_text(caller: Caller) -> None:
    await run(caller, Flow.STK, Fault.JAVA_AMOUNT)
    assert b'{"Name":"Balance","Value":"{Amount={BasicAmount=50.5}}"}' in caller.emulator.deliveries[0].body


@pytest.mark.parametrize(
    ("fault", "shown"),
    [
        (Fault.HASHED_MSISDN, hashlib.sha256(WANJIKU.encode()).hexdigest()),
        (Fault.MASKED_MSISDN, "2547 ***** 678"),
        (Fault.STARRED_MSISDN, "25471****678"),
        (Fault.PLAIN_MSISDN, WANJIKU),
    ],
)
async def test_the_payer_s_number_comes_in_any_form(caller: Caller, fault: Fault, shown: str) -> None:
    await run(caller, Flow.C2B, fault)
    [(_, body)] = await caller.heard()
    assert body["MSISDN"] == shown


async def test_later_names_can_be_absent(caller: Caller) -> None:
    await run(caller, Flow.C2B, Fault.ABSENT_NAMES)
    [(_, body)] = await caller.heard()
    assert "FirstName" in body
    assert not {"MiddleName", "LastName"} & set(body)


async def test_what_waits_ends_when_the_emulator_closes(caller: Caller, clock: HandClock) -> None:
    await run(caller, Flow.STK, Fault.DELAY_CALLBACK)
    await caller.emulator.close()
    assert caller.emulator.deliveries == []
