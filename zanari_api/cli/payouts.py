"""`zanari payouts`: withdrawals to M-PESA, where each one is, and an operator's word on one that nobody answers for."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

import typer

from zanari_api.cli.session import OperatorOption, named, operating
from zanari_api.cli.terminal import fail, run, say, table
from zanari_api.kit.clock import EAT
from zanari_api.kit.money import format_kes
from zanari_api.kit.receipt import parse_receipt
from zanari_api.mpesa import payout_resolving
from zanari_api.mpesa.payout_resolving import Resolution, Result, Wish
from zanari_api.payouts import freeze, questions
from zanari_api.payouts import service as payouts
from zanari_api.payouts.rows import Payout, PayoutEvent, StatusQuery
from zanari_api.payouts.states import OPEN, State
from zanari_api.runtime.db import Role, Tx

app = typer.Typer(
    help="Withdrawals to M-PESA: list and show them, resolve one in doubt, pause and resume all.",
    no_args_is_help=True,
)

LISTED_MAX: Final = 200
EVIDENCE_MAX: Final = 1000


class Listed(StrEnum):
    """Which payouts to list."""

    OPEN = "open"
    ALL = "all"
    REQUESTED = "requested"
    QUEUED = "queued"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    UNKNOWN = "unknown"
    SETTLED = "settled"
    FAILED = "failed"


class Outcome(StrEnum):
    """What an operator can say became of one."""

    SETTLED = "settled"
    FAILED = "failed"


PayoutId = Annotated[UUID, typer.Argument(help="The payout's id.")]
Evidence = Annotated[
    str,
    typer.Option("--evidence", help="What shows it, without anything that names a person: a ticket, a file."),
]

REFUSED: Final = {
    Result.NOT_FOUND: "there is no payout with this id",
    Result.NOT_IN_DOUBT: "it is {state}: only a payout in state unknown can be resolved",
    Result.TOO_EARLY: (
        "it is too early: M-PESA has to know nothing of it twice, 30 minutes apart, or say that it ended."
        " That it was paid can be said with a line of the statement: --outcome settled --receipt ... --statement"
    ),
    Result.NOT_SHOWN: (
        "it is too early: no line of a statement shows that it was not paid. M-PESA has to know nothing of it twice,"
        " 30 minutes apart, or say that it ended or failed"
    ),
    Result.NOT_MISSING: "it is not sent again: it was not missing twice, or was sent again before",
    Result.SAME_OPERATOR: "you proposed this; another operator has to confirm it",
    Result.RECEIPT_TAKEN: "the receipt is that of another payout",
}


@app.command("list")
def list_payouts(
    state: Annotated[
        Listed, typer.Option(help="A state, open for all that have not ended, or all.")
    ] = Listed.OPEN,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Asked for within so many days.")] = 365,
) -> None:
    """List payouts, the newest first."""
    run(_list(state, days))


@app.command()
def show(payout_id: PayoutId) -> None:
    """Show one payout: where it is, every step with its cause, every question to M-PESA with its answer."""
    run(_show(payout_id))


@app.command()
def resolve(
    payout_id: PayoutId,
    evidence: Evidence,
    *,
    outcome: Annotated[Outcome | None, typer.Option(help="What became of it.")] = None,
    receipt: Annotated[str | None, typer.Option(help="M-PESA's receipt, where it was paid.")] = None,
    resend: Annotated[bool, typer.Option("--resend", help="Send it once more, under the same id.")] = False,
    statement: Annotated[
        bool, typer.Option("--statement", help="The evidence is a line of the shortcode's statement.")
    ] = False,
    operator: OperatorOption = None,
) -> None:
    """Say what became of a payout in doubt. Above KES 10,000 a second operator has to say the same."""
    if (outcome is None) != resend:
        fail("say either --outcome or --resend")
    if (receipt is not None) != (outcome is Outcome.SETTLED):
        fail("--receipt goes with --outcome settled, and only with it")
    wish = Wish(
        payout_id=payout_id,
        resolution=Resolution.RESEND if outcome is None else Resolution(outcome.value),
        operator=named(operator),
        evidence=_evidence(evidence),
        receipt=None if receipt is None else _receipt(receipt),
        by_statement=statement,
    )
    run(_resolve(wish))


@app.command()
def pause(evidence: Evidence, operator: OperatorOption = None) -> None:
    """Stop all money out: no payout is taken on, and none is sent, until `resume`."""
    run(_pause(_evidence(evidence), named(operator)))


@app.command()
def resume(evidence: Evidence, operator: OperatorOption = None) -> None:
    """Let money out again."""
    run(_resume(_evidence(evidence), named(operator)))


async def _list(listed: Listed, days: int) -> None:
    states = {Listed.OPEN: sorted(OPEN), Listed.ALL: list(State)}.get(listed) or [State(listed.value)]
    async with operating() as o:
        now = o.clock.now()

        async def read(tx: Tx) -> tuple[list[Payout], bool]:
            since = now - timedelta(days=days)
            found = await payouts.list_newest(tx, since=since, states=states, limit=LISTED_MAX)
            return found, await freeze.frozen(tx)

        found, is_frozen = await o.database.unit_of_work(read, role=Role.SYSTEM)
    if is_frozen:
        say("Money out is PAUSED: nothing is taken on or sent until `zanari payouts resume`.")
    if not found:
        say(f"No payout is {listed}, of the last {days} days.")
        return
    columns = (
        "id",
        "state",
        "why",
        "amount",
        "asked for (EAT)",
        "in doubt since (EAT)",
        "receipt",
        "next look (EAT)",
    )
    table(
        columns,
        [
            (
                each.id,
                each.state,
                each.reason,
                format_kes(each.amount_cents),
                _time(each.requested_at),
                _time(each.unknown_at) if each.state is State.UNKNOWN else None,
                each.receipt or each.late_receipt,
                _time(each.due_at),
            )
            for each in found
        ],
    )
    more = f", the newest {LISTED_MAX}" if len(found) == LISTED_MAX else ""
    say(f"{len(found)} {listed}{more}, {format_kes(sum(each.amount_cents for each in found))} in all.")


async def _show(payout_id: UUID) -> None:
    async with operating() as o:

        async def read(tx: Tx) -> tuple[Payout, list[PayoutEvent], list[StatusQuery]] | None:
            saver_id = await payouts.find_owner(tx, payout_id=payout_id)
            payout = saver_id and await payouts.find(tx, saver_id=saver_id, payout_id=payout_id)
            if not payout:
                return None
            return payout, await payouts.list_events(tx, payout), await questions.list_of(tx, payout)

        found = await o.database.unit_of_work(read, role=Role.SYSTEM)
    if found is None:
        fail(REFUSED[Result.NOT_FOUND])
    payout, events, asked = found
    table(("", ""), _facts(payout))
    table(
        ("when (EAT)", "state", "cause", "detail", "by"),
        [
            (_time(each.happened_at), each.state, each.cause, each.detail, each.operator or each.callback_id)
            for each in events
        ],
        title="Steps",
    )
    if asked:
        table(
            ("asked (EAT)", "state", "answer"),
            [(_time(each.asked_at), each.state, each.answer) for each in asked],
            title="Questions to M-PESA",
        )
    say(_advice(payout))


def _facts(payout: Payout) -> list[tuple[str, object]]:
    facts: list[tuple[str, object]] = [
        ("payout", payout.id),
        ("saver", payout.saver_id),
        ("amount", format_kes(payout.amount_cents)),
        ("state", payout.state),
        ("why", payout.reason),
        ("shortcode", payout.shortcode),
        ("our id", payout.originator_conversation_id),
        ("M-PESA's id", payout.conversation_id),
        ("receipt", payout.receipt),
        ("paid after its refund", payout.late_receipt),
        ("went back to", payout.refunded_to),
        ("definite code", payout.definite_code),
        ("first not found (EAT)", _time(payout.first_not_found_at)),
        ("resolvable since (EAT)", _time(payout.resolvable_at)),
        ("proposed", payout.proposed_outcome and f"{payout.proposed_outcome} by {payout.proposed_by}"),
        ("next look (EAT)", _time(payout.due_at)),
    ]
    return [(name, value) for name, value in facts if value is not None]


def _advice(payout: Payout) -> str:
    """Return what an operator can do about it, honestly."""
    resolve = f"zanari payouts resolve {payout.id} --evidence ..."
    if payout.late_receipt is not None:
        return "M-PESA paid what had gone back: the saver owes it, and later deposits repay it first."
    if payout.resend_wanted:
        return "It will be sent once more, under the same id, when nothing of ours stands in the way."
    if payout.resolvable_at is not None:
        resend = ", or --resend" if payout.not_found_twice and not payout.resends else ""
        return f"It can be resolved: {resolve} --outcome failed, or --outcome settled --receipt ...{resend}"
    if payout.state is State.UNKNOWN:
        return (
            "M-PESA is being asked. With a line of the statement:"
            f" {resolve} --statement --outcome settled --receipt ..."
        )
    return "Nothing is to be done by hand."


async def _resolve(wish: Wish) -> None:
    async with operating(wish.operator) as o:
        now = o.clock.now()
        judged = await o.database.unit_of_work(
            lambda tx: payout_resolving.resolve(tx, wish, now=now), role=Role.SYSTEM
        )
    if judged.payout is None or judged.result in REFUSED:
        state = "" if judged.payout is None else judged.payout.state
        fail(f"{REFUSED[judged.result].format(state=state)}; nothing moved")
    amount = format_kes(judged.payout.amount_cents)
    if judged.result is Result.PROPOSED:
        say(
            f"Proposed, nothing moved: {amount} is more than one operator decides. Another one has to say the same."
        )
        return
    match wish.resolution:
        case Resolution.SETTLED:
            say(f"{amount} is booked as paid by {wish.receipt}.")
        case Resolution.FAILED:
            say(f"{amount} went back to the saver's {judged.payout.refunded_to}.")
        case _:
            say(
                f"{amount} will be sent once more by the worker, under the same id. It has not been sent yet."
            )


async def _pause(evidence: str, operator: str) -> None:
    async with operating(operator) as o:
        now = o.clock.now()
        await o.database.unit_of_work(
            lambda tx: payout_resolving.pause(tx, operator=operator, evidence=evidence, now=now),
            role=Role.SYSTEM,
        )
    say("Money out is paused. What M-PESA has taken on already is not called back.")


async def _resume(evidence: str, operator: str) -> None:
    async with operating(operator) as o:
        now = o.clock.now()
        lifted = await o.database.unit_of_work(
            lambda tx: payout_resolving.resume(tx, operator=operator, evidence=evidence, now=now),
            role=Role.SYSTEM,
        )
    if not lifted:
        fail("money out was not paused")
    say("Money out goes on; what waited is sent within a minute.")


def _receipt(text: str) -> str:
    try:
        return parse_receipt(text)
    except ValueError as error:
        fail(f"{text}: {error}")


def _evidence(text: str) -> str:
    if not 0 < len(text.strip()) <= EVIDENCE_MAX:
        fail(f"the evidence has 1 to {EVIDENCE_MAX} characters")
    return text.strip()


def _time(instant: datetime | None) -> str | None:
    return None if instant is None else f"{instant.astimezone(EAT):%Y-%m-%d %H:%M:%S}"
