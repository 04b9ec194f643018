"""Names the rows of money that jobs have given up as breaks, and brings one back at an operator's word. Works on none.

A break opens in the transaction in which its row is given up, and closes with the operator's word. What comes back
to life in another way (a callback settles it, an operator ends it) is seen at the next look.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from zanari_api.kit.clock import Clock
from zanari_api.mpesa import breaks
from zanari_api.mpesa.breaks import BreakKind
from zanari_api.runtime import audit
from zanari_api.runtime.db import Database, Role, Tx
from zanari_api.runtime.jobs import DeadRow, RowJob
from zanari_api.runtime.schedules import Schedule

LOOKED_EVERY: Final = timedelta(minutes=5)
BECAUSE_MAX: Final = 1000


def named(jobs: Sequence[RowJob[Any]]) -> list[RowJob[Any]]:
    """Return the same jobs, each of which opens a break for what it gives up."""
    return [_named(job) for job in jobs]


def schedule(jobs: Sequence[RowJob[Any]], *, database: Database, clock: Clock) -> Schedule:
    """Return the schedule that compares breaks with what is given up."""

    async def run() -> None:
        await database.unit_of_work(lambda tx: look(tx, jobs, now=clock.now()), role=Role.SYSTEM)

    return Schedule(name="given_up", run=run, every=LOOKED_EVERY)


async def look(tx: Tx, jobs: Sequence[RowJob[Any]], *, now: datetime) -> None:
    """Name each row that is given up, and close the breaks of those that are not any more. Runs as Role.SYSTEM."""
    # Read before the rows: a break that is opened meanwhile is not mistaken for one whose row is alive.
    known = [each.subject for each in await breaks.list_open_of(tx, [BreakKind.WORK_GIVEN_UP])]
    dead = {_subject(job, row.id): (job, row) for job in jobs for row in await job.list_dead(tx)}
    for job, row in dead.values():
        await _note(tx, job, row, now=now)
    for subject in known:
        if subject not in dead:
            await breaks.close_break(
                tx,
                kind=BreakKind.WORK_GIVEN_UP,
                subject=subject,
                because="it is worked on again, or needs no work any more",
                now=now,
            )


async def revive(
    tx: Tx, job: RowJob[Any], row_id: UUID, *, operator: str, reason: str, now: datetime
) -> bool:
    """Make a row due that was given up, and close its break; False when there is no such row. Audited.

    Safe whatever had become of the row: it says itself what was sent, and that is asked about, not sent again.
    """
    if not await job.revive(tx, row_id, now):
        return False
    subject = _subject(job, row_id)
    await audit.record(
        tx,
        operator=operator,
        act="work_revived",
        subject=subject,
        reason=reason,
        before={"dead": True},
        after={"dead": False, "due_at": now},
    )
    because = f"{operator} revived it: {reason}"[:BECAUSE_MAX]
    await breaks.close_break(tx, kind=BreakKind.WORK_GIVEN_UP, subject=subject, because=because, now=now)
    return True


def _named(job: RowJob[Any]) -> RowJob[Any]:
    async def note(tx: Tx, dead: DeadRow) -> None:
        await _note(tx, job, dead, now=dead.since)

    return replace(job, on_dead=note)


async def _note(tx: Tx, job: RowJob[Any], dead: DeadRow, *, now: datetime) -> None:
    await breaks.note_break(
        tx,
        kind=BreakKind.WORK_GIVEN_UP,
        subject=_subject(job, dead.id),
        amount_cents=dead.amount_cents,
        suspected_cause=f"work on it failed again and again, at last with {dead.error}",
        command=f"zanari jobs revive {job.name} {dead.id} --reason TEXT, once the cause is mended",
        now=now,
    )


def _subject(job: RowJob[Any], row_id: UUID) -> str:
    return f"{job.name}:{row_id}"
