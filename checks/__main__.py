"""The command `python -m checks`: runs them and prints the table, or plants faults to prove them."""

import signal
import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from checks.catalogue import CHECKS
from checks.planted import check_the_checks
from checks.running import ListInvalid, complaints, read_count, read_expected, run_all, table

TREE: Final = Path(__file__).parents[1]
HERE: Final = Path(__file__).parent

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def main(
    *,
    only: Annotated[list[str] | None, typer.Option(help="Run this check alone; may be repeated.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the checks, and run none.")] = False,
    plant: Annotated[
        bool, typer.Option(help="Prove the checks: plant each fault in a copy of the tree, and see it found.")
    ] = False,
    expected: Annotated[
        Path, typer.Option(help="Which checks may be absent here, with the reason for each.")
    ] = HERE / "expected-not-run.txt",
) -> None:
    """Check what runs Zanari. Ends with 1 where a check failed, or did not run without leave."""
    end_in_order_when_told()
    console = Console(soft_wrap=True)
    known = {each.name: each for each in CHECKS}
    if unknown := set(only or ()) - set(known):
        console.print(f"No such check: {', '.join(sorted(unknown))}. `python -m checks --list` has them.")
        raise typer.Exit(2)
    chosen = [known[name] for name in only] if only else list(CHECKS)
    if listing:
        for each in chosen:
            console.print(f"{each.name:24} {each.proves}", markup=False, highlight=False)
        return
    if plant:
        raise typer.Exit(0 if check_the_checks(chosen, TREE, console) else 1)
    try:
        may_be_absent = read_expected(expected)
        count = None if only else read_count(HERE / "expected-count.txt")
    except ListInvalid as wrong:
        console.print(str(wrong), style="red", markup=False)
        raise typer.Exit(2) from None
    results = run_all(chosen, TREE, console)
    Console(width=None if console.is_terminal else 160).print(table(results))
    wrong_with_it = complaints(results, expected=may_be_absent, known=set(known), count=count)
    for each in wrong_with_it:
        console.print(f"- {each}", markup=False, highlight=False)
    passed = sum(each.outcome == "passed" for each in results)
    console.print(f"{passed} of {len(results)} checks passed")
    sys.stdout.flush()
    raise typer.Exit(1 if wrong_with_it else 0)


def end_in_order_when_told() -> None:
    """Have SIGTERM end this process as an exception does, so that whatever a check started ends with it."""

    def leave(number: int, _frame: object) -> None:
        # Told once more, it goes on ending what it started.
        signal.signal(number, lambda _number, _frame: None)
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)


if __name__ == "__main__":
    app(prog_name="python -m checks")
