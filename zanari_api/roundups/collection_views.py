"""Collections as their saver sees them: stored rows and what their intents say of the prompt. Changes nothing."""

from datetime import datetime
from uuid import UUID

from zanari_api.deposits import intents
from zanari_api.deposits.rows import Intent
from zanari_api.roundups import collecting_texts, collection_queries
from zanari_api.roundups.collection_queries import CollectionRow
from zanari_api.roundups.collection_schemas import (
    Collection,
    CollectionFilters,
    CollectionPage,
    CollectionState,
)
from zanari_api.roundups.collections import RequestedBy, State
from zanari_api.runtime.db import Tx
from zanari_api.transactions import service as feed


async def page(tx: Tx, *, saver_id: UUID, wanted: CollectionFilters, now: datetime) -> CollectionPage:
    """Return one page of a saver's collections, newest first. Raises InvalidCursor."""
    after = feed.read_cursor(wanted.cursor)
    rows = await collection_queries.list_page(tx, saver_id=saver_id, after=after, limit=wanted.limit + 1)
    shown = rows[: wanted.limit]
    return CollectionPage(
        data=tuple([await _show(tx, row, spends=row.count, now=now) for row in shown]),
        next_cursor=feed.write_cursor(shown[-1].created_at, shown[-1].id) if len(rows) > len(shown) else None,
    )


async def one(tx: Tx, collection: CollectionRow, *, now: datetime) -> Collection:
    """Return a collection as its saver sees it."""
    spends = await collection_queries.count_items(
        tx, saver_id=collection.saver_id, collection_id=collection.id
    )
    return await _show(tx, collection, spends=spends, now=now)


async def _show(tx: Tx, row: CollectionRow, *, spends: int, now: datetime) -> Collection:
    """Ask the intent only where it has something to add: whether a prompt was sent, or why it was not."""
    intent = None
    if row.state in {State.REQUESTED, State.SKIPPED}:
        intent = await intents.find(tx, saver_id=row.saver_id, intent_id=row.intent_id)
    was_sent = intent is not None and intent.submitting_at is not None
    return Collection(
        id=row.id,
        state=CollectionState.PROMPTED if was_sent else CollectionState(row.state),
        text=_text(row, intent, now=now),
        amount_cents=row.amount_cents,
        fee_cents=row.fee_cents,
        spends=spends,
        requested_by=RequestedBy(row.requested_by).value,
        prompts_at=row.prompts_at,
        can_skip=row.state == State.REQUESTED and not was_sent,
        reason=intent.reason if row.state == State.SKIPPED and intent is not None else row.reason,
        to_wallet_cents=row.to_wallet_cents,
        receipt=row.receipt,
        settled_at=row.settled_at,
        created_at=row.created_at,
    )


def _text(row: CollectionRow, intent: Intent | None, *, now: datetime) -> str:
    amount, fee = row.amount_cents, row.fee_cents
    match State(row.state):
        case State.REQUESTED if intent is not None and intent.submitting_at is not None:
            return collecting_texts.prompted(amount_cents=amount, fee_cents=fee, is_open=intent.is_open(now))
        case State.REQUESTED:
            return collecting_texts.requested(
                amount_cents=amount, fee_cents=fee, prompts_at=row.prompts_at, now=now
            )
        case State.SETTLED:
            return collecting_texts.settled(
                amount_cents=amount,
                fee_cents=fee,
                to_wallet_cents=row.to_wallet_cents or 0,
                at=row.settled_at or now,
            )
        case State.FAILED:
            return collecting_texts.failed(row.reason)
        case State.SKIPPED:
            return collecting_texts.skipped(intent and intent.reason)
        case State.UNRESOLVED:
            return collecting_texts.UNRESOLVED
