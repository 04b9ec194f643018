"""The work on collections that runs by itself: looks at savers whose round-ups wait. Decides nothing itself."""

from collections.abc import Awaitable, Callable

from zanari_api.kit.clock import Clock
from zanari_api.roundups import asking, plan_queries
from zanari_api.roundups.collections import Terms
from zanari_api.roundups.plan_queries import PlanRow
from zanari_api.runtime.db import Database, Role, Tx
from zanari_api.runtime.jobs import RowJob


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
