"""The work that runs by itself: row jobs, schedules and the facts that belong to the database. Serves no saver.

Several workers may run; rows are leased to one of them and schedules are guarded by rows, so that none of them
has to know of the others.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from typing import Any, Final

import structlog
from fastapi import FastAPI

from zanari_api.assembly import Parts, Stead, assemble, reveal
from zanari_api.kit.clock import Clock
from zanari_api.kit.errors import Unavailable
from zanari_api.ledger.accounts import FloatAccount
from zanari_api.mpesa import callback_jobs, given_up, payout_jobs, prompt_jobs, pull_jobs, reversal_jobs
from zanari_api.mpesa import purging as mpesa_purging
from zanari_api.mpesa.callback_jobs import CallbackWork
from zanari_api.mpesa.inbox import CallbackKind
from zanari_api.mpesa.prompt_jobs import Prompting
from zanari_api.reconciliation import chain_schedules, chain_service
from zanari_api.reconciliation import facts as reconciliation_facts
from zanari_api.reconciliation import schedules as reconciliation_schedules
from zanari_api.roundups import collection_jobs
from zanari_api.runtime import health, idempotency, problems, purging, schedules
from zanari_api.runtime.db import Database, Role, Tx
from zanari_api.runtime.jobs import JobOutcome, RowJob, run_round
from zanari_api.runtime.metrics import Metrics
from zanari_api.runtime.middleware import Observe
from zanari_api.runtime.schedules import Schedule
from zanari_api.settings import Settings
from zanari_api.users import notice_jobs, step_up

SCHEDULES_EVERY_S: Final = 5
FACTS_EVERY_S: Final = 15
AWAY_S: Final = 5
"""How long a job waits that could not reach the database."""

LATE: Final = timedelta(minutes=1)
"""A schedule that was due for so long and that nobody runs is late."""

STOP_TIMEOUT_S: Final = 20
"""What is being worked on when the worker is told to stop may take this long to come to its end, from then on."""

PASSES_MAX: Final = 200

log = structlog.get_logger(__name__)

FactsReader = Callable[[Tx, datetime], Awaitable[None]]
"""Reads facts of the whole database and sets their gauges."""


@dataclass(frozen=True, slots=True)
class Work:
    """Everything that runs by itself."""

    jobs: Sequence[RowJob[Any]]
    schedules: Sequence[Schedule]
    facts: Sequence[FactsReader]


class Worker:
    """Runs work until it is told to stop."""

    def __init__(
        self,
        work: Work,
        *,
        database: Database,
        clock: Clock,
        metrics: Metrics,
        stop_timeout_s: float = STOP_TIMEOUT_S,
    ) -> None:
        self._work = work
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._stopping = asyncio.Event()
        self._stop_timeout_s = stop_timeout_s
        self._stop_by: float | None = None
        metrics.start_jobs_at_zero([job.name for job in work.jobs], [each.name for each in work.schedules])

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Work while the block runs; at its end finish what was begun, and no more."""
        self._stopping.clear()
        self._stop_by = None
        loops = [asyncio.create_task(self._run_job(job), name=job.name) for job in self._work.jobs]
        loops += [
            asyncio.create_task(self._run_schedule_for_ever(each), name=each.name)
            for each in self._work.schedules
        ]
        loops.append(asyncio.create_task(self._read_facts_for_ever(), name="facts"))
        log.info("worker_started", jobs=len(self._work.jobs), schedules=len(self._work.schedules))
        try:
            yield
        finally:
            left = self.tell_to_stop() - asyncio.get_running_loop().time()
            _, late = await asyncio.wait(loops, timeout=max(0, left))
            for loop in late:
                # What it holds is leased: when the lease runs out, somebody else goes on.
                log.warning("worker_cut_short", loop=loop.get_name())
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            log.info("worker_stopped", cut_short=len(late))

    def tell_to_stop(self) -> float:
        """Take up nothing new from now on; return by when what was begun has to be done, in the loop's time.

        Whoever hears first that the process is to end tells, so that requests and work in hand share one bound.
        """
        if self._stop_by is None:
            self._stop_by = asyncio.get_running_loop().time() + self._stop_timeout_s
            self._stopping.set()
        return self._stop_by

    async def drain(self) -> int:
        """Work until nothing is due; return how many rows were worked on. Raises RuntimeError if that never ends."""
        await schedules.register(self._database, self._work.schedules, now=self._clock.now())
        worked = 0
        for _ in range(PASSES_MAX):
            rows = sum([await self._round(job) for job in self._work.jobs])
            for schedule in self._work.schedules:
                rows += await self._run_schedule(schedule)
            if rows == 0:
                return worked
            worked += rows
        raise RuntimeError(f"work was still due after {PASSES_MAX} passes")

    async def read_facts(self) -> None:
        """Set the gauges of what the whole database holds. Raises Unavailable."""
        now = self._clock.now()
        async with self._database.transaction(Role.SYSTEM) as tx:
            for job in self._work.jobs:
                self._metrics.set_backlog(job.name, await job.count(tx, now), now)
            for read in self._work.facts:
                await read(tx, now)
            late = await schedules.list_late(tx, due_before=now - LATE)
            self._metrics.late_schedules.set(len(late))
        self._metrics.show_facts()
        self._metrics.facts_collected.set_to_current_time()

    async def _run_job(self, job: RowJob[Any]) -> None:
        while not self._stopping.is_set():
            try:
                worked = await self._round(job)
            except Unavailable as error:
                log.warning("job_waits_for_the_database", job=job.name, error=type(error).__name__)
                await self._pause(AWAY_S)
            except Exception:
                log.exception("job_round_failed", job=job.name)
                await self._pause(AWAY_S)
            else:
                await self._pause(0 if worked else job.idle_s)

    async def _run_schedule_for_ever(self, schedule: Schedule) -> None:
        """Look now and then whether a schedule is due. A loop each: a slow one keeps no other waiting."""
        registered = False
        while not self._stopping.is_set():
            try:
                if not registered:
                    await schedules.register(self._database, [schedule], now=self._clock.now())
                    registered = True
                await self._run_schedule(schedule)
            except Unavailable as error:
                log.warning(
                    "schedule_waits_for_the_database", schedule=schedule.name, error=type(error).__name__
                )
            except Exception:
                log.exception("schedule_round_failed", schedule=schedule.name)
            await self._pause(SCHEDULES_EVERY_S)

    async def _read_facts_for_ever(self) -> None:
        while not self._stopping.is_set():
            try:
                await self.read_facts()
            except Unavailable as error:
                log.warning("facts_not_collected", error=type(error).__name__)
            except Exception:
                log.exception("facts_not_collected")
            await self._pause(FACTS_EVERY_S)

    async def _round(self, job: RowJob[Any]) -> int:
        return await run_round(
            job,
            database=self._database,
            clock=self._clock,
            on_outcome=self._count_row,
            stopping=self._stopping.is_set,
        )

    async def _run_schedule(self, schedule: Schedule) -> int:
        if self._stopping.is_set():
            return 0
        went_well = await schedules.run_if_due(schedule, database=self._database, clock=self._clock)
        if went_well is None:
            return 0
        outcome = JobOutcome.DONE if went_well else JobOutcome.FAILED
        self._metrics.schedule_runs.labels(schedule.name, outcome).inc()
        return 1

    def _count_row(self, job: str, outcome: JobOutcome) -> None:
        self._metrics.job_runs.labels(job, outcome).inc()

    async def _pause(self, seconds: int) -> None:
        """Wait by the service's clock, but not longer than it takes to be told to stop."""
        waiting = asyncio.ensure_future(self._clock.sleep(seconds))
        told = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({waiting, told}, return_when=asyncio.FIRST_COMPLETED)
        for task in (waiting, told):
            task.cancel()
        await asyncio.gather(waiting, told, return_exceptions=True)


