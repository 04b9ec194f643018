"""Payments into our paybill: the confirmation is stored and credited in one transaction, validation is answered.

A payer is matched by what they typed, a member code with an optional goal letter, and never by phone:
the number comes hashed or masked.
"""

from typing import Final
from uuid import UUID

from zanari_api.daraja.answers import Verdict
from zanari_api.daraja.payloads import C2BPayment, UnreadableCallback, read_c2b
from zanari_api.deposits import service as deposits
from zanari_api.deposits.references import IntentReference, MemberReference, parse_account_reference
from zanari_api.deposits.rows import Payment
from zanari_api.deposits.service import Destination, SuspenseReason
from zanari_api.goals import service as goals
from zanari_api.kit.ids import new_id
from zanari_api.mpesa import queries
from zanari_api.mpesa.inbox import Intake, Outcome
from zanari_api.mpesa.queries import StoredCallback
from zanari_api.roundups import service as roundups
from zanari_api.roundups.spends import Discrepancy
from zanari_api.runtime.crypto import Place, ServiceKeys
from zanari_api.runtime.db import Tx
from zanari_api.transactions import receipts
from zanari_api.transactions.receipts import Claim, ReceiptRole
from zanari_api.users import service as users
from zanari_api.users.rows import SaverRow

LARGEST_PAYMENT_CENTS: Final = 25_000_000
"""KES 250,000: M-PESA's own limit for one payment."""


async def confirm(tx: Tx, body: bytes, *, intake: Intake) -> Outcome:
    """Store a confirmation and book its payment, once, whatever is delivered how often. Runs as Role.SYSTEM.

    One that was quarantined is looked at again when it comes again: a shortcode may have become ours since, or
    its shape readable. Locks the savers involved by id, then the receipt. Raises Rerun when a saver came into it
    too late.
    """
    callback_id = new_id()
    before = await _store(tx, body, kind="c2b_confirmation", callback_id=callback_id, keys=intake.keys)
    if before is not None:
        if before.outcome != Outcome.QUARANTINED:
            return Outcome.DUPLICATE
        callback_id = before.id
    payment = _read(body, shortcodes=intake.shortcodes)
    if payment is None:
        outcome, saver_id = Outcome.QUARANTINED, None
    else:
        outcome, saver_id = await _book(tx, payment, callback_id=callback_id, intake=intake)
    await queries.note_outcome(tx, callback_id=callback_id, outcome=outcome, saver_id=saver_id)
    return outcome


async def validate(tx: Tx, body: bytes, *, intake: Intake) -> tuple[Outcome, Verdict]:
    """Store a validation and answer it: yes to a member's code, no to anything we could not credit."""
    callback_id = new_id()
    before = await _store(tx, body, kind="c2b_validation", callback_id=callback_id, keys=intake.keys)
    outcome, verdict = await _judge(tx, body, shortcodes=intake.shortcodes)
    if before is None:
        await queries.note_outcome(tx, callback_id=callback_id, outcome=outcome)
    return outcome, verdict


async def _judge(tx: Tx, body: bytes, *, shortcodes: frozenset[str]) -> tuple[Outcome, Verdict]:
    try:
        payment = read_c2b(body)
    except UnreadableCallback:
        return Outcome.QUARANTINED, Verdict.OTHER
    if payment.shortcode not in shortcodes:
        return Outcome.QUARANTINED, Verdict.INVALID_SHORTCODE
    if payment.amount_cents > LARGEST_PAYMENT_CENTS:
        return Outcome.REFUSED, Verdict.INVALID_AMOUNT
    if await _find_member(tx, parse_account_reference(payment.account_reference)) is None:
        return Outcome.REFUSED, Verdict.INVALID_ACCOUNT
    return Outcome.ACCEPTED, Verdict.ACCEPTED


