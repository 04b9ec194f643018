"""Stores callbacks, opens them again, and writes what became of them. Acts on none.

A body is stored without credentials and encrypted. What waits for something to match it is looked at again and
again, ever less often, for a day.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from zanari_api.daraja.redaction import redact_body
from zanari_api.kit.ids import new_id
from zanari_api.mpesa import inbox_queries
from zanari_api.mpesa.inbox import CallbackKind, Effected, InboxItem, Intake, Note, Outcome
from zanari_api.mpesa.inbox_queries import NewCallback, SealedCallback, Stored
from zanari_api.runtime.crypto import Place, ServiceKeys
from zanari_api.runtime.db import Tx

WAITS_FOR: Final = timedelta(hours=24)
"""How long a callback waits for what it answers; then a person has to look at it."""

SOONEST: Final = timedelta(seconds=2)
SELDOMEST: Final = timedelta(minutes=15)


class BodyErased(Exception):  # noqa: N818 (reads as what it says)
    """The callback is so old that its body was erased; what became of it is known still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A callback as it was posted. `source_listed` None: it came some other way than by its route."""

    kind: CallbackKind
    body: bytes = field(repr=False)
    source_listed: bool | None = None


def body_place(callback_id: UUID) -> Place:
    return Place("mpesa.callbacks", "body", callback_id)


async def store(
    tx: Tx,
    delivery: Delivery,
    *,
    intake: Intake,
    outcome: Outcome = Outcome.DEFERRED,
    due_at: datetime | None = None,
) -> tuple[Stored, InboxItem]:
    """Store a delivery and lock its row; the same body again is counted and not stored again.

    `outcome` stands until it is acted on, by the worker at `due_at` where whoever stores it does not.
    """
    callback_id, body, keys = new_id(), redact_body(delivery.body), intake.keys
    new = NewCallback(
        id=callback_id,
        kind=delivery.kind,
        dedupe_hash=keys.index.digest("callback", delivery.kind.encode(), delivery.body),
        body=keys.inbox.encrypt(body, body_place(callback_id)),
        outcome=outcome,
        source_listed=delivery.source_listed,
        received_at=intake.policy.now,
        due_at=due_at,
    )
    stored = await inbox_queries.store(tx, new)
    item = InboxItem(id=stored.id, kind=delivery.kind, body=body, received_at=stored.received_at)
    return stored, item


def open_item(sealed: SealedCallback, *, keys: ServiceKeys) -> InboxItem:
    """Decrypt a stored callback. Raises BodyErased, or Undecryptable."""
    if not sealed.body:
        raise BodyErased
    return InboxItem(
        id=sealed.id,
        kind=CallbackKind(sealed.kind),
        body=keys.inbox.decrypt(sealed.body, body_place(sealed.id)),
        received_at=sealed.received_at,
    )


async def wake(tx: Tx, *, kind: CallbackKind, now: datetime) -> None:
    """Have the worker look at once at callbacks that have waited: what one of them answers may be known now.

    In a transaction of its own: a callback's row is locked before any saver.
    """
    await inbox_queries.wake(tx, kind=kind, now=now)


async def conclude(tx: Tx, item: InboxItem, effected: Effected, *, now: datetime) -> Effected:
    """Write what became of a callback and return it: one that has waited for a day in vain is quarantined."""
    due_at = None
    if effected.outcome is Outcome.WAITING:
        due_at = _next_look(item.received_at, now=now)
        if due_at is None:
            effected = replace(effected, outcome=Outcome.QUARANTINED, note=Note.UNMATCHED)
    await inbox_queries.conclude(
        tx,
        callback_id=item.id,
        outcome=effected.outcome,
        saver_id=effected.saver_id,
        note=effected.note,
        due_at=due_at,
    )
    return effected


def _next_look(received_at: datetime, *, now: datetime) -> datetime | None:
    """Return when to look again at what matches nothing yet; None once it has waited long enough."""
    waited = now - received_at
    if waited >= WAITS_FOR:
        return None
    wait = min(max(waited // 4, SOONEST), SELDOMEST)
    return min(now + wait, received_at + WAITS_FOR)
