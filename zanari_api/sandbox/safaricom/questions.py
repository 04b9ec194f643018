"""What B2C, status, balance and reversal have in common: an initiator, two addresses, a result that comes later."""

from collections.abc import Callable
from dataclasses import dataclass

from zanari_api.sandbox.safaricom.callbacks import Parameters, result
from zanari_api.sandbox.safaricom.core import Core
from zanari_api.sandbox.safaricom.courier import Extra, Message
from zanari_api.sandbox.safaricom.faults import Armed, Fault, Flow, Place
from zanari_api.sandbox.safaricom.records import Outcome
from zanari_api.sandbox.safaricom.requests import Fields, Reply
from zanari_api.sandbox.safaricom.wire import JsonObject, JsonValue, stamp

ACCEPTED_TEXT = "Accept the service request successfully."


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that was accepted, and where its result goes."""

    flow: Flow
    originator_conversation_id: str
    conversation_id: str
    result_url: str
    timeout_url: str
    request: dict[str, JsonValue]
    answer: Armed | None
    delivery: Armed | None
    hurry: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A result, before it has a shape. A failure may have a receipt-like id all the same; it proves nothing."""

    outcome: Outcome
    transaction_id: str
    parameters: Parameters | None = None


def accept(core: Core, flow: Flow, fields: Fields, *, originator_conversation_id: str | None = None) -> Asked:
    """Read what all these requests carry and give them their ids. Raises ApiError."""
    fields.text("SecurityCredential", at_least=100, at_most=1000)
    fields.text("Remarks", at_least=2, at_most=100)
    return Asked(
        flow=flow,
        originator_conversation_id=originator_conversation_id or core.ids.request(),
        conversation_id=core.ids.conversation(core.clock.now()),
        result_url=fields.url("ResultURL"),
        timeout_url=fields.url("QueueTimeOutURL"),
        request=dict(fields.body),
        answer=core.faults.take(flow, Place.ANSWER),
        delivery=core.faults.take(flow, Place.DELIVERY),
        hurry=fields.hurry,
    )


def reply(core: Core, asked: Asked, decide: Callable[[], Said], *, reference: JsonValue) -> Reply:
    """Answer that the request is accepted, and let its result follow."""

    async def go_on() -> None:
        if not asked.hurry:
            await core.pause(core.delays.process_s)
        said = forced(core, asked) or decide()
        core.on_change()
        await core.deliver(message(core, asked, said, reference=reference), asked.delivery, hurry=asked.hurry)

    return Reply(accepted(asked), core.spawn(go_on()))


def accepted(asked: Asked) -> JsonObject:
    return {
        "ConversationID": asked.conversation_id,
        "OriginatorConversationID": asked.originator_conversation_id,
        "ResponseCode": "0",
        "ResponseDescription": ACCEPTED_TEXT,
    }


def forced(core: Core, asked: Asked) -> Said | None:
    """Return the failure that a fault or a wrong initiator brings about."""
    if asked.answer and asked.answer.fault is Fault.FAIL_WITH:
        return failure(core, Outcome(asked.answer.code or "26", "The request could not be processed."))
    name = asked.request.get("InitiatorName", asked.request.get("Initiator"))
    refused = core.check_initiator(str(name), str(asked.request["SecurityCredential"]))
    return failure(core, refused) if refused else None


def failure(core: Core, outcome: Outcome) -> Said:
    """Build a failed result: no parameters or one, and an id that is a placeholder or only looks real."""
    now = core.clock.now()
    return Said(
        outcome=outcome,
        transaction_id=core.ids.placeholder(now) if core.ids.chance() else core.ids.receipt(now),
        parameters=[("BOCompletedTime", int(stamp(now)))] if core.ids.chance() else None,
    )


def message(core: Core, asked: Asked, said: Said, *, reference: JsonValue) -> Message:
    """Shape a result, and what faults send beside it."""
    # Balance answers have their codes as text, the others as numbers; the fault turns that round.
    as_text = asked.flow is Flow.BALANCE
    if asked.answer and asked.answer.fault is Fault.OTHER_CODE_TYPE:
        as_text = not as_text

    def shape(told: Said, *, conversation_id: str, originator_conversation_id: str) -> JsonObject:
        return result(
            told.outcome,
            originator_conversation_id=originator_conversation_id,
            conversation_id=conversation_id,
            transaction_id=told.transaction_id,
            parameters=told.parameters,
            codes_as_text=as_text,
            reference=reference,
        )

    mine = {
        "conversation_id": asked.conversation_id,
        "originator_conversation_id": asked.originator_conversation_id,
    }
    now = core.clock.now()
    strangers = {
        "conversation_id": core.ids.conversation(now),
        "originator_conversation_id": core.ids.request(),
    }
    echo = Extra(asked.request, url=asked.timeout_url, kind=f"{asked.flow}_timeout")
    extras = {
        Fault.TIMEOUT_ECHO: echo,
        Fault.TIMEOUT_UNDONE: echo,
        Fault.TIMEOUT_THEN_RESULT: echo,
        Fault.FORGED_UNKNOWN: Extra(shape(said, **strangers), genuine=False),
    }
    if said.outcome.succeeded:
        failed = failure(core, Outcome("1", "The balance is insufficient for the transaction."))
        extras[Fault.FAILURE_THEN_SUCCESS] = Extra(shape(failed, **mine))
        extras[Fault.SUCCESS_THEN_FAILURE] = Extra(shape(failed, **mine), after=True)
    dearer = _with_amount(said, core.ids.receipt(now))
    if dearer is not None:
        extras[Fault.FORGED_AMOUNT] = Extra(shape(dearer, **mine), genuine=False)
    return Message(
        flow=asked.flow,
        kind=f"{asked.flow}_result",
        url=asked.result_url,
        body=shape(said, **mine),
        extras=extras,
    )


def _with_amount(said: Said, receipt: str) -> Said | None:
    """Return the same result with KES 1,234 and another receipt, None where there is no amount."""
    if said.parameters is None or all(key != "TransactionAmount" for key, _ in said.parameters):
        return None
    changed: dict[str, JsonValue] = {"TransactionAmount": 1234, "TransactionReceipt": receipt}
    return Said(
        outcome=said.outcome,
        transaction_id=receipt,
        parameters=[(key, changed.get(key, value)) for key, value in said.parameters],
    )