async def _store(
    tx: Tx, body: bytes, *, kind: str, callback_id: UUID, keys: ServiceKeys
) -> StoredCallback | None:
    return await queries.store_callback(
        tx,
        callback_id=callback_id,
        kind=kind,
        dedupe_hash=keys.index.digest("callback", kind.encode(), body),
        body=keys.inbox.encrypt(body, Place("mpesa.callbacks", "body", callback_id)),
        outcome="received",
    )


def _read(body: bytes, *, shortcodes: frozenset[str]) -> C2BPayment | None:
    try:
        payment = read_c2b(body)
    except UnreadableCallback:
        return None
    return payment if payment.shortcode in shortcodes else None


async def _book(
    tx: Tx, told: C2BPayment, *, callback_id: UUID, intake: Intake
) -> tuple[Outcome, UUID | None]:
    reference = parse_account_reference(told.account_reference)
    saver_id = await _find_member(tx, reference)
    involved = await roundups.savers_of_receipt(tx, receipt=told.receipt)
    if saver_id is not None:
        involved.add(saver_id)
    savers = await users.lock_savers(tx, saver_ids=sorted(involved))
    await receipts.lock(tx, [told.receipt])
    if not await receipts.claim(tx, ReceiptRole.DEPOSIT, [Claim(told.receipt, saver_id)]):
        await _note_other_amount(tx, told, intake=intake)
        return Outcome.DUPLICATE, saver_id
    await roundups.undo_for_deposit(tx, receipt=told.receipt, locked=set(savers), policy=intake.policy)
    payment = Payment(
        receipt=told.receipt,
        amount_cents=told.amount_cents,
        shortcode=told.shortcode,
        # M-PESA's time where it can be read, else the time we heard of it.
        event_at=told.occurred_at or intake.policy.now,
        callback_id=callback_id,
    )
    if saver_id is None or not isinstance(reference, MemberReference):
        reason = SuspenseReason.NO_REFERENCE if reference is None else SuspenseReason.UNKNOWN_MEMBER
        await deposits.hold(tx, payment, reason=reason)
        return Outcome.SUSPENSE, None
    destination = await _destination(tx, savers[saver_id], letter=reference.goal_letter)
    await deposits.credit(tx, payment, destination)
    if destination.goal_id is not None:
        await goals.note_milestones(tx, reached=[(saver_id, destination.goal_id)])
    return Outcome.CREDITED, saver_id


async def _find_member(tx: Tx, reference: MemberReference | IntentReference | None) -> UUID | None:
    if not isinstance(reference, MemberReference):
        return None
    return await users.find_saver_by_code(tx, member_code=reference.member_code)


async def _destination(tx: Tx, saver: SaverRow, *, letter: str | None) -> Destination:
    """Return the goal with this letter while it is open, else the wallet: a bad suffix never costs a match."""
    if letter is not None:
        for goal in (await goals.list_by_saver(tx, saver_ids=[saver.saver_id]))[saver.saver_id]:
            if goal.letter == letter and goal.is_open:
                return Destination(
                    saver_id=saver.saver_id, account_id=goal.account_id, goal_id=goal.id, goal_name=goal.name
                )
    return Destination(saver_id=saver.saver_id, account_id=saver.wallet_account_id)


async def _note_other_amount(tx: Tx, told: C2BPayment, *, intake: Intake) -> None:
    """The same receipt with another amount is a named discrepancy, not a silent duplicate."""
    booked = await deposits.booked_amount(tx, receipt=told.receipt)
    if booked is None or booked == told.amount_cents:
        return
    digest = intake.keys.index.digest(
        "deposit_amount", told.receipt.encode(), str(told.amount_cents).encode()
    )
    discrepancy = Discrepancy(
        receipt=told.receipt,
        content_digest=digest,
        first_amount_cents=booked,
        later_amount_cents=told.amount_cents,
        differs=("amount_cents",),
    )
    await queries.insert_discrepancy(
        tx, discrepancy_id=new_id(), role=ReceiptRole.DEPOSIT, discrepancy=discrepancy
    )
