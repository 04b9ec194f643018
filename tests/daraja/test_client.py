"""Each call to Safaricom: what is sent, and what becomes of each kind of answer."""

import base64
from typing import Any

import pytest

from tests.support import daraja_server as wire
from tests.support.daraja_bench import Bench
from tests.support.daraja_calls import (
    EVERY,
    MONEY,
    ONCE,
    PAYMENT,
    PUSH,
    QUERIES,
    SINCE,
    UNTIL,
    URL,
    URLS,
    Call,
)
from tests.support.daraja_server import Told, error
from zanari_api.daraja.client import DarajaClient
from zanari_api.daraja.codes import Kind
from zanari_api.daraja.errors import (
    DarajaRefused,
    DarajaUnavailable,
    DarajaUnresolved,
    Doubt,
    DuplicateRequest,
    Hindrance,
    RefusalReason,
)
from zanari_api.daraja.requests import Accepted, B2CAccepted, B2CPayment, StkPush
from zanari_api.daraja.stk import StkAccepted


def by_path(calls: dict[str, Call]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("path", "call"), calls.items(), ids=calls)


def sent(bench: Bench, path: str) -> dict[str, Any]:
    [request] = bench.safaricom.calls(path)
    assert request.authorization == f"Bearer {bench.safaricom.tokens[-1]}"
    return request.body


async def test_a_push_is_sent_as_documented(bench: Bench, client: DarajaClient) -> None:
    assert await client.stk_push(PUSH) == StkAccepted(
        merchant_request_id="29115-34620561-1", checkout_request_id="ws_CO_25112026093005123708374149"
    )
    body = sent(bench, wire.STK)
    password = base64.b64decode(body.pop("Password")).decode()
    assert password == f"600000the passkey{body.pop('Timestamp')}"
    assert body == {
        "BusinessShortCode": "600000",
        "TransactionType": "CustomerPayBillOnline",
        "Amount": 147,
        "PartyA": "254708374149",
        "PartyB": "600000",
        "PhoneNumber": "254708374149",
        "CallBackURL": f"{URL}/stk",
        "AccountReference": "12345671",
        "TransactionDesc": "Zanari",
    }


async def test_a_payout_is_sent_as_documented(bench: Bench, client: DarajaClient) -> None:
    assert await client.b2c(PAYMENT) == B2CAccepted(
        conversation_id="AG_20261125_2010364430d9bbdaf872",
        originator_conversation_id=PAYMENT.originator_conversation_id,
    )
    body = sent(bench, wire.B2C)
    assert len(body.pop("SecurityCredential")) == 344
    assert body == {
        "OriginatorConversationID": "feb5e3f2-fbbc-4745-844c-ee37b546f627",
        "InitiatorName": "zanari",
        "CommandID": "BusinessPayment",
        "Amount": 1000,
        "PartyA": "600001",
        "PartyB": "254708374149",
        "Remarks": "Withdrawal",
        "QueueTimeOutURL": f"{URL}/b2c/timeout",
        "ResultURL": f"{URL}/b2c/result",
        "Occassion": "",
    }


@pytest.mark.parametrize(
    ("asked", "field", "value"),
    [
        ({"receipt": "SKC82PACB8"}, "TransactionID", "SKC82PACB8"),
        ({"originator_conversation_id": "feb5"}, "OriginalConversationID", "feb5"),
    ],
)
async def test_a_status_is_asked_for_by_receipt_or_by_our_id(
    bench: Bench, client: DarajaClient, asked: dict[str, str], field: str, value: str
) -> None:
    accepted = await client.transaction_status(shortcode="600001", occasion="payout", **asked, **URLS)
    assert accepted == Accepted(
        conversation_id="AG_20261125_2010364430d9bbdaf872",
        originator_conversation_id="53e3-4aa8-9fe0-8fb5e4092cdd3533373",
    )
    body = sent(bench, wire.STATUS)
    assert len(body.pop("SecurityCredential")) == 344
    assert body == {
        "Initiator": "zanari",
        "CommandID": "TransactionStatusQuery",
        field: value,
        "PartyA": "600001",
        "IdentifierType": "4",
        "ResultURL": f"{URL}/status/result",
        "QueueTimeOutURL": f"{URL}/status/timeout",
        "Remarks": "status",
        "Occasion": "payout",
    }


@pytest.mark.parametrize("asked", [{}, {"receipt": "SKC82PACB8", "originator_conversation_id": "feb5"}])
async def test_a_status_needs_one_of_the_two(client: DarajaClient, asked: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="either the receipt or"):
        await client.transaction_status(shortcode="600001", **asked, **URLS)


