"""Undoes the round-up of a spend: what waits is cancelled, what was saved goes back to the wallet. Never a delete."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from uuid import UUID

from zanari_api.goals import service as goals
from zanari_api.kit.money import format_kes
from zanari_api.ledger import posting
from zanari_api.ledger.posting import Transfer
from zanari_api.roundups import queries
from zanari_api.roundups.queries import SpendRow
from zanari_api.roundups.spends import Policy
from zanari_api.runtime.db import Tx
from zanari_api.transactions import service as feed
from zanari_api.transactions.schemas import RoundUp
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


async def undo(tx: Tx, spend: SpendRow, *, cause: Cause, policy: Policy) -> int:
    """Undo one spend's round-up and return the cents that were really taken back.

    What is still in the goals goes back to the wallet, locked goals included: it is the saver's own money,
    only its place changes. What the saver has withdrawn meanwhile stays where it is, and nothing is owed.
    The saver must be locked. A spend already undone is left alone.
    """
    if spend.undone_at is not None:
        return 0
    taken: Mapping[UUID, int] = {}
    match spend.outcome:
        case "saved":
            taken = await _return_to_wallet(tx, spend, policy=policy)
            undone = sum(taken.values())
        case "waiting":
            undone = await queries.cancel_accrual(tx, saver_id=spend.saver_id, spend_id=spend.id) or 0
        case _:
            undone = 0
    await queries.mark_undone(tx, saver_id=spend.saver_id, spend_id=spend.id, cents=undone)
    await _tell(tx, spend, undone=undone, taken=taken, cause=cause)
    return undone


async def _return_to_wallet(tx: Tx, spend: SpendRow, *, policy: Policy) -> Mapping[UUID, int]:
    """Move back what the goals still hold of the round-up; return the cents taken from each goal."""
    allocations = await queries.list_allocations(tx, saver_id=spend.saver_id, spend_id=spend.id)
    held = await goals.find_many(tx, wanted=[(spend.saver_id, each.goal_id) for each in allocations])
    taken = {each.goal_id: min(each.amount_cents, held[each.goal_id].saved_cents) for each in allocations}
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


async def _tell(tx: Tx, spend: SpendRow, *, undone: int, taken: Mapping[UUID, int], cause: Cause) -> None:
    """Show in the feed what is left of the round-up and why."""
    first = RoundUp.model_validate_json(spend.answer)
    left = spend.round_up_cents - undone
    told = _TOLD[cause]
    if spend.round_up_cents == 0:
        text = f"{told}; it had saved nothing."
    elif left == 0:
        text = f"{told}, so its round-up of {format_kes(undone)} was undone."
    else:
        text = (
            f"{told}. Of its round-up, {format_kes(undone)} went back to your wallet;"
            f" {format_kes(left)} had already left the goal, and you owe nothing."
        )
    reason = ALREADY_WITHDRAWN if left else cause.value
    await feed.update_spend(
        tx,
        saver_id=spend.saver_id,
        transaction_id=spend.id,
        status="reversed" if cause is Cause.REVERSED else "completed",
        round_up={
            "amount_cents": left,
            "outcome": first.outcome if left else "skipped",
            "reason": reason,
            "allocations": [
                {
                    "goal_id": str(share.goal_id),
                    "amount_cents": share.amount_cents - taken.get(share.goal_id, 0),
                }
                for share in first.allocations
                if left and share.amount_cents > taken.get(share.goal_id, 0)
            ],
        },
        explanation={
            "text": text,
            "outcome": first.outcome if left else "skipped",
            "reason": reason,
            "rule_version": spend.rule_version,
            "round_up_cents": left,
            "undone_cents": undone,
        },
    )
