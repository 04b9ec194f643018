"""Our questions to M-PESA about payouts: stored before they are asked, so that only answers to ours count."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from zanari_api.kit.ids import new_id
from zanari_api.payouts import question_queries
from zanari_api.payouts.question_queries import Finish
from zanari_api.payouts.rows import Payout, StatusQuery
from zanari_api.runtime.db import Tx


class QueryState(StrEnum):
    """Where a question is. The database knows the same list."""

    ASKING = "asking"
    ASKED = "asked"
    UNSENT = "unsent"
    UNANSWERED = "unanswered"
    TIMED_OUT = "timed_out"
    ANSWERED = "answered"


async def begin(tx: Tx, payout: Payout, *, now: datetime) -> UUID:
    """Store a question that is about to be asked, or take up one that was never sent; return its id."""
    unsent = await question_queries.try_unsent(tx, saver_id=payout.saver_id, payout_id=payout.id, now=now)
    if unsent is not None:
        return unsent
    query_id = new_id()
    await question_queries.insert_query(
        tx, saver_id=payout.saver_id, query_id=query_id, payout_id=payout.id, now=now
    )
    return query_id


async def name(
    tx: Tx, payout: Payout, *, query_id: UUID, conversation_id: str | None, originator: str | None
) -> None:
    """Keep the ids that Safaricom gave a question it took on: its answer comes under them."""
    await question_queries.name_query(
        tx,
        saver_id=payout.saver_id,
        query_id=query_id,
        conversation_id=conversation_id,
        originator_conversation_id=originator,
    )


async def fail(tx: Tx, payout: Payout, *, query_id: UUID, state: QueryState, now: datetime) -> None:
    """Note that a question was not asked, or that nobody knows whether it was."""
    await question_queries.finish_query(
        tx, Finish(state=state, now=now), saver_id=payout.saver_id, query_id=query_id
    )


async def answer(tx: Tx, query: StatusQuery, *, said: str, callback_id: UUID, now: datetime) -> None:
    """Note what was answered, in one word."""
    finish = Finish(state=QueryState.ANSWERED, answer=said, callback_id=callback_id, now=now)
    await question_queries.finish_query(tx, finish, saver_id=query.saver_id, query_id=query.id)


async def time_out_newest(tx: Tx, payout: Payout, *, callback_id: UUID, now: datetime) -> bool:
    """Note that the newest open question waited too long at Safaricom; False when none is open."""
    timed_out = await question_queries.time_out_newest(
        tx, saver_id=payout.saver_id, payout_id=payout.id, callback_id=callback_id, now=now
    )
    return timed_out is not None


async def find_asked(tx: Tx, *, originator: str | None, conversation_id: str | None) -> StatusQuery | None:
    """Return the question with these ids of its own; None where one of them is another question's."""
    if originator is not None:
        found = await question_queries.find_by_originator(tx, originator_conversation_id=originator)
    else:
        found = await question_queries.find_by_conversation(tx, conversation_id=conversation_id or "")
    if found is None or conversation_id in {None, found.conversation_id} or found.conversation_id is None:
        return found
    return None


async def find(tx: Tx, *, saver_id: UUID, query_id: UUID) -> StatusQuery | None:
    return await question_queries.find_query(tx, saver_id=saver_id, query_id=query_id)


async def list_of(tx: Tx, payout: Payout) -> list[StatusQuery]:
    """Return every question about a payout, in order."""
    return await question_queries.list_queries(tx, saver_id=payout.saver_id, payout_id=payout.id)


async def is_any_named_soon(tx: Tx, *, since: datetime) -> bool:
    """Tell whether a question asked since then is still without the ids that the reply to it will bring."""
    return await question_queries.find_unnamed(tx, since=since, lost_too=False) is not None


async def is_any_unnamed(tx: Tx, *, since: datetime) -> bool:
    """Tell whether a question was asked since then whose ids did not come back."""
    return await question_queries.find_unnamed(tx, since=since, lost_too=True) is not None
