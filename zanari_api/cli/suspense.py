"""`zanari suspense`: payments that nobody could be matched to, for an operator to assign or to record as given back."""

from datetime import datetime, timedelta
from typing import Annotated, Final

import typer

from zanari_api.cli.moments import AtOption, moment
from zanari_api.cli.session import Operation, OperatorOption, named, operating
from zanari_api.cli.terminal import fail, run, say, table
from zanari_api.deposits.holding_rows import HoldState, SuspenseView
from zanari_api.deposits.references import MemberReference, parse_account_reference
from zanari_api.kit.clock import EAT
from zanari_api.kit.money import format_kes
from zanari_api.kit.receipt import parse_receipt
from zanari_api.mpesa import suspense_service
from zanari_api.mpesa.suspense_service import Act, Resolved, Result
from zanari_api.runtime.db import Role

app = typer.Typer(
    help="Payments that nobody could be matched to: list them, assign one to a member, record that one went back.",
    no_args_is_help=True,
)

Receipt = Annotated[str, typer.Argument(help="M-PESA's receipt of the payment.")]
Evidence = Annotated[
    str,
    typer.Option("--evidence", help="What shows it, without anything that names a person: a ticket, a file."),
]

_EVIDENCE_MAX: Final = 1000

_REFUSED: Final = {
    Result.UNKNOWN_RECEIPT: "no payment with the receipt {receipt} was ever held",
    Result.UNKNOWN_MEMBER: "no saver has that member code",
    Result.BEFORE_IT_CAME: "{receipt} was not paid yet at that time",
    Result.RECEIPT_USED: "the return receipt stands for something else in our books",
}


@app.command("list")
def list_items(
    state: Annotated[HoldState, typer.Option(help="held, assigned or returned.")] = HoldState.HELD,
) -> None:
    """List payments in suspense, the oldest first."""
    run(_list(state))


@app.command()
def assign(
    receipt: Receipt,
    to: Annotated[
        str, typer.Option("--to", help="The member code, with a goal's letter after it if wanted.")
    ],
    evidence: Evidence,
    operator: OperatorOption = None,
) -> None:
    """Credit a held payment to a member, as a deposit of the day it was made."""
    reference = parse_account_reference(to)
    if not isinstance(reference, MemberReference):
        fail(f"{to} is no member code")
    run(_assign(_receipt(receipt), reference, evidence=_evidence(evidence), operator=named(operator)))


@app.command("return")
def return_(
    receipt: Receipt,
    return_receipt: Annotated[
        str, typer.Option("--return-receipt", help="M-PESA's receipt of the reversal that gave it back.")
    ],
    evidence: Evidence,
    at: AtOption = None,
    operator: OperatorOption = None,
) -> None:
    """Record that a held payment was given back to whoever paid. Sends nothing: reverse it in M-PESA's portal first."""
    run(
        _return(
            _receipt(receipt),
            _receipt(return_receipt),
            evidence=_evidence(evidence),
            at=at,
            operator=named(operator),
        )
    )


async def _list(state: HoldState) -> None:
    async with operating() as o:
        now = o.clock.now()
        async with o.database.transaction(Role.SYSTEM) as tx:
            found = await suspense_service.list_items(tx, state=state)
    if not found:
        say(f"Nothing is {state}.")
        return
    columns = (
        "receipt",
        "amount",
        "paid (EAT)",
        "age",
        "shortcode",
        "why",
        "callback",
        "resolved by",
        "evidence",
    )
    table(
        columns,
        [
            (
                item.receipt,
                format_kes(item.amount_cents),
                _minute(item.event_at),
                _age(now - item.event_at),
                item.shortcode,
                item.reason,
                item.callback_id,
                _minute(item.resolved_at),
                item.resolved_by,
                item.evidence,
            )
            for item in found
        ],
    )
    say(f"{len(found)} {state}, {format_kes(sum(item.amount_cents for item in found))} in all.")


async def _assign(receipt: str, to: MemberReference, *, evidence: str, operator: str) -> None:
    async with operating(operator) as o:
        act = _act(o, evidence)
        resolved = await o.database.unit_of_work(
            lambda tx: suspense_service.assign(tx, receipt=receipt, to=to, act=act), role=Role.SYSTEM
        )
    item = _done(resolved, receipt)
    place = "the wallet" if resolved.goal_id is None else f"goal {resolved.goal_id}"
    say(
        f"{format_kes(item.amount_cents)} of {receipt} went to {place} of saver {resolved.saver_id},"
        f" as deposit {resolved.deposit_id}."
    )


async def _return(
    receipt: str, return_receipt: str, *, evidence: str, at: datetime | None, operator: str
) -> None:
    async with operating(operator) as o:
        act = _act(o, evidence)
        event_at = None if at is None else moment(at, now=act.now)
        resolved = await o.database.unit_of_work(
            lambda tx: suspense_service.return_(
                tx, receipt=receipt, return_receipt=return_receipt, act=act, event_at=event_at
            ),
            role=Role.SYSTEM,
        )
    item = _done(resolved, receipt)
    say(f"{format_kes(item.amount_cents)} of {receipt} is recorded as given back by {return_receipt}.")


def _act(o: Operation, evidence: str) -> Act:
    return Act(operator=o.operator, evidence=evidence, now=o.clock.now())


def _done(resolved: Resolved, receipt: str) -> SuspenseView:
    """Return the item that was resolved; a wish that moved nothing ends the command."""
    if resolved.result is Result.NOT_HELD and resolved.item is not None:
        item = resolved.item
        fail(f"{receipt} is {item.state} already, by {item.resolved_by}; nothing moved")
    if resolved.result is not Result.DONE or resolved.item is None:
        fail(_REFUSED[resolved.result].format(receipt=receipt) + "; nothing moved")
    return resolved.item


def _receipt(text: str) -> str:
    try:
        return parse_receipt(text)
    except ValueError as error:
        fail(f"{text}: {error}")


def _evidence(text: str) -> str:
    if not 0 < len(text.strip()) <= _EVIDENCE_MAX:
        fail(f"the evidence has 1 to {_EVIDENCE_MAX} characters")
    return text.strip()


def _minute(instant: datetime | None) -> str | None:
    return None if instant is None else f"{instant.astimezone(EAT):%Y-%m-%d %H:%M}"


def _age(age: timedelta) -> str:
    hours = age // timedelta(hours=1)
    return f"{hours // 24} d" if hours >= 48 else f"{hours} h"  # noqa: PLR2004 (two days)
