"""The client and the readers against the emulator, which was written apart from them: both follow the same wire."""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support.daraja_bench import Bench
from tests.support.loopback import served
from zanari_api.daraja.client import DarajaClient
from zanari_api.daraja.codes import Api, Kind, Reason
from zanari_api.daraja.errors import DarajaError, DarajaRefused, DuplicateRequest, RefusalReason
from zanari_api.daraja.requests import B2CPayment, StkPush
from zanari_api.daraja.results import B2CResult, BalanceResult, ReversalResult, StatusResult, read_result
from zanari_api.daraja.stk import read_stk_callback
from zanari_api.daraja.timeouts import read_timeout
from zanari_api.daraja.values import UnreadableCallback
from zanari_api.sandbox.safaricom.books import Opening
from zanari_api.sandbox.safaricom.core import Delays
from zanari_api.sandbox.safaricom.emulator import SafaricomEmulator
from zanari_api.sandbox.safaricom.faults import Fault, FaultPlan, Flow
from zanari_api.sandbox.safaricom.handsets import Behaviour
from zanari_api.sandbox.safaricom.server import serving

PAYBILL, PAYER, MSISDN = "600000", "600001", "254708374149"


@dataclass(slots=True)
class Line:
    """A client, the emulator it calls, and what that posted, by path."""

    client: DarajaClient
    emulator: SafaricomEmulator
    heard: list[tuple[str, bytes]]
    url: str

    async def last(self, path: str) -> bytes:
        await self.emulator.quiet()
        return next(body for at, body in reversed(self.heard) if at == path)

    @property
    def urls(self) -> dict[str, str]:
        return {"result_url": f"{self.url}/result", "timeout_url": f"{self.url}/timeout"}

    def push(self, amount_cents: int = 14_700) -> StkPush:
        return StkPush(
            amount_cents=amount_cents,
            msisdn=MSISDN,
            account_reference="12345671",
            description="Zanari",
            callback_url=f"{self.url}/stk",
        )

    def payment(self, id_: str, amount_cents: int = 100_000) -> B2CPayment:
        return B2CPayment(
            originator_conversation_id=id_,
            amount_cents=amount_cents,
            msisdn=MSISDN,
            remarks="Withdrawal",
            **self.urls,
        )


@pytest.fixture
async def line(bench: Bench) -> AsyncIterator[Line]:
    heard: list[tuple[str, bytes]] = []

    async def take(request: Request) -> Response:
        heard.append((request.url.path, await request.body()))
        return JSONResponse({"ResultCode": 0, "ResultDesc": "Accepted"})

    config = bench.config()
    emulator = SafaricomEmulator(
        clock=bench.clock,
        seed=7,
        delays=Delays.none(),
        shortcodes={PAYBILL: Opening(), PAYER: Opening(utility_cents=10_000_000, charges_paid_cents=-1_000)},
        consumer_key=config.consumer_key,
        consumer_secret=config.consumer_secret,
        passkey=config.passkey or "",
        initiator_name=config.initiator_name or "",
        initiator_password=config.initiator_password or "",
    )
    listener = Starlette(routes=[Route("/{path:path}", take, methods=["POST"])])
    async with serving(emulator) as base_url, served(listener) as url:
        client = await bench.client(base_url=base_url, certificate=emulator.certificate_pem)
        yield Line(client, emulator, heard, url)


async def test_a_prompt_that_is_approved_is_paid(line: Line) -> None:
    accepted = await line.client.stk_push(line.push())
    callback = read_stk_callback(await line.last("/stk"))
    assert callback.checkout_request_id == accepted.checkout_request_id
    assert callback.merchant_request_id == accepted.merchant_request_id
    assert (callback.meaning.kind, callback.amount_cents) == (Kind.SUCCESS, 14_700)
    assert callback.receipt is not None
    assert callback.occurred_at is not None
    assert abs(callback.occurred_at - line.emulator.now()) < timedelta(minutes=1)
    asked = await line.client.stk_query(accepted.checkout_request_id)
    assert asked.meaning.kind is Kind.SUCCESS


async def test_a_prompt_that_is_open_is_pending_and_stands_in_the_way_of_another(line: Line) -> None:
    await line.emulator.set_handset(MSISDN, behaviour=Behaviour.ASK)
    accepted = await line.client.stk_push(line.push())
    assert (await line.client.stk_query(accepted.checkout_request_id)).meaning.kind is Kind.PENDING
    with pytest.raises(DarajaRefused) as refused:
        await line.client.stk_push(line.push(20_000))
    assert refused.value.reason is RefusalReason.PROMPT_OPEN
    await line.emulator.answer(MSISDN, "cancel")
    assert read_stk_callback(await line.last("/stk")).meaning.reason is Reason.CANCELLED


