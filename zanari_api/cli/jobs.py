"""`zanari jobs`: what the worker has to do, what it has given up, and how that is brought back to life."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import typer

from zanari_api.cli.session import OperatorOption, named, operating
from zanari_api.cli.terminal import FAILED, fail, run, say, table
from zanari_api.kit.clock import EAT
from zanari_api.kit.money import format_kes
from zanari_api.mpesa import given_up
from zanari_api.runtime.db import Role, Tx
from zanari_api.runtime.jobs import Backlog, DeadRow, RowJob
from zanari_api.worker import work_of

app = typer.Typer(
    help="See what waits for the worker and what it has given up, and have that worked on again.",
    no_args_is_help=True,
)

_REASON_MAX: Final = 1000


@app.command("list")
def list_jobs() -> None:
    """Show what is due for each job, and every dead row. Exit code 1 while there is one."""
    run(_list())


@app.command()
def revive(
    job: Annotated[str, typer.Argument(help="The job, as `list` shows it.")],
    row_id: Annotated[UUID, typer.Argument(metavar="ID", help="The dead row's id, as `list` shows it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is written into the audit log.")],
    operator: OperatorOption = None,
) -> None:
    """Have a dead row worked on again, once what made it fail is mended. Safe: what was sent is not sent again."""
    if not 0 < len(reason.strip()) <= _REASON_MAX:
        fail(f"a reason has 1 to {_REASON_MAX} characters")
    run(_revive(job, row_id, reason=reason.strip(), operator=named(operator)))


async def _list() -> None:
    async with operating() as o:
        jobs, now = work_of(o.parts).jobs, o.clock.now()
        async with o.database.transaction(Role.SYSTEM) as tx:
            backlogs = [(job.name, await job.count(tx, now)) for job in jobs]
            dead = [(job.name, row) for job in jobs for row in await job.list_dead(tx)]
    _show_backlogs(backlogs)
    if not dead:
        say("No row is dead.")
        return
    _show_dead(dead)
    raise typer.Exit(FAILED)


async def _revive(name: str, row_id: UUID, *, reason: str, operator: str) -> None:
    async with operating(operator) as o:
        jobs = {job.name: job for job in work_of(o.parts).jobs}
        if name not in jobs:
            fail(f"there is no job {name}; there are: {', '.join(sorted(jobs))}")
        job: RowJob[Any] = jobs[name]

        async def bring_back(tx: Tx) -> bool:
            return await given_up.revive(
                tx, job, row_id, operator=o.operator, reason=reason, now=o.clock.now()
            )

        revived = await o.database.unit_of_work(bring_back, role=Role.SYSTEM)
    if not revived:
        fail(f"{name} has no dead row {row_id}: nothing was changed")
    say(f"{row_id} is due again; the worker takes it next. If it fails as before, it is given up again.")


def _show_backlogs(backlogs: Sequence[tuple[str, Backlog]]) -> None:
    table(
        ("job", "due", "oldest due (EAT)", "dead"),
        [(name, each.due, _eat(each.oldest_due_at), each.dead) for name, each in backlogs],
    )


def _show_dead(dead: Sequence[tuple[str, DeadRow]]) -> None:
    table(
        ("job", "id", "amount", "last error", "given up (EAT)"),
        [
            (
                name,
                row.id,
                format_kes(row.amount_cents) if row.amount_cents else None,
                row.error,
                _eat(row.since),
            )
            for name, row in dead
        ],
        title="dead",
    )


def _eat(instant: datetime | None) -> str | None:
    return None if instant is None else f"{instant.astimezone(EAT):%Y-%m-%d %H:%M:%S}"
