"""`zanari deposits`: takes deposits back, by asking Safaricom to or because M-PESA did. History stays as it is."""

from datetime import datetime, timedelta
from typing import Annotated

import typer

from zanari_api.cli.moments import AtOption, moment
from zanari_api.cli.session import Operation, OperatorOption, named, operating
from zanari_api.cli.terminal import fail, run, say, table
from zanari_api.kit.money import format_kes
from zanari_api.kit.receipt import parse_receipt
from zanari_api.mpesa import reversal_acts
from zanari_api.mpesa.reversal_acts import Asked, Kept
from zanari_api.mpesa.taking_back import Result, TakenBack
from zanari_api.runtime.db import Role, Tx

app = typer.Typer(help="Reverse deposits, and see what became of reversals.", no_args_is_help=True)

Receipt = Annotated[str, typer.Argument(help="M-PESA's receipt of the deposit.")]
Evidence = Annotated[
    str, typer.Option("--evidence", help="What shows it: a statement line, a ticket. No names.")
]


@app.command()
def reverse(
    receipt: Receipt,
    evidence: Evidence,
    at: AtOption = None,
    operator: OperatorOption = None,
    *,
    ask: Annotated[
        bool, typer.Option("--ask", help="Ask Safaricom to take it back; its result decides.")
    ] = False,
) -> None:
    """Take a deposit back that M-PESA took back: wallet first, then goals; what is missing is owed.

    Without --ask it is booked at once, by your evidence. With --ask nothing moves here until Safaricom's result.
    """
    if ask:
        run(_ask(_receipt(receipt), evidence=_evidence(evidence), operator=named(operator)))
    else:
        run(_reverse(_receipt(receipt), evidence=_evidence(evidence), at=at, operator=named(operator)))


@app.command()
def keep(receipt: Receipt, evidence: Evidence, operator: OperatorOption = None) -> None:
    """Say that a reversal that was asked for did not happen, so that the deposit stays. Moves nothing."""
    run(_keep(_receipt(receipt), evidence=_evidence(evidence), operator=named(operator)))


@app.command()
def reversals(days: Annotated[int, typer.Option(min=1, help="Asked for within so many days.")] = 30) -> None:
    """List the reversals that Safaricom was asked for, the newest first."""
    run(_list(days))


@app.command()
def reversal(receipt: Receipt) -> None:
    """Show every step of the newest reversal that was asked for of a deposit, with its cause."""
    run(_steps(_receipt(receipt)))


async def _steps(receipt: str) -> None:
    async with operating() as o, o.database.transaction(Role.SYSTEM) as tx:
        steps = await reversal_acts.find_steps(tx, receipt=receipt)
    if not steps:
        fail(f"no reversal of {receipt} was asked for")
    table(
        ("when", "state", "cause", "callback"),
        [
            (each.happened_at.isoformat(timespec="seconds"), each.state, each.cause, each.callback_id)
            for each in steps
        ],
    )


async def _reverse(receipt: str, *, evidence: str, at: datetime | None, operator: str) -> None:
    async with operating(operator) as o:
        now = o.clock.now()
        event_at = moment(at, now=now)

        async def take(tx: Tx) -> TakenBack:
            return await reversal_acts.reverse(
                tx, receipt=receipt, evidence=evidence, operator=o.operator, event_at=event_at, now=now
            )

        taken = await o.database.unit_of_work(take, role=Role.SYSTEM)
    match taken.result:
        case Result.TAKEN_BACK:
            say(f"Took {receipt} back. The saver owes {format_kes(taken.owed_cents)} by it.")
        case Result.ALREADY:
            say(f"{receipt} was taken back before. Nothing moved again.")
        case Result.UNKNOWN_RECEIPT | Result.AMOUNT_DIFFERS:
            fail(f"our books have no deposit {receipt}; look for it by: zanari suspense list")


async def _ask(receipt: str, *, evidence: str, operator: str) -> None:
    async with operating(operator) as o:

        async def request(tx: Tx) -> Asked:
            return await reversal_acts.request(
                tx, receipt=receipt, evidence=evidence, operator=o.operator, now=o.clock.now()
            )

        asked = await o.database.unit_of_work(request, role=Role.SYSTEM)
    match asked:
        case Asked.REQUESTED:
            say(f"The worker asks Safaricom to take {receipt} back. See: zanari deposits reversals")
        case Asked.UNDER_WAY:
            say(f"A reversal of {receipt} is under way already. See: zanari deposits reversals")
        case Asked.REVERSED_BEFORE:
            say(f"{receipt} was taken back before.")
        case Asked.UNKNOWN_RECEIPT:
            fail(f"our books have no deposit {receipt}")
        case Asked.NOT_WHOLE_SHILLINGS:
            fail(f"{receipt} is not whole shillings, which is all that Safaricom takes back; use its portal")


async def _keep(receipt: str, *, evidence: str, operator: str) -> None:
    async with operating(operator) as o:

        async def settle(tx: Tx) -> Kept:
            return await reversal_acts.keep(
                tx, receipt=receipt, evidence=evidence, operator=o.operator, now=o.clock.now()
            )

        kept = await o.database.unit_of_work(settle, role=Role.SYSTEM)
    match kept:
        case Kept.KEPT:
            say(f"The deposit {receipt} stays, and the reversal counts as failed.")
        case Kept.REVERSED_BEFORE:
            fail(f"{receipt} was taken back before, which stays so")
        case Kept.NOT_ASKED:
            fail(f"no reversal of {receipt} was asked for")


async def _list(days: int) -> None:
    async with operating() as o:
        await _print(o, days)


async def _print(o: Operation, days: int) -> None:
    async with o.database.transaction(Role.SYSTEM) as tx:
        found = await reversal_acts.list_recent(tx, since=o.clock.now() - timedelta(days=days))
    if not found:
        say(f"No reversal was asked for within {days} days.")
        return
    table(
        ("receipt", "amount", "state", "reason", "asked for", "evidence"),
        [
            (
                each.receipt,
                format_kes(each.amount_cents),
                each.state,
                each.reason,
                each.requested_at.isoformat(timespec="seconds"),
                each.evidence,
            )
            for each in found
        ],
    )


def _receipt(text: str) -> str:
    try:
        return parse_receipt(text)
    except ValueError as error:
        fail(str(error))


def _evidence(text: str) -> str:
    evidence = text.strip()
    if not evidence:
        fail("say what shows it: --evidence TEXT")
    return evidence
