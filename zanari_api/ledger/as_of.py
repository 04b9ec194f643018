"""What accounts held at a moment by the time of posting, from their entries alone. Never locks or moves any."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.runtime.db import Tx

PATIENCE_S: Final = 1_800
"""A system account is in every transfer: its entries are all read."""

# In two parts, because there is an index for each: savers' entries have a version, those of the system have none.
FIND_HELD_AT: Final[LiteralString] = """
    SELECT a.kind, a.saver_id, a.shortcode, a.float_account, count(h.id) AS entries,
           CASE a.normal_side WHEN 'debit' THEN -1 ELSE 1 END * coalesce(sum(h.amount_cents), 0)::bigint AS cents
      FROM ledger.accounts AS a
      LEFT JOIN LATERAL (
               SELECT e.id, e.amount_cents
                 FROM ledger.entries AS e
                 JOIN ledger.transfers AS t ON t.id = e.transfer_id
                WHERE e.account_id = a.id AND e.account_version IS NOT NULL AND t.posted_at <= $2
               UNION ALL
               SELECT e.id, e.amount_cents
                 FROM ledger.entries AS e
                 JOIN ledger.transfers AS t ON t.id = e.transfer_id
                WHERE e.account_id = a.id AND e.account_version IS NULL AND t.posted_at <= $2
           ) AS h ON true
     WHERE a.id = $1
     GROUP BY a.id
"""

# Each float and each account of the system by itself; savers' accounts together, by kind.
LIST_HELD_AT: Final[LiteralString] = """
    SELECT a.kind, NULL::uuid AS saver_id, a.shortcode, a.float_account, count(e.id) AS entries,
           CASE a.normal_side WHEN 'debit' THEN -1 ELSE 1 END * coalesce(sum(e.amount_cents), 0)::bigint AS cents
      FROM ledger.accounts AS a
      LEFT JOIN (ledger.entries AS e JOIN ledger.transfers AS t ON t.id = e.transfer_id AND t.posted_at <= $1)
        ON e.account_id = a.id
     GROUP BY a.kind, a.normal_side, a.shortcode, a.float_account
     ORDER BY a.normal_side DESC, a.kind, a.shortcode, a.float_account
"""

DEBIT_KINDS: Final = frozenset({"float", "receivable", "fees"})


@dataclass(frozen=True, slots=True)
class HeldAt:
    """What an account, or all accounts of a kind, held on the normal side; `entries` are those it is the sum of."""

    kind: str
    saver_id: UUID | None
    shortcode: str | None
    float_account: str | None
    entries: int
    cents: int

    @property
    def as_stored_cents(self) -> int:
        """Return the sum of the entries: positive for a credit, so that all accounts together make zero."""
        return -self.cents if self.kind in DEBIT_KINDS else self.cents


async def find_held_at(tx: Tx, account_id: UUID, *, moment: datetime) -> HeldAt | None:
    """Return what an account held when everything posted up to `moment` was posted; None where there is none."""
    found = await tx.fetch_all(HeldAt, FIND_HELD_AT, account_id, moment, patience_s=PATIENCE_S)
    return found[0] if found else None


async def list_held_at(tx: Tx, *, moment: datetime) -> list[HeldAt]:
    """Return what all accounts held then: each of the system, and savers' by kind. Reads every entry."""
    return await tx.fetch_all(HeldAt, LIST_HELD_AT, moment, patience_s=PATIENCE_S)
