"""What a synchronous answer that is no success proves, for each operation."""

import json

import pytest

from tests.support.daraja_shapes import sample, write
from zanari_api.daraja.errors import (
    DarajaRefused,
    DarajaUnresolved,
    Doubt,
    DuplicateRequest,
    Operation,
    RefusalReason,
)
from zanari_api.daraja.refusals import INVALID_TOKEN_CODES, not_accepted, refusal_of


def told(code: str, message: str = "") -> bytes:
    return json.dumps({"requestId": "1-2-3", "errorCode": code, "errorMessage": message}).encode()


def reason_of(operation: Operation, status: int, body: bytes) -> RefusalReason | Doubt:
    error = refusal_of(operation, status, body)
    if isinstance(error, DarajaUnresolved):
        return error.cause
    assert isinstance(error, DarajaRefused)
    return error.reason


@pytest.mark.parametrize("code", sorted(INVALID_TOKEN_CODES))
@pytest.mark.parametrize("operation", Operation)
@pytest.mark.parametrize("status", [400, 401, 404, 500])
def test_an_invalid_token_is_definite_for_everything(operation: Operation, code: str, status: int) -> None:
    assert reason_of(operation, status, told(code)) is RefusalReason.INVALID_TOKEN


def test_an_answer_401_is_an_invalid_token_whatever_it_says() -> None:
    assert reason_of(Operation.B2C, 401, b"<html>") is RefusalReason.INVALID_TOKEN


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("400.008.01", 400, RefusalReason.MISCONFIGURED),
        ("400.008.02", 400, RefusalReason.MISCONFIGURED),
        ("400.002.02", 400, RefusalReason.BAD_REQUEST),
        ("400.002.05", 400, RefusalReason.BAD_REQUEST),
        ("400.003.02", 400, RefusalReason.BAD_REQUEST),
        ("404.001.01", 404, RefusalReason.MISCONFIGURED),
        ("404.001.04", 404, RefusalReason.MISCONFIGURED),
        ("404.002.01", 404, RefusalReason.MISCONFIGURED),
        ("404.003.01", 404, RefusalReason.MISCONFIGURED),
        ("405.001", 405, RefusalReason.MISCONFIGURED),
    ],
)
@pytest.mark.parametrize("operation", [Operation.STK_PUSH, Operation.B2C, Operation.PULL_QUERY])
def test_a_request_that_was_not_understood_did_nothing(
    operation: Operation, code: str, status: int, reason: RefusalReason
) -> None:
    assert reason_of(operation, status, told(code)) is reason


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Unable to lock subscriber, a transaction is already in process", RefusalReason.PROMPT_OPEN),
        ("[MerchantValidate] - Merchant does not exist", RefusalReason.MISCONFIGURED),
        ("Wrong credentials", RefusalReason.MISCONFIGURED),
        ("Internal Server Error", Doubt.SERVER_FAULT),
        ("", Doubt.SERVER_FAULT),
    ],
)
def test_one_code_of_a_push_says_several_things(message: str, reason: object) -> None:
    assert reason_of(Operation.STK_PUSH, 500, told("500.001.1001", message)) is reason


@pytest.mark.parametrize("operation", [each for each in Operation if each is not Operation.STK_PUSH])
def test_elsewhere_that_code_proves_nothing(operation: Operation) -> None:
    message = "Unable to lock subscriber"
    assert reason_of(operation, 500, told("500.001.1001", message)) is Doubt.SERVER_FAULT


def test_a_payout_that_was_sent_before_is_a_duplicate() -> None:
    error = refusal_of(Operation.B2C, 500, write(sample("p33")))
    assert isinstance(error, DuplicateRequest)
    assert (error.reason, error.error_code, error.http_status) == (
        RefusalReason.DUPLICATE,
        "500.002.1001",
        500,
    )


def test_the_same_code_without_those_words_is_a_plain_fault() -> None:
    error = refusal_of(Operation.B2C, 500, write(sample("p34")))
    assert isinstance(error, DarajaUnresolved)
    assert (error.cause, error.error_code, error.http_status) == (Doubt.SERVER_FAULT, "500.002.1001", 500)


