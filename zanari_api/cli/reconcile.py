"""`zanari reconcile`: our floats beside what Safaricom says our accounts hold, and every difference by its name."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Annotated

import typer

from zanari_api.cli.session import operating
from zanari_api.cli.terminal import FAILED, progress, run, say, table
from zanari_api.kit.money import format_kes
from zanari_api.mpesa.break_rows import BreakRow
from zanari_api.mpesa.payout_hastening import Hastened
from zanari_api.reconciliation.reports import Report, age
from zanari_api.reconciliation.service import reconcile


def command(
    on: Annotated[
        datetime | None,
        typer.Option("--date", formats=["%Y-%m-%d"], help="A past day in Nairobi, by its last balances."),
    ] = None,
) -> None:
    """Compare our floats with Safaricom's balances. Exit code 1 while any break is open.

    First asks M-PESA about payouts whose outcome is in doubt, twenty at most, and then for the balances. Waits up to
    a minute for the answers about payouts, and for each one about balances; they come by callback, so the API has to
    be running. With --date, the last answer of that day is compared with what we have booked of it by now.
    """
    run(_reconcile(None if on is None else on.date()))


async def _reconcile(on: date | None) -> None:
    async with operating() as o:
        parts = replace(o.parts.reconciling(), paying=o.parts.paying())
        report = await reconcile(parts, on=on, progress=progress)
    show_report(report)
    if not report.is_clean:
        raise typer.Exit(FAILED)


def show_report(report: Report) -> None:
    """Print what was compared, what was closed and what is open."""
    show_hastened(report.hastened)
    if report.compared:
        table(
            ("account", "Safaricom", "our books", "difference", "as of (UTC)"),
            [
                (
                    each.place,
                    format_kes(each.reported_cents),
                    format_kes(each.booked_cents),
                    format_kes(each.difference_cents) if each.difference_cents else "none",
                    f"{each.reported_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
                )
                for each in report.compared
            ],
        )
    for shortcode in report.unanswered:
        say(f"Safaricom told no balances of {shortcode}.")
    for each in report.closed:
        say(f"Closed: {each.kind} {each.subject}: {each.closed_because}.")
    if report.is_clean:
        say("No break is open.")
        return
    show_breaks(report.breaks, now=report.at)


def show_hastened(hastened: Hastened) -> None:
    """Print what came of asking about payouts in doubt: what was answered, and what was not seen."""
    if hastened.asked:
        say(f"M-PESA was asked about {hastened.asked} payouts in doubt and answered {hastened.answered}.")
    if hastened.unanswered:
        say(f"{hastened.unanswered} are not answered yet; the answer is taken in whenever it comes.")
    if hastened.unsent:
        say(
            f"{hastened.unsent} could not be asked about: Safaricom was away or refused; the worker tries again."
        )
    if hastened.not_asked:
        say(
            f"{hastened.not_asked} were not asked about: too many at once, asked a moment ago, being worked on, or"
            " given up. The worker asks in its own time."
        )


def show_breaks(found: Sequence[BreakRow], *, now: datetime) -> None:
    """Print open breaks, the oldest first, each with the command that resolves it."""
    table(
        ("break", "kind", "about", "amount", "age", "suspected cause", "to resolve it"),
        [
            (
                each.id,
                each.kind,
                each.subject,
                format_kes(each.amount_cents),
                age(each.opened_at, now),
                each.suspected_cause,
                each.command,
            )
            for each in found
        ],
        title=f"{len(found)} open",
    )
