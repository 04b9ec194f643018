"""Statements that look across all of a saver; they change nothing."""

from dataclasses import dataclass
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.runtime.db import Tx

SUM_BALANCES: Final[LiteralString] = """
    SELECT coalesce(sum(balance_cents) FILTER (WHERE kind = 'wallet'), 0)::bigint AS wallet_cents,
           coalesce(sum(balance_cents) FILTER (WHERE kind = 'goal'), 0)::bigint AS goals_cents
      FROM ledger.balances
     WHERE saver_id = $1
"""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a saver holds, by kind of account."""

    wallet_cents: int
    goals_cents: int


async def sum_balances(tx: Tx, *, saver_id: UUID) -> Holdings:
    return await tx.fetch_one(Holdings, SUM_BALANCES, saver_id) or Holdings(0, 0)
