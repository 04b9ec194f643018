"""Reads the notice that a request waited too long: an echo of the request, or a Result. It decides no outcome."""

from dataclasses import dataclass

from zanari_api.daraja.results import ResultCallback, result_in
from zanari_api.daraja.values import (
    UnreadableCallback,
    id_of,
    payment_cents,
    read_fields,
    receipt_of,
    text_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutNotice:
    """A request whose outcome is unknown, by what its echo says of it.

    `originator_conversation_id` is that of a payout; a status query has the receipt or the id that it asked
    for; `shortcode` is the organisation that sent the request. Where a Result came instead of the echo, its
    ids are here too. The echo's other fields, a credential among them, are dropped.
    """

    command: str | None
    originator_conversation_id: str | None
    conversation_id: str | None
    asked_receipt: str | None
    asked_originator_conversation_id: str | None
    shortcode: str | None
    amount_cents: int | None
    result: ResultCallback | None


def read_timeout(body: bytes) -> TimeoutNotice:
    """Read a body posted to a queue timeout URL. Raises UnreadableCallback when it names no request at all."""
    fields = read_fields(body)
    result = result_in(fields)
    command = text_of(fields.get("CommandID"))
    ours = id_of(fields.get("OriginatorConversationID"))
    theirs = id_of(fields.get("ConversationID"))
    if result is None and command is None and ours is None and theirs is None:
        raise UnreadableCallback("CommandID, OriginatorConversationID or Result are all missing")
    return TimeoutNotice(
        command=command,
        originator_conversation_id=ours if result is None else result.originator_conversation_id,
        conversation_id=theirs if result is None else result.conversation_id,
        asked_receipt=receipt_of(fields.get("TransactionID")),
        asked_originator_conversation_id=id_of(fields.get("OriginalConversationID")),
        shortcode=text_of(fields.get("PartyA")),
        amount_cents=payment_cents(fields.get("Amount")),
        result=result,
    )
