"""`zanari statement`: compares Safaricom's statement of a closed day with our books, and recovers what we missed."""

from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from zanari_api.cli.session import OperatorOption, named, operating
from zanari_api.cli.terminal import FAILED, fail, run, say, table
from zanari_api.kit.money import format_kes
from zanari_api.ledger.accounts import FloatAccount
from zanari_api.mpesa.float_service import Place, parse_place
from zanari_api.reconciliation.statement_file import Statement, StatementUnreadable, read_statement
from zanari_api.reconciliation.statement_service import (
    DayNotOver,
    Imported,
    Importing,
    OtherDay,
    import_statement,
)

app = typer.Typer(help="Compare Safaricom's statements with our books.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `import` a verb of its own while it is the only one."""


@app.command("import")
def import_file(
    file: Annotated[
        Path, typer.Argument(help="The CSV file, of one account and one day.", exists=True, dir_okay=False)
    ],
    shortcode: Annotated[str, typer.Option("--shortcode", help="Whose statement it is.")],
    on: Annotated[datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="Its day in Nairobi.")],
    account: Annotated[
        FloatAccount, typer.Option("--account", help="Which of the shortcode's accounts.")
    ] = FloatAccount.UTILITY,
    operator: OperatorOption = None,
    *,
    apply: Annotated[
        bool, typer.Option("--apply", help="Book what the statement shows and we missed.")
    ] = False,
) -> None:
    """Match each line with what we booked, by receipt. Exit code 1 when something does not match.

    With --apply, payments that we were never told of are credited or held, reversals of deposits are taken back and
    charges are posted; each once. What needs a decision becomes a break with the command for it.
    """
    try:
        place = parse_place(f"{shortcode}:{account}")
        statement = read_statement(data := file.read_bytes())
    except (StatementUnreadable, ValueError) as error:
        fail(str(error))
    run(_import(statement, data, place, on.date(), operator=named(operator), apply=apply))


async def _import(
    statement: Statement, data: bytes, place: Place, on: date, *, operator: str, apply: bool
) -> None:
    async with operating(operator) as o:
        parts = Importing(database=o.database, clock=o.clock, intake=lambda: o.intake)
        try:
            imported = await import_statement(
                parts, statement, data=data, place=place, on=on, operator=o.operator, apply=apply
            )
        except (DayNotOver, OtherDay) as error:
            fail(str(error))
    _show(imported)
    if imported.findings or imported.unread:
        raise typer.Exit(FAILED)


def _show(imported: Imported) -> None:
    if imported.known:
        say("This very file was compared before.")
    say(f"{imported.lines} lines; {len(imported.findings)} differences.")
    if imported.unread:
        say(f"{imported.unread} rows could not be read.")
    for receipt in imported.applied:
        say(f"Booked {receipt}.")
    if imported.findings:
        table(
            ("kind", "about", "amount", "suspected cause", "to resolve it"),
            [
                (each.kind, each.subject, format_kes(each.cents), each.cause, each.command)
                for each in imported.findings
            ],
        )
