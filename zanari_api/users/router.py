"""The saver's own profile over HTTP."""

from fastapi import APIRouter

from zanari_api.runtime.deps import CurrentSaver
from zanari_api.runtime.problems import refuses
from zanari_api.users import service
from zanari_api.users.errors import PhoneNotEditable
from zanari_api.users.schemas import Profile, ProfileUpdate

router = APIRouter(prefix="/api/v1/users/me", tags=["users"])


@router.get("")
async def read_profile(saver: CurrentSaver) -> Profile:
    """Read your profile. The first call with a new token makes it."""
    return await saver.read(lambda tx: service.profile(tx, saver_id=saver.id, keyring=saver.runtime.keyring))


@router.patch("", responses=refuses(PhoneNotEditable))
async def update_profile(body: ProfileUpdate, saver: CurrentSaver) -> Profile:
    """Change your names. What the body leaves out stays as it is."""
    return await saver.write(
        lambda tx: service.update_profile(tx, saver_id=saver.id, update=body, keyring=saver.runtime.keyring)
    )
