"""Writes decided spends: the transfers, the records, the feed, the milestones. Decides nothing."""

from collections.abc import Sequence
from typing import Final

from zanari_api.goals import service as goals
from zanari_api.ledger import posting
from zanari_api.ledger.posting import Outcome as PostingOutcome
from zanari_api.ledger.posting import Transfer
from zanari_api.roundups import queries
from zanari_api.roundups.deciding import Decided
from zanari_api.roundups.errors import BooksRefused
from zanari_api.roundups.queries import NewAllocation, NewSpend
from zanari_api.roundups.rules import Reason
from zanari_api.roundups.spends import Policy
from zanari_api.runtime.crypto import Keyring
from zanari_api.runtime.db import Tx
from zanari_api.transactions import service as feed
from zanari_api.transactions.categories import category_of
from zanari_api.transactions.rows import FeedRow
from zanari_api.users import service as users

UNNAMED: Final = {
    "till": "Paid to a till",
    "paybill": "Paid to a paybill",
    "pochi": "Paid to a person",
    "send_money": "Sent to a person",
    "airtime": "Airtime",
    "withdraw": "Cash withdrawal",
}


async def write(tx: Tx, decided: Sequence[Decided], *, policy: Policy) -> None:
    """Write everything that follows from the decisions. Raises BooksRefused, which is a bug of ours."""
    if not decided:
        return
    await _post(tx, [item for item in decided if item.moves_money])
    await queries.insert_spends(
        tx,
        [_as_spend(item) for item in decided],
        [
            NewAllocation(item.question.saver.saver_id, item.question.id, part.goal_id, part.cents)
            for item in decided
            for part in item.parts
        ],
        now=policy.now,
    )
    await feed.record(tx, [_as_feed_row(item, policy.keyring) for item in decided])
    for item in decided:
        tx.note("spend", item.decision.outcome, item.decision.reason or "none")


async def _post(tx: Tx, moving: Sequence[Decided]) -> None:
    if not moving:
        return
    posted = await posting.post(
        tx,
        [
            Transfer(
                key=f"round_up:{item.question.id}",
                kind="round_up",
                event_at=item.question.spend.event_at,
                entries=(
                    (item.question.saver.wallet_account_id, -item.decision.round_up_cents),
                    *((part.account_id, part.cents) for part in item.parts),
                ),
            )
            for item in moving
        ],
    )
    refused = {item.outcome for item in posted} - {PostingOutcome.POSTED}
    if refused:
        raise BooksRefused(", ".join(sorted(refused)))
    await goals.note_milestones(
        tx,
        reached=[
            (item.question.saver.saver_id, part.goal_id)
            for item in moving
            for part in item.parts
            if part.reaches_milestone
        ],
    )


def _as_spend(item: Decided) -> NewSpend:
    spend, decision = item.question.spend, item.decision
    return NewSpend(
        saver_id=item.question.saver.saver_id,
        id=item.question.id,
        receipt=spend.receipt,
        source=spend.source,
        kind=spend.kind,
        amount_cents=spend.amount_cents,
        event_at=spend.event_at,
        content_digest=spend.content_digest,
        outcome=decision.outcome,
        reason=decision.reason,
        round_up_cents=decision.round_up_cents,
        rule_version=decision.rule_version,
        answer=item.answer.model_dump_json(),
    )


def _as_feed_row(item: Decided, keyring: Keyring) -> FeedRow:
    """A business is named in clear; a private person only in the sealed part."""
    spend, saver, decision = item.question.spend, item.question.saver, item.decision
    name, private = spend.merchant_name, None
    if name and spend.to_private_person:
        data_key = users.data_key_of(saver, keyring)
        private = feed.seal_counterparty(name, transaction_id=item.question.id, data_key=data_key)
        name = None
    return FeedRow(
        saver_id=saver.saver_id,
        id=item.question.id,
        type="spend",
        status="reversed" if decision.reason is Reason.REVERSED else "completed",
        direction="out",
        amount_cents=spend.amount_cents,
        occurred_at=spend.event_at,
        title=name or UNNAMED.get(spend.kind, "M-PESA payment"),
        category=category_of(spend.kind),
        receipt=spend.receipt,
        round_up=item.answer.model_dump(mode="json"),
        explanation={
            "text": item.text,
            "outcome": decision.outcome,
            "reason": decision.reason,
            "rule_version": decision.rule_version,
            "round_up_cents": decision.round_up_cents,
        },
        private=private,
    )
