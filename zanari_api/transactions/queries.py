"""Every statement on savings.transactions; no decisions, no commits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

import orjson

from zanari_api.runtime.db import Tx
from zanari_api.transactions.rows import FeedRow, SpendChange

INSERT_TRANSACTIONS: Final[LiteralString] = """
    INSERT INTO savings.transactions (
        saver_id, id, type, status, direction, amount_cents, occurred_at, title, category, goal_id, receipt,
        round_up, explanation, private
    )
    SELECT * FROM unnest(
        $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[], $8::text[],
        $9::text[], $10::uuid[], $11::text[], $12::jsonb[], $13::jsonb[], $14::bytea[]
    )
"""

# Sentinels instead of `$n IS NULL OR` where an index can serve: the plan stays one range scan, newest first.
PAGE_TRANSACTIONS: Final[LiteralString] = """
    WITH page AS (
        SELECT t.*, row_number() OVER (ORDER BY t.occurred_at DESC, t.id DESC) AS place
          FROM savings.transactions AS t
         WHERE t.saver_id = $1
           AND (t.occurred_at, t.id) < ($2, $3)
           AND t.occurred_at >= $4 AND t.occurred_at < $5
           AND t.updated_at >= $6
           AND ($7::text IS NULL OR t.type = $7)
           AND ($8::text IS NULL OR t.status = $8)
           AND ($9::text IS NULL OR t.category = $9)
           AND ($10::text IS NULL OR t.title ILIKE $10)
         ORDER BY t.occurred_at DESC, t.id DESC
         LIMIT $11::integer + 1
    )
    SELECT json_build_object(
        'data', coalesce(json_agg(json_build_object(
            'id', id, 'type', type, 'status', status, 'direction', direction, 'amount_cents', amount_cents,
            'currency', 'KES',
            'occurred_at', to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'updated_at', to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'title', title, 'category', category, 'goal_id', goal_id, 'receipt', receipt, 'round_up', round_up
        ) ORDER BY place) FILTER (WHERE place <= $11), '[]'::json),
        'next_cursor', CASE WHEN count(*) > $11 THEN
            max((extract(epoch FROM occurred_at) * 1000000)::bigint || '-' || id) FILTER (WHERE place = $11)
        END
    )::text
      FROM page
"""

FIND_TRANSACTION: Final[LiteralString] = """
    SELECT id, private, json_build_object(
        'id', id, 'type', type, 'status', status, 'direction', direction, 'amount_cents', amount_cents,
        'currency', 'KES',
        'occurred_at', to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'updated_at', to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'title', title, 'category', category, 'goal_id', goal_id, 'receipt', receipt, 'round_up', round_up,
        'explanation', explanation
    )::text AS json
      FROM savings.transactions
     WHERE saver_id = $1 AND id = $2
"""

UPDATE_SPENDS: Final[LiteralString] = """
    UPDATE savings.transactions AS t
       SET status = change.status, round_up = change.round_up, explanation = change.explanation,
           updated_at = clock_timestamp()
      FROM unnest($2::uuid[], $3::text[], $4::jsonb[], $5::jsonb[]) AS change (id, status, round_up, explanation)
     WHERE t.saver_id = $1 AND t.id = change.id
"""

# What was explained before stays, but for what the new explanation says anew.
MARK_REVERSED: Final[LiteralString] = """
    UPDATE savings.transactions
       SET status = 'reversed', explanation = explanation || $3::jsonb, updated_at = clock_timestamp()
     WHERE saver_id = $1 AND id = $2
"""

ATTACH_RECEIPT: Final[LiteralString] = """
    UPDATE savings.transactions SET receipt = $3, updated_at = clock_timestamp()
     WHERE saver_id = $1 AND id = $2 AND receipt IS NULL
"""


@dataclass(frozen=True, slots=True)
class Found:
    """One row of the feed as JSON text, and its personal details still sealed."""

    id: UUID
    private: bytes | None
    json: str


@dataclass(frozen=True, slots=True)
class PageFilter:
    """Which rows a page holds: from `since` up to but not including `until`, updated at or after `updated_since`."""

    after: tuple[datetime, UUID]
    since: datetime
    until: datetime
    updated_since: datetime
    type: str | None
    status: str | None
    category: str | None
    title_like: str | None
    limit: int


async def insert(tx: Tx, rows: Sequence[FeedRow]) -> None:
    if not rows:
        return
    await tx.execute(
        INSERT_TRANSACTIONS,
        [row.saver_id for row in rows],
        [row.id for row in rows],
        [row.type for row in rows],
        [row.status for row in rows],
        [row.direction for row in rows],
        [row.amount_cents for row in rows],
        [row.occurred_at for row in rows],
        [row.title for row in rows],
        [row.category for row in rows],
        [row.goal_id for row in rows],
        [row.receipt for row in rows],
        [None if row.round_up is None else orjson.dumps(row.round_up).decode() for row in rows],
        [orjson.dumps(row.explanation).decode() for row in rows],
        [row.private for row in rows],
    )


async def page(tx: Tx, *, saver_id: UUID, wanted: PageFilter) -> str:
    json = await tx.fetch_value(
        str,
        PAGE_TRANSACTIONS,
        saver_id,
        *wanted.after,
        wanted.since,
        wanted.until,
        wanted.updated_since,
        wanted.type,
        wanted.status,
        wanted.category,
        wanted.title_like,
        wanted.limit,
    )
    assert json is not None  # noqa: S101 (an aggregate always returns a row)
    return json


async def find(tx: Tx, *, saver_id: UUID, transaction_id: UUID) -> Found | None:
    return await tx.fetch_one(Found, FIND_TRANSACTION, saver_id, transaction_id)


async def update_spends(tx: Tx, *, saver_id: UUID, changes: Sequence[SpendChange]) -> None:
    await tx.execute(
        UPDATE_SPENDS,
        saver_id,
        [change.id for change in changes],
        [change.status for change in changes],
        [orjson.dumps(change.round_up).decode() for change in changes],
        [orjson.dumps(change.explanation).decode() for change in changes],
    )


async def attach_receipt(tx: Tx, *, saver_id: UUID, transaction_id: UUID, receipt: str) -> None:
    await tx.execute(ATTACH_RECEIPT, saver_id, transaction_id, receipt)


async def mark_reversed(
    tx: Tx, *, saver_id: UUID, transaction_id: UUID, explanation: Mapping[str, object]
) -> None:
    await tx.execute(MARK_REVERSED, saver_id, transaction_id, orjson.dumps(explanation).decode())
