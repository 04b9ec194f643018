"""What system accounts held at a moment of M-PESA's clock, whatever was booked late. Never locks or moves any."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.runtime.db import Tx

FIND_HORIZON: Final[LiteralString] = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"

# What happened later is taken out again, and only what was booked since the horizon can have: the rest is not read.
LIST_HELD_BEFORE: Final[LiteralString] = """
    SELECT x.account_id,
           ledger.balance(x.account_id) + (
               SELECT coalesce(sum(e.amount_cents), 0)
                 FROM ledger.entries AS e
                 JOIN ledger.transfers AS t ON t.id = e.transfer_id
                WHERE e.account_id = x.account_id AND e.account_version IS NULL
                  AND e.xact >= $2::text::xid8
                  AND t.event_at >= $3
           )::bigint AS cents
      FROM unnest($1::uuid[]) AS x (account_id)
"""

LIST_CHANGES: Final[LiteralString] = """
    SELECT e.account_id, -e.amount_cents AS cents
      FROM ledger.entries AS e
      JOIN ledger.transfers AS t ON t.id = e.transfer_id
     WHERE e.account_id = ANY ($1::uuid[]) AND e.account_version IS NULL
       AND e.xact >= $2::text::xid8
       AND t.event_at >= $3 AND t.event_at < $4
     ORDER BY e.id
"""

LIST_MOVED: Final[LiteralString] = """
    SELECT t.key, -e.amount_cents AS cents
      FROM ledger.entries AS e
      JOIN ledger.transfers AS t ON t.id = e.transfer_id
     WHERE e.account_id = $1 AND e.account_version IS NULL
       AND e.xact >= $2::text::xid8
       AND t.event_at >= $3 AND t.event_at < $4
     ORDER BY e.id
"""

SINCE_EVER: Final = "0"
"""The horizon that everything lies behind. Reads every entry of an account: for what is asked once a day."""


@dataclass(frozen=True, slots=True)
class _Cents:
    account_id: UUID
    cents: int | None


@dataclass(frozen=True, slots=True)
class Moved:
    """What one transfer did to an account, on its normal side. The key holds the id of the row it was made for."""

    key: str
    cents: int


async def horizon(tx: Tx) -> str:
    """Return a mark that everything booked from now on lies behind, with a little of what was booked before.

    It means something in this cluster alone: after a dump and restore, take a new one.
    """
    mark = await tx.fetch_value(str, FIND_HORIZON)
    assert mark is not None  # noqa: S101 (there is always a snapshot)
    return mark


async def held_before(
    tx: Tx, account_ids: Sequence[UUID], *, moment: datetime, booked_since: str
) -> dict[UUID, int]:
    """Return what debit accounts of the system held before `moment`, by the time of events.

    `booked_since` is a horizon taken before that moment. An account that was never opened is left out.
    """
    held = await tx.fetch_all(_Cents, LIST_HELD_BEFORE, list(account_ids), booked_since, moment)
    return {one.account_id: one.cents for one in held if one.cents is not None}


async def changes(
    tx: Tx, account_ids: Sequence[UUID], *, since: datetime, until: datetime, booked_since: str
) -> dict[UUID, list[int]]:
    """Return how debit accounts of the system changed by events in [since, until), in the order of booking."""
    found: dict[UUID, list[int]] = {account_id: [] for account_id in account_ids}
    for one in await tx.fetch_all(_Cents, LIST_CHANGES, list(account_ids), booked_since, since, until):
        found[one.account_id].append(one.cents or 0)
    return found


async def moved(
    tx: Tx, account_id: UUID, *, since: datetime, until: datetime, booked_since: str
) -> list[Moved]:
    """Return the transfers that changed a debit account of the system by events in [since, until)."""
    return await tx.fetch_all(Moved, LIST_MOVED, account_id, booked_since, since, until)
