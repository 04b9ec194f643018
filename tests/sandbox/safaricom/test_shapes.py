"""What the emulator sends has the shape of what Safaricom documents: the same keys, and values of the same kind."""

import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.safaricom.caller import PAYBILL, WANJIKU, Caller

SAMPLES = json.loads((Path(__file__).parents[2] / "support/daraja_payloads/payloads.json").read_text())
BY_ID = {sample["id"]: sample for sample in SAMPLES}

MAY_BE_NUMBER_OR_TEXT = {"InitiatedTime", "FinalisedTime", "Amount"}
MAY_BE_ABSENT = {"Balance", "DebitPartyCharges.Value", "ConversationID", "Conversation ID", "CreditPartyName"}


def shape(value: Any, *, path: str = "") -> dict[str, str]:
    """Return each path of a body with the kind of value there; named items are paths of their own."""
    match value:
        case dict():
            name = value.get("Name", value.get("Key"))
            if name is not None:
                kind = shape(value.get("Value"))[""] if "Value" in value else "nothing"
                return {f"{path}/{name}": "either" if name in MAY_BE_NUMBER_OR_TEXT else kind}
            made: dict[str, str] = {}
            for key, item in value.items():
                made |= shape(item, path=f"{path}/{key}")
            return made
        case list():
            made = {}
            for item in value:
                made |= shape(item, path=f"{path}[]")
            return made
        case str():
            return {path: "text"}
        case bool() | None:
            return {path: "other"}
        case int() | float() | Decimal():
            return {path: "number"}
        case _:
            raise AssertionError(value)


def documented(sample: str) -> dict[str, str]:
    return {path: kind for path, kind in shape(BY_ID[sample]["body"]).items() if not _may_be_absent(path)}


def _may_be_absent(path: str) -> bool:
    return path.rsplit("/", 1)[-1] in MAY_BE_ABSENT


def sent(body: Any) -> dict[str, str]:
    return {path: kind for path, kind in shape(body).items() if not _may_be_absent(path)}


async def last(caller: Caller) -> Any:
    return (await caller.heard())[-1][1]


async def success(caller: Caller) -> Any:
    await caller.push()
    return await last(caller)


async def cancelled(caller: Caller) -> Any:
    await caller.emulator.set_handset(WANJIKU, behaviour="cancel")
    return await success(caller)


async def confirmation(caller: Caller) -> Any:
    await caller.register()
    await caller.emulator.pay_bill(amount_cents=500, account_reference="A", msisdn=WANJIKU)
    return await last(caller)


async def validation(caller: Caller) -> Any:
    await caller.register()
    await caller.emulator.pay_bill(amount_cents=500, account_reference="A", msisdn=WANJIKU, validate=True)
    await caller.emulator.quiet()
    return caller.emulator.deliveries[0].fields()


async def payout(caller: Caller) -> Any:
    await caller.pay()
    return await last(caller)


async def timeout_echo(caller: Caller) -> Any:
    caller.emulator.faults.next("b2c", "timeout_echo")
    await caller.pay(IDType="01", IDNumber="1234567")
    body = await last(caller)
    # An optional field of ours that the sample leaves out.
    return {key: value for key, value in body.items() if key != "Occassion"}


async def status(caller: Caller) -> Any:
    await caller.pay(OriginatorConversationID="ours-1")
    await caller.heard()
    await caller.ask_status(OriginalConversationID="ours-1")
    return await last(caller)


async def balance(caller: Caller) -> Any:
    await caller.ask_balance()
    return await last(caller)


async def reversal(caller: Caller) -> Any:
    paid = await caller.emulator.pay_bill(amount_cents=10_000, account_reference="A", msisdn=WANJIKU)
    await caller.ask_reversal(paid.receipt)
    return await last(caller)


async def duplicate(caller: Caller) -> Any:
    await caller.pay(OriginatorConversationID="ours-1")
    return (await caller.pay(OriginatorConversationID="ours-1")).json()


SENT: dict[str, Callable[[Caller], Awaitable[Any]]] = {
    "p01": success,
    "p06": cancelled,
    "p13": confirmation,
    "p20": validation,
    "p25": payout,
    "p31": timeout_echo,
    "p33": duplicate,
    "p37": status,
    "p39": balance,
    "p41": reversal,
}


@pytest.mark.parametrize("sample", SENT)
async def test_a_body_has_the_documented_shape(caller: Caller, sample: str) -> None:
    assert sent(await SENT[sample](caller)) == documented(sample)


@pytest.mark.parametrize("sample", ["p10", "p23", "p46", "p51"])
async def test_a_reply_has_the_documented_shape(caller: Caller, sample: str) -> None:
    if sample == "p51":
        caller.emulator.faults.next("oauth", "expires_in_text")
    replies: dict[str, Callable[[], Awaitable[Any]]] = {
        "p10": caller.push,
        "p23": caller.register,
        "p46": caller.register_pull,
        "p51": caller.log_in,
    }
    reply = await replies[sample]()
    assert reply.status_code == BY_ID[sample].get("http_status", 200)
    assert sent(reply.json()) == documented(sample)


async def test_failed_results_have_both_documented_shapes(caller: Caller) -> None:
    for _ in range(12):
        await caller.pay(Amount=9)
    shapes = [sent(body) for _, body in await caller.heard()]
    assert documented("p29") in shapes
    assert documented("p36") in shapes


@pytest.mark.parametrize(("sample", "status"), [("p24", 400), ("p34", 500), ("p49", 400), ("p52", 400)])
async def test_an_error_has_the_documented_shape_and_words(caller: Caller, sample: str, status: int) -> None:
    body = BY_ID[sample]["body"]
    if sample == "p49":
        refused = await caller.push(BusinessShortCode="174379")
    elif sample == "p52":
        refused = await caller.client.get("/oauth/v1/generate")
    else:
        flow = "c2b" if sample == "p24" else "b2c"
        caller.emulator.faults.next(flow, "http_error", code=body["errorCode"], message=body["errorMessage"])
        refused = await (caller.register() if flow == "c2b" else caller.pay(PartyA=PAYBILL))
    assert refused.status_code == status
    told = refused.json()
    assert (told["errorCode"], told["errorMessage"]) == (body["errorCode"], body["errorMessage"])
    assert sent(told) == documented(sample)
