"""Asks for payments by STK push: stores what is asked before anybody is asked, finds it again, takes it back.

Sends nothing and moves no money: the worker sends, and what the payment becomes is settled above.
"""

import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from zanari_api.deposits import intent_queries
from zanari_api.deposits.errors import PromptOpen
from zanari_api.deposits.intent_queries import Event
from zanari_api.deposits.references import INTENT_NUMBERS, make_intent_reference
from zanari_api.deposits.rows import Intent, IntentState, Purpose
from zanari_api.kit.ids import new_id
from zanari_api.runtime.crypto import IndexKey, Keyring, Place
from zanari_api.runtime.db import Tx
from zanari_api.users import service as users
from zanari_api.users.rows import SaverRow

INTENTS: Final = "savings.intents"

OPEN_FOR: Final = timedelta(seconds=120)
"""How long a prompt keeps others away, from when it is sent; one that was not sent by then is not sent at all."""

RESOLVED_WITHIN: Final = timedelta(hours=24)
"""After this an outcome that is still unknown is a break."""

_SECOND: Final = timedelta(seconds=1)


async def request(  # noqa: PLR0913 (an intent is all of it, and each goes by its keyword)
    tx: Tx,
    *,
    saver: SaverRow,
    purpose: Purpose,
    amount_cents: int,
    goal_id: UUID | None,
    account_id: UUID | None,
    msisdn: str,
    shortcode: str,
    index: IndexKey,
    keyring: Keyring,
    now: datetime,
    not_before: datetime | None = None,
) -> Intent:
    """Store an intent that the worker will send to `msisdn` (12 digits, no plus), not before `not_before`.

    The saver must be locked. Raises PromptOpen while another prompt of the saver's is open. A prompt that cannot
    be sent within two minutes of when it is wanted fails as `not_sent`: nobody wants one that comes as a surprise.
    """
    await require_none_open(tx, saver_id=saver.saver_id, now=now)
    starts_at = now if not_before is None else max(now, not_before)
    intent_id = new_id()
    key = users.data_key_of(saver, keyring)
    intent = await _insert(
        tx,
        Intent(
            saver_id=saver.saver_id,
            id=intent_id,
            purpose=purpose,
            reference="",
            shortcode=shortcode,
            amount_cents=amount_cents,
            goal_id=goal_id,
            account_id=account_id,
            msisdn=key.encrypt(msisdn.encode(), msisdn_place(intent_id)),
            blind_index=index.number(msisdn),
            state=IntentState.REQUESTED,
            reason=None,
            requested_at=now,
            not_before=starts_at,
            open_until=starts_at + OPEN_FOR,
            expires_at=starts_at + RESOLVED_WITHIN,
            submitting_at=None,
            prompted_at=None,
            finished_at=None,
            checkout_request_id=None,
            receipt=None,
            settled_by=None,
        ),
    )
    await note(tx, intent, Event(state=IntentState.REQUESTED, cause="requested", happened_at=now))
    return intent


async def require_none_open(tx: Tx, *, saver_id: UUID, now: datetime) -> None:
    """Raise PromptOpen while a prompt of the saver's is open."""
    in_the_way = await open_prompt(tx, saver_id=saver_id, now=now)
    if in_the_way is not None:
        raise PromptOpen(retry_after=seconds_open(in_the_way, now), intent_id=in_the_way.id)


async def open_prompt(tx: Tx, *, saver_id: UUID, now: datetime) -> Intent | None:
    """Return the saver's prompt that is open, or about to be: not definite, and sent less than two minutes ago."""
    return await intent_queries.find_open_prompt(tx, saver_id=saver_id, now=now)


async def cancel_requested(tx: Tx, intent: Intent, *, reason: str, now: datetime) -> bool:
    """Give up an intent of which nothing was sent; False when it is too late. The saver must be locked."""
    if not await intent_queries.cancel_requested(
        tx, saver_id=intent.saver_id, intent_id=intent.id, reason=reason, now=now
    ):
        return False
    await note(tx, intent, Event(state=IntentState.FAILED, cause=reason, happened_at=now))
    return True


