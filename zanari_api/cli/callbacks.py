"""`zanari callbacks`: what Safaricom posted and what became of it, to be seen and to be acted on again."""

import re
from datetime import datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

import typer

from zanari_api.cli.session import Operation, OperatorOption, named, operating
from zanari_api.cli.terminal import FAILED, fail, run, say, table
from zanari_api.daraja.masking import mask_people
from zanari_api.kit.clock import EAT
from zanari_api.mpesa import callback_service
from zanari_api.mpesa.callback_service import Replayed
from zanari_api.mpesa.callback_store import BodyErased
from zanari_api.mpesa.inbox import CallbackKind, Effected, Outcome
from zanari_api.mpesa.inbox_rows import CallbackRow, Filter
from zanari_api.runtime import audit
from zanari_api.runtime.db import Role, Tx

app = typer.Typer(
    help="See what Safaricom posted, what became of it, and have it acted on again.", no_args_is_help=True
)

Identity = Annotated[UUID, typer.Argument(help="The callback's id, as `list` shows it.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is written into the audit log.")]

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
_REASON_MAX: Final = 1000
ERASED: Final = "Its body was erased: it is kept for 90 days."

_STILL_OPEN: Final = frozenset({Outcome.QUARANTINED, Outcome.WAITING, Outcome.DEFERRED})


@app.command("list")
def list_callbacks(
    kind: Annotated[CallbackKind | None, typer.Option(help="Only this kind.")] = None,
    outcome: Annotated[Outcome | None, typer.Option(help="Only what ended so, e.g. quarantined.")] = None,
    older_than: Annotated[str, typer.Option(help="Only what came longer ago: 30m, 2h or 7d.")] = "0m",
    newer_than: Annotated[str, typer.Option(help="Only what came since: 30m, 2h or 7d.")] = "90d",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest first.")] = 100,
) -> None:
    """List callbacks, the newest first. Bodies are not shown."""
    run(_list(kind, outcome, _duration(older_than), _duration(newer_than), limit))


@app.command()
def show(
    callback_id: Identity,
    reason: Annotated[str, typer.Option("--reason", help="Why people must be seen; with --reveal.")] = "",
    operator: OperatorOption = None,
    *,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show people too; this is written down.")] = False,
) -> None:
    """Show one callback with its body. Names and numbers of people are masked unless there is a reason to see them."""
    if reveal and not reason.strip():
        fail("--reveal needs a --reason")
    why = _reason(reason) if reveal else None
    run(_show(callback_id, reason=why, operator=named(operator) if reveal else ""))


@app.command()
def replay(callback_id: Identity, reason: Reason, operator: OperatorOption = None) -> None:
    """Act on a stored callback again. Safe: every effect happens once. Exit code 1 while something is left to do."""
    run(_replay(callback_id, reason=_reason(reason), operator=named(operator)))


@app.command()
def dismiss(callback_id: Identity, reason: Reason, operator: OperatorOption = None) -> None:
    """Take a callback out of quarantine from which nothing follows, such as garbage. Its body is kept."""
    run(_dismiss(callback_id, reason=_reason(reason), operator=named(operator)))


async def _list(
    kind: CallbackKind | None,
    outcome: Outcome | None,
    older_than: timedelta,
    newer_than: timedelta,
    limit: int,
) -> None:
    async with operating() as o:
        now = o.clock.now()
        wanted = Filter(
            kind=kind, outcome=outcome, since=now - newer_than, until=now - older_than, limit=limit
        )
        async with o.database.transaction(Role.SYSTEM) as tx:
            found = await callback_service.list_callbacks(tx, wanted)
    if not found:
        say("No callback is like that.")
        return
    columns = ("received (EAT)", "id", "kind", "outcome", "note", "deliveries", "next look (EAT)", "error")
    table(
        columns,
        [
            (
                _eat(row.received_at),
                row.id,
                row.kind,
                row.outcome,
                row.note,
                row.deliveries,
                _eat(row.due_at),
                row.last_error,
            )
            for row in found
        ],
    )
    if len(found) == limit:
        say(f"There may be more: these are the newest {limit}.")


