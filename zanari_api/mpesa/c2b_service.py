"""Payments into our paybill: a confirmation is booked, a validation is judged, a pulled payment is booked likewise.

A payer is matched by what they typed, a member code with an optional goal letter or the reference of an intent,
and never by phone: the number comes hashed or masked.
"""

from typing import Final
from uuid import UUID

from zanari_api.daraja.answers import Verdict
from zanari_api.daraja.payloads import C2BPayment, UnreadableCallback, read_c2b
from zanari_api.deposits import intents
from zanari_api.deposits import service as deposits
from zanari_api.deposits.references import IntentReference, MemberReference, parse_account_reference
from zanari_api.deposits.rows import Channel, Payment
from zanari_api.deposits.service import Destination, SuspenseReason
from zanari_api.goals import service as goals
from zanari_api.mpesa import settlement
from zanari_api.mpesa.discrepancies import is_booked_as_move, note_other_amount
from zanari_api.mpesa.inbox import Effected, InboxItem, Intake, Note, Outcome
from zanari_api.roundups import service as roundups
from zanari_api.runtime.db import Tx
from zanari_api.transactions import receipts
from zanari_api.transactions.receipts import Claim, ReceiptRole
from zanari_api.users import service as users
from zanari_api.users.rows import SaverRow

LARGEST_PAYMENT_CENTS: Final = 25_000_000
"""KES 250,000: M-PESA's own limit for one payment."""

VERDICTS: Final = {
    Note.UNKNOWN_SHORTCODE: Verdict.INVALID_SHORTCODE,
    Note.AMOUNT_TOO_LARGE: Verdict.INVALID_AMOUNT,
    Note.UNKNOWN_ACCOUNT: Verdict.INVALID_ACCOUNT,
}


async def confirm(tx: Tx, item: InboxItem, intake: Intake) -> Effected:
    """Book a confirmed payment, once, whatever is delivered how often. An effect: see inbox.Effect."""
    try:
        told = read_c2b(item.body)
    except UnreadableCallback:
        return Effected(Outcome.QUARANTINED, note=Note.UNREADABLE)
    return await book(tx, told, channel=Channel.C2B, callback_id=item.id, intake=intake)


async def judge(tx: Tx, item: InboxItem, intake: Intake) -> Effected:
    """Say whether a payment could be credited; a no has its reason in the note. An effect that moves nothing.

    What we asked for ourselves is always accepted.
    """
    try:
        told = read_c2b(item.body)
    except UnreadableCallback:
        return Effected(Outcome.QUARANTINED, note=Note.UNREADABLE)
    if told.shortcode not in intake.shortcodes:
        return Effected(Outcome.QUARANTINED, note=Note.UNKNOWN_SHORTCODE)
    reference = parse_account_reference(told.account_reference)
    if isinstance(reference, IntentReference):
        intent = await intents.find_by_reference(tx, reference=reference.reference)
        if intent is not None:
            return Effected(Outcome.ACCEPTED, intent.saver_id)
    if told.amount_cents > LARGEST_PAYMENT_CENTS:
        return Effected(Outcome.REFUSED, note=Note.AMOUNT_TOO_LARGE)
    saver_id = await _find_member(tx, reference)
    if saver_id is None:
        return Effected(Outcome.REFUSED, note=Note.UNKNOWN_ACCOUNT)
    return Effected(Outcome.ACCEPTED, saver_id)


def verdict_of(judged: Effected) -> Verdict:
    """Return what M-PESA is answered for a judged validation; what could not be read is undecided."""
    if judged.outcome is Outcome.ACCEPTED:
        return Verdict.ACCEPTED
    return Verdict.OTHER if judged.note is None else VERDICTS.get(Note(judged.note), Verdict.OTHER)


async def book(
    tx: Tx, told: C2BPayment, *, channel: Channel, callback_id: UUID | None, intake: Intake
) -> Effected:
    """Book a payment that was made: to an intent, a saver, or suspense. Runs as Role.SYSTEM.

    Locks the savers involved by id, then the receipt. Raises Rerun when a saver came into it too late.
    """
    if told.shortcode not in intake.shortcodes:
        return Effected(Outcome.QUARANTINED, note=Note.UNKNOWN_SHORTCODE)
    payment = Payment(
        receipt=told.receipt,
        amount_cents=told.amount_cents,
        shortcode=told.shortcode,
        # M-PESA's time where it can be read, else the time we heard of it.
        event_at=told.occurred_at or intake.policy.now,
        callback_id=callback_id,
        channel=channel,
    )
    reference = parse_account_reference(told.account_reference)
    if isinstance(reference, IntentReference):
        settled = await settlement.settle_by_reference(tx, reference.reference, payment, intake=intake)
        if settled is not None:
            return settled
    return await _book_by_member(tx, payment, reference, intake=intake)


async def _book_by_member(
    tx: Tx, payment: Payment, reference: MemberReference | IntentReference | None, *, intake: Intake
) -> Effected:
    receipt = payment.receipt
    assert receipt is not None  # noqa: S101 (only a query's payment has none, and none comes here)
    saver_id = await _find_member(tx, reference)
    involved = await roundups.savers_of_receipt(tx, receipt=receipt)
    if saver_id is not None:
        involved.add(saver_id)
    savers = await users.lock_savers(tx, saver_ids=sorted(involved))
    await receipts.lock(tx, [receipt])
    if await is_booked_as_move(tx, payment, intake=intake):
        return Effected(Outcome.QUARANTINED, saver_id, Note.RECEIPT_CONFLICT)
    if not await receipts.claim(tx, ReceiptRole.DEPOSIT, [Claim(receipt, saver_id)]):
        await note_other_amount(tx, receipt=receipt, amount_cents=payment.amount_cents, intake=intake)
        return Effected(Outcome.DUPLICATE, saver_id)
    await roundups.undo_for_deposit(tx, receipt=receipt, locked=set(savers), policy=intake.policy)
    if saver_id is None or not isinstance(reference, MemberReference):
        await deposits.hold(tx, payment, reason=_why_nobody(reference))
        return Effected(Outcome.SUSPENSE)
    destination = await destination_of(tx, savers[saver_id], letter=reference.goal_letter)
    await deposits.credit(tx, payment, destination)
    if destination.goal_id is not None:
        await goals.note_milestones(tx, reached=[(saver_id, destination.goal_id)])
    return Effected(Outcome.CREDITED, saver_id)


def _why_nobody(reference: MemberReference | IntentReference | None) -> SuspenseReason:
    match reference:
        case MemberReference():
            return SuspenseReason.UNKNOWN_MEMBER
        case IntentReference():
            return SuspenseReason.UNKNOWN_INTENT
        case _:
            return SuspenseReason.NO_REFERENCE


async def _find_member(tx: Tx, reference: MemberReference | IntentReference | None) -> UUID | None:
    if not isinstance(reference, MemberReference):
        return None
    return await users.find_saver_by_code(tx, member_code=reference.member_code)


async def destination_of(tx: Tx, saver: SaverRow, *, letter: str | None) -> Destination:
    """Return the goal with this letter while it is open, else the wallet: a bad suffix never costs a match."""
    if letter is not None:
        for goal in (await goals.list_by_saver(tx, saver_ids=[saver.saver_id]))[saver.saver_id]:
            if goal.letter == letter and goal.is_open:
                return Destination(
                    saver_id=saver.saver_id, account_id=goal.account_id, goal_id=goal.id, goal_name=goal.name
                )
    return Destination(saver_id=saver.saver_id, account_id=saver.wallet_account_id)
