"""What a saver owes us: opened by a deposit that was taken back, repaid first by later ones. Moves no money itself.

The saver must be locked wherever what is read here decides where money goes.
"""

from dataclasses import dataclass
from uuid import UUID

from zanari_api.deposits import receivable_queries
from zanari_api.kit.ids import new_id
from zanari_api.kit.money import format_kes
from zanari_api.ledger import accounts
from zanari_api.ledger.accounts import AccountKind
from zanari_api.runtime.db import Tx


@dataclass(frozen=True, slots=True)
class Split:
    """How a deposit is used: what repays the saver's debt first, and what is left to save."""

    repaid_cents: int
    rest_cents: int

    def told(self) -> str:
        """Return the sentence that tells the saver of the repayment; empty when nothing was owed."""
        if not self.repaid_cents:
            return ""
        return (
            f"{format_kes(self.repaid_cents)} of it repaid what you owed for a payment that M-PESA took back."
        )


async def owed(tx: Tx, *, saver_id: UUID) -> int:
    """Return the cents a saver owes us; while it is not 0, no money goes out to them."""
    receivable = await receivable_queries.find_receivable(tx, saver_id=saver_id)
    return 0 if receivable is None else receivable.owed_cents


async def receivable_account(tx: Tx, *, saver_id: UUID) -> UUID:
    """Return the ledger account of what a saver owes, opened by the first need for it. The saver must be locked."""
    receivable = await receivable_queries.find_receivable(tx, saver_id=saver_id)
    if receivable is not None:
        return receivable.account_id
    account_id = new_id()
    await accounts.open_accounts(tx, saver_id=saver_id, accounts={account_id: AccountKind.RECEIVABLE})
    return account_id


def split(*, owed_cents: int, amount_cents: int) -> Split:
    """Split a deposit: the debt is repaid first, as far as the amount goes."""
    repaid = min(owed_cents, amount_cents)
    return Split(repaid, amount_cents - repaid)
