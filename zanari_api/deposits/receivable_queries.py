"""Every statement on what savers owe; no decisions, no commits."""

from dataclasses import dataclass
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.runtime.db import Tx

# As stored a debt is negative, so the sign turns here.
FIND_RECEIVABLE: Final[LiteralString] = """
    SELECT account_id, -balance_cents AS owed_cents
      FROM ledger.balances
     WHERE saver_id = $1 AND kind = 'receivable'
"""


@dataclass(frozen=True, slots=True)
class Receivable:
    """A saver's receivable account, and what it holds."""

    account_id: UUID
    owed_cents: int


async def find_receivable(tx: Tx, *, saver_id: UUID) -> Receivable | None:
    return await tx.fetch_one(Receivable, FIND_RECEIVABLE, saver_id)
