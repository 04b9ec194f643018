"""`zanari simulate`: life in fast motion over the whole service, with faults and dying workers, by seed."""

import sys
from typing import Annotated

import typer

from zanari_api.cli.terminal import FAILED, progress, run, say
from zanari_api.runtime import logs
from zanari_api.simulation.plan import Plan, Report
from zanari_api.simulation.run import ground, simulate


def command(
    seed: Annotated[int, typer.Option(help="What decides savers, wishes and faults.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from --seed on.")] = 1,
    minutes: Annotated[int, typer.Option(min=1, help="Simulated minutes for each seed.")] = 10,
    savers: Annotated[int, typer.Option(min=1, max=50, help="How many savers live at once.")] = 8,
    workers: Annotated[int, typer.Option(min=1, max=8, help="How many worker processes.")] = 2,
    speed: Annotated[int, typer.Option(min=1, max=60, help="Simulated seconds a second.")] = 30,
    faults: Annotated[
        int, typer.Option(min=0, max=90, help="Of a hundred messages, how many go wrong.")
    ] = 12,
) -> None:
    """Simulate savers who spend, deposit, collect, withdraw and cancel, while Safaricom fails and workers are killed.

    Then everything comes to rest, and every promise is looked at: what was answered is there, our books are
    Safaricom's to the cent or a break says why not, nothing counts twice, nothing stands still unseen. Needs no
    service and no database: it brings its own, and takes them away. Exit code 1 when a promise is broken; the seed
    is named.
    """
    plans = [
        Plan(
            seed=each,
            minutes=minutes,
            savers=savers,
            workers=workers,
            speed=speed,
            fault_percent=faults,
        )
        for each in range(seed, seed + seeds)
    ]
    run(_simulate(plans))


async def _simulate(plans: list[Plan]) -> None:
    reports: list[Report] = []
    # What goes wrong is meant to; only what nobody expected is worth a line.
    logs.configure(level="ERROR", environment="simulation", version="0", stream=sys.stderr.buffer)
    async with ground() as (server, home):
        for plan in plans:
            report = await simulate(plan, server=server, home=home, on_progress=_tell)
            reports.append(report)
            say(line(report))
    broken = [report for report in reports if not report.holds]
    total = sum(report.plan.minutes for report in reports)
    say(f"{len(reports)} seeds, {total} simulated minutes, {len(broken)} with a broken promise")
    if broken:
        say(f"again: zanari simulate --seed {broken[0].plan.seed} --minutes {broken[0].plan.minutes}")
        raise typer.Exit(FAILED)


def line(report: Report) -> str:
    """Say what a run came to: in numbers, by what was done, by each named break and each broken promise."""
    plan = report.plan
    done = sum(report.done.values())
    told = (
        f"seed {plan.seed}: {plan.minutes} minutes, {done} requests, {report.kills} workers killed,"
        f" {len(report.open_breaks)} named breaks, {len(report.broken)} broken promises"
    )
    did = ", ".join(f"{name} {times}" for name, times in sorted(report.done.items()))
    return "\n".join(
        [
            told,
            f"  {did}",
            *(f"  NAMED {one}" for one in report.open_breaks),
            *(f"  BROKEN {one}" for one in report.broken),
        ]
    )


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        progress(text)
