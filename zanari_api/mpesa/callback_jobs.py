"""Comes back to callbacks: those that overtook what they answer, and those that could not be acted on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from zanari_api.mpesa import callback_service, inbox_queries, pull_queries
from zanari_api.mpesa.inbox import CallbackKind, Effected, Intake, Note
from zanari_api.mpesa.inbox_queries import ClaimedCallback
from zanari_api.runtime.db import Database, Role, Tx
from zanari_api.runtime.jobs import Postponement, RowJob
from zanari_api.runtime.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackWork:
    """What the work needs. `intake` is asked for each callback anew: what is decided by it has a time."""

    database: Database
    intake: Callable[[], Awaitable[Intake]]
    metrics: Metrics


def jobs(context: CallbackWork) -> list[RowJob[Any]]:
    """Return the jobs of the inbox."""

    async def work(row: ClaimedCallback) -> None:
        intake = await context.intake()

        async def look(tx: Tx) -> tuple[str, Effected] | None:
            return await callback_service.look_again(tx, row, intake=intake)

        looked = await context.database.unit_of_work(look, role=Role.SYSTEM)
        # One that goes on waiting is no news.
        if looked is not None and looked[0] != looked[1].outcome:
            callback_service.tell(context.metrics, CallbackKind(row.kind), looked[1].outcome)

    return [
        RowJob(
            name="callbacks",
            claim=inbox_queries.claim,
            work=work,
            postpone=_postpone,
            count=inbox_queries.count_backlog,
            list_dead=inbox_queries.list_dead,
            revive=inbox_queries.revive,
        )
    ]


def facts(metrics: Metrics) -> Callable[[Tx, datetime], Awaitable[None]]:
    """Return what reads how many callbacks wait for a person and how far pulls have come, and shows it."""

    async def read(tx: Tx, _now: datetime) -> None:
        quarantined = await inbox_queries.count_quarantined(tx)
        for kind in CallbackKind:
            metrics.callbacks_quarantined.labels(kind).set(quarantined.get(kind, 0))
        for state in await pull_queries.list_all(tx):
            if state.pulled_until is not None:
                metrics.pulled_until.labels(state.shortcode).set(state.pulled_until.timestamp())

    return read


async def _postpone(tx: Tx, row: ClaimedCallback, postponement: Postponement) -> None:
    """Put a callback off, or into quarantine, which is where one that was given up is seen."""
    await inbox_queries.postpone(tx, row, postponement, dead_note=Note.GAVE_UP)
