"""Assertions on the books for tests of every slice: what an account holds, and that every promise still holds."""

from dataclasses import dataclass
from uuid import UUID

from zanari_api.ledger import balances, invariants
from zanari_api.runtime.db import Database, Role


@dataclass(frozen=True, slots=True)
class Books:
    """The ledger as a test looks at it, past every saver's own view."""

    db: Database

    async def check(self) -> None:
        """Assert that no promise of the books is broken."""
        async with self.db.transaction(Role.SYSTEM) as tx:
            assert await invariants.check(tx) == []

    async def balance(self, account_id: UUID) -> int:
        """Return what an account holds, in cents on its normal side; the account must be there."""
        async with self.db.transaction(Role.SYSTEM) as tx:
            held = await balances.balance(tx, account_id)
        assert held is not None, f"no ledger account {account_id}"
        return held
