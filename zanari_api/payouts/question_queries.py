"""Every statement on savings.status_queries; no decisions, no commits."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.payouts.rows import StatusQuery
from zanari_api.runtime.db import Tx

INSERT_QUERY: Final[LiteralString] = """
    INSERT INTO savings.status_queries (saver_id, id, payout_id, state, asked_at) VALUES ($1, $2, $3, 'asking', $4)
"""

# What was never sent is the same question still: an outage leaves one row, however often it is tried.
TRY_UNSENT: Final[LiteralString] = """
    UPDATE savings.status_queries
       SET state = 'asking', asked_at = $3, finished_at = NULL
     WHERE (saver_id, id) = (
               SELECT q.saver_id, q.id
                 FROM savings.status_queries AS q
                WHERE q.saver_id = $1 AND q.payout_id = $2 AND q.state = 'unsent'
                ORDER BY q.asked_at DESC, q.id DESC
                LIMIT 1
           )
    RETURNING id
"""

# An answer may have overtaken the reply that names the question: then only the names are new.
NAME_QUERY: Final[LiteralString] = """
    UPDATE savings.status_queries
       SET state = CASE state WHEN 'asking' THEN 'asked' ELSE state END, conversation_id = $3,
           originator_conversation_id = $4
     WHERE saver_id = $1 AND id = $2
"""

FINISH_QUERY: Final[LiteralString] = """
    UPDATE savings.status_queries
       SET state = $3, answer = $4, callback_id = $5, finished_at = $6
     WHERE saver_id = $1 AND id = $2
"""

FIND_BY_ORIGINATOR: Final[LiteralString] = """
    SELECT saver_id, id, payout_id, state, conversation_id, originator_conversation_id, answer, asked_at, finished_at
      FROM savings.status_queries
     WHERE originator_conversation_id = $1
     LIMIT 1
"""

FIND_BY_CONVERSATION: Final[LiteralString] = """
    SELECT saver_id, id, payout_id, state, conversation_id, originator_conversation_id, answer, asked_at, finished_at
      FROM savings.status_queries
     WHERE conversation_id = $1
     LIMIT 1
"""

FIND_QUERY: Final[LiteralString] = """
    SELECT saver_id, id, payout_id, state, conversation_id, originator_conversation_id, answer, asked_at, finished_at
      FROM savings.status_queries
     WHERE saver_id = $1 AND id = $2
"""

LIST_QUERIES: Final[LiteralString] = """
    SELECT saver_id, id, payout_id, state, conversation_id, originator_conversation_id, answer, asked_at, finished_at
      FROM savings.status_queries
     WHERE saver_id = $1 AND payout_id = $2
     ORDER BY asked_at, id
"""

# The newest is the one that is still waited for.
TIME_OUT_NEWEST: Final[LiteralString] = """
    UPDATE savings.status_queries
       SET state = 'timed_out', callback_id = $3, finished_at = $4
     WHERE (saver_id, id) = (
               SELECT q.saver_id, q.id
                 FROM savings.status_queries AS q
                WHERE q.saver_id = $1 AND q.payout_id = $2 AND q.state IN ('asking', 'asked')
                ORDER BY q.asked_at DESC, q.id DESC
                LIMIT 1
           )
    RETURNING id
"""

FIND_UNNAMED: Final[LiteralString] = """
    SELECT id
      FROM savings.status_queries
     WHERE asked_at >= $1 AND state IN ('asking', 'unanswered') AND (state = 'asking' OR $2)
     LIMIT 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """How a question ended: answered, timed out, or without anybody knowing whether it was asked."""

    state: str
    now: datetime
    answer: str | None = None
    callback_id: UUID | None = None


async def insert_query(tx: Tx, *, saver_id: UUID, query_id: UUID, payout_id: UUID, now: datetime) -> None:
    await tx.execute(INSERT_QUERY, saver_id, query_id, payout_id, now)


async def try_unsent(tx: Tx, *, saver_id: UUID, payout_id: UUID, now: datetime) -> UUID | None:
    """Take up the newest question about a payout that was never sent; None when there is none."""
    return await tx.fetch_value(UUID, TRY_UNSENT, saver_id, payout_id, now)


async def name_query(
    tx: Tx,
    *,
    saver_id: UUID,
    query_id: UUID,
    conversation_id: str | None,
    originator_conversation_id: str | None,
) -> None:
    """Keep the ids that Safaricom gave a question."""
    await tx.execute(NAME_QUERY, saver_id, query_id, conversation_id, originator_conversation_id)


async def finish_query(tx: Tx, finish: Finish, *, saver_id: UUID, query_id: UUID) -> None:
    await tx.execute(
        FINISH_QUERY, saver_id, query_id, finish.state, finish.answer, finish.callback_id, finish.now
    )


async def find_by_originator(tx: Tx, *, originator_conversation_id: str) -> StatusQuery | None:
    return await tx.fetch_one(StatusQuery, FIND_BY_ORIGINATOR, originator_conversation_id)


async def find_by_conversation(tx: Tx, *, conversation_id: str) -> StatusQuery | None:
    return await tx.fetch_one(StatusQuery, FIND_BY_CONVERSATION, conversation_id)


async def find_query(tx: Tx, *, saver_id: UUID, query_id: UUID) -> StatusQuery | None:
    return await tx.fetch_one(StatusQuery, FIND_QUERY, saver_id, query_id)


async def list_queries(tx: Tx, *, saver_id: UUID, payout_id: UUID) -> list[StatusQuery]:
    return await tx.fetch_all(StatusQuery, LIST_QUERIES, saver_id, payout_id)


async def time_out_newest(
    tx: Tx, *, saver_id: UUID, payout_id: UUID, callback_id: UUID, now: datetime
) -> UUID | None:
    """Mark the newest open question about a payout as timed out; None when there is none."""
    return await tx.fetch_value(UUID, TIME_OUT_NEWEST, saver_id, payout_id, callback_id, now)


async def find_unnamed(tx: Tx, *, since: datetime, lost_too: bool) -> UUID | None:
    """Return a question asked since then whose ids are still to come, or never came back."""
    return await tx.fetch_value(UUID, FIND_UNNAMED, since, lost_too)
