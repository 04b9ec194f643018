"""The work on collections that runs by itself, and the facts about them that belong to the database."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from zanari_api.kit.clock import Clock
from zanari_api.roundups import asking, collection_queries, plan_queries
from zanari_api.roundups.collections import Terms
from zanari_api.roundups.plan_queries import PlanRow
from zanari_api.runtime.db import Database, Role, Tx
from zanari_api.runtime.jobs import RowJob
from zanari_api.runtime.metrics import Metrics


def jobs(*, database: Database, clock: Clock, terms: Callable[[], Awaitable[Terms]]) -> list[RowJob[PlanRow]]:
    """Return the job that asks for collections. `terms` is asked each time: its keys are read at first need."""

    async def work(plan: PlanRow) -> None:
        held = await terms()

        async def look(tx: Tx) -> None:
            await asking.look(tx, plan, terms=held, now=clock.now())

        await database.unit_of_work(look, role=Role.SYSTEM)

    return [
        RowJob(
            name="collections",
            claim=plan_queries.claim,
            work=work,
            postpone=plan_queries.postpone,
            count=plan_queries.count,
            list_dead=plan_queries.list_dead,
            revive=plan_queries.revive,
        )
    ]


def facts(metrics: Metrics) -> Callable[[Tx, datetime], Awaitable[None]]:
    """Return what reads how many collections are open and how old the oldest is, and shows it."""

    async def read(tx: Tx, now: datetime) -> None:
        found = await collection_queries.count_open(tx)
        metrics.collections_open.set(found.collections)
        metrics.collection_oldest_age.set((now - (found.oldest_at or now)).total_seconds())

    return read
