"""What accounts hold, on their normal side: a positive number is money there. Never locks or moves any."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.runtime.db import Tx

FIND_BALANCE: Final[LiteralString] = "SELECT ledger.balance($1)"

# A saver's account has a row with its balance. Only for the others the function is called: each call of it costs as
# much as ten such rows.
LIST_BALANCES: Final[LiteralString] = """
    SELECT x.account_id, coalesce(held.balance_cents, ledger.balance(x.account_id)) AS balance_cents
      FROM unnest($1::uuid[]) AS x (account_id)
      LEFT JOIN LATERAL (
                SELECT CASE a.normal_side WHEN 'debit' THEN -b.balance_cents ELSE b.balance_cents END AS balance_cents
                  FROM ledger.balances AS b
                  JOIN ledger.accounts AS a ON a.id = b.account_id
                 WHERE b.account_id = x.account_id
                 LIMIT 1
           ) AS held ON true
"""

TAKE_SNAPSHOTS: Final[LiteralString] = "SELECT ledger.take_snapshots()"


@dataclass(frozen=True, slots=True)
class _Held:
    account_id: UUID
    balance_cents: int | None


async def balance(tx: Tx, account_id: UUID) -> int | None:
    """Return what an account holds in cents; None for one the caller may not see."""
    return await tx.fetch_value(int, FIND_BALANCE, account_id)


async def balances(tx: Tx, account_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return what each account holds, by account id; one the caller may not see is left out."""
    held = await tx.fetch_all(_Held, LIST_BALANCES, list(account_ids))
    return {one.account_id: one.balance_cents for one in held if one.balance_cents is not None}


async def take_snapshots(tx: Tx) -> None:
    """Fold the entries of system accounts into their snapshots, so that their balances stay cheap to read."""
    await tx.execute(TAKE_SNAPSHOTS)
