"""`zanari audit`: what operators did, as they wrote it down with the act itself. Only looks."""

from typing import Annotated
from uuid import UUID

import typer

from zanari_api.cli.session import operating
from zanari_api.cli.terminal import fail, run, say, table
from zanari_api.kit.clock import EAT
from zanari_api.runtime import audit
from zanari_api.runtime.db import Role

app = typer.Typer(help="See what operators did, when and why.", no_args_is_help=True)


@app.command("list")
def list_acts(
    by: Annotated[str | None, typer.Option("--by", help="Of one operator alone.")] = None,
    act: Annotated[str | None, typer.Option("--act", help="One kind of act, such as break_resolved.")] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", help="What it was done to, such as receipt:UKPDCHST2Q.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="As many at most.")] = 50,
) -> None:
    """List acts, the newest first."""
    run(_list(by=by, act=act, subject=subject, limit=limit))


@app.command()
def show(
    act_id: Annotated[UUID, typer.Argument(metavar="ID", help="The act's id, as `list` shows it.")],
) -> None:
    """Show one act, with what was before and after it."""
    run(_show(act_id))


async def _list(*, by: str | None, act: str | None, subject: str | None, limit: int) -> None:
    async with operating() as o, o.database.transaction(Role.SYSTEM) as tx:
        acts = await audit.list_acts(tx, limit=limit, operator=by, act=act, subject=subject)
    if not acts:
        say("No act.")
        return
    table(
        ("id", "when (EAT)", "operator", "act", "subject", "why"),
        [
            (
                each.id,
                f"{each.recorded_at.astimezone(EAT):%Y-%m-%d %H:%M:%S}",
                each.operator,
                each.act,
                each.subject,
                each.reason,
            )
            for each in acts
        ],
    )


async def _show(act_id: UUID) -> None:
    async with operating() as o, o.database.transaction(Role.SYSTEM) as tx:
        found = await audit.find_act(tx, act_id)
    if found is None:
        fail(f"there is no act {act_id}")
    table(
        ("", ""),
        [
            ("when (EAT)", f"{found.recorded_at.astimezone(EAT):%Y-%m-%d %H:%M:%S}"),
            ("operator", found.operator),
            ("act", found.act),
            ("subject", found.subject),
            ("why", found.reason),
            ("before", found.before),
            ("after", found.after),
        ],
    )
