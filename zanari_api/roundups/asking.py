"""Asks for collections, by itself or because the saver wants one, and takes them back before the prompt is sent."""

from datetime import datetime
from typing import Final
from uuid import UUID

from zanari_api.deposits import intents, receivables
from zanari_api.roundups import (
    accrual_queries,
    collecting_rules,
    collection_queries,
    collections,
    plan_queries,
    rule_service,
)
from zanari_api.roundups.collecting_rules import Restraint, Situation, Wait
from zanari_api.roundups.collection_queries import CollectionRow
from zanari_api.roundups.collections import RequestedBy, State, Terms, Wanted
from zanari_api.roundups.errors import (
    CollectionAlreadyPrompted,
    CollectionNotFound,
    DebtFirst,
    NoNumberLinked,
    NothingWaiting,
)
from zanari_api.roundups.plan_queries import PlanRow
from zanari_api.runtime.db import Tx
from zanari_api.users import linking
from zanari_api.users import service as users
from zanari_api.users.linking import LinkedNumber
from zanari_api.users.rows import SaverRow

SKIPPED: Final = "skipped_by_saver"
REPLACED: Final = "replaced_by_saver"


async def look(tx: Tx, plan: PlanRow, *, terms: Terms, now: datetime) -> None:
    """Ask a saver for a collection if everything allows one, else note when to look again.

    Locks the saver, then the plan; a plan that another worker has leased meanwhile is left to it. Everything is
    read under the saver's lock: what was true when the plan was claimed may not be so now.
    """
    saver = await users.lock_saver(tx, saver_id=plan.saver_id)
    restraint = await plan_queries.hold(tx, plan)
    if restraint is None:
        return
    (rule,) = await rule_service.in_force(tx, moments=[(plan.saver_id, now)])
    waiting = await accrual_queries.list_waiting(tx, saver_id=plan.saver_id)
    open_prompt = await intents.open_prompt(tx, saver_id=plan.saver_id, now=now)
    situation = Situation(
        now=now,
        notice=terms.notice,
        feature_enabled=terms.feature_enabled,
        rule=rule,
        waiting_cents=sum(each.open_cents for each in waiting),
        restraint=restraint,
        open_until=None if open_prompt is None else open_prompt.open_until,
        last_prompt_at=await collection_queries.find_last_prompt(tx, saver_id=plan.saver_id),
    )
    decision = collecting_rules.decide(situation, terms.tariff(now))
    if isinstance(decision, Wait):
        await plan_queries.finish(tx, plan, due_at=decision.until)
        return
    number = await _number_of(tx, saver, terms=terms)
    # Deposits repay what is owed; a collection goes to goals, so while something is owed it would come too soon.
    if number is None or await receivables.owed(tx, saver_id=plan.saver_id):
        await plan_queries.finish(tx, plan, due_at=now + collecting_rules.LOOK_AGAIN)
        return
    wanted = Wanted(
        amount_cents=decision.amount_cents,
        prompts_at=decision.prompts_at,
        number=number,
        requested_by=RequestedBy.SCHEDULE,
    )
    await collections.request(tx, wanted, saver=saver, waiting=waiting, terms=terms, now=now)
    await plan_queries.finish(tx, plan, due_at=decision.prompts_at + collecting_rules.REST)


async def ask(tx: Tx, *, saver_id: UUID, terms: Terms, now: datetime) -> CollectionRow:
    """Ask for a collection now, because the saver wants one: cool-down, pause and quiet hours do not count.

    One that was announced is taken back for it. Locks the saver. Raises NothingWaiting, DebtFirst,
    NoNumberLinked, PromptOpen.
    """
    saver = await users.lock_saver(tx, saver_id=saver_id)
    await collections.take_back_announced(tx, saver_id=saver_id, reason=REPLACED, now=now)
    waiting = await accrual_queries.list_waiting(tx, saver_id=saver_id)
    amount = collecting_rules.choose_amount(
        sum(each.open_cents for each in waiting), collecting_rules.SMALLEST_CENTS, terms.tariff(now)
    )
    if amount == 0:
        raise NothingWaiting
    if await receivables.owed(tx, saver_id=saver_id):
        raise DebtFirst
    number = await _number_of(tx, saver, terms=terms)
    if number is None:
        raise NoNumberLinked
    last = await collection_queries.find_last_prompt_of_amount(
        tx, saver_id=saver_id, amount_cents=amount, since=now - collecting_rules.SAME_AMOUNT_APART
    )
    wanted = Wanted(
        amount_cents=amount,
        prompts_at=collecting_rules.apart(now, last),
        number=number,
        requested_by=RequestedBy.SAVER,
    )
    collection = await collections.request(tx, wanted, saver=saver, waiting=waiting, terms=terms, now=now)
    await plan_queries.write(
        tx,
        saver_id=saver_id,
        restraint=Restraint(),
        due_at=collection.prompts_at + collecting_rules.REST,
    )
    return collection


async def skip(tx: Tx, *, saver_id: UUID, collection_id: UUID, now: datetime) -> CollectionRow:
    """Take back a collection whose prompt was not sent; the next one comes tomorrow at the earliest.

    Locks the saver. Safe to repeat. Raises CollectionNotFound, CollectionAlreadyPrompted.
    """
    await users.lock_saver(tx, saver_id=saver_id)
    collection = await _find(tx, saver_id=saver_id, collection_id=collection_id)
    if collection.state == State.SKIPPED:
        return collection
    if collection.state != State.REQUESTED or not await collections.take_back(
        tx, collection, reason=SKIPPED, now=now
    ):
        raise CollectionAlreadyPrompted(collection_id=collection_id)
    restraint = await plan_queries.find_restraint(tx, saver_id=saver_id)
    restraint = collecting_rules.after_skip(restraint, now)
    await plan_queries.write(
        tx, saver_id=saver_id, restraint=restraint, due_at=collecting_rules.due_at(restraint, now)
    )
    return await _find(tx, saver_id=saver_id, collection_id=collection_id)


async def _number_of(tx: Tx, saver: SaverRow, *, terms: Terms) -> LinkedNumber | None:
    data_key = users.data_key_of(saver, terms.keyring)
    return await linking.default_number(tx, saver_id=saver.saver_id, data_key=data_key)


async def _find(tx: Tx, *, saver_id: UUID, collection_id: UUID) -> CollectionRow:
    collection = await collection_queries.find(tx, saver_id=saver_id, collection_id=collection_id)
    if collection is None:
        raise CollectionNotFound(collection_id=collection_id)
    return collection
