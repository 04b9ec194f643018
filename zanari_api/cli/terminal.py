"""How the command speaks: answers on standard output, progress and failures on standard error. Knows no verb."""

from collections.abc import Coroutine, Sequence
from typing import Any, Final, NoReturn

import typer
import uvloop
from rich.console import Console
from rich.table import Table

FAILED: Final = 1
INTERRUPTED: Final = 130


def say(text: str) -> None:
    """Print an answer."""
    typer.echo(text)


def progress(text: str) -> None:
    """Tell a person what takes a while; standard output is left to logs and answers."""
    typer.echo(text, err=True)


def fail(reason: str) -> NoReturn:
    """End with one line on standard error and exit code 1."""
    typer.echo(f"zanari: {reason}", err=True)
    raise SystemExit(FAILED)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str | None = None) -> None:
    """Print rows under their columns; a cell that is None stays empty. Whole, however narrow the terminal is."""
    drawn = Table(*columns, title=title, title_justify="left", box=None, pad_edge=False)
    for row in rows:
        drawn.add_row(*("" if cell is None else str(cell) for cell in row))
    console = Console(soft_wrap=True, highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 500
    console.print(drawn)


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a verb's work to its end; Ctrl-C ends it with the exit code that shells expect."""
    try:
        uvloop.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
