"""Views over all of a saver."""

from uuid import UUID

from zanari_api.me import queries
from zanari_api.me.schemas import Wallet
from zanari_api.roundups import service as roundups
from zanari_api.runtime.db import Tx


async def wallet(tx: Tx, *, saver_id: UUID) -> Wallet:
    """Return the saver's money: in the wallet, in goals, and still waiting."""
    holdings = await queries.sum_balances(tx, saver_id=saver_id)
    return Wallet(
        balance_cents=holdings.wallet_cents,
        saved_cents=holdings.goals_cents,
        waiting_cents=await roundups.waiting_cents(tx, saver_id=saver_id),
    )
