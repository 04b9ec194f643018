"""The token: who gets one, how long it lasts, and what each API says of one that is not valid."""

import httpx
import pytest

from tests.sandbox.safaricom.caller import Caller, HandClock

INVALID_TOKEN = {
    "/mpesa/stkpush/v1/processrequest": (404, "404.001.03"),
    "/mpesa/stkpushquery/v1/query": (404, "404.001.03"),
    "/mpesa/reversal/v1/request": (404, "404.001.03"),
    "/mpesa/c2b/v1/registerurl": (400, "400.003.01"),
    "/mpesa/c2b/v2/registerurl": (400, "400.003.01"),
    "/mpesa/transactionstatus/v1/query": (400, "400.003.01"),
    "/mpesa/accountbalance/v1/query": (401, "401.002.01"),
    "/mpesa/b2c/v3/paymentrequest": (401, "401.002.01"),
    "/pulltransactions/v1/register": (401, "401.001"),
    "/pulltransactions/v1/query": (401, "401.001"),
}


def said(response: httpx.Response) -> tuple[int, str]:
    body = response.json()
    assert set(body) == {"requestId", "errorCode", "errorMessage"}
    return response.status_code, body["errorCode"]


async def test_a_token_lasts_an_hour_less_a_second(caller: Caller, clock: HandClock) -> None:
    answer = (await caller.log_in()).json()
    assert answer == {"access_token": caller.token, "expires_in": 3599}
    await clock.move(3598)
    assert (await caller.register()).status_code == 200
    await clock.move(1)
    assert said(await caller.register()) == (400, "400.003.01")


async def test_a_new_token_ends_the_one_before(caller: Caller) -> None:
    await caller.log_in()
    first = caller.token
    await caller.log_in()
    second, caller.token = caller.token, first
    assert said(await caller.push()) == (404, "404.001.03")
    caller.token = second
    assert (await caller.push()).status_code == 200


@pytest.mark.parametrize("path", INVALID_TOKEN)
async def test_each_api_has_its_own_code_for_an_invalid_token(caller: Caller, path: str) -> None:
    caller.token = "made-up"
    assert said(await caller.post(path, {})) == INVALID_TOKEN[path]


async def test_the_message_of_some_apis_repeats_the_token(caller: Caller) -> None:
    caller.token = "made-up"
    assert "made-up" in (await caller.pay()).json()["errorMessage"]
    assert "made-up" not in (await caller.push()).json()["errorMessage"]


async def test_wrong_credentials_get_no_token(caller: Caller) -> None:
    grant = {"grant_type": "client_credentials"}
    path = "/oauth/v1/generate"
    wrong = await caller.client.get(path, params=grant, auth=("emulator-consumer-key", "wrong"))
    assert said(wrong) == (400, "400.008.01")
    bearer = {"Authorization": "Bearer abc"}
    assert said(await caller.client.get(path, params=grant, headers=bearer)) == (400, "400.008.01")
    garbled = {"Authorization": "Basic ~~~"}
    assert said(await caller.client.get(path, params=grant, headers=garbled)) == (400, "400.008.01")
    secrets = caller.emulator.secrets
    auth = (secrets.consumer_key, secrets.consumer_secret)
    assert said(await caller.client.get(path, auth=auth)) == (400, "400.008.02")


async def test_no_header_no_path_and_no_such_method_have_codes_of_their_own(caller: Caller) -> None:
    push = "/mpesa/stkpush/v1/processrequest"
    assert said(await caller.client.post(push, json={})) == (404, "404.001.04")
    assert said(await caller.client.post("/mpesa/nothing", json={})) == (404, "404.001.01")
    assert said(await caller.client.get(push)) == (405, "405.001")


@pytest.mark.parametrize("body", [b"", b"[]", b"amount=1", b"{", b'{"a": "\xff"}'])
async def test_a_body_that_is_no_object_is_refused(caller: Caller, body: bytes) -> None:
    await caller.log_in()
    headers = {"Authorization": f"Bearer {caller.token}"}
    response = await caller.client.post("/mpesa/stkpush/v1/processrequest", content=body, headers=headers)
    assert said(response) == (400, "400.002.05")
