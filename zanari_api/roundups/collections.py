"""Collections from their request to their end: what is asked of M-PESA for round-ups that wait, and what came of it.

An accrual is bound to one collection at a time, until that is definite or given up. Sends nothing: the intent that
is made with a collection is sent, and asked after, above.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from zanari_api.deposits import intents
from zanari_api.deposits import service as deposits
from zanari_api.deposits.rows import Intent, Payment, Purpose
from zanari_api.kit.clock import eat_date
from zanari_api.kit.ids import new_id
from zanari_api.ledger import accounts, posting
from zanari_api.ledger.posting import Transfer
from zanari_api.roundups import (
    accrual_queries,
    collecting_rules,
    collecting_texts,
    collection_queries,
    plan_queries,
    settling,
)
from zanari_api.roundups.collecting_rules import Restraint, Waiting
from zanari_api.roundups.collection_queries import CameOf, CollectionRow, NewCollection
from zanari_api.roundups.errors import BooksRefused
from zanari_api.roundups.settling import Settlement
from zanari_api.roundups.tariffs import Tariff, load_tariffs, tariff_on
from zanari_api.runtime.crypto import IndexKey, Keyring
from zanari_api.runtime.db import Tx
from zanari_api.transactions import service as feed
from zanari_api.transactions.rows import FeedRow
from zanari_api.users import service as users
from zanari_api.users.linking import LinkedNumber
from zanari_api.users.rows import SaverRow

NOTICE: Final = timedelta(seconds=60)


class State(StrEnum):
    """How far a collection has come; whether its prompt was sent is told by its intent."""

    REQUESTED = "requested"
    "its accruals are bound to it"

    SETTLED = "settled"
    "its money came"

    FAILED = "failed"
    "definitely not paid, as far as M-PESA says: its accruals wait again"

    SKIPPED = "skipped"
    "taken back before the prompt was sent: its accruals wait again"

    UNRESOLVED = "unresolved"
    "nobody could tell for a day: its accruals wait again, and late money is credited all the same"


class RequestedBy(StrEnum):
    """Who wanted a collection."""

    SCHEDULE = "schedule"
    "enough waited"

    SAVER = "saver"
    "the saver asked for it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What collections depend on besides the saver: switches, our shortcode, keys, tariffs.

    `notice` is how long before a scheduled prompt the saver can see it coming and skip it.
    """

    feature_enabled: bool
    shortcode: str
    keyring: Keyring
    index: IndexKey
    notice: timedelta = NOTICE
    tariffs: tuple[Tariff, ...] = field(default_factory=load_tariffs)

    def tariff(self, now: datetime) -> Tariff:
        return tariff_on(eat_date(now), self.tariffs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A collection to make: of how much, who is prompted and when, and who wants it."""

    amount_cents: int
    prompts_at: datetime
    number: LinkedNumber
    requested_by: RequestedBy


async def request(
    tx: Tx,
    wanted: Wanted,
    *,
    saver: SaverRow,
    waiting: Sequence[Waiting],
    terms: Terms,
    now: datetime,
) -> CollectionRow:
    """Make a collection of what waits the longest, with its intent, and bind the accruals to it.

    The saver is locked, and `waiting` was read since. Raises PromptOpen while another prompt is open.
    """
    portions = collecting_rules.fill(waiting, wanted.amount_cents)
    tariff = terms.tariff(now)
    intent = await intents.request(
        tx,
        saver=saver,
        purpose=Purpose.COLLECTION,
        amount_cents=wanted.amount_cents,
        goal_id=None,
        account_id=wanted.number.id,
        msisdn=wanted.number.msisdn,
        shortcode=terms.shortcode,
        index=terms.index,
        keyring=terms.keyring,
        now=now,
        not_before=wanted.prompts_at,
    )
    collection = NewCollection(
        saver_id=saver.saver_id,
        id=new_id(),
        intent_id=intent.id,
        amount_cents=wanted.amount_cents,
        fee_cents=tariff.fee_cents(wanted.amount_cents),
        tariff_valid_from=tariff.valid_from,
        requested_by=wanted.requested_by,
        prompts_at=wanted.prompts_at,
        created_at=now,
    )
    await collection_queries.insert(tx, collection, portions)
    await accrual_queries.bind(
        tx,
        saver_id=saver.saver_id,
        collection_id=collection.id,
        spend_ids=[portion.spend_id for portion in portions],
    )
    tx.note("collection", State.REQUESTED)
    return await _known(tx, saver_id=saver.saver_id, intent_id=intent.id)


async def settle_collection(
    tx: Tx, *, saver: SaverRow, intent: Intent, payment: Payment, now: datetime
) -> None:
    """Credit the money of a collection, in one transfer, to the goals that its accruals are meant for.

    What is no longer to be saved (its accrual was settled or cancelled meanwhile) goes to the wallet. Late money
    counts as any other, whatever the collection's state. The saver and the receipt, where there is one, must be
    locked. Safe to repeat: a collection settles once.
    """
    collection = await _known(tx, saver_id=saver.saver_id, intent_id=intent.id)
    if collection.state == State.SETTLED:
        return
    if payment.amount_cents != collection.amount_cents:
        raise BooksRefused("a collection settles with the amount that was asked for")
    portions = await collection_queries.list_items(tx, saver_id=saver.saver_id, collection_id=collection.id)
    settlement = await settling.settle(tx, saver_id=saver.saver_id, portions=portions)
    to_wallet = payment.amount_cents - settlement.settled_cents
    await _post(tx, collection, settlement, saver=saver, payment=payment, to_wallet_cents=to_wallet)
    await settling.record(
        tx,
        settlement,
        saver_id=saver.saver_id,
        source_id=collection.id,
        how="collected by M-PESA",
        at=payment.event_at,
    )
    await collection_queries.mark_items(
        tx,
        collection,
        [CameOf(part.accrual.spend_id, part.settled_cents, part.outcome) for part in settlement.parts],
    )
    await collection_queries.mark_settled(
        tx, collection, receipt=payment.receipt, to_wallet_cents=to_wallet, settled_at=now
    )
    await accrual_queries.free(tx, saver_id=saver.saver_id, collection_id=collection.id)
    await feed.record(tx, [_feed_row(collection, settlement, payment=payment, to_wallet_cents=to_wallet)])
    await deposits.record_collected(tx, payment, saver_id=saver.saver_id, deposit_id=collection.id)
    await plan_queries.write(
        tx, saver_id=saver.saver_id, restraint=Restraint(), due_at=now + collecting_rules.REST
    )
    tx.note("collection", State.SETTLED)


async def attach_receipt(tx: Tx, *, saver_id: UUID, intent_id: UUID, receipt: str) -> None:
    """Give a settled collection the receipt that a query could not tell. The saver and the receipt are locked."""
    await collection_queries.attach_receipt(tx, saver_id=saver_id, intent_id=intent_id, receipt=receipt)


async def fail_collection(tx: Tx, *, saver_id: UUID, intent_id: UUID, reason: str, now: datetime) -> None:
    """Let the accruals of a collection that was definitely not paid wait again, and leave the saver in peace a while.

    Locks the saver. What is over already stays as it is.
    """
    await users.lock_saver(tx, saver_id=saver_id)
    collection = await _known(tx, saver_id=saver_id, intent_id=intent_id)
    if collection.state not in {State.REQUESTED, State.UNRESOLVED}:
        return
    await collection_queries.mark_failed(tx, collection, reason=reason)
    await accrual_queries.free(tx, saver_id=saver_id, collection_id=collection.id)
    restraint = await plan_queries.find_restraint(tx, saver_id=saver_id)
    restraint = collecting_rules.after_failure(restraint, reason, now)
    await plan_queries.write(
        tx, saver_id=saver_id, restraint=restraint, due_at=collecting_rules.due_at(restraint, now)
    )
    tx.note("collection", State.FAILED)


async def release_collection(tx: Tx, *, saver_id: UUID, intent_id: UUID, now: datetime) -> None:
    """Let the accruals of a collection wait again of which nobody could say for a day whether it was paid.

    Locks the saver. The collection stays unresolved; if its money comes after all, it is settled.
    """
    await users.lock_saver(tx, saver_id=saver_id)
    collection = await _known(tx, saver_id=saver_id, intent_id=intent_id)
    if collection.state != State.REQUESTED:
        return
    await collection_queries.mark_ended(tx, collection, state=State.UNRESOLVED)
    await accrual_queries.free(tx, saver_id=saver_id, collection_id=collection.id)
    restraint = await plan_queries.find_restraint(tx, saver_id=saver_id)
    await plan_queries.write(
        tx, saver_id=saver_id, restraint=restraint, due_at=collecting_rules.due_at(restraint, now)
    )
    tx.note("collection", State.UNRESOLVED)


async def take_back(tx: Tx, collection: CollectionRow, *, reason: str, now: datetime) -> bool:
    """Skip a collection whose prompt was not sent; False when it is too late. The saver must be locked."""
    intent = await intents.find(tx, saver_id=collection.saver_id, intent_id=collection.intent_id)
    if intent is None or not await intents.cancel_requested(tx, intent, reason=reason, now=now):
        return False
    await collection_queries.mark_ended(tx, collection, state=State.SKIPPED)
    await accrual_queries.free(tx, saver_id=collection.saver_id, collection_id=collection.id)
    tx.note("collection", State.SKIPPED)
    return True


async def take_back_announced(tx: Tx, *, saver_id: UUID, reason: str, now: datetime) -> None:
    """Take back every collection whose prompt is still to come. The saver must be locked."""
    for announced in await collection_queries.list_announced(tx, saver_id=saver_id, now=now):
        await take_back(tx, announced, reason=reason, now=now)


async def _known(tx: Tx, *, saver_id: UUID, intent_id: UUID) -> CollectionRow:
    collection = await collection_queries.find_of_intent(tx, saver_id=saver_id, intent_id=intent_id)
    if collection is None:
        raise LookupError("an intent of a collection has none")
    return collection


async def _post(
    tx: Tx,
    collection: CollectionRow,
    settlement: Settlement,
    *,
    saver: SaverRow,
    payment: Payment,
    to_wallet_cents: int,
) -> None:
    """Move the money from the shortcode's float, which the first payment to it opens, to the goals and the wallet."""
    wallet = [(saver.wallet_account_id, to_wallet_cents)] if to_wallet_cents else []
    transfer = Transfer(
        key=f"collection:{collection.id}",
        kind="collection",
        event_at=payment.event_at,
        entries=(
            (accounts.float_id(payment.shortcode), -payment.amount_cents),
            *settlement.entries,
            *wallet,
        ),
    )
    posted = await posting.post_paid_in(tx, transfer, shortcode=payment.shortcode)
    if not posted.stands:
        raise BooksRefused(posted.outcome)


def _feed_row(
    collection: CollectionRow, settlement: Settlement, *, payment: Payment, to_wallet_cents: int
) -> FeedRow:
    return FeedRow(
        saver_id=collection.saver_id,
        id=collection.id,
        type="deposit",
        status="completed",
        direction="in",
        amount_cents=collection.amount_cents,
        occurred_at=payment.event_at,
        title="Round-ups collected",
        receipt=payment.receipt,
        explanation={
            "text": collecting_texts.collected(
                amount_cents=collection.amount_cents,
                fee_cents=collection.fee_cents,
                spends=len(settlement.parts),
                goals=settlement.named,
                to_wallet_cents=to_wallet_cents,
                moved=settlement.moved,
            )
        },
    )
