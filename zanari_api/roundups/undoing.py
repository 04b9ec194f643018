"""Undoes the round-up of a spend: what waits is cancelled, what was saved goes back to the wallet. Never a delete."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from zanari_api.goals import service as goals
from zanari_api.kit.money import format_kes
from zanari_api.ledger import posting
from zanari_api.ledger.posting import Transfer
from zanari_api.roundups import accrual_queries, queries
from zanari_api.roundups.queries import SpendRow
from zanari_api.roundups.spends import Policy
from zanari_api.runtime.db import Tx
from zanari_api.transactions import service as feed
from zanari_api.transactions.rows import SpendChange
from zanari_api.users import service as users


class Cause(StrEnum):
    """Why a round-up is undone; the word is also the reason that the spend shows from then on."""

    REVERSED = "reversed"
    "M-PESA took the payment back"

    OWN_SHORTCODE = "own_shortcode"
    "the payment was money paid in to us, and was booked as a deposit"


ALREADY_WITHDRAWN: Final = "already_withdrawn"

_TOLD: Final = {
    Cause.REVERSED: "M-PESA reversed this payment",
    Cause.OWN_SHORTCODE: "This payment came in to Zanari as a deposit",
}


@dataclass(frozen=True, slots=True)
class _Undone:
    """What became of a round-up: cancelled before it was money, and by goal what it got and what came back of it."""

    cancelled_cents: int
    received: Mapping[UUID, int]
    returned: Mapping[UUID, int]

    @property
    def returned_cents(self) -> int:
        return sum(self.returned.values())

    @property
    def cents(self) -> int:
        return self.cancelled_cents + self.returned_cents


async def undo(tx: Tx, spend: SpendRow, *, cause: Cause, policy: Policy) -> int:
    """Undo one spend's round-up and return the cents that were cancelled or really taken back.

    What is still in the goals goes back to the wallet, locked goals included: it is the saver's own money,
    only its place changes. What the saver has withdrawn meanwhile stays where it is, and nothing is owed.
    What waits is cancelled, also where a collection was asked for it: if its money comes, the wallet gets it.
    The saver must be locked. A spend already undone is left alone.
    """
    if spend.undone_at is not None:
        return 0
    cancelled, received = 0, dict[UUID, int]()
    if spend.outcome == "waiting":
        cancelled = await accrual_queries.cancel(tx, saver_id=spend.saver_id, spend_id=spend.id) or 0
        shares = await accrual_queries.list_received(tx, saver_id=spend.saver_id, spend_ids=[spend.id])
        received = {share.goal_id: share.amount_cents for share in shares}
    elif spend.outcome == "saved":
        allocations = await queries.list_allocations(tx, saver_id=spend.saver_id, spend_id=spend.id)
        received = {each.goal_id: each.amount_cents for each in allocations}
    returned = await _return_to_wallet(tx, spend, received, policy=policy)
    undone = _Undone(cancelled, received, returned)
    await queries.mark_undone(tx, saver_id=spend.saver_id, spend_id=spend.id, cents=undone.cents)
    await _tell(tx, spend, undone, cause=cause)
    return undone.cents


async def _return_to_wallet(
    tx: Tx, spend: SpendRow, received: Mapping[UUID, int], *, policy: Policy
) -> Mapping[UUID, int]:
    """Move back what the goals still hold of what they got; return the cents taken from each goal."""
    if not received:
        return {}
    held = await goals.find_many(tx, wanted=[(spend.saver_id, goal_id) for goal_id in received])
    taken = {goal_id: min(cents, held[goal_id].saved_cents) for goal_id, cents in received.items()}
    entries = [(held[goal_id].account_id, -cents) for goal_id, cents in taken.items() if cents]
    if not entries:
        return taken
    saver = await users.find_saver(tx, saver_id=spend.saver_id)
    await posting.post_one(
        tx,
        Transfer(
            key=f"round_up_undo:{spend.id}",
            kind="round_up_undo",
            event_at=policy.now,
            entries=((saver.wallet_account_id, sum(taken.values())), *entries),
        ),
    )
    return taken


async def _tell(tx: Tx, spend: SpendRow, undone: _Undone, *, cause: Cause) -> None:
    """Show in the feed what is left of the round-up and why."""
    left = spend.round_up_cents - undone.cents
    outcome = "saved" if left else "skipped"
    reason = ALREADY_WITHDRAWN if left else cause.value
    change = SpendChange(
        id=spend.id,
        status="reversed" if cause is Cause.REVERSED else "completed",
        round_up={
            "amount_cents": left,
            "outcome": outcome,
            "reason": reason,
            "allocations": [
                {"goal_id": str(goal_id), "amount_cents": cents - undone.returned.get(goal_id, 0)}
                for goal_id, cents in undone.received.items()
                if cents > undone.returned.get(goal_id, 0)
            ],
        },
        explanation={
            "text": _text(spend, undone, left=left, cause=cause),
            "outcome": outcome,
            "reason": reason,
            "rule_version": spend.rule_version,
            "round_up_cents": left,
            "undone_cents": undone.cents,
        },
    )
    await feed.update_spends(tx, saver_id=spend.saver_id, changes=[change])


def _text(spend: SpendRow, undone: _Undone, *, left: int, cause: Cause) -> str:
    told = _TOLD[cause]
    if spend.round_up_cents == 0:
        return f"{told}; it had saved nothing."
    if left == 0:
        return f"{told}, so its round-up of {format_kes(undone.cents)} was undone."
    still_waited = (
        f"{format_kes(undone.cancelled_cents)} still waited and was cancelled, "
        if undone.cancelled_cents
        else ""
    )
    return (
        f"{told}. Of its round-up, {still_waited}{format_kes(undone.returned_cents)} went back to your wallet;"
        f" {format_kes(left)} had already left the goal, and you owe nothing."
    )
