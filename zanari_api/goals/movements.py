"""Money moved by the saver's hand between the wallet and a goal, each move one transfer and one row of the feed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from uuid import UUID

from zanari_api.goals import guards, service
from zanari_api.goals.errors import DefaultGoalFixed
from zanari_api.goals.rows import GoalRow
from zanari_api.goals.schemas import Closure, Movement
from zanari_api.kit.clock import utc_now
from zanari_api.kit.ids import new_id
from zanari_api.kit.money import format_kes
from zanari_api.ledger import balances, posting
from zanari_api.ledger.posting import Transfer
from zanari_api.runtime.db import Tx
from zanari_api.transactions import service as feed
from zanari_api.transactions.rows import FeedRow
from zanari_api.users import service as users
from zanari_api.users.rows import SaverRow


async def deposit(tx: Tx, *, saver_id: UUID, goal_id: UUID, amount_cents: int) -> Movement:
    """Move money from the wallet to a goal; over its target too, if that is what the saver wants.

    Locks the saver. Raises GoalNotFound, GoalClosed, InsufficientFunds: the balance is checked by the
    ledger, under the lock that moves it, and nowhere else.
    """
    saver = await users.lock_saver(tx, saver_id=saver_id)
    goal = await service.find(tx, saver_id=saver_id, goal_id=goal_id)
    guards.ensure_open(goal.status)
    movement = await _move(tx, saver=saver, goal=goal, amount_cents=amount_cents, direction="to_goal")
    await service.note_milestones(tx, reached=[(saver_id, goal_id)])
    return movement


async def withdraw(tx: Tx, *, saver_id: UUID, goal_id: UUID, amount_cents: int) -> Movement:
    """Move savings from a goal back to the wallet.

    Locks the saver. Raises GoalNotFound, GoalClosed, GoalLocked, InsufficientFunds.
    """
    saver = await users.lock_saver(tx, saver_id=saver_id)
    goal = await service.find(tx, saver_id=saver_id, goal_id=goal_id)
    guards.ensure_open(goal.status)
    guards.ensure_unlocked(goal.locked_until, utc_now())
    return await _move(tx, saver=saver, goal=goal, amount_cents=amount_cents, direction="to_wallet")


async def give_up(
    tx: Tx, *, saver_id: UUID, goal_id: UUID, status: Literal["cancelled", "deleted"]
) -> Closure:
    """Return a goal's money to the wallet, then cancel or delete the goal.

    A cancelled goal stays in the list; it may still be deleted. Locks the saver.
    Raises GoalNotFound, GoalClosed (cancelling twice), DefaultGoalFixed, GoalLocked.
    """
    saver = await users.lock_saver(tx, saver_id=saver_id)
    goal = await service.find(tx, saver_id=saver_id, goal_id=goal_id)
    if goal.is_default:
        raise DefaultGoalFixed(goal_id=goal_id)
    if status == "cancelled":
        guards.ensure_open(goal.status)
    guards.ensure_unlocked(goal.locked_until, utc_now())
    if goal.saved_cents:
        await _move(tx, saver=saver, goal=goal, amount_cents=goal.saved_cents, direction="to_wallet")
    await service.close(tx, goal=goal, status=status)
    return Closure(goal_id=goal_id, status=status, returned_cents=goal.saved_cents)


async def _move(
    tx: Tx, *, saver: SaverRow, goal: GoalRow, amount_cents: int, direction: Literal["to_goal", "to_wallet"]
) -> Movement:
    movement_id, now = new_id(), utc_now()
    to_goal = amount_cents if direction == "to_goal" else -amount_cents
    kind = "goal_deposit" if direction == "to_goal" else "goal_withdrawal"
    await posting.post_one(
        tx,
        Transfer(
            key=f"{kind}:{movement_id}",
            kind=kind,
            event_at=now,
            entries=((saver.wallet_account_id, -to_goal), (goal.account_id, to_goal)),
        ),
    )
    await feed.record(tx, [_feed_row(goal, movement_id=movement_id, to_goal=to_goal, now=now)])
    after = await balances.balances(tx, [saver.wallet_account_id, goal.account_id])
    return Movement(
        id=movement_id,
        goal_id=goal.id,
        direction=direction,
        amount_cents=amount_cents,
        goal_saved_cents=after[goal.account_id],
        wallet_balance_cents=after[saver.wallet_account_id],
        occurred_at=now,
    )


def _feed_row(goal: GoalRow, *, movement_id: UUID, to_goal: int, now: datetime) -> FeedRow:
    amount = format_kes(abs(to_goal))
    moved = f"from your wallet to {goal.name}" if to_goal > 0 else f"from {goal.name} back to your wallet"
    explanation: Mapping[str, object] = {"text": f"You moved {amount} {moved}."}
    return FeedRow(
        saver_id=goal.saver_id,
        id=movement_id,
        type="allocation" if to_goal > 0 else "goal_withdrawal",
        status="completed",
        direction="internal",
        amount_cents=abs(to_goal),
        occurred_at=now,
        title=goal.name,
        goal_id=goal.id,
        explanation=explanation,
    )
