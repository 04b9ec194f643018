"""`zanari breaks`: differences between our books and M-PESA's, until each is explained."""

from typing import Annotated
from uuid import UUID

import typer

from zanari_api.cli.reconcile import show_breaks
from zanari_api.cli.session import OperatorOption, named, operating
from zanari_api.cli.terminal import FAILED, fail, run, say, table
from zanari_api.kit.money import format_kes
from zanari_api.mpesa import breaks
from zanari_api.mpesa.break_rows import BreakRow
from zanari_api.mpesa.breaks import Resolved
from zanari_api.reconciliation.reports import age
from zanari_api.runtime.db import Role, Tx

app = typer.Typer(help="See what differs from M-PESA's books, and say why it is right.", no_args_is_help=True)

Identity = Annotated[UUID, typer.Argument(help="The break's id, as `list` shows it.")]


@app.command("list")
def list_breaks() -> None:
    """List open breaks, the oldest first. Exit code 1 while there is one."""
    run(_list())


@app.command()
def show(break_id: Identity) -> None:
    """Show one break, open or closed."""
    run(_show(break_id))


@app.command()
def resolve(
    break_id: Identity,
    evidence: Annotated[str, typer.Option("--evidence", help="What shows that nothing is wrong any more.")],
    operator: OperatorOption = None,
) -> None:
    """Close a break by hand. It moves no money; if the difference is still there, it comes back as a new one."""
    run(_resolve(break_id, evidence=evidence.strip(), operator=named(operator)))


async def _list() -> None:
    async with operating() as o:
        async with o.database.transaction(Role.SYSTEM) as tx:
            found = await breaks.list_open(tx)
        if not found:
            say("No break is open.")
            return
        show_breaks(found, now=o.clock.now())
    raise typer.Exit(FAILED)


async def _show(break_id: UUID) -> None:
    async with operating() as o:
        async with o.database.transaction(Role.SYSTEM) as tx:
            found = await breaks.lock(tx, break_id=break_id)
        if found is None:
            fail(f"there is no break {break_id}")
        table(("", ""), [*_facts(found), ("age", age(found.opened_at, found.closed_at or o.clock.now()))])


def _facts(found: BreakRow) -> list[tuple[str, object]]:
    return [
        ("break", found.id),
        ("kind", found.kind),
        ("about", found.subject),
        ("amount", format_kes(found.amount_cents)),
        ("suspected cause", found.suspected_cause),
        ("to resolve it", found.command),
        ("opened", found.opened_at.isoformat()),
        ("last seen", found.last_seen_at.isoformat()),
        ("closed", found.closed_at and found.closed_at.isoformat()),
        ("because", found.closed_because),
    ]


async def _resolve(break_id: UUID, *, evidence: str, operator: str) -> None:
    if not evidence:
        fail("say what shows it: --evidence TEXT")
    async with operating(operator) as o:

        async def close(tx: Tx) -> Resolved:
            return await breaks.resolve(
                tx, break_id=break_id, evidence=evidence, operator=o.operator, now=o.clock.now()
            )

        resolved = await o.database.unit_of_work(close, role=Role.SYSTEM)
    match resolved:
        case Resolved.CLOSED:
            say(f"Closed {break_id}.")
        case Resolved.CLOSED_BEFORE:
            say(f"{break_id} was closed before.")
        case Resolved.UNKNOWN:
            fail(f"there is no break {break_id}")