async def test_a_balance_is_asked_for_as_documented(bench: Bench, client: DarajaClient) -> None:
    await ONCE[wire.BALANCE](client)
    body = sent(bench, wire.BALANCE)
    assert body.pop("SecurityCredential")
    assert body == {
        "Initiator": "zanari",
        "CommandID": "AccountBalance",
        "PartyA": "600001",
        "IdentifierType": "4",
        "Remarks": "balance",
        "QueueTimeOutURL": f"{URL}/status/timeout",
        "ResultURL": f"{URL}/status/result",
    }


async def test_a_reversal_is_sent_as_documented(bench: Bench, client: DarajaClient) -> None:
    await ONCE[wire.REVERSAL](client)
    body = sent(bench, wire.REVERSAL)
    assert body.pop("SecurityCredential")
    assert body == {
        "Initiator": "zanari",
        "CommandID": "TransactionReversal",
        "TransactionID": "SKC82PACB8",
        "Amount": 1,
        "ReceiverParty": "600000",
        "RecieverIdentifierType": "11",
        "ResultURL": f"{URL}/status/result",
        "QueueTimeOutURL": f"{URL}/status/timeout",
        "Remarks": "Paid twice",
        "Occasion": "",
    }


@pytest.mark.parametrize("version", [1, 2])
async def test_addresses_are_registered_at_either_version(
    bench: Bench, client: DarajaClient, version: Any
) -> None:
    await client.register_c2b_urls(
        shortcode="600000",
        confirmation_url=f"{URL}/c2b/confirmation",
        validation_url=f"{URL}/c2b/validation",
        response_type="Cancelled",
        version=version,
    )
    assert sent(bench, f"/mpesa/c2b/v{version}/registerurl") == {
        "ShortCode": "600000",
        "ResponseType": "Cancelled",
        "ConfirmationURL": f"{URL}/c2b/confirmation",
        "ValidationURL": f"{URL}/c2b/validation",
    }


@pytest.mark.parametrize("verb", ["GET", "POST"])
async def test_payments_are_pulled_with_the_verb_that_is_configured(bench: Bench, verb: str) -> None:
    client = await bench.client(pull_verb=verb)
    page = await client.pull_query(shortcode="600000", since=SINCE, until=UNTIL, offset=100)
    assert (page.rows, page.unread) == ((), 0)
    assert sent(bench, wire.PULL) == {
        "ShortCode": "600000",
        "StartDate": "2026-11-25 00:00:00",
        "EndDate": "2026-11-25 09:30:00",
        "OffSetValue": "100",
    }
    assert bench.safaricom.calls(wire.PULL)[0].verb == verb


@pytest.mark.parametrize(
    "answer",
    [
        Told(body=b'{"ResponseStatus": "1000"}'),
        Told(body=b'{"ResponseStatus": 1001}'),
        Told(status=500, body=b'{"ResponseStatus": "1001", "ResponseDescription": "Already registered"}'),
    ],
)
async def test_a_shortcode_that_was_registered_for_pulling_before_is_as_good(
    bench: Bench, client: DarajaClient, answer: Told
) -> None:
    bench.safaricom.will(wire.PULL_REGISTER, answer)
    await ONCE[wire.PULL_REGISTER](client)
    assert sent(bench, wire.PULL_REGISTER) == {
        "ShortCode": "600000",
        "RequestType": "Pull",
        "NominatedNumber": "254708374149",
        "CallBackURL": f"{URL}/pull",
    }


@pytest.mark.parametrize("answer", [Told(), Told(body=b'{"ResponseStatus": "9"}'), Told(body=b"<html>")])
async def test_any_other_answer_to_it_is_no_registration(
    bench: Bench, client: DarajaClient, answer: Told
) -> None:
    bench.safaricom.will(wire.PULL_REGISTER, answer)
    with pytest.raises(DarajaUnresolved):
        await ONCE[wire.PULL_REGISTER](client)


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (Told(body=b'{"ResultCode": "0"}'), Kind.SUCCESS, "0"),
        (Told(body=b'{"ResultCode": "1032"}'), Kind.FAILED, "1032"),
        (Told(body=b'{"ResultCode": 4999}'), Kind.PENDING, "4999"),
        (error("500.001.1001", "The transaction is being processed", 500), Kind.PENDING, "500.001.1001"),
        (error("01", "No transaction found", 404), Kind.UNRESOLVED, "01"),
    ],
)
async def test_a_query_tells_how_a_prompt_stands(
    bench: Bench, client: DarajaClient, answer: Told, kind: Kind, code: str
) -> None:
    bench.safaricom.will(wire.STK_QUERY, answer)
    outcome = await client.stk_query("ws_CO_25112026093005123708374149")
    assert (outcome.meaning.kind, outcome.result_code) == (kind, code)
    body = sent(bench, wire.STK_QUERY)
    assert body["CheckoutRequestID"] == "ws_CO_25112026093005123708374149"
    assert set(body) == {"BusinessShortCode", "Password", "Timestamp", "CheckoutRequestID"}


