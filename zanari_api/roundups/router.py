"""The round-up rule over HTTP."""

from fastapi import APIRouter

from zanari_api.roundups import rule_service
from zanari_api.roundups.schemas import RoundUpRule, RuleUpdate
from zanari_api.runtime.deps import CurrentSaver

router = APIRouter(prefix="/api/v1/users/me/round-up-rule", tags=["users"])


@router.get("")
async def read_rule(saver: CurrentSaver) -> RoundUpRule:
    """Read your rule as it is now."""
    return await saver.read(lambda tx: rule_service.show(tx, saver_id=saver.id))


@router.put("")
async def replace_rule(body: RuleUpdate, saver: CurrentSaver) -> RoundUpRule:
    """Replace your rule. It holds for spends that happen from now on; a change makes a new version."""
    now = saver.runtime.clock.now()
    return await saver.write(lambda tx: rule_service.replace(tx, saver_id=saver.id, wanted=body, now=now))
