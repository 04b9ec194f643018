"""Many calls, and bad times: the breaker and the limit in front of the wire, what is counted, what is logged."""

import asyncio
from datetime import timedelta

import pytest

from tests.support import daraja_server as wire
from tests.support.app import CALLBACK_TOKEN
from tests.support.daraja_bench import Bench
from tests.support.daraja_calls import EVERY, PAYMENT, PUSH
from tests.support.daraja_server import Told, error
from tests.support.observed import Written
from zanari_api.daraja.client import DarajaClient
from zanari_api.daraja.errors import (
    DarajaError,
    DarajaRefused,
    DarajaUnavailable,
    DarajaUnresolved,
    Hindrance,
    Operation,
)
from zanari_api.daraja.observing import CallOutcome, Group, MetricsObserver
from zanari_api.runtime.metrics import Metrics

PAUSE = timedelta(seconds=20)


async def fail(client: DarajaClient, times: int) -> None:
    for _ in range(times):
        with pytest.raises(DarajaUnresolved):
            await client.b2c(PAYMENT)


async def test_after_faults_in_a_row_nothing_is_sent_until_one_call_has_probed(
    bench: Bench, client: DarajaClient
) -> None:
    bench.safaricom.will(wire.B2C, *[Told(status=503)] * 6)
    await fail(client, 5)
    with pytest.raises(DarajaUnavailable) as unavailable:
        await client.b2c(PAYMENT)
    assert unavailable.value.cause is Hindrance.BREAKER_OPEN
    assert len(bench.safaricom.calls(wire.B2C)) == 5
    assert bench.watcher.turns == [(Group.MONEY_OUT, True)]

    bench.clock.ahead += PAUSE
    await fail(client, 1)
    with pytest.raises(DarajaUnavailable):
        await client.b2c(PAYMENT)

    bench.clock.ahead += PAUSE
    bench.safaricom.will(wire.B2C, Told(body=b'{"ResponseCode": "0"}', delay_s=0.3))
    probe = asyncio.create_task(client.b2c(PAYMENT))
    await asyncio.sleep(0.1)
    with pytest.raises(DarajaUnavailable):
        await client.b2c(PAYMENT)
    await probe
    assert bench.watcher.turns == [(Group.MONEY_OUT, True), (Group.MONEY_OUT, False)]
    await client.b2c(PAYMENT)


async def test_a_group_that_is_held_back_leaves_the_others_alone(bench: Bench, client: DarajaClient) -> None:
    bench.safaricom.will(wire.B2C, *[Told(status=503)] * 5)
    await fail(client, 5)
    for path in EVERY:
        if path not in {wire.B2C, wire.REVERSAL}:
            await EVERY[path](client)
    with pytest.raises(DarajaUnavailable):
        await EVERY[wire.REVERSAL](client)


async def test_refusals_hold_nothing_back(bench: Bench, client: DarajaClient) -> None:
    bench.safaricom.will(wire.B2C, *[error("400.002.02", "Bad Request", 400)] * 8)
    for _ in range(8):
        with pytest.raises(DarajaRefused):
            await client.b2c(PAYMENT)
    assert bench.watcher.turns == []


async def test_being_throttled_holds_back(bench: Bench, client: DarajaClient) -> None:
    bench.safaricom.will(wire.B2C, *[error("500.003.02", "Spike arrest violation", 500)] * 5)
    for _ in range(5):
        with pytest.raises(DarajaRefused):
            await client.b2c(PAYMENT)
    assert bench.watcher.turns == [(Group.MONEY_OUT, True)]


async def test_a_host_that_is_away_holds_back(bench: Bench) -> None:
    client = await bench.client(base_url="http://127.0.0.1:9", breaker_failures=3)
    with pytest.raises(DarajaUnavailable) as unavailable:
        await client.stk_push(PUSH)
    assert unavailable.value.cause is Hindrance.NO_TOKEN
    assert bench.watcher.turns == [(Group.TOKEN, True)]
    assert bench.watcher.calls == [(Operation.TOKEN, CallOutcome.UNAVAILABLE)] * 3


async def test_over_the_limit_calls_wait_for_their_turn(bench: Bench) -> None:
    client = await bench.client(requests_per_second=20)
    await asyncio.gather(*(client.stk_push(PUSH) for _ in range(24)))
    # The token took one turn of the second's worth, and some come back while the others are on their way.
    assert set(bench.watcher.waits) == {Operation.STK_PUSH}
    assert 2 <= len(bench.watcher.waits) <= 5
    assert len(bench.safaricom.calls(wire.STK)) == 24


async def test_far_over_the_limit_nothing_is_sent(bench: Bench) -> None:
    client = await bench.client(requests_per_second=2, limiter_wait=timedelta(milliseconds=600))
    await client.stk_push(PUSH)
    sent = await asyncio.gather(*(client.stk_push(PUSH) for _ in range(4)), return_exceptions=True)
    refused = [each for each in sent if isinstance(each, DarajaUnavailable)]
    assert [each.cause for each in refused] == [Hindrance.OVER_LIMIT] * 3
    assert len(bench.safaricom.calls(wire.STK)) == 2


