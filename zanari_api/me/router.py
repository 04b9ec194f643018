"""The saver's money and limits over HTTP."""

from fastapi import APIRouter

from zanari_api.me import service
from zanari_api.me.schemas import SaverLimits, Wallet
from zanari_api.runtime.deps import CurrentSaver

router = APIRouter(prefix="/api/v1/users/me", tags=["users"])


@router.get("/wallet")
async def read_wallet(saver: CurrentSaver) -> Wallet:
    """Read your wallet: money in no goal, money in your goals, round-ups that wait."""
    return await saver.read(lambda tx: service.wallet(tx, saver_id=saver.id))


@router.get("/limits")
async def read_limits(saver: CurrentSaver) -> SaverLimits:
    """Read how much you may deposit and withdraw, how much of today's is left, and whether payouts wait."""
    now = saver.runtime.clock.now()
    return await saver.read(lambda tx: service.limits(tx, saver_id=saver.id, now=now))
