"""Every statement on the shared access token. The lease's holder alone may store; nothing here waits for HTTP."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.runtime.db import Tx


@dataclass(frozen=True, slots=True)
class StoredToken:
    """The token as it is kept; `generation` counts the tokens there were, 0 for none yet."""

    generation: int
    sealed_token: bytes | None
    expires_at: datetime | None


FIND_CURRENT: Final[LiteralString] = """
    SELECT t.generation, t.sealed_token, t.expires_at FROM runtime.daraja_tokens AS t WHERE t.id = $1
"""

# Whoever waited for the row sees it as the last writer left it: of many that claim at once, one gets the lease.
CLAIM_LEASE: Final[LiteralString] = """
    INSERT INTO runtime.daraja_tokens AS t (id, lease_id, lease_until)
    VALUES ($1, $2, $5)
    ON CONFLICT (id) DO UPDATE SET lease_id = $2, lease_until = $5
     WHERE t.generation = $3 AND (t.lease_until IS NULL OR t.lease_until <= $4)
    RETURNING true
"""

STORE_NEXT: Final[LiteralString] = """
    UPDATE runtime.daraja_tokens AS t
       SET generation = t.generation + 1, sealed_token = $3, expires_at = $4,
           lease_id = NULL, lease_until = NULL
     WHERE t.id = $1 AND t.lease_id = $2
    RETURNING t.generation
"""

RELEASE_LEASE: Final[LiteralString] = """
    UPDATE runtime.daraja_tokens AS t SET lease_id = NULL, lease_until = NULL
     WHERE t.id = $1 AND t.lease_id = $2
"""


async def find_token(tx: Tx, *, token_id: UUID) -> StoredToken | None:
    return await tx.fetch_one(StoredToken, FIND_CURRENT, token_id)


async def claim_lease(
    tx: Tx, *, token_id: UUID, lease_id: UUID, generation: int, now: datetime, until: datetime
) -> bool:
    """Take the right to ask for the token after `generation`; False when another has it, or has asked already."""
    return bool(await tx.fetch_value(bool, CLAIM_LEASE, token_id, lease_id, generation, now, until))


async def store_token(
    tx: Tx, *, token_id: UUID, lease_id: UUID, sealed_token: bytes, expires_at: datetime
) -> int | None:
    """Store the next token, end the lease, and return its generation; None when the lease is another's by now."""
    return await tx.fetch_value(int, STORE_NEXT, token_id, lease_id, sealed_token, expires_at)


async def release_lease(tx: Tx, *, token_id: UUID, lease_id: UUID) -> None:
    await tx.execute(RELEASE_LEASE, token_id, lease_id)
