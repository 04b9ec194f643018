"""Takes callbacks in: stored first, acted on in the same transaction, once, whatever is delivered how often.

What cannot be acted on is kept all the same: deferred for the worker, or quarantined for a person.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog

from zanari_api.mpesa import callback_store, inbox_queries
from zanari_api.mpesa.callback_store import BodyErased, Delivery
from zanari_api.mpesa.effects import EFFECTS
from zanari_api.mpesa.inbox import CallbackKind, Effected, InboxItem, Intake, Outcome
from zanari_api.mpesa.inbox_queries import ClaimedCallback
from zanari_api.mpesa.inbox_rows import CallbackRow, Filter
from zanari_api.runtime import audit
from zanari_api.runtime.db import Database, DatabaseUnavailable, Role, Tx
from zanari_api.runtime.jobs import backoff
from zanari_api.runtime.log_budget import LogBudget
from zanari_api.runtime.metrics import Metrics

log = structlog.get_logger(__name__)

LOOKED_AT_AGAIN: Final = frozenset({Outcome.QUARANTINED, Outcome.WAITING})
"""What another delivery may change: a shortcode may have become ours since, or what it answers be there now."""

RECOVERED: Final = frozenset({Outcome.CREDITED, Outcome.SUSPENSE, Outcome.SETTLED})
"""Outcomes of a pulled payment that nobody had told us of."""

DISMISSED: Final = "dismissed"


async def take_in(
    database: Database, delivery: Delivery, *, intake: Intake, deferred_log: LogBudget
) -> Effected:
    """Store a delivery and act on it; where acting on it fails unexpectedly, store it for the worker.

    When this returns, it is on disk. Raises DatabaseUnavailable or TryAgain when it is not.
    """
    try:
        return await database.unit_of_work(
            lambda tx: receive(tx, delivery, intake=intake), role=Role.SYSTEM, reuse_plans=True
        )
    except DatabaseUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 (logged below; whatever it is, the callback must not be lost)
        deferred_log.warning(kind=delivery.kind, error=type(error).__name__, exc_info=error)
    return await database.unit_of_work(lambda tx: defer(tx, delivery, intake=intake), role=Role.SYSTEM)


async def receive(tx: Tx, delivery: Delivery, *, intake: Intake) -> Effected:
    """Store a delivery and act on it, where the same one was not acted on before. Runs as Role.SYSTEM.

    Locks the callback's row, then what its effect locks. Raises what the effect raises, Rerun among it.
    """
    stored, item = await callback_store.store(tx, delivery, intake=intake)
    known = stored.deliveries > 1 and stored.outcome not in LOOKED_AT_AGAIN
    # A question is answered each time it is asked.
    if known and delivery.kind is not CallbackKind.C2B_VALIDATION:
        return Effected(Outcome.DUPLICATE)
    return await act(tx, item, intake=intake)


async def defer(tx: Tx, delivery: Delivery, *, intake: Intake) -> Effected:
    """Store a delivery for the worker to act on; one that was stored before is left as it is."""
    due_at = intake.policy.now + backoff(1)
    stored, _ = await callback_store.store(tx, delivery, intake=intake, due_at=due_at)
    return Effected(Outcome.DUPLICATE if stored.deliveries > 1 else Outcome.DEFERRED)


async def act(tx: Tx, item: InboxItem, *, intake: Intake) -> Effected:
    """Act on a callback whose row is locked, and write what became of it."""
    effected = await EFFECTS[item.kind](tx, item, intake)
    return await callback_store.conclude(tx, item, effected, now=intake.policy.now)


async def look_again(tx: Tx, row: ClaimedCallback, *, intake: Intake) -> tuple[str, Effected] | None:
    """Act on a callback that a worker has leased; return what became of it before and now.

    None when the lease was lost: another delivery, an operator or another worker was faster.
    """
    locked = await inbox_queries.lock_leased(tx, callback_id=row.id, lease_id=row.lease_id)
    if locked is None:
        return None
    item = callback_store.open_item(locked, keys=intake.keys)
    return locked.outcome, await act(tx, item, intake=intake)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What an operator's replay changed, if anything."""

    before: Effected
    after: Effected


async def replay(tx: Tx, callback_id: UUID, *, operator: str, reason: str, intake: Intake) -> Replayed | None:
    """Act on a stored callback again and record who had it done; None when there is none with this id.

    Safe whatever it did before: every effect happens once. Raises BodyErased where it is too old for that, and what
    the effect raises; nothing is changed then.
    """
    locked = await inbox_queries.lock(tx, callback_id=callback_id)
    if locked is None:
        return None
    before = Effected(Outcome(locked.outcome), locked.saver_id, locked.note)
    after = await act(tx, callback_store.open_item(locked, keys=intake.keys), intake=intake)
    await audit.record(
        tx,
        operator=operator,
        act="callback_replayed",
        subject=f"callback:{callback_id}",
        reason=reason,
        before=_told(before),
        after=_told(after),
    )
    return Replayed(before, after)


async def dismiss(tx: Tx, callback_id: UUID, *, operator: str, reason: str) -> Replayed | None:
    """Take a callback out of quarantine that a person has looked at and that nothing follows from. Audited.

    None when there is none with this id. One that is not quarantined stays as it is.
    """
    locked = await inbox_queries.lock(tx, callback_id=callback_id)
    if locked is None:
        return None
    before = Effected(Outcome(locked.outcome), locked.saver_id, locked.note)
    if before.outcome is not Outcome.QUARANTINED:
        return Replayed(before, before)
    after = Effected(Outcome.NOTED, locked.saver_id, DISMISSED)
    await inbox_queries.conclude(
        tx,
        callback_id=callback_id,
        outcome=after.outcome,
        saver_id=after.saver_id,
        note=after.note,
        due_at=None,
    )
    await audit.record(
        tx,
        operator=operator,
        act="callback_dismissed",
        subject=f"callback:{callback_id}",
        reason=reason,
        before=_told(before),
        after=_told(after),
    )
    return Replayed(before, after)


async def list_callbacks(tx: Tx, wanted: Filter) -> list[CallbackRow]:
    """Return the callbacks an operator asks for, the newest first."""
    return await inbox_queries.list_callbacks(tx, wanted)


async def find(tx: Tx, callback_id: UUID, *, intake: Intake) -> tuple[CallbackRow, bytes | None] | None:
    """Return a callback and its body in clear, None for one that was erased; None when there is none with this id.

    Raises Undecryptable.
    """
    row = await inbox_queries.find(tx, callback_id=callback_id)
    sealed = await inbox_queries.read(tx, callback_id=callback_id)
    if row is None or sealed is None:
        return None
    try:
        return row, callback_store.open_item(sealed, keys=intake.keys).body
    except BodyErased:
        return row, None


def tell(metrics: Metrics, kind: CallbackKind, outcome: Outcome) -> None:
    """Count and log what became of a callback, once that is committed."""
    metrics.callbacks.labels(kind, outcome).inc()
    if kind is CallbackKind.PULL and outcome in RECOVERED:
        metrics.recovered_payments.inc()
    log.info("callback_received", kind=kind, outcome=outcome)


def _told(effected: Effected) -> dict[str, object]:
    return {"outcome": effected.outcome, "note": effected.note, "saver_id": effected.saver_id}