async def test_a_payout_is_paid_once_and_its_status_agrees(line: Line) -> None:
    await line.client.b2c(line.payment("one"))
    paid = read_result(await line.last("/result"))
    assert (paid.originator_conversation_id, paid.meaning(Api.B2C).kind) == ("one", Kind.SUCCESS)
    payout = B2CResult.of(paid)
    assert (payout.amount_cents, payout.receiver_registered) == (100_000, True)
    with pytest.raises(DuplicateRequest):
        await line.client.b2c(line.payment("one"))

    for asked in ({"originator_conversation_id": "one"}, {"receipt": payout.receipt}):
        accepted = await line.client.transaction_status(shortcode=PAYER, **asked, **line.urls)
        answer = read_result(await line.last("/result"))
        assert answer.conversation_id == accepted.conversation_id
        assert answer.originator_conversation_id == accepted.originator_conversation_id
        status = StatusResult.of(answer)
        assert status.is_completed
        assert (status.receipt, status.amount_cents) == (payout.receipt, 100_000)
        assert status.charge_cents is not None


async def test_a_payout_that_nobody_made_is_not_found(line: Line) -> None:
    await line.client.transaction_status(shortcode=PAYER, receipt="SKC82PACB8", **line.urls)
    assert StatusResult.of(read_result(await line.last("/result"))).not_found


async def test_the_balances_are_those_of_the_emulators_books(line: Line) -> None:
    await line.client.account_balance(shortcode=PAYER, **line.urls)
    balances = BalanceResult.of(read_result(await line.last("/result")))
    assert balances.utility is not None
    assert balances.charges_paid is not None
    assert (balances.utility.current_cents, balances.charges_paid.current_cents) == (10_000_000, -1_000)
    assert balances.unread == 0


async def test_a_payment_is_given_back(line: Line) -> None:
    payment = await line.emulator.pay_bill(amount_cents=5_000, account_reference="12345671", msisdn=MSISDN)
    await line.client.reverse(
        receipt=payment.receipt, amount_cents=5_000, shortcode=PAYBILL, remarks="Paid twice", **line.urls
    )
    result = read_result(await line.last("/result"))
    assert result.meaning(Api.REVERSAL).kind is Kind.SUCCESS
    assert ReversalResult.of(result).original_receipt == payment.receipt


@pytest.mark.parametrize("fault", [None, Fault.OTHER_CONTAINER, Fault.LOCAL_TIME])
async def test_payments_are_pulled(line: Line, fault: Fault | None) -> None:
    now = line.emulator.now()
    span = {"shortcode": PAYBILL, "since": now - timedelta(hours=1), "until": now + timedelta(minutes=1)}
    await line.client.pull_register(
        shortcode=PAYBILL, nominated_msisdn=MSISDN, callback_url=f"{line.url}/pull"
    )
    assert (await line.client.pull_query(**span)).rows == ()
    payment = await line.emulator.pay_bill(amount_cents=5_000, account_reference="12345671", msisdn=MSISDN)
    if fault is not None:
        line.emulator.faults.always(Flow.PULL, fault)
    page = await line.client.pull_query(**span)
    [row] = page.rows
    assert (row.receipt, row.amount_cents, row.account_reference) == (payment.receipt, 5_000, "12345671")
    assert page.unread == 0


async def test_a_wait_that_was_too_long_is_told_by_an_echo(line: Line) -> None:
    line.emulator.faults.always(Flow.B2C, Fault.TIMEOUT_ECHO)
    await line.client.b2c(line.payment("late"))
    notice = read_timeout(await line.last("/timeout"))
    assert (notice.originator_conversation_id, notice.amount_cents) == ("late", 100_000)
    assert notice.result is None


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_goes_wrong_a_call_ends_in_an_answer_or_one_of_three_errors(
    bench: Bench, line: Line, seed: int
) -> None:
    slow = {Fault.SLOW_REPLY, Fault.DELAY_CALLBACK, Fault.REORDER_CALLBACK, Fault.TIMEOUT_THEN_RESULT}
    line.emulator.faults = FaultPlan.seeded(seed, 60, only=set(Fault) - slow)
    for number in range(12):
        for call in (
            line.client.stk_push(line.push(100 * (number + 1))),
            line.client.b2c(line.payment(f"{seed}-{number}")),
            line.client.account_balance(shortcode=PAYER, **line.urls),
            line.client.transaction_status(shortcode=PAYER, receipt="SKC82PACB8", **line.urls),
        ):
            with suppress(DarajaError):
                await call
        # What is held back after faults is not what this is about.
        bench.clock.ahead += timedelta(minutes=1)
    await line.emulator.quiet()
    read = 0
    for path, body in line.heard:
        reader = {"/stk": read_stk_callback, "/timeout": read_timeout}.get(urlsplit(path).path, read_result)
        try:
            reader(body)
        except UnreadableCallback:
            continue
        read += 1
    assert read > 10
