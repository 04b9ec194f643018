"""What accounts hold, on their normal side: a positive number is money there. Never locks or moves any."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.runtime.db import Tx

FIND_BALANCE: Final[LiteralString] = "SELECT ledger.balance($1)"

LIST_BALANCES: Final[LiteralString] = """
    SELECT x.account_id, ledger.balance(x.account_id) AS balance_cents
      FROM unnest($1::uuid[]) AS x (account_id)
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
