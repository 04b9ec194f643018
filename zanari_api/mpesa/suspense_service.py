"""What operators do with payments in suspense: look, assign one to a saver, record that one was given back.

Whoever claims a payment shows it by something that M-PESA gave to the payer alone; that is the evidence.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from zanari_api.deposits import holding, suspense
from zanari_api.deposits.holding_rows import HoldState, SuspenseView
from zanari_api.deposits.references import MemberReference
from zanari_api.deposits.rows import Channel
from zanari_api.goals import service as goals
from zanari_api.mpesa import c2b_service
from zanari_api.runtime import audit
from zanari_api.runtime.db import Tx
from zanari_api.transactions import receipts
from zanari_api.transactions.receipts import Claim, ReceiptRole
from zanari_api.users import service as users

LISTED_MAX: Final = 1000


class Result(StrEnum):
    """What became of an operator's wish."""

    DONE = "done"
    "it is in the books now"

    UNKNOWN_RECEIPT = "unknown_receipt"
    "no payment with this receipt was ever held"

    NOT_HELD = "not_held"
    "it is held no more; nothing moved"

    UNKNOWN_MEMBER = "unknown_member"
    "no saver has this member code; nothing moved"

    BEFORE_IT_CAME = "before_it_came"
    "it would have been given back before it was paid; nothing moved"

    RECEIPT_USED = "receipt_used"
    "that receipt stands for something else already; nothing moved"


@dataclass(frozen=True, slots=True)
class Resolved:
    """What became of a payment in suspense. `item` is as it was before."""

    result: Result
    item: SuspenseView | None = None
    saver_id: UUID | None = None
    deposit_id: UUID | None = None
    goal_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Who acts, why, and when."""

    operator: str
    evidence: str
    now: datetime


async def list_items(tx: Tx, *, state: HoldState = HoldState.HELD) -> list[SuspenseView]:
    """Return the payments that are held, or were and went elsewhere, the oldest first, a thousand at most."""
    return await holding.list_items(tx, state=state, limit=LISTED_MAX)


async def assign(tx: Tx, *, receipt: str, to: MemberReference, act: Act) -> Resolved:
    """Credit a held payment to a member, to the goal with this letter while it is open, else to the wallet. Audited.

    Locks the saver, then the receipt, which stays claimed. Safe to repeat. Runs as Role.SYSTEM.
    """
    saver_id = await users.find_saver_by_code(tx, member_code=to.member_code)
    if saver_id is None:
        return Resolved(Result.UNKNOWN_MEMBER)
    saver = await users.lock_saver(tx, saver_id=saver_id)
    found = await _held(tx, receipt)
    held = await suspense.find_held(tx, receipt=receipt)
    if held is None:
        return found
    destination = await c2b_service.destination_of(tx, saver, letter=to.goal_letter)
    deposit_id = await suspense.assign(
        tx,
        held,
        destination,
        channel=Channel.OPERATOR,
        by=act.operator,
        evidence=act.evidence,
        now=act.now,
        callback_id=found.item and found.item.callback_id,
    )
    if destination.goal_id is not None:
        await goals.note_milestones(tx, reached=[(saver_id, destination.goal_id)])
    await _record(
        tx,
        receipt,
        act=act,
        name="suspense_assigned",
        after={"saver_id": saver_id, "deposit_id": deposit_id, "goal_id": destination.goal_id},
        amount_cents=held.amount_cents,
    )
    return Resolved(Result.DONE, found.item, saver_id, deposit_id, destination.goal_id)


async def return_(
    tx: Tx, *, receipt: str, return_receipt: str, act: Act, event_at: datetime | None = None
) -> Resolved:
    """Record that M-PESA gave a held payment back to whoever paid, by a reversal with a receipt of its own. Audited.

    `event_at` is when M-PESA did, now when left out; a time before it was paid is refused. Nothing is sent: an
    operator had it reversed in M-PESA's own portal. Locks both receipts. Safe to repeat.
    """
    await receipts.lock(tx, [receipt, return_receipt])
    found = await _held(tx, receipt)
    if found.result is not Result.DONE or found.item is None:
        return found
    if return_receipt == receipt or await _stands_for_something(tx, return_receipt):
        return Resolved(Result.RECEIPT_USED, found.item)
    # M-PESA's clock may be ahead of ours.
    returned_at = event_at or max(act.now, found.item.event_at)
    if returned_at < found.item.event_at:
        return Resolved(Result.BEFORE_IT_CAME, found.item)
    await holding.give_back(
        tx,
        found.item,
        return_receipt=return_receipt,
        by=act.operator,
        evidence=act.evidence,
        event_at=returned_at,
        now=act.now,
    )
    await receipts.claim(tx, ReceiptRole.OWN_MOVE, [Claim(return_receipt, None)])
    # A spend with this receipt that we are told of later was reversed with it.
    await receipts.claim(tx, ReceiptRole.REVERSAL, [Claim(receipt, None)])
    await _record(
        tx,
        receipt,
        act=act,
        name="suspense_returned",
        after={"return_receipt": return_receipt},
        amount_cents=found.item.amount_cents,
    )
    return found


async def _held(tx: Tx, receipt: str) -> Resolved:
    """Lock a receipt and say whether its payment is held: DONE stands for yes, there is nothing in the way."""
    await receipts.lock(tx, [receipt])
    item = await holding.find_item(tx, receipt=receipt)
    if item is None:
        return Resolved(Result.UNKNOWN_RECEIPT)
    return Resolved(Result.DONE if item.state == HoldState.HELD else Result.NOT_HELD, item)


async def _stands_for_something(tx: Tx, return_receipt: str) -> bool:
    """Tell whether a receipt was counted in any role, or gave another payment back."""
    counted = await receipts.find(tx, [return_receipt])
    return bool(counted) or await holding.find_returned_by(tx, return_receipt=return_receipt) is not None


async def _record(
    tx: Tx, receipt: str, *, act: Act, name: str, after: dict[str, object], amount_cents: int
) -> None:
    await audit.record(
        tx,
        operator=act.operator,
        act=name,
        subject=f"receipt:{receipt}",
        reason=act.evidence,
        before={"state": HoldState.HELD, "amount_cents": amount_cents},
        after=after,
    )