async def stop_for_number(tx: Tx, *, saver_id: UUID, account_id: UUID, now: datetime) -> None:
    """Have the worker look at once at what was not sent to a number that is no longer the saver's: it fails there."""
    await intent_queries.hasten(tx, saver_id=saver_id, account_id=account_id, now=now)


async def is_awaited(tx: Tx, *, saver_id: UUID, account_id: UUID, now: datetime) -> bool:
    """Tell whether a number is about to be prompted, or has a prompt that is open. The saver must be locked."""
    return await intent_queries.is_awaited(tx, saver_id=saver_id, account_id=account_id, now=now)


async def count_links_asked(tx: Tx, *, saver_id: UUID, since: datetime) -> int:
    """Return how often a saver has asked for a number to be linked since then."""
    return await intent_queries.count_requested(
        tx, saver_id=saver_id, purpose=Purpose.ACCOUNT_LINK, since=since
    )


async def list_newest(tx: Tx, *, saver_id: UUID, before: tuple[datetime, UUID], limit: int) -> list[Intent]:
    """Return what a saver asked for: deposits and links, older than `before` (time, id), the newest first."""
    return await intent_queries.list_newest(tx, saver_id=saver_id, before=before, limit=limit)


async def find(tx: Tx, *, saver_id: UUID, intent_id: UUID) -> Intent | None:
    return await intent_queries.find(tx, saver_id=saver_id, intent_id=intent_id)


async def find_by_reference(tx: Tx, *, reference: str) -> Intent | None:
    """Return the intent of a reference, in the form it is stored in. Sees all savers' as Role.SYSTEM alone."""
    return await intent_queries.find_by_reference(tx, reference=reference)


async def lock_handle(tx: Tx, *, checkout_hash: bytes) -> None:
    """Hold a handle until the transaction ends, before any saver: its reply and its callback wait for each other."""
    await intent_queries.lock_handle(tx, checkout_hash=checkout_hash)


async def find_by_checkout_hash(tx: Tx, *, checkout_hash: bytes) -> Intent | None:
    """Return the intent whose push Safaricom gave this handle. Sees all savers' as Role.SYSTEM alone."""
    return await intent_queries.find_by_checkout(tx, checkout_hash=checkout_hash)


async def find_by_receipt(tx: Tx, *, receipt: str) -> Intent | None:
    """Return the intent that a receipt settled. Sees all savers' as Role.SYSTEM alone."""
    return await intent_queries.find_by_receipt(tx, receipt=receipt)


async def note(tx: Tx, intent: Intent, event: Event) -> None:
    """Record a step of an intent in the transaction that takes it."""
    await intent_queries.insert_event(tx, event, saver_id=intent.saver_id, intent_id=intent.id)
    tx.note("intent", intent.purpose, event.state)


def seconds_open(intent: Intent, now: datetime) -> int:
    """Return in how many seconds the intent is open no more, a part of one counted whole."""
    return max(1, -((now - intent.open_until) // _SECOND))


def msisdn_place(intent_id: UUID) -> Place:
    return Place(INTENTS, "msisdn", intent_id)


def checkout_hash(index: IndexKey, checkout_request_id: str) -> bytes:
    """Return the keyed hash by which Safaricom's handle is found: the handle itself holds digits of the number."""
    return index.digest("handle", checkout_request_id.encode())


async def _insert(tx: Tx, wanted: Intent) -> Intent:
    """Insert under a reference that nobody has. A number drawn from ten thousand million is seldom taken."""
    while True:
        reference = make_intent_reference(secrets.randbelow(len(INTENT_NUMBERS)))
        inserted = await intent_queries.insert_intent(tx, replace(wanted, reference=reference))
        if inserted is not None:
            return inserted
