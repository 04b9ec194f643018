"""The saver's own profile and PIN over HTTP."""

from datetime import datetime
from math import ceil
from typing import Final, TypeVar

from fastapi import APIRouter, Response

from zanari_api.kit.clock import EAT
from zanari_api.kit.errors import Refusal
from zanari_api.runtime.deps import CurrentSaver, LiveSession, Saver
from zanari_api.runtime.jwks import AuthUnavailable
from zanari_api.runtime.problems import refuses
from zanari_api.runtime.session import SessionEnded
from zanari_api.users import service
from zanari_api.users.errors import (
    FreshSignInRequired,
    PhoneNotEditable,
    PinLocked,
    PinNotSet,
    PinTooWeak,
    PinWrong,
)
from zanari_api.users.pin_service import Locked, SaverPin, Wrong
from zanari_api.users.schemas import (
    PinChange,
    PinStatus,
    PinVerification,
    Profile,
    ProfileUpdate,
    StepUpToken,
)

Done = TypeVar("Done")

NO_STORE: Final = {"Cache-Control": "no-store"}

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


@router.put(
    "/pin",
    responses=refuses(
        PinTooWeak, PinWrong, PinLocked, PinNotSet, FreshSignInRequired, SessionEnded, AuthUnavailable
    ),
)
async def set_pin(body: PinChange, saver: LiveSession) -> PinStatus:
    """Set your PIN, 4 to 6 digits, which is asked for before money leaves.

    With `current_pin` it replaces that one. Without, it is your first, or replaces one that you forgot: for that
    you must have signed in within the last five minutes, and payouts wait 48 hours.
    """
    pin, new_pin = _pin_of(saver), body.pin.get_secret_value()
    if body.current_pin is None:
        done = await pin.set(new_pin, signed_in_at=saver.signed_in_at)
    else:
        current_pin = body.current_pin.get_secret_value()
        done = _right(await pin.change(current_pin, new_pin), now=saver.runtime.clock.now())
    return PinStatus(set_at=done.set_at, payouts_held_until=done.held_until)


@router.post(
    "/pin/verifications",
    status_code=201,
    responses=refuses(PinWrong, PinLocked, PinNotSet, SessionEnded, AuthUnavailable),
)
async def verify_pin(body: PinVerification, saver: LiveSession, response: Response) -> StepUpToken:
    """Enter your PIN and receive a token for one withdrawal, good for five minutes.

    Five wrong ones in a row lock it for a minute, each one after that for twice as long, up to a day. A right one
    forgives those before it.
    """
    verdict = await _pin_of(saver).verify(body.pin.get_secret_value(), purpose=body.purpose)
    step_up = _right(verdict, now=saver.runtime.clock.now())
    response.headers.update(NO_STORE)
    return StepUpToken(token=step_up.token, purpose=step_up.purpose, expires_at=step_up.expires_at)


def _pin_of(saver: Saver) -> SaverPin:
    runtime = saver.runtime
    return SaverPin(
        saver_id=saver.id, database=runtime.database, keyring=runtime.keyring, clock=runtime.clock
    )


def _right(verdict: Done | Wrong | Locked, *, now: datetime) -> Done:
    """Return what a right PIN brought; raise what the committed verdict means otherwise."""
    match verdict:
        case Wrong(tries_left):
            left = "1 try is left" if tries_left == 1 else f"{tries_left} tries are left"
            raise PinWrong(f"{PinWrong.message()} {left} before it is locked.")
        case Locked(until):
            raise _locked(until, now=now)
        case _:
            return verdict


def _locked(until: datetime, *, now: datetime) -> Refusal:
    there = until.astimezone(EAT)
    return PinLocked(
        f"There were too many wrong PINs. Try again after {there:%H:%M:%S} on {there.day} {there:%B}, Nairobi time.",
        retry_after=max(1, ceil((until - now).total_seconds())),
    )
