"""Pays for round-ups that wait out of the saver's wallet: the saver's own money, from the wallet to the goals."""

from datetime import datetime
from uuid import UUID

from zanari_api.kit.ids import new_id
from zanari_api.ledger import balances, posting
from zanari_api.ledger.errors import InsufficientFunds
from zanari_api.ledger.posting import Transfer
from zanari_api.roundups import accrual_queries, collecting_rules, collecting_texts, settling
from zanari_api.roundups.collection_schemas import WaitingPayment
from zanari_api.roundups.errors import NothingWaiting
from zanari_api.roundups.settling import Settlement
from zanari_api.runtime.db import Tx
from zanari_api.transactions import service as feed
from zanari_api.transactions.rows import FeedRow
from zanari_api.transactions.schemas import AllocationShare
from zanari_api.users import service as users


async def pay(tx: Tx, *, saver_id: UUID, now: datetime) -> WaitingPayment:
    """Pay whole round-ups, the oldest first, as far as the wallet goes; what a collection was asked for is left to it.

    Locks the saver. Raises NothingWaiting, and InsufficientFunds where the wallet does not cover the oldest.
    """
    saver = await users.lock_saver(tx, saver_id=saver_id)
    waiting = await accrual_queries.list_waiting(tx, saver_id=saver_id)
    if not waiting:
        raise NothingWaiting
    held = (await balances.balances(tx, [saver.wallet_account_id]))[saver.wallet_account_id]
    portions = collecting_rules.cover_whole(waiting, held)
    if not portions:
        raise InsufficientFunds
    settlement = await settling.settle(tx, saver_id=saver_id, portions=portions)
    payment_id, paid = new_id(), settlement.settled_cents
    await posting.post_one(
        tx,
        Transfer(
            key=f"waiting_payment:{payment_id}",
            kind="waiting_payment",
            event_at=now,
            entries=((saver.wallet_account_id, -paid), *settlement.entries),
        ),
    )
    await settling.record(
        tx, settlement, saver_id=saver_id, source_id=payment_id, how="paid from your wallet", at=now
    )
    await feed.record(tx, [_feed_row(settlement, saver_id=saver_id, payment_id=payment_id, now=now)])
    return WaitingPayment(
        id=payment_id,
        paid_cents=paid,
        spends=len(portions),
        allocations=tuple(
            AllocationShare(goal_id=goal_id, amount_cents=cents)
            for goal_id, cents in settlement.cents_by_goal.items()
        ),
        waiting_cents=await accrual_queries.sum_waiting(tx, saver_id=saver_id),
        wallet_balance_cents=held - paid,
        occurred_at=now,
    )


def _feed_row(settlement: Settlement, *, saver_id: UUID, payment_id: UUID, now: datetime) -> FeedRow:
    return FeedRow(
        saver_id=saver_id,
        id=payment_id,
        type="allocation",
        status="completed",
        direction="internal",
        amount_cents=settlement.settled_cents,
        occurred_at=now,
        title="Round-ups paid",
        explanation={
            "text": collecting_texts.paid_from_wallet(
                amount_cents=settlement.settled_cents,
                spends=len(settlement.parts),
                goals=settlement.named,
            )
        },
    )
