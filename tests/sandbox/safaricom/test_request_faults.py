"""Faults of requests, as the caller sees them on the wire."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.sandbox.safaricom.caller import PAYBILL, PAYER, WANJIKU, Caller, HandClock, Listener
from zanari_api.sandbox.safaricom.faults import HTTP_ERRORS, Fault, FaultPlan, Flow, Place


@pytest.fixture
async def ready(caller: Caller) -> Caller:
    await caller.log_in()
    return caller


async def call(caller: Caller, flow: Flow) -> httpx.Response:
    """Ask for something good in that flow."""
    asks: dict[Flow, Callable[[], Awaitable[httpx.Response]]] = {
        Flow.OAUTH: caller.log_in,
        Flow.STK: caller.push,
        Flow.QUERY: lambda: caller.query("ws_CO_25112026101500000712345678"),
        Flow.B2C: lambda: caller.pay(OriginatorConversationID="ours-1"),
        Flow.STATUS: lambda: caller.ask_status(OriginalConversationID="ours-1"),
        Flow.BALANCE: caller.ask_balance,
        Flow.REVERSAL: lambda: caller.ask_reversal("UKP1234567"),
        Flow.C2B: caller.register,
        Flow.PULL: caller.register_pull,
    }
    return await asks[flow]()


@pytest.mark.parametrize("flow", Flow)
@pytest.mark.parametrize("code", HTTP_ERRORS)
async def test_an_error_body_is_answered_and_nothing_is_done(ready: Caller, flow: Flow, code: str) -> None:
    before = ready.emulator.books.position()
    ready.emulator.faults.next(flow, Fault.HTTP_ERROR, code=code)
    failed = await call(ready, flow)
    assert (failed.status_code, failed.json()["errorCode"]) == (500, code)
    assert failed.json()["errorMessage"] == HTTP_ERRORS[code]
    await ready.emulator.quiet()
    assert ready.emulator.books.position() == before
    assert ready.emulator.deliveries == []


async def test_an_error_can_have_any_code_and_message(ready: Caller) -> None:
    ready.emulator.faults.next("stk", "http_error", code="503.001.01", message="Service is under maintenance")
    failed = await ready.push()
    assert (failed.status_code, failed.json()["errorMessage"]) == (503, "Service is under maintenance")
    ready.emulator.faults.next("stk", "http_error", code="01")
    assert (await ready.push()).status_code == 500


@pytest.mark.parametrize("flow", [Flow.STK, Flow.B2C, Flow.STATUS, Flow.BALANCE, Flow.REVERSAL])
async def test_an_error_can_hide_that_the_request_was_accepted(ready: Caller, flow: Flow) -> None:
    ready.emulator.faults.next(flow, Fault.HTTP_ERROR_AFTER)
    failed = await call(ready, flow)
    assert failed.json()["errorMessage"] == "System internal error."
    assert len(await ready.heard()) == 1


@pytest.mark.parametrize("flow", Flow)
async def test_a_cut_connection_says_nothing_and_does_nothing(ready: Caller, flow: Flow) -> None:
    before = ready.emulator.books.position()
    ready.emulator.faults.next(flow, Fault.CUT_BEFORE)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await call(ready, flow)
    await ready.emulator.quiet()
    assert ready.emulator.books.position() == before
    assert ready.emulator.deliveries == []


async def test_a_connection_cut_after_the_request_hides_a_payout(ready: Caller) -> None:
    ready.emulator.faults.next("b2c", Fault.CUT_AFTER)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await ready.pay(OriginatorConversationID="ours-1")
    [(kind, body)] = await ready.heard()
    assert (kind, body["Result"]["ResultCode"]) == ("b2c_result", 0)
    assert ready.emulator.books.position()[PAYER].utility_cents == 9_950_000
    assert (await ready.pay(OriginatorConversationID="ours-1")).json()["errorMessage"].startswith("Duplicate")


async def test_a_cut_connection_is_closed_and_the_next_one_serves(ready: Caller) -> None:
    """By the socket itself: not one byte comes before its end."""
    ready.emulator.faults.next("oauth", Fault.CUT_BEFORE)
    url = ready.client.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(b"GET /oauth/v1/generate HTTP/1.1\r\nHost: x\r\n\r\n")
    try:
        assert await reader.read() == b""
    except ConnectionResetError:
        pass
    finally:
        writer.close()
    assert (await ready.log_in()).status_code == 200


@pytest.mark.parametrize("flow", [one for one in Flow if one is not Flow.OAUTH])
async def test_a_token_can_be_revoked_in_mid_flight(ready: Caller, flow: Flow) -> None:
    ready.emulator.faults.next(flow, Fault.REVOKE_TOKEN)
    assert "Invalid Access Token" in (await call(ready, flow)).json()["errorMessage"]
    await ready.log_in()
    assert "Invalid Access Token" not in (await call(ready, flow)).text


async def test_a_slow_reply_outlasts_the_caller_s_patience(ready: Caller, clock: HandClock) -> None:
    ready.emulator.faults.next("stk", Fault.SLOW_REPLY, seconds=20)
    with pytest.raises(httpx.ReadTimeout):
        await ready.client.post(
            "/mpesa/stkpush/v1/processrequest",
            json=ready.push_body(),
            headers={"Authorization": f"Bearer {ready.token}"},
            timeout=0.1,
        )
    assert [kind for kind, _ in await ready.heard()] == ["stk_callback"]


async def test_a_slow_reply_comes_when_its_time_has_passed(ready: Caller, clock: HandClock) -> None:
    ready.emulator.faults.next("oauth", Fault.SLOW_REPLY)
    waiting = asyncio.create_task(ready.log_in())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await clock.move(1)
    assert (await waiting).status_code == 200


@pytest.mark.parametrize("flow", [Flow.STK, Flow.B2C, Flow.STATUS, Flow.BALANCE, Flow.REVERSAL])
async def test_the_result_can_come_before_the_reply(ready: Caller, listener: Listener, flow: Flow) -> None:
    ready.emulator.faults.next(flow, Fault.RESULT_FIRST)
    ready.emulator.delays.process_s = ready.emulator.delays.prompt_s = ready.emulator.delays.callback_s = 5
    reply = await call(ready, flow)
    assert reply.json()["ResponseCode"] == "0"
    assert len(listener.heard) == 1


async def test_a_reply_does_not_wait_for_a_result_that_needs_a_person(
    ready: Caller, clock: HandClock
) -> None:
    await ready.emulator.set_handset(WANJIKU, behaviour="ask")
    ready.emulator.faults.next("stk", Fault.RESULT_FIRST)
    waiting = asyncio.create_task(ready.push())
    await asyncio.sleep(0.05)
    await clock.move(20)
    assert (await waiting).json()["ResponseCode"] == "0"
    assert [one.msisdn for one in ready.emulator.open_prompts()] == [WANJIKU]


async def test_expires_in_can_come_as_text(caller: Caller) -> None:
    caller.emulator.faults.always("oauth", Fault.EXPIRES_IN_TEXT)
    assert (await caller.log_in()).json()["expires_in"] == "3599"


async def test_the_query_can_contradict_the_callback(ready: Caller) -> None:
    checkout = (await ready.push()).json()["CheckoutRequestID"]
    [(_, body)] = await ready.heard()
    ready.emulator.faults.next("query", Fault.CONTRADICT)
    assert body["Body"]["stkCallback"]["ResultCode"] == 0
    assert (await ready.query(checkout)).json()["ResultCode"] == "1037"
    assert (await ready.query(checkout)).json()["ResultCode"] == "0"


async def test_the_query_can_say_pending_by_a_code_and_codes_by_numbers(ready: Caller) -> None:
    await ready.emulator.set_handset(WANJIKU, behaviour="ask")
    checkout = (await ready.push()).json()["CheckoutRequestID"]
    ready.emulator.faults.next("query", Fault.PENDING_BY_CODE)
    pending = await ready.query(checkout)
    assert (pending.status_code, pending.json()["ResultCode"]) == (200, "4999")
    await ready.emulator.answer(WANJIKU, "approve")
    await ready.heard()
    ready.emulator.faults.next("query", Fault.OTHER_CODE_TYPE)
    assert (await ready.query(checkout)).json()["ResultCode"] == 0


async def test_what_exists_can_be_not_found(ready: Caller) -> None:
    ready.emulator.faults.next("query", Fault.NOT_FOUND)
    ready.emulator.faults.next("status", Fault.NOT_FOUND)
    checkout = (await ready.push()).json()["CheckoutRequestID"]
    assert (await ready.query(checkout)).json()["errorCode"] == "01"
    await ready.pay(OriginatorConversationID="ours-1")
    codes: list[Any] = []
    for _ in range(2):
        await ready.ask_status(OriginalConversationID="ours-1")
        codes.append((await ready.heard())[-1][1]["Result"]["ResultCode"])
    assert codes == [2032, 0]


async def test_pulled_rows_can_come_in_another_container_and_in_local_time(ready: Caller) -> None:
    await ready.register_pull()
    await ready.emulator.pay_bill(amount_cents=100, account_reference="A", msisdn=WANJIKU)
    day = ("2026-11-25 00:00:00", "2026-11-25 23:59:59")
    ready.emulator.faults.next("pull", Fault.OTHER_CONTAINER)
    [row] = (await ready.pull(*day)).json()["Transactions"]
    assert row["trxDate"] == "2026-11-25T07:15:00Z"
    ready.emulator.faults.next("pull", Fault.LOCAL_TIME)
    [[row]] = (await ready.pull(*day)).json()["Response"]
    assert row["trxDate"] == "2026-11-25T10:15:00Z"


async def test_scripted_faults_come_once_each_and_always_until_cleared(ready: Caller) -> None:
    ready.emulator.faults.next("c2b", Fault.HTTP_ERROR, code="500.003.02")
    ready.emulator.faults.next("c2b", Fault.HTTP_ERROR, code="500.003.03")
    ready.emulator.faults.always("c2b", Fault.HTTP_ERROR, code="500.003.1001")
    codes = [(await ready.register()).json().get("errorCode") for _ in range(4)]
    assert codes == ["500.003.02", "500.003.03", "500.003.1001", "500.003.1001"]
    ready.emulator.faults.clear()
    assert (await ready.register()).status_code == 200


@pytest.mark.parametrize(
    ("flow", "fault"), [("oauth", "lose_callback"), ("pull", "timeout_echo"), ("c2b", "fail_with")]
)
def test_a_fault_that_cannot_befall_a_flow_is_refused(flow: str, fault: str) -> None:
    with pytest.raises(ValueError, match="cannot befall"):
        FaultPlan().next(flow, fault)
    with pytest.raises(ValueError, match="cannot befall"):
        FaultPlan().always(flow, fault)


def drawn(plan: FaultPlan, flow: Flow, place: Place) -> list[Any]:
    return [plan.take(flow, place) for _ in range(200)]


def test_a_seed_draws_the_same_faults_whatever_else_goes_on() -> None:
    first, second = FaultPlan.seeded(11, 30), FaultPlan.seeded(11, 30)
    drawn(second, Flow.B2C, Place.DELIVERY)
    mine = drawn(first, Flow.STK, Place.DELIVERY)
    assert mine == drawn(second, Flow.STK, Place.DELIVERY)
    assert mine != drawn(FaultPlan.seeded(12, 30), Flow.STK, Place.DELIVERY)
    struck = [armed for armed in mine if armed is not None]
    assert 40 <= len(struck) <= 80
    assert {armed.fault for armed in struck} >= {Fault.LOSE_CALLBACK, Fault.DUPLICATE_CALLBACK}


def test_a_seed_keeps_to_its_rate_and_to_the_faults_it_may_draw() -> None:
    assert not any(drawn(FaultPlan.seeded(1, 0), Flow.STK, Place.REQUEST))
    only = FaultPlan.seeded(1, 100, only=[Fault.CUT_AFTER])
    assert {armed.fault for armed in drawn(only, Flow.STK, Place.REQUEST)} == {Fault.CUT_AFTER}
    assert not any(drawn(only, Flow.STK, Place.DELIVERY))
    everything = FaultPlan.seeded(1, 100)
    codes = {a.code for a in drawn(everything, Flow.B2C, Place.ANSWER) if a.fault is Fault.FAIL_WITH}
    assert {"2040", "SFC_IC0003"} <= codes


async def test_a_script_comes_before_the_seed(ready: Caller) -> None:
    ready.emulator.faults = FaultPlan.seeded(3, 100, only=[Fault.CUT_BEFORE])
    ready.emulator.faults.next("c2b", Fault.HTTP_ERROR)
    assert (await ready.register()).status_code == 500
    with pytest.raises(httpx.TransportError):
        await ready.register()
    assert ready.emulator.books.position()[PAYBILL].utility_cents == 50_000
