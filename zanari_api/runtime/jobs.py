"""Work that runs by itself: a row in its own state table is the job. Claims, leases, postpones; decides nothing else.

A claim is one short transaction that leases rows to one worker; the work opens transactions of its own, never
held while somebody else is waited for. A lease that runs out frees its row, and the lease's id keeps a worker
that lost it from writing there.
"""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Generic, Protocol, TypeVar
from uuid import UUID

import structlog

from zanari_api.kit.clock import Clock
from zanari_api.kit.errors import Unavailable
from zanari_api.kit.ids import new_id
from zanari_api.runtime.db import Database, Role, Tx

LONGEST_DOUBLING: Final = 30

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claiming statement needs: whose lease it is, until when, and how many rows at most."""

    lease_id: UUID
    now: datetime
    lease_until: datetime
    limit: int


@dataclass(frozen=True, slots=True)
class Postponement:
    """What becomes of a row whose work failed. `error` names the failure's class and never quotes it.

    `due_at` is when it is tried again, or when it was given up.
    """

    due_at: datetime
    error: str
    dead: bool
    """Whether it was tried often enough: it is not tried again until a person looks at it."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits to be worked on now."""

    due: int
    oldest_due_at: datetime | None
    dead: int


@dataclass(frozen=True, slots=True)
class DeadRow:
    """A row that was given up and waits for a person. `error` names the class of its last failure."""

    id: UUID
    amount_cents: int
    """The money whose end waits for it; 0 where it is about no amount."""

    error: str
    since: datetime


class RowOfWork(Protocol):
    """What every claimed row knows of its own claim."""

    @property
    def lease_id(self) -> UUID: ...

    @property
    def attempts(self) -> int:
        """How often it was claimed, this time included."""
        ...


Row = TypeVar("Row", bound=RowOfWork)


class JobOutcome(StrEnum):
    """What became of one try at one row."""

    DONE = "done"
    "worked on; the row itself says what is next"

    POSTPONED = "postponed"
    "something was away; it is tried again later"

    FAILED = "failed"
    "a bug or an unexpected answer; it is tried again later"

    DEAD = "dead"
    "tried often enough: waits for a person"


async def tell_nobody(_tx: Tx, _dead: DeadRow) -> None:
    """Do nothing about a row that was given up: it is seen some other way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowJob(Generic[Row]):
    """One kind of work.

    `claim` leases due rows (FOR UPDATE SKIP LOCKED) and counts the attempt. `work` carries one out and sets what
    is next; it checks the lease in each write. What it raises postpones the row; `expected` is what may be raised
    while something is away, anything else is logged as a fault. `count` is for the metrics.

    `postpone` returns the row where it is given up by this, None where it is not, or was another's by then.
    `on_dead` is told of it in the same transaction. `list_dead` lists what was given up, the oldest first; `revive`
    makes one of those due and tells whether there was one.
    """

    name: str
    claim: Callable[[Tx, Claim], Awaitable[Sequence[Row]]]
    work: Callable[[Row], Awaitable[None]]
    postpone: Callable[[Tx, Row, Postponement], Awaitable[DeadRow | None]]
    count: Callable[[Tx, datetime], Awaitable[Backlog]]
    list_dead: Callable[[Tx], Awaitable[Sequence[DeadRow]]]
    revive: Callable[[Tx, UUID, datetime], Awaitable[bool]]
    on_dead: Callable[[Tx, DeadRow], Awaitable[None]] = tell_nobody
    expected: tuple[type[Exception], ...] = (Unavailable,)
    idle_s: int = 1
    lease_s: int = 60
    batch: int = 10
    attempts_max: int = 20


def backoff(attempts: int, *, first_s: int = 2, most_s: int = 300) -> timedelta:
    """Return how long to wait after so many attempts: twice as long each time, a little more or less by chance."""
    seconds = min(most_s, first_s << min(max(attempts - 1, 0), LONGEST_DOUBLING))
    return timedelta(milliseconds=seconds * random.randint(800, 1200))  # noqa: S311 (jitter, not a secret)


async def run_round(
    job: RowJob[Row],
    *,
    database: Database,
    clock: Clock,
    on_outcome: Callable[[str, JobOutcome], None] = lambda _job, _outcome: None,
    stopping: Callable[[], bool] = lambda: False,
) -> int:
    """Claim due rows and work on each; return how many were claimed. Raises Unavailable when nothing could be claimed.

    A worker that is told to stop leaves the rows it has not begun: their leases run out, and another takes them.
    """
    now = clock.now()
    claim = Claim(new_id(), now, now + timedelta(seconds=job.lease_s), job.batch)

    async def take(tx: Tx) -> Sequence[Row]:
        return await job.claim(tx, claim)

    rows = await database.unit_of_work(take, role=Role.SYSTEM)
    for row in rows:
        if stopping():
            break
        on_outcome(job.name, await _try(job, row, database=database, clock=clock))
    return len(rows)


async def _try(job: RowJob[Row], row: Row, *, database: Database, clock: Clock) -> JobOutcome:
    try:
        await job.work(row)
    except Exception as error:
        # Whatever it is, the row must be tried again, and the others go on.
        dead = row.attempts >= job.attempts_max
        outcome = JobOutcome.POSTPONED if isinstance(error, job.expected) else JobOutcome.FAILED
        if outcome is JobOutcome.FAILED:
            log.exception("job_failed", job=job.name, attempts=row.attempts)
        now = clock.now()
        due_at = now if dead else now + backoff(row.attempts)
        postponement = Postponement(due_at, type(error).__name__, dead)

        async def put_off(tx: Tx) -> None:
            given_up = await job.postpone(tx, row, postponement)
            if given_up is not None:
                await job.on_dead(tx, given_up)

        try:
            await database.unit_of_work(put_off, role=Role.SYSTEM)
        except Unavailable:
            # Its lease runs out by itself.
            log.warning("job_not_postponed", job=job.name)
        return JobOutcome.DEAD if dead else outcome
    return JobOutcome.DONE