async def _show(callback_id: UUID, *, reason: str | None, operator: str) -> None:
    async with operating(operator) as o:

        async def look(tx: Tx) -> tuple[CallbackRow, bytes | None] | None:
            found = await callback_service.find(tx, callback_id, intake=o.intake)
            if found is not None and reason is not None:
                # Written down before anything is shown.
                await audit.record(
                    tx,
                    operator=o.operator,
                    act="callback_revealed",
                    subject=f"callback:{callback_id}",
                    reason=reason,
                    before={},
                    after={},
                )
            return found

        found = await o.database.unit_of_work(look, role=Role.SYSTEM)
    if found is None:
        fail(f"there is no callback {callback_id}")
    row, body = found
    table(("", ""), [(name, value) for name, value in _facts(row) if value is not None])
    if body is None:
        say(ERASED)
    else:
        say(mask_people(body) if reason is None else body.decode(errors="backslashreplace"))


async def _replay(callback_id: UUID, *, reason: str, operator: str) -> None:
    async with operating(operator) as o:
        try:
            replayed = await o.database.unit_of_work(
                lambda tx: callback_service.replay(
                    tx, callback_id, operator=o.operator, reason=reason, intake=o.intake
                ),
                role=Role.SYSTEM,
            )
        except BodyErased:
            fail(f"{ERASED} Nothing can follow from it any more.")
        except Exception as error:  # noqa: BLE001 (whatever it is, the operator is told in one line)
            fail(f"acting on it failed with {type(error).__name__}; nothing was changed")
    _report(callback_id, replayed)
    if replayed is not None and replayed.after.outcome in _STILL_OPEN:
        raise typer.Exit(FAILED)


async def _dismiss(callback_id: UUID, *, reason: str, operator: str) -> None:
    async with operating(operator) as o:
        dismissed = await _dismissed(o, callback_id, reason)
    if dismissed is not None and dismissed.before == dismissed.after:
        fail(f"{callback_id} is {_told(dismissed.before)}, not quarantined: it was left as it is")
    _report(callback_id, dismissed)


async def _dismissed(o: Operation, callback_id: UUID, reason: str) -> Replayed | None:
    return await o.database.unit_of_work(
        lambda tx: callback_service.dismiss(tx, callback_id, operator=o.operator, reason=reason),
        role=Role.SYSTEM,
    )


def _report(callback_id: UUID, replayed: Replayed | None) -> None:
    if replayed is None:
        fail(f"there is no callback {callback_id}")
    say(f"before: {_told(replayed.before)}")
    say(f"after:  {_told(replayed.after)}")


def _told(effected: Effected) -> str:
    told = effected.outcome.value
    if effected.note is not None:
        told += f" ({effected.note})"
    return told if effected.saver_id is None else f"{told}, saver {effected.saver_id}"


def _facts(row: CallbackRow) -> list[tuple[str, object]]:
    return [
        ("id", row.id),
        ("kind", row.kind),
        ("outcome", row.outcome),
        ("note", row.note),
        ("saver", row.saver_id),
        ("received (EAT)", _eat(row.received_at)),
        ("deliveries", row.deliveries),
        ("last delivery (EAT)", _eat(row.last_received_at)),
        ("from a listed address", row.source_listed),
        ("next look (EAT)", _eat(row.due_at)),
        ("failed tries", row.attempts or None),
        ("given up (EAT)", _eat(row.dead_at)),
        ("last error", row.last_error),
    ]


def _reason(text: str) -> str:
    if not 0 < len(text.strip()) <= _REASON_MAX:
        fail(f"a reason has 1 to {_REASON_MAX} characters")
    return text.strip()


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"([0-9]{1,4})([mhd])", text)
    if match is None:
        fail(f"{text} is no duration such as 30m, 2h or 7d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _eat(instant: datetime | None) -> str | None:
    return None if instant is None else f"{instant.astimezone(EAT):%Y-%m-%d %H:%M:%S}"