def create_worker(settings: Settings, *, stead: Stead | None = None, clock: Clock | None = None) -> FastAPI:
    """Build the worker's own small service: its health and its metrics, and the work while it runs.

    Raises SettingsInvalid as `assemble`.
    """
    parts = assemble(settings, stead=stead, clock=clock)
    worker = worker_of(parts)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None, None]:
        async with parts.opened(), worker.running():
            if parts.unfit_for_production:
                log.warning("unfit_for_production", variables=parts.unfit_for_production)
            yield

    app = FastAPI(title="Zanari worker", version=settings.app_version, lifespan=lifespan, openapi_url=None)
    app.state.parts = parts
    app.state.runtime = parts.runtime
    app.state.worker = worker
    app.include_router(health.router)
    # Facts are read by the work alone: what a scrape read would hide that the work has stopped reading them.
    app.include_router(health.metrics_router(reveal(settings.metrics_token), counts_savers=False))
    parts.runtime.metrics.tell_build(version=settings.app_version, process="worker")
    problems.install(app, metrics=parts.runtime.metrics)
    app.add_middleware(Observe, metrics=parts.runtime.metrics)
    return app


def worker_of(parts: Parts) -> Worker:
    """Return a worker for everything that runs by itself."""
    runtime = parts.runtime
    return Worker(work_of(parts), database=runtime.database, clock=runtime.clock, metrics=runtime.metrics)


