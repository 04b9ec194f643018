"""Step-up tokens: what a right PIN earns, good once, for one purpose, for minutes. Knows nothing of PINs themselves."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from zanari_api.kit.errors import Refusal
from zanari_api.runtime.db import Tx
from zanari_api.runtime.purging import Age, Purge
from zanari_api.users import step_up_queries

LIFETIME: Final = timedelta(minutes=5)
TOKEN_BYTES: Final = 32
TOKEN_MAX_CHARS: Final = 100

Purpose = Literal["withdrawal"]
"""What a token may be spent on. The database knows the same list."""


class StepUpRequired(Refusal):
    """Confirm with your PIN first: send the token of a new verification as X-Step-Up-Token."""

    code = "step_up_required"
    status = 403


@dataclass(frozen=True, slots=True)
class StepUp:
    """A token as it is handed out, which is the only time that it is known here."""

    token: str = field(repr=False)
    purpose: Purpose
    expires_at: datetime


async def issue(tx: Tx, *, saver_id: UUID, purpose: Purpose, pin_version: int, now: datetime) -> StepUp:
    """Make a token for a saver whose PIN was just proven. It is void as soon as another PIN is set."""
    step_up = StepUp(secrets.token_urlsafe(TOKEN_BYTES), purpose, now + LIFETIME)
    await step_up_queries.insert_token(
        tx,
        saver_id=saver_id,
        token_hash=_hash(step_up.token),
        purpose=purpose,
        pin_version=pin_version,
        created_at=now,
        expires_at=step_up.expires_at,
    )
    return step_up


async def spend(tx: Tx, *, saver_id: UUID, purpose: Purpose, token: str | None, now: datetime) -> None:
    """Spend a token in the transaction of what it allows, so that one is never spent without the other.

    Called after the Idempotency-Key was looked up: a replay needs no token. Locks the token's row. Raises
    StepUpRequired when it is missing, unknown, another saver's, for another purpose, spent, or out of date.
    """
    if token is None or len(token) > TOKEN_MAX_CHARS:
        raise StepUpRequired
    spent = await step_up_queries.spend_token(
        tx, saver_id=saver_id, token_hash=_hash(token), purpose=purpose, now=now
    )
    if not spent:
        raise StepUpRequired


async def _forget(tx: Tx, age: Age) -> int:
    return await step_up_queries.delete_tokens(tx, before=age.before, limit=age.limit)


PURGE: Final = Purge(name="purge_step_up_tokens", kept_for=timedelta(days=1), batch=_forget)
"""A token is of no use once it is spent or has run out, minutes after it was made; a day is for looking into one."""


def _hash(token: str) -> bytes:
    # Random to the last bit, so it needs no salt and no slow hash.
    return hashlib.sha256(token.encode()).digest()
