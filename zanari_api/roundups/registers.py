"""What is known of some receipts, read under their locks: as what they were counted, and the spends they became."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from zanari_api.roundups import own_reversal_queries, queries
from zanari_api.roundups.queries import SpendRow
from zanari_api.roundups.spends import Source, Spend
from zanari_api.runtime.db import Tx
from zanari_api.transactions import receipts
from zanari_api.transactions.receipts import ReceiptRole


@dataclass(frozen=True, slots=True)
class Registers:
    """The receipts of one call, by role, and the spends recorded before it."""

    signed_by: dict[str, UUID | None]
    """Whose signed spend each receipt is, those just claimed included."""

    deposits: frozenset[str]
    reversed: frozenset[str]
    own_reversed: frozenset[tuple[UUID, str]]
    """What savers' own messages say was reversed, by saver and receipt."""

    spends: Mapping[str, Sequence[SpendRow]]
    """What was recorded before, by receipt: each saver may have told of it."""

    def owner(self, spend: Spend) -> UUID | None:
        """Return whose spend this is: for signed news the receipt's first claimant, else the saver who told us."""
        if spend.source is Source.WEBHOOK and spend.receipt in self.signed_by:
            return self.signed_by[spend.receipt]
        return spend.saver_id

    def known(self, spend: Spend) -> SpendRow | None:
        """Return the spend that this one is another delivery of."""
        owner = self.owner(spend)
        return next((row for row in self.spends_of(spend.receipt) if row.saver_id == owner), None)

    def was_reversed(self, spend: Spend) -> bool:
        """Tell whether this spend is known as reversed: by signed news, or, for a saver's own word, by it alone."""
        by_own_word = spend.source.is_own and (spend.saver_id, spend.receipt) in self.own_reversed
        return spend.is_reversal or spend.receipt in self.reversed or by_own_word

    def spends_of(self, receipt: str) -> Sequence[SpendRow]:
        return self.spends.get(receipt, ())


async def read_registers(tx: Tx, wanted: Sequence[str], *, own: Sequence[str] = ()) -> Registers:
    """Read what these receipts, which are locked, were counted as; `own` are those that savers themselves told of."""
    told = await own_reversal_queries.list_own_reversals(tx, receipts=own) if own else []
    counted = await receipts.find(tx, wanted)
    spends: dict[str, list[SpendRow]] = {}
    for row in await queries.find_spends_of_receipts(tx, receipts=wanted):
        spends.setdefault(row.receipt, []).append(row)
    return Registers(
        signed_by={row.receipt: row.saver_id for row in counted if row.role == ReceiptRole.SIGNED_SPEND},
        deposits=frozenset(row.receipt for row in counted if row.role == ReceiptRole.DEPOSIT),
        reversed=frozenset(row.receipt for row in counted if row.role == ReceiptRole.REVERSAL),
        own_reversed=frozenset((row.saver_id, row.receipt) for row in told),
        spends=spends,
    )
