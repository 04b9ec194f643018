"""Sends the prompts that were asked for, each once, and asks what became of those that stay silent. Guesses nothing."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from zanari_api.daraja.client import DarajaClient
from zanari_api.daraja.codes import Kind
from zanari_api.daraja.errors import (
    DarajaError,
    DarajaRefused,
    DarajaUnavailable,
    DarajaUnresolved,
    RefusalReason,
)
from zanari_api.daraja.requests import StkPush
from zanari_api.daraja.stk import StkOutcome
from zanari_api.deposits import intents, steps
from zanari_api.deposits.rows import Channel, DueIntent, Intent, IntentState, Payment, Purpose
from zanari_api.deposits.steps import Turn
from zanari_api.kit.clock import Clock
from zanari_api.mpesa import callback_store, pull_queries, settlement
from zanari_api.mpesa.inbox import CallbackKind, Intake
from zanari_api.roundups import collections
from zanari_api.runtime.crypto import DataKey
from zanari_api.runtime.db import Database, Role, Tx
from zanari_api.runtime.jobs import RowJob, backoff
from zanari_api.users import service as users

log = structlog.get_logger(__name__)

DESCRIPTIONS: Final = {
    Purpose.DEPOSIT: "Zanari",
    Purpose.COLLECTION: "Round-ups",
    Purpose.ACCOUNT_LINK: "Zanari link",
}
"""What the prompt says it is for; 13 characters at most."""

NOT_SENT: Final = "not_sent"
NUMBER_UNLINKED: Final = "number_unlinked"
LOST: Final = "lost"
NOT_HEARD: Final = "not_heard"
"""Reasons of ours, where Safaricom gave none."""

PAID_WITHIN: Final = timedelta(hours=1)
"""A payment that a prompt led to is in Safaricom's list this long after the prompt was open, or there is none."""

