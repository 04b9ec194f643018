"""Acts on the callback of an STK push: finds the intent by Safaricom's handle, settles or fails."""

from datetime import datetime

from zanari_api.daraja.codes import Kind
from zanari_api.daraja.stk import StkCallback, read_stk_callback
from zanari_api.daraja.values import UnreadableCallback
from zanari_api.deposits import intents
from zanari_api.deposits.rows import Channel, Intent, Payment
from zanari_api.mpesa import settlement
from zanari_api.mpesa.inbox import Effected, InboxItem, Intake, Note, Outcome
from zanari_api.runtime.db import Tx


async def receive(tx: Tx, item: InboxItem, intake: Intake) -> Effected:
    """Act on what became of a prompt. An effect: see inbox.Effect.

    It may come before the reply to the push, and so before its handle is known: then it waits. Where the reply
    never comes, a receipt that is an intent's by another way says whose it is.
    """
    try:
        told = read_stk_callback(item.body)
    except UnreadableCallback:
        return Effected(Outcome.QUARANTINED, note=Note.UNREADABLE)
    intent = await _find(tx, told, intake=intake)
    if intent is None:
        return Effected(Outcome.WAITING)
    cause = settlement.cause_of(Channel.STK_CALLBACK, told.result_code)
    match told.meaning.kind:
        case Kind.SUCCESS:
            return await _succeed(tx, item, told, intent, intake=intake)
        case Kind.FAILED:
            return await settlement.fail(
                tx,
                intent,
                reason=told.meaning.reason,
                cause=cause,
                intake=intake,
                callback_id=item.id,
            )
        case Kind.PENDING | Kind.UNRESOLVED:
            return await _doubt(tx, item, intent, reason=told.meaning.reason, cause=cause, intake=intake)


async def _find(tx: Tx, told: StkCallback, *, intake: Intake) -> Intent | None:
    handle = intents.checkout_hash(intake.keys.index, told.checkout_request_id)
    await intents.lock_handle(tx, checkout_hash=handle)
    intent = await intents.find_by_checkout_hash(tx, checkout_hash=handle)
    if intent is None and told.receipt is not None:
        return await intents.find_by_receipt(tx, receipt=told.receipt)
    return intent


async def _succeed(tx: Tx, item: InboxItem, told: StkCallback, intent: Intent, *, intake: Intake) -> Effected:
    if told.amount_cents is None or told.receipt is None:
        # A yes that says neither how much nor under which receipt proves too little: we ask.
        return await _doubt(
            tx, item, intent, reason="incomplete", cause="stk_callback:incomplete", intake=intake
        )
    payment = Payment(
        receipt=told.receipt,
        amount_cents=told.amount_cents,
        shortcode=intent.shortcode,
        event_at=_event_at(told, item),
        callback_id=item.id,
        channel=Channel.STK_CALLBACK,
    )
    return await settlement.settle(tx, intent, payment, intake=intake)


async def _doubt(
    tx: Tx, item: InboxItem, intent: Intent, *, reason: str, cause: str, intake: Intake
) -> Effected:
    return await settlement.doubt(
        tx,
        intent,
        reason=reason,
        cause=cause,
        intake=intake,
        due_at=intake.policy.now,
        callback_id=item.id,
    )


def _event_at(told: StkCallback, item: InboxItem) -> datetime:
    """Return M-PESA's time where it can be read, else the time we heard of it."""
    return told.occurred_at or item.received_at