def work_of(parts: Parts) -> Work:
    """Return every job, schedule and fact of the service."""
    runtime = parts.runtime
    of_money: list[RowJob[Any]] = given_up.named(
        [
            *collection_jobs.jobs(
                database=runtime.database, clock=runtime.clock, terms=parts.collection_terms
            ),
            *prompt_jobs.jobs(
                Prompting(
                    database=runtime.database,
                    daraja=parts.daraja,
                    clock=runtime.clock,
                    intake=parts.intake,
                    callback_url=parts.mpesa.callback_url(CallbackKind.STK),
                )
            ),
            reversal_jobs.reversal_job(parts.reversing()),
            *payout_jobs.jobs(parts.paying()),
        ]
    )
    return Work(
        jobs=[
            *of_money,
            # What these give up is in quarantine, which has a gauge and verbs of its own.
            *callback_jobs.jobs(
                CallbackWork(database=runtime.database, intake=parts.intake, metrics=runtime.metrics)
            ),
            # These are about no money.
            notice_jobs.notice_job(parts.telling()),
        ],
        schedules=[
            *reconciliation_schedules.schedules_of(parts.reconciling()),
            *chain_schedules.schedules_of(parts.chaining()),
            *pull_jobs.schedules(parts.pulling()),
            given_up.schedule(of_money, database=runtime.database, clock=runtime.clock),
            *(
                purging.schedule(each, database=runtime.database, clock=runtime.clock)
                for each in (mpesa_purging.BODIES, mpesa_purging.UNMATCHED, step_up.PURGE, idempotency.PURGE)
            ),
        ],
        facts=[
            collection_jobs.facts(runtime.metrics),
            payout_jobs.facts(runtime.metrics),
            callback_jobs.facts(runtime.metrics),
            notice_jobs.facts(runtime.metrics),
            _book_facts(parts),
            _chain_facts(parts),
        ],
    )


def _chain_facts(parts: Parts) -> FactsReader:
    """Return what reads how long the chain is, what waits to be sealed and what verifying came to, and shows it."""
    metrics = parts.runtime.metrics

    async def read(tx: Tx, _now: datetime) -> None:
        facts = await chain_service.read_facts(tx)
        metrics.chain_length.set(facts.length)
        metrics.chain_unsealed_rows.set(facts.unsealed_rows)
        metrics.chain_unsealed_age.set(max(0, facts.unsealed_age.total_seconds()))
        metrics.chain_verified.set(0 if facts.verified_at is None else facts.verified_at.timestamp())
        metrics.chain_broken.set(1 if facts.bad_rows else 0)

    return read


def _book_facts(parts: Parts) -> FactsReader:
    """Return what reads floats, breaks and suspense, and shows them."""
    metrics, places = parts.runtime.metrics, parts.reconciling().shortcodes

    async def read(tx: Tx, now: datetime) -> None:
        facts = await reconciliation_facts.read(tx, now=now)
        for shortcode, account in product(places, FloatAccount):
            cents = facts.float_break_cents.get((shortcode, account.value), 0)
            metrics.float_break_cents.labels(shortcode, account).set(cents)
        for kind, count in facts.open_breaks.items():
            metrics.breaks_open.labels(kind).set(count)
        metrics.break_oldest_age.set(facts.oldest_break_age.total_seconds())
        metrics.ledger_imbalance.set(facts.books_broken)
        if facts.books_checked_at is not None:
            metrics.books_checked.set(facts.books_checked_at.timestamp())
        metrics.fees_not_covered_cents.set(facts.fees_not_covered_cents)
        metrics.suspense_cents.set(facts.suspense_cents)
        metrics.suspense_oldest_age.set(facts.oldest_suspense_age.total_seconds())

    return read