PULLED_AGAIN: Final = timedelta(minutes=10)
"""How often a collection past its day looks whether a pull has shown nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompting:
    """What prompts are sent with. `callback_url` is where Safaricom posts what became of one.

    `intake` is asked for each decision anew: it has a time.
    """

    database: Database
    daraja: DarajaClient
    clock: Clock
    intake: Callable[[], Awaitable[Intake]]
    callback_url: str


def jobs(parts: Prompting) -> list[RowJob[Any]]:
    """Return the jobs of prompts: one that sends, one that asks."""

    async def send(row: DueIntent) -> None:
        await _send(parts, row)

    async def check(row: DueIntent) -> None:
        await _check(parts, row)

    return [
        RowJob(
            name="prompts",
            claim=steps.claim_prompts,
            work=send,
            postpone=steps.postpone,
            count=steps.count_prompts,
            list_dead=steps.list_dead_prompts,
            revive=steps.revive_prompt,
            lease_s=120,
            batch=5,
        ),
        RowJob(
            name="prompt_checks",
            claim=steps.claim_checks,
            work=check,
            postpone=steps.postpone,
            count=steps.count_checks,
            list_dead=steps.list_dead_checks,
            revive=steps.revive_check,
            idle_s=5,
            lease_s=120,
            batch=5,
        ),
    ]


@dataclass(frozen=True, slots=True)
class _Ready:
    """A prompt that is marked as being sent, and how."""

    intent: Intent
    push: StkPush
    data_key: DataKey


async def _send(parts: Prompting, row: DueIntent) -> None:
    intake = await parts.intake()

    async def begin(tx: Tx) -> _Ready | None:
        return await _begin(tx, row, intake=intake, callback_url=parts.callback_url)

    # Committed before the socket opens: a worker that dies now leaves a prompt that may be on the phone.
    ready = await parts.database.unit_of_work(begin, role=Role.SYSTEM)
    if ready is None:
        return
    try:
        accepted = await parts.daraja.stk_push(ready.push)
    except DarajaUnavailable as error:
        await _ask_again_later(parts, row, error=error)
    except DarajaRefused as error:
        await _refused(parts, row, ready.intent, error=error)
    except DarajaUnresolved as error:
        await _lost(parts, ready.intent, cause=f"push:{error.cause}")
    else:
        await _prompted(parts, ready, checkout_request_id=accepted.checkout_request_id)


async def _begin(tx: Tx, row: DueIntent, *, intake: Intake, callback_url: str) -> _Ready | None:
    """Decide what becomes of a requested intent now; return it where it is to be sent. Locks the saver."""
    saver = await users.lock_saver(tx, saver_id=row.saver_id)
    begun = await steps.begin(tx, row, now=intake.policy.now)
    if begun is None:
        return None
    intent, turn = begun
    match turn:
        case Turn.SEND:
            data_key = users.data_key_of(saver, intake.policy.keyring)
            push = StkPush(
                amount_cents=intent.amount_cents,
                msisdn=data_key.decrypt(intent.msisdn, intents.msisdn_place(intent.id)).decode(),
                account_reference=intent.reference,
                description=DESCRIPTIONS[intent.purpose],
                callback_url=callback_url,
            )
            return _Ready(intent, push, data_key)
        case Turn.INTERRUPTED:
            await settlement.doubt(
                tx, intent, reason=LOST, cause="worker_lost", intake=intake, due_at=intent.expires_at
            )
        case Turn.TOO_LATE:
            await settlement.fail(tx, intent, reason=NOT_SENT, cause=NOT_SENT, intake=intake)
        case Turn.UNWANTED:
            await settlement.fail(tx, intent, reason=NUMBER_UNLINKED, cause=NUMBER_UNLINKED, intake=intake)
    return None


async def _ask_again_later(parts: Prompting, row: DueIntent, *, error: DarajaError) -> None:
    async def again(tx: Tx) -> None:
        due_at = parts.clock.now() + backoff(row.attempts)
        await steps.take_back(tx, row, due_at=due_at, error=error.why)

    await parts.database.unit_of_work(again, role=Role.SYSTEM)


async def _refused(parts: Prompting, row: DueIntent, intent: Intent, *, error: DarajaRefused) -> None:
    if error.reason is RefusalReason.THROTTLED:
        await _ask_again_later(parts, row, error=error)
        return
    intake = await parts.intake()

    async def refused(tx: Tx) -> None:
        await settlement.fail(tx, intent, reason=error.reason, cause=f"push:{error.reason}", intake=intake)

    await parts.database.unit_of_work(refused, role=Role.SYSTEM)


async def _lost(parts: Prompting, intent: Intent, *, cause: str) -> None:
    """Note that a push may have been heard, and that its handle is not known: its payment names it all the same."""
    intake = await parts.intake()

    async def lost(tx: Tx) -> None:
        await settlement.doubt(tx, intent, reason=LOST, cause=cause, intake=intake, due_at=intent.expires_at)

    await parts.database.unit_of_work(lost, role=Role.SYSTEM)


async def _prompted(parts: Prompting, ready: _Ready, *, checkout_request_id: str) -> None:
    intake = await parts.intake()

    async def prompted(tx: Tx) -> None:
        handle = intents.checkout_hash(intake.keys.index, checkout_request_id)
        await intents.lock_handle(tx, checkout_hash=handle)
        await users.lock_saver(tx, saver_id=ready.intent.saver_id)
        await steps.prompt(
            tx,
            ready.intent,
            checkout_request_id=checkout_request_id,
            index=intake.keys.index,
            key=ready.data_key,
            now=intake.policy.now,
        )

    await parts.database.unit_of_work(prompted, role=Role.SYSTEM)

    async def wake(tx: Tx) -> None:
        await callback_store.wake(tx, kind=CallbackKind.STK, now=intake.policy.now)

    # Its callback may have been faster than the reply, and waits for the handle since.
    await parts.database.unit_of_work(wake, role=Role.SYSTEM)


async def _check(parts: Prompting, row: DueIntent) -> None:
    intake = await parts.intake()

    async def look(tx: Tx) -> tuple[Intent, str] | None:
        return await _whom_to_ask(tx, row, intake=intake)

    asked = await parts.database.unit_of_work(look, role=Role.SYSTEM)
    if asked is None:
        return
    intent, handle = asked
    outcome: StkOutcome | None = None
    try:
        outcome = await parts.daraja.stk_query(handle)
    except DarajaError as error:
        log.info("prompt_not_answered_for", intent_id=str(intent.id), why=error.why)
    answered = await parts.intake()

    async def conclude(tx: Tx) -> None:
        await _conclude(tx, row, intent, outcome, intake=answered)

    await parts.database.unit_of_work(conclude, role=Role.SYSTEM)


async def _whom_to_ask(tx: Tx, row: DueIntent, *, intake: Intake) -> tuple[Intent, str] | None:
    """Return an intent and its handle where Safaricom is to be asked; otherwise do what is due. Locks the saver."""
    saver, now = await users.lock_saver(tx, saver_id=row.saver_id), intake.policy.now
    intent = await intents.find(tx, saver_id=row.saver_id, intent_id=row.id)
    if intent is None or intent.state is IntentState.FAILED:
        await steps.rest(tx, row, until=None)
        return None
    if intent.state is IntentState.SETTLED:
        await _miss_receipt(tx, row, intent, now=now)
        return None
    if now >= intent.expires_at:
        await _give_up(tx, intent, now=now)
        return None
    handle = steps.open_handle(intent, users.data_key_of(saver, intake.policy.keyring))
    if handle is None or intent.reason in settlement.DISTRUSTED:
        await steps.rest(tx, row, until=intent.expires_at)
        return None
    return intent, handle


async def _conclude(
    tx: Tx, row: DueIntent, intent: Intent, outcome: StkOutcome | None, *, intake: Intake
) -> None:
    """Act on the answer to a question. A failure never undoes a success; what is not definite is asked again."""
    now = intake.policy.now
    if outcome is not None and outcome.meaning.kind is Kind.SUCCESS:
        payment = Payment(
            receipt=None,
            amount_cents=intent.amount_cents,
            shortcode=intent.shortcode,
            # A query tells no time; the payer answered soon after being asked.
            event_at=intent.prompted_at or now,
            callback_id=None,
            channel=Channel.STK_QUERY,
        )
        await settlement.settle(tx, intent, payment, intake=intake)
        # Where that changed nothing, there is nothing to ask any more either.
        await steps.rest(tx, row, until=None)
    elif outcome is not None and outcome.meaning.kind is Kind.FAILED:
        cause = settlement.cause_of(Channel.STK_QUERY, outcome.result_code)
        await settlement.fail(tx, intent, reason=outcome.meaning.reason, cause=cause, intake=intake)
        await steps.rest(tx, row, until=None)
    else:
        await users.lock_saver(tx, saver_id=row.saver_id)
        await steps.rest(tx, row, until=steps.next_query_at(intent, now))


async def _miss_receipt(tx: Tx, row: DueIntent, intent: Intent, *, now: datetime) -> None:
    await settlement.note_break(
        tx, intent, suspected_cause="a query said that it is paid, and no receipt has come for a day", now=now
    )
    await steps.rest(tx, row, until=None)


async def _give_up(tx: Tx, intent: Intent, *, now: datetime) -> None:
    """Name an intent as a break of which nobody could say for a day whether it is paid. Money that comes still counts.

    The round-ups of a collection wait again as soon as a pull, too, has shown nothing.
    """
    if intent.reason not in settlement.DISTRUSTED | {NOT_HEARD}:
        await steps.doubt(tx, intent, reason=NOT_HEARD, cause="expired", now=now, due_at=now)
        await settlement.note_break(
            tx, intent, suspected_cause="nobody could say for a day whether it is paid", now=now
        )
    until: datetime | None = None
    if intent.purpose is Purpose.COLLECTION:
        pulled = await pull_queries.find(tx, shortcode=intent.shortcode)
        known_until = None if pulled is None else pulled.pulled_until
        if known_until is not None and known_until >= intent.open_until + PAID_WITHIN:
            await collections.release_collection(tx, saver_id=intent.saver_id, intent_id=intent.id, now=now)
        else:
            until = now + PULLED_AGAIN
    await steps.look_at(tx, intent, at=until)
