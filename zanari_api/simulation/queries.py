"""What a simulation reads to see whether promises held; it changes nothing."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.runtime.db import Tx

LIST_SPENDS: Final[LiteralString] = "SELECT DISTINCT receipt FROM savings.spends"

LIST_RECEIPTS: Final[LiteralString] = """
    SELECT role, receipt FROM mpesa.receipts WHERE role IN ('deposit', 'payout')
"""

LIST_INTENTS: Final[LiteralString] = "SELECT id, state FROM savings.intents"

LIST_PAYOUTS: Final[LiteralString] = "SELECT id, state FROM savings.payouts"

LIST_FEED_IDS: Final[LiteralString] = "SELECT id FROM savings.transactions"

LIST_BREAKS: Final[LiteralString] = """
    SELECT kind, subject, shortcode, account, amount_cents, suspected_cause
      FROM mpesa.breaks WHERE closed_at IS NULL ORDER BY opened_at
"""

# One that is looked at again by itself is on its way; it is given up in the open when its day is over.
LIST_FORGOTTEN_CALLBACKS: Final[LiteralString] = """
    SELECT kind, outcome FROM mpesa.callbacks
     WHERE outcome IN ('received', 'waiting', 'deferred') AND dead_at IS NULL AND (due_at IS NULL OR due_at < $1)
"""

LIST_OVERSETTLED: Final[LiteralString] = """
    SELECT spend_id AS id, status AS state FROM savings.accruals WHERE settled_cents > amount_cents
"""


@dataclass(frozen=True, slots=True)
class Stated:
    """A row and its state."""

    id: UUID
    state: str


@dataclass(frozen=True, slots=True)
class Counted:
    """A receipt and what it was counted as."""

    role: str
    receipt: str


@dataclass(frozen=True, slots=True)
class Named:
    """A difference that is named."""

    kind: str
    subject: str
    shortcode: str | None
    account: str | None
    amount_cents: int | None
    suspected_cause: str


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A callback on which nothing was decided, and that nobody looks at again."""

    kind: str
    outcome: str


@dataclass(frozen=True, slots=True)
class _Receipt:
    receipt: str


@dataclass(frozen=True, slots=True)
class _Id:
    id: UUID


async def list_spends(tx: Tx) -> set[str]:
    return {row.receipt for row in await tx.fetch_all(_Receipt, LIST_SPENDS)}


async def list_receipts(tx: Tx) -> list[Counted]:
    return await tx.fetch_all(Counted, LIST_RECEIPTS)


async def list_intents(tx: Tx) -> list[Stated]:
    return await tx.fetch_all(Stated, LIST_INTENTS)


async def list_payouts(tx: Tx) -> list[Stated]:
    return await tx.fetch_all(Stated, LIST_PAYOUTS)


async def list_oversettled(tx: Tx) -> list[Stated]:
    return await tx.fetch_all(Stated, LIST_OVERSETTLED)


async def list_feed_ids(tx: Tx) -> set[UUID]:
    return {row.id for row in await tx.fetch_all(_Id, LIST_FEED_IDS)}


async def list_breaks(tx: Tx) -> list[Named]:
    return await tx.fetch_all(Named, LIST_BREAKS)


async def list_forgotten_callbacks(tx: Tx, *, due_before: datetime) -> list[Forgotten]:
    """Return callbacks that nobody looks at again, though nothing was decided on them."""
    return await tx.fetch_all(Forgotten, LIST_FORGOTTEN_CALLBACKS, due_before)
