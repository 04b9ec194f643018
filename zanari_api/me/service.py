"""Views over all of a saver."""

from datetime import datetime
from uuid import UUID

from zanari_api.deposits import service as deposits
from zanari_api.kit.clock import eat_date, eat_day_start
from zanari_api.me import queries
from zanari_api.me.schemas import AmountLimit, PayoutLimit, SaverLimits, Wallet
from zanari_api.payouts import service as payouts
from zanari_api.roundups import service as roundups
from zanari_api.runtime.db import Tx
from zanari_api.users import holds
from zanari_api.users import limits as rules
from zanari_api.users import service as users


async def wallet(tx: Tx, *, saver_id: UUID) -> Wallet:
    """Return the saver's money: in the wallet, in goals, and still waiting."""
    holdings = await queries.sum_balances(tx, saver_id=saver_id)
    return Wallet(
        balance_cents=holdings.wallet_cents,
        saved_cents=holdings.goals_cents,
        waiting_cents=await roundups.waiting_cents(tx, saver_id=saver_id),
    )


async def limits(tx: Tx, *, saver_id: UUID, now: datetime) -> SaverLimits:
    """Return what the saver may move now, and what of it is used up. Locks nothing: it is a view, no decision."""
    saver = await users.find_saver(tx, saver_id=saver_id)
    its, today = rules.limits_of(saver.kyc_tier), eat_date(now)
    deposited = await deposits.deposited_today_cents(tx, saver_id=saver_id, day=today)
    paid_out = await payouts.paid_out_today_cents(tx, saver_id=saver_id, day=today)
    since = min(eat_day_start(today), now - rules.HOUR)
    asked = await payouts.requests_since(tx, saver_id=saver_id, since=since)
    next_at = rules.next_payout_at([each.requested_at for each in asked], now=now)
    return SaverLimits(
        kyc_tier=saver.kyc_tier,
        deposit=AmountLimit(
            min_cents=its.deposit.min_cents,
            max_cents=its.deposit.max_cents,
            day_cents=its.deposit.day_cents,
            day_used_cents=deposited,
            day_left_cents=its.deposit.left_cents(deposited),
        ),
        payout=PayoutLimit(
            min_cents=its.payout.min_cents,
            max_cents=its.payout.max_cents,
            day_cents=its.payout.day_cents,
            day_used_cents=paid_out,
            day_left_cents=its.payout.left_cents(paid_out),
            held_until=await holds.payout_hold_until(tx, saver_id=saver_id, now=now),
            next_at=next_at if next_at > now else None,
        ),
    )