async def test_each_sending_is_counted_by_how_it_ended(bench: Bench, client: DarajaClient) -> None:
    bench.safaricom.will(wire.STK, error("400.002.02", "Bad Request", 400), Told(cut=True))
    for _ in range(2):
        with pytest.raises(DarajaError):
            await client.stk_push(PUSH)
    bench.safaricom.forget_tokens()
    await client.stk_push(PUSH)
    assert bench.watcher.calls == [
        (Operation.TOKEN, CallOutcome.OK),
        (Operation.STK_PUSH, CallOutcome.REFUSED),
        (Operation.STK_PUSH, CallOutcome.UNRESOLVED),
        (Operation.STK_PUSH, CallOutcome.REFUSED),
        (Operation.TOKEN, CallOutcome.OK),
        (Operation.STK_PUSH, CallOutcome.OK),
    ]


async def test_a_call_whose_caller_gives_up_is_counted_as_nothing(bench: Bench, client: DarajaClient) -> None:
    bench.safaricom.will(wire.STK, Told(delay_s=0.6))
    waiting = asyncio.create_task(client.stk_push(PUSH))
    while not bench.safaricom.calls(wire.STK):  # noqa: ASYNC110 (the other side tells nobody)
        await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert bench.watcher.calls == [(Operation.TOKEN, CallOutcome.OK)]


def test_the_services_metrics_are_told() -> None:
    metrics = Metrics()
    observer = MetricsObserver(metrics)
    read = metrics.registry.get_sample_value
    assert read("zanari_daraja_calls_total", {"operation": "b2c", "outcome": "unresolved"}) == 0
    assert read("zanari_daraja_call_seconds_count", {"operation": "b2c"}) == 0
    assert read("zanari_daraja_breaker_open", {"operation_group": "money_out"}) == 0
    assert read("zanari_daraja_limiter_waits_total", {"operation": "b2c"}) == 0
    observer.called(Operation.B2C, CallOutcome.UNRESOLVED, duration_s=1.5)
    observer.breaker_turned(Group.MONEY_OUT, is_open=True)
    observer.limiter_waited(Operation.B2C)
    assert read("zanari_daraja_calls_total", {"operation": "b2c", "outcome": "unresolved"}) == 1
    assert read("zanari_daraja_call_seconds_sum", {"operation": "b2c"}) == 1.5
    assert read("zanari_daraja_breaker_open", {"operation_group": "money_out"}) == 1
    assert read("zanari_daraja_limiter_waits_total", {"operation": "b2c"}) == 1
    observer.breaker_turned(Group.MONEY_OUT, is_open=False)
    assert read("zanari_daraja_breaker_open", {"operation_group": "money_out"}) == 0


@pytest.mark.parametrize("path", EVERY)
async def test_no_secret_and_no_number_is_in_a_log_line_or_an_error(
    bench: Bench, written: Written, path: str
) -> None:
    client = await bench.client(read_timeout_s=0.15)
    await EVERY[path](client)
    secrets = {
        bench.consumer_key,
        "the consumer secret",
        "the passkey",
        "the initiator's password",
        "254708374149",
        "708374149",
        CALLBACK_TOKEN,
        client._session._basic.removeprefix("Basic "),
    }
    said: list[str] = []
    for answer in (
        error("401.002.01", f"Invalid Access Token - {bench.safaricom.tokens[0]} of 254708374149", 401),
        error("500.002.1001", f"System internal error. {bench.safaricom.tokens[0]}", 500),
        error(bench.safaricom.tokens[0], "the passkey", 500),
        error("400.002.02", "Invalid PhoneNumber 254708374149", 400),
        Told(delay_s=0.6),
        Told(cut=True),
        Told(body=b'{"ResponseCode": "254708374149"}'),
    ):
        bench.safaricom.will(path, *[answer] * 3)
        try:
            await EVERY[path](client)
        except DarajaError as failed:
            said += [str(failed), repr(failed), str(failed.__cause__)]
    assert said
    secrets |= {
        call.body.get(name, "-")
        for call in bench.safaricom.calls(path)
        for name in ("SecurityCredential", "Password")
    } - {"-"}
    for secret in secrets | set(bench.safaricom.tokens):
        assert all(secret not in text for text in [written.text, *said])
    assert written.events("daraja_called")


async def test_a_call_is_logged_with_what_became_of_it(
    bench: Bench, client: DarajaClient, written: Written
) -> None:
    bench.safaricom.will(wire.B2C, error("500.002.1001", "System internal error.", 500))
    await fail(client, 1)
    [_, line] = written.events("daraja_called")
    assert (line["operation"], line["outcome"], line["level"]) == ("b2c", "unresolved", "warning")
    assert (line["why"], line["error_code"], line["http_status"]) == ("server_fault", "500.002.1001", 500)