def test_elsewhere_than_at_a_payout_those_words_are_a_fault_too() -> None:
    assert reason_of(Operation.STK_PUSH, 500, write(sample("p33"))) is Doubt.SERVER_FAULT


@pytest.mark.parametrize("code", ["500.003.02", "500.003.03"])
def test_a_rate_limit_stops_everything_before_it_happens(code: str) -> None:
    for message in ("Spike arrest violation", "Quota violation"):
        for operation in Operation:
            assert reason_of(operation, 500, told(code, message)) is RefusalReason.THROTTLED


def test_busy_is_a_limit_for_a_push_and_a_doubt_where_money_leaves() -> None:
    body = told("500.003.02", "Error Occurred: System is busy. Please try again in few minutes.")
    assert reason_of(Operation.STK_PUSH, 500, body) is RefusalReason.THROTTLED
    assert reason_of(Operation.B2C, 500, body) is Doubt.SERVER_FAULT
    assert reason_of(Operation.REVERSAL, 500, body) is Doubt.SERVER_FAULT


def test_urls_are_registered_once() -> None:
    body = told("500.003.1001", "Urls are already registered")
    assert reason_of(Operation.REGISTER_URLS, 500, body) is RefusalReason.ALREADY_REGISTERED
    assert reason_of(Operation.B2C, 500, body) is Doubt.SERVER_FAULT


@pytest.mark.parametrize("status", [400, 403, 404, 405, 413, 429])
def test_another_4xx_is_definite_but_where_money_leaves(status: int) -> None:
    for body in (b"", b"<html>Forbidden</html>", told("400.999.99", "new")):
        assert reason_of(Operation.STK_PUSH, status, body) is RefusalReason.BAD_REQUEST
        assert reason_of(Operation.PULL_QUERY, status, body) is RefusalReason.BAD_REQUEST
        assert reason_of(Operation.B2C, status, body) is Doubt.SERVER_FAULT
        assert reason_of(Operation.REVERSAL, status, body) is Doubt.SERVER_FAULT


@pytest.mark.parametrize("status", [100, 302, 408, 500, 502, 503, 504])
@pytest.mark.parametrize("operation", Operation)
def test_another_status_proves_nothing(operation: Operation, status: int) -> None:
    for body in (b"", b"<html>", told("500.999.99", "new"), b"[]"):
        assert reason_of(operation, status, body) is Doubt.SERVER_FAULT


def test_an_error_repeats_no_more_than_a_code_that_looks_like_one() -> None:
    secret = "c9SQxWWhmdVRlyh0zh8gZDTkubVF"
    echoing = refusal_of(Operation.B2C, 400, told("401.002.01", f"Invalid Access Token - {secret}"))
    assert str(echoing) == "b2c: invalid_token, HTTP 400, code 401.002.01"
    odd = refusal_of(Operation.STK_PUSH, 500, told("code of 254708374149", secret))
    assert str(odd) == "stk_push: server_fault, HTTP 500"


@pytest.mark.parametrize("operation", [Operation.STK_PUSH, Operation.ACCOUNT_BALANCE])
def test_an_answer_that_is_not_accepted_is_refused(operation: Operation) -> None:
    error = not_accepted(operation, 200, {"ResponseCode": "1"})
    assert isinstance(error, DarajaRefused)
    assert (error.reason, error.error_code) == (RefusalReason.NOT_ACCEPTED, "1")


@pytest.mark.parametrize(
    ("operation", "fields"),
    [
        (Operation.B2C, {"ResponseCode": "1"}),
        (Operation.REVERSAL, {"ResponseCode": 1}),
        (Operation.STK_PUSH, {}),
        (Operation.STK_PUSH, {"ResponseCode": None}),
        (Operation.STK_PUSH, {"ResponseCode": "call 254708374149"}),
    ],
)
def test_without_a_code_or_where_money_leaves_it_is_unresolved(
    operation: Operation, fields: dict[str, object]
) -> None:
    error = not_accepted(operation, 200, fields)  # type: ignore[arg-type]
    assert isinstance(error, DarajaUnresolved)
    assert error.cause is Doubt.UNREADABLE
    assert "254" not in str(error)
