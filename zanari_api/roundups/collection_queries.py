"""Every statement on savings.collections and their items; no decisions, no commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.roundups.collecting_rules import Portion
from zanari_api.runtime.db import Tx

INSERT_COLLECTION: Final[LiteralString] = """
    INSERT INTO savings.collections (
        saver_id, id, intent_id, amount_cents, fee_cents, tariff_valid_from, requested_by, prompts_at, created_at
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""

INSERT_ITEMS: Final[LiteralString] = """
    INSERT INTO savings.collection_items (saver_id, collection_id, spend_id, place, amount_cents)
    SELECT $1, $2, item.spend_id, item.place, item.amount_cents
      FROM unnest($3::uuid[], $4::bigint[]) WITH ORDINALITY AS item (spend_id, amount_cents, place)
"""

FIND_COLLECTION: Final[LiteralString] = """
    SELECT saver_id, id, intent_id, amount_cents, fee_cents, state, requested_by, prompts_at, reason, receipt,
           to_wallet_cents, settled_at, created_at
      FROM savings.collections
     WHERE saver_id = $1 AND id = $2
"""

FIND_COLLECTION_OF_INTENT: Final[LiteralString] = """
    SELECT saver_id, id, intent_id, amount_cents, fee_cents, state, requested_by, prompts_at, reason, receipt,
           to_wallet_cents, settled_at, created_at
      FROM savings.collections
     WHERE saver_id = $1 AND intent_id = $2
"""

LIST_COLLECTIONS: Final[LiteralString] = """
    SELECT c.saver_id, c.id, c.intent_id, c.amount_cents, c.fee_cents, c.state, c.requested_by, c.prompts_at,
           c.reason, c.receipt, c.to_wallet_cents, c.settled_at, c.created_at, items.count
      FROM (
            SELECT *
              FROM savings.collections
             WHERE saver_id = $1 AND (created_at, id) < ($2, $3)
             ORDER BY created_at DESC, id DESC
             LIMIT $4
           ) AS c
     CROSS JOIN LATERAL (
            SELECT count(*) FROM savings.collection_items AS i WHERE i.saver_id = c.saver_id AND i.collection_id = c.id
           ) AS items
     ORDER BY c.created_at DESC, c.id DESC
"""

# Announced: its prompt is still to come. The intent says whether it was sent all the same.
LIST_ANNOUNCED: Final[LiteralString] = """
    SELECT saver_id, id, intent_id, amount_cents, fee_cents, state, requested_by, prompts_at, reason, receipt,
           to_wallet_cents, settled_at, created_at
      FROM savings.collections
     WHERE saver_id = $1 AND prompts_at > $2 AND state = 'requested'
     ORDER BY prompts_at
"""

COUNT_ITEMS: Final[LiteralString] = """
    SELECT count(*) FROM savings.collection_items WHERE saver_id = $1 AND collection_id = $2
"""

# A collection that was skipped prompted nobody.
FIND_LAST_PROMPT: Final[LiteralString] = """
    SELECT prompts_at
      FROM savings.collections
     WHERE saver_id = $1 AND state <> 'skipped'
     ORDER BY prompts_at DESC
     LIMIT 1
"""

FIND_LAST_PROMPT_OF_AMOUNT: Final[LiteralString] = """
    SELECT prompts_at
      FROM savings.collections
     WHERE saver_id = $1 AND state <> 'skipped' AND amount_cents = $2 AND prompts_at > $3
     ORDER BY prompts_at DESC
     LIMIT 1
"""

LIST_ITEMS: Final[LiteralString] = """
    SELECT spend_id, amount_cents AS cents
      FROM savings.collection_items
     WHERE saver_id = $1 AND collection_id = $2
     ORDER BY place
"""

MARK_SETTLED: Final[LiteralString] = """
    UPDATE savings.collections
       SET state = 'settled', reason = NULL, receipt = $3, to_wallet_cents = $4, settled_at = $5,
           updated_at = clock_timestamp()
     WHERE saver_id = $1 AND id = $2
"""

ATTACH_RECEIPT: Final[LiteralString] = """
    UPDATE savings.collections SET receipt = $3, updated_at = clock_timestamp()
     WHERE saver_id = $1 AND intent_id = $2 AND state = 'settled' AND receipt IS NULL
"""

MARK_FAILED: Final[LiteralString] = """
    UPDATE savings.collections SET state = 'failed', reason = $3, updated_at = clock_timestamp()
     WHERE saver_id = $1 AND id = $2
"""

# What the saver, or time, ends: there is no reason to tell.
MARK_ENDED: Final[LiteralString] = """
    UPDATE savings.collections SET state = $3, updated_at = clock_timestamp() WHERE saver_id = $1 AND id = $2
"""

MARK_ITEMS: Final[LiteralString] = """
    UPDATE savings.collection_items AS i
       SET settled_cents = came.settled_cents, outcome = came.outcome
      FROM unnest($3::uuid[], $4::bigint[], $5::text[]) AS came (spend_id, settled_cents, outcome)
     WHERE i.saver_id = $1 AND i.collection_id = $2 AND i.spend_id = came.spend_id
"""


# Each was made at some time: said so that the index of open ones is searched, and not read from end to end.
COUNT_OPEN: Final[LiteralString] = """
    SELECT count(*) AS collections, min(created_at) AS oldest_at
      FROM savings.collections
     WHERE state = 'requested' AND created_at <= 'infinity'
"""


@dataclass(frozen=True, slots=True)
class OpenCollections:
    """How many collections have not ended, and since when the oldest of them has not."""

    collections: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCollection:
    """A collection to insert, its intent made."""

    saver_id: UUID
    id: UUID
    intent_id: UUID
    amount_cents: int
    fee_cents: int
    tariff_valid_from: date
    requested_by: str
    prompts_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """A collection as stored. Whether its prompt was sent is told by its intent."""

    saver_id: UUID
    id: UUID
    intent_id: UUID
    amount_cents: int
    fee_cents: int
    state: str
    requested_by: str
    prompts_at: datetime
    reason: str | None
    receipt: str | None
    to_wallet_cents: int | None
    settled_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CountedCollection(CollectionRow):
    """A collection and how many round-ups it is for."""

    count: int = 0


@dataclass(frozen=True, slots=True)
class CameOf:
    """What became of one item: how much of it went to goals; the rest went to the wallet because of `outcome`."""

    spend_id: UUID
    settled_cents: int
    outcome: str


async def insert(tx: Tx, collection: NewCollection, portions: Sequence[Portion]) -> None:
    """Insert a collection and what it is for, in order."""
    await tx.execute(
        INSERT_COLLECTION,
        collection.saver_id,
        collection.id,
        collection.intent_id,
        collection.amount_cents,
        collection.fee_cents,
        collection.tariff_valid_from,
        collection.requested_by,
        collection.prompts_at,
        collection.created_at,
    )
    await tx.execute(
        INSERT_ITEMS,
        collection.saver_id,
        collection.id,
        [portion.spend_id for portion in portions],
        [portion.cents for portion in portions],
    )


async def find(tx: Tx, *, saver_id: UUID, collection_id: UUID) -> CollectionRow | None:
    return await tx.fetch_one(CollectionRow, FIND_COLLECTION, saver_id, collection_id)


async def find_of_intent(tx: Tx, *, saver_id: UUID, intent_id: UUID) -> CollectionRow | None:
    return await tx.fetch_one(CollectionRow, FIND_COLLECTION_OF_INTENT, saver_id, intent_id)


async def list_page(
    tx: Tx, *, saver_id: UUID, after: tuple[datetime, UUID], limit: int
) -> list[CountedCollection]:
    """Return the newest collections older than `after`, a (created_at, id)."""
    return await tx.fetch_all(CountedCollection, LIST_COLLECTIONS, saver_id, *after, limit)


async def list_announced(tx: Tx, *, saver_id: UUID, now: datetime) -> list[CollectionRow]:
    """Return the collections whose prompts are still to come."""
    return await tx.fetch_all(CollectionRow, LIST_ANNOUNCED, saver_id, now)


async def count_open(tx: Tx) -> OpenCollections:
    return await tx.fetch_one(OpenCollections, COUNT_OPEN) or OpenCollections(0, None)


async def count_items(tx: Tx, *, saver_id: UUID, collection_id: UUID) -> int:
    return await tx.fetch_value(int, COUNT_ITEMS, saver_id, collection_id) or 0


async def find_last_prompt(tx: Tx, *, saver_id: UUID) -> datetime | None:
    """Return when the saver was, or will be, prompted last for a collection."""
    return await tx.fetch_value(datetime, FIND_LAST_PROMPT, saver_id)


async def find_last_prompt_of_amount(
    tx: Tx, *, saver_id: UUID, amount_cents: int, since: datetime
) -> datetime | None:
    return await tx.fetch_value(datetime, FIND_LAST_PROMPT_OF_AMOUNT, saver_id, amount_cents, since)


async def list_items(tx: Tx, *, saver_id: UUID, collection_id: UUID) -> list[Portion]:
    """Return what a collection is for, in the order it settles."""
    return await tx.fetch_all(Portion, LIST_ITEMS, saver_id, collection_id)


async def mark_settled(
    tx: Tx, collection: CollectionRow, *, receipt: str | None, to_wallet_cents: int, settled_at: datetime
) -> None:
    await tx.execute(MARK_SETTLED, collection.saver_id, collection.id, receipt, to_wallet_cents, settled_at)


async def attach_receipt(tx: Tx, *, saver_id: UUID, intent_id: UUID, receipt: str) -> None:
    await tx.execute(ATTACH_RECEIPT, saver_id, intent_id, receipt)


async def mark_failed(tx: Tx, collection: CollectionRow, *, reason: str) -> None:
    await tx.execute(MARK_FAILED, collection.saver_id, collection.id, reason)


async def mark_ended(tx: Tx, collection: CollectionRow, *, state: str) -> None:
    """Note that a collection was `skipped`, or is `unresolved`."""
    await tx.execute(MARK_ENDED, collection.saver_id, collection.id, state)


async def mark_items(tx: Tx, collection: CollectionRow, came: Sequence[CameOf]) -> None:
    await tx.execute(
        MARK_ITEMS,
        collection.saver_id,
        collection.id,
        [item.spend_id for item in came],
        [item.settled_cents for item in came],
        [item.outcome for item in came],
    )
