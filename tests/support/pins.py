"""What tests do with PINs: set one, enter one, come by a step-up token, and sign in again as a saver who forgot it."""

from dataclasses import replace
from typing import Any, Final

import httpx

from tests.support.savers import Saver, answered

PIN: Final = "8305"
OTHER_PIN: Final = "604917"
WRONG_PIN: Final = "7291"


async def put_pin(saver: Saver, pin: str = PIN, *, current: str | None = None) -> httpx.Response:
    """Ask for a PIN; `current` proves the one before it."""
    return await saver.put(
        "/users/me/pin", {"pin": pin} | ({} if current is None else {"current_pin": current})
    )


async def with_pin(saver: Saver, pin: str = PIN) -> Saver:
    """Give a saver a first PIN."""
    answered(await put_pin(saver, pin))
    return saver


async def enter_pin(saver: Saver, pin: str = PIN) -> httpx.Response:
    """Enter a PIN for a withdrawal."""
    return await saver.post("/users/me/pin/verifications", {"pin": pin, "purpose": "withdrawal"}, key=None)


async def step_up_token(saver: Saver, pin: str = PIN) -> str:
    """Enter the right PIN and return the token that it earns."""
    return answered(await enter_pin(saver, pin), 201)["token"]


def signed_in(saver: Saver, *, ago_s: int = 0, **claims: Any) -> Saver:
    """Return the saver with a new token, of somebody who signed in that long ago by the service's clock."""
    amr = [{"method": "otp", "timestamp": int(saver.api.clock.now().timestamp()) - ago_s}]
    return replace(saver, token=saver.api.token(saver.id, saver.phone, **{"amr": amr, **claims}))