@pytest.mark.parametrize("answer", [Told(body=b"{}"), Told(body=b"<html>"), Told(status=200, body=b"")])
@by_path(QUERIES)
async def test_a_query_that_is_never_answered_readably_is_unresolved(
    bench: Bench, client: DarajaClient, path: str, call: Call, answer: Told
) -> None:
    bench.safaricom.will(path, *[answer] * 3)
    with pytest.raises(DarajaUnresolved) as unresolved:
        await call(client)
    assert unresolved.value.cause is Doubt.UNREADABLE
    assert len(bench.safaricom.calls(path)) == 3


FAULTS = [
    Told(status=500, body=b"<html>"),
    Told(status=503),
    error("500.002.1001", "System internal error.", 500),
    Told(delay_s=0.6),
    Told(cut=True),
]


@by_path(QUERIES)
@pytest.mark.parametrize("fault", FAULTS, ids=["html", "503", "internal", "slow", "cut"])
async def test_a_query_is_asked_again_until_it_is_answered(
    bench: Bench, path: str, call: Call, fault: Told
) -> None:
    client = await bench.client(read_timeout_s=0.15)
    bench.safaricom.will(path, fault, fault)
    assert await call(client)
    assert len(bench.safaricom.calls(path)) == 3


@by_path(MONEY)
async def test_what_moves_money_is_not_sent_again_when_no_answer_comes(
    bench: Bench, path: str, call: Call
) -> None:
    client = await bench.client(read_timeout_s=0.15)
    bench.safaricom.will(path, Told(delay_s=0.6))
    with pytest.raises(DarajaUnresolved) as unresolved:
        await call(client)
    assert (unresolved.value.cause, unresolved.value.http_status) == (Doubt.TIMED_OUT, None)
    assert len(bench.safaricom.calls(path)) == 1


@by_path(ONCE)
async def test_a_connection_that_is_cut_leaves_the_outcome_open(
    bench: Bench, client: DarajaClient, path: str, call: Call
) -> None:
    bench.safaricom.will(path, Told(cut=True))
    with pytest.raises(DarajaUnresolved) as unresolved:
        await call(client)
    assert unresolved.value.cause is Doubt.CUT
    assert len(bench.safaricom.calls(path)) == 1


@by_path(ONCE)
@pytest.mark.parametrize("fault", FAULTS[:3], ids=["html", "503", "internal"])
async def test_a_fault_of_the_server_leaves_the_outcome_open(
    bench: Bench, client: DarajaClient, path: str, call: Call, fault: Told
) -> None:
    bench.safaricom.will(path, fault)
    with pytest.raises(DarajaUnresolved) as unresolved:
        await call(client)
    assert (unresolved.value.cause, unresolved.value.http_status) == (Doubt.SERVER_FAULT, fault.status)
    assert len(bench.safaricom.calls(path)) == 1


@by_path(ONCE)
@pytest.mark.parametrize(
    "body", [b"", b"[]", b"<html>", b'{"ResponseCode": NaN}', b"{}", b'{"a": 1, "a": 2}']
)
async def test_an_unreadable_yes_leaves_the_outcome_open(
    bench: Bench, client: DarajaClient, path: str, call: Call, body: bytes
) -> None:
    bench.safaricom.will(path, Told(body=body))
    with pytest.raises(DarajaUnresolved) as unresolved:
        await call(client)
    assert unresolved.value.cause is Doubt.UNREADABLE
    assert len(bench.safaricom.calls(path)) == 1


async def test_a_push_that_is_accepted_without_a_handle_is_unresolved(
    bench: Bench, client: DarajaClient
) -> None:
    bench.safaricom.will(wire.STK, Told(body=b'{"ResponseCode": "0"}'))
    with pytest.raises(DarajaUnresolved):
        await client.stk_push(PUSH)


async def test_a_payout_that_is_accepted_without_a_handle_is_accepted_under_ours(
    bench: Bench, client: DarajaClient
) -> None:
    bench.safaricom.will(wire.B2C, Told(body=b'{"ResponseCode": 0}'))
    assert await client.b2c(PAYMENT) == B2CAccepted(
        conversation_id=None, originator_conversation_id=PAYMENT.originator_conversation_id
    )


@pytest.mark.parametrize(
    ("path", "answer", "reason"),
    [
        (wire.STK, error("500.001.1001", "Unable to lock subscriber", 500), RefusalReason.PROMPT_OPEN),
        (wire.STK, error("400.002.02", "Bad Request - Invalid Amount", 400), RefusalReason.BAD_REQUEST),
        (wire.STK, error("500.003.02", "Spike arrest", 500), RefusalReason.THROTTLED),
        (wire.STK, Told(body=b'{"ResponseCode": "1"}'), RefusalReason.NOT_ACCEPTED),
        (wire.STK, error("400.002.02", "in a 200", 200), RefusalReason.BAD_REQUEST),
        (wire.B2C, error("400.002.02", "Bad Request - Invalid Amount", 400), RefusalReason.BAD_REQUEST),
        (
            wire.B2C,
            error("500.002.1001", "Duplicate OriginatorConversationID.", 500),
            RefusalReason.DUPLICATE,
        ),
        (
            wire.REGISTER,
            error("500.003.1001", "Urls are already registered", 500),
            RefusalReason.ALREADY_REGISTERED,
        ),
        (wire.PULL, error("400.002.05", "Invalid Request Payload", 400), RefusalReason.BAD_REQUEST),
    ],
)
async def test_a_refusal_is_told_once_and_with_its_reason(
    bench: Bench, client: DarajaClient, path: str, answer: Told, reason: RefusalReason
) -> None:
    bench.safaricom.will(path, answer)
    with pytest.raises(DarajaRefused) as refused:
        await EVERY[path](client)
    assert refused.value.reason is reason
    assert isinstance(refused.value, DuplicateRequest) == (reason is RefusalReason.DUPLICATE)
    assert len(bench.safaricom.calls(path)) == 1


@by_path(EVERY)
async def test_where_nobody_listens_nothing_is_sent(
    bench: Bench, client: DarajaClient, path: str, call: Call
) -> None:
    await call(client)
    elsewhere = await bench.client(base_url=bench.safaricom.url)
    # The token is there; its host is gone.
    elsewhere._session._transport._http.base_url = "http://127.0.0.1:9"
    with pytest.raises(DarajaUnavailable) as unavailable:
        await call(elsewhere)
    assert unavailable.value.cause is Hindrance.NOT_REACHED
    assert len(bench.safaricom.calls(path)) == 1


@pytest.mark.parametrize(
    ("missing", "paths"),
    [
        ({"passkey": None}, [wire.STK, wire.STK_QUERY]),
        ({"b2c_shortcode": None}, [wire.B2C]),
        ({"initiator_name": None}, [wire.B2C, wire.REVERSAL, wire.STATUS, wire.BALANCE]),
        ({"initiator_password": None}, [wire.B2C]),
        ({"certificate": None}, [wire.B2C]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_what_is_not_configured_is_unavailable(
    bench: Bench, missing: dict[str, None], paths: list[str]
) -> None:
    client = await bench.client(**missing)
    for path in paths:
        with pytest.raises(DarajaUnavailable) as unavailable:
            await EVERY[path](client)
        assert unavailable.value.cause is Hindrance.NOT_CONFIGURED
    assert bench.safaricom.received == []


async def test_a_certificate_that_is_none_is_found_at_the_start(bench: Bench) -> None:
    with pytest.raises(ValueError, match="certificate"):
        await bench.client(certificate=b"no certificate")


@pytest.mark.parametrize("amount_cents", [0, -100, 50, 14_750])
async def test_only_whole_shillings_can_be_sent(client: DarajaClient, amount_cents: int) -> None:
    for make in (
        lambda: StkPush(**{**_fields(PUSH), "amount_cents": amount_cents}),
        lambda: B2CPayment(**{**_fields(PAYMENT), "amount_cents": amount_cents}),
    ):
        with pytest.raises(ValueError, match="whole shillings"):
            make()
    with pytest.raises(ValueError, match="whole shillings"):
        await client.reverse(
            receipt="SKC82PACB8", amount_cents=amount_cents, shortcode="600000", remarks="-", **URLS
        )


@pytest.mark.parametrize(
    "broken",
    [
        {"msisdn": "0708374149"},
        {"msisdn": "+254708374149"},
        {"msisdn": "254208374149"},
        {"account_reference": "1234567890123"},
        {"account_reference": ""},
        {"description": "fourteen chars"},
        {"description": ""},
    ],
)
def test_what_makes_a_prompt_fail_is_not_sent(broken: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(broken))) as refused:
        StkPush(**{**_fields(PUSH), **broken})
    assert "374149" not in str(refused.value)


@pytest.mark.parametrize(
    "broken",
    [{"msisdn": "0708374149"}, {"remarks": ""}, {"remarks": "r" * 101}, {"originator_conversation_id": ""}],
)
def test_what_makes_a_payout_fail_is_not_sent(broken: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(broken))):
        B2CPayment(**{**_fields(PAYMENT), **broken})


def test_no_number_of_a_person_shows() -> None:
    assert "374149" not in repr(PUSH) + repr(PAYMENT)


def _fields(request: StkPush | B2CPayment) -> dict[str, Any]:
    return {name: getattr(request, name) for name in request.__dataclass_fields__}
