"""Compares what Safaricom says our accounts hold with our floats, and names each difference. Moves no money.

A difference that is gone closes its break by itself. Balances are compared as of the moment that Safaricom's clock
gives them, by the time of events: what was booked late counts for when it happened.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from zanari_api.daraja.errors import DarajaError
from zanari_api.kit.clock import Clock, eat_day_start
from zanari_api.kit.money import format_kes
from zanari_api.ledger import moments
from zanari_api.ledger.accounts import FloatAccount
from zanari_api.mpesa import balance_service, breaks, fees, float_service, payout_hastening
from zanari_api.mpesa.balance_service import Answer, Asking
from zanari_api.mpesa.breaks import BreakKind
from zanari_api.mpesa.float_service import Place
from zanari_api.mpesa.payout_hastening import Hastened
from zanari_api.mpesa.payout_sending import Paying
from zanari_api.mpesa.pull_jobs import PullBrokeOff
from zanari_api.reconciliation.comparing import Compared, Explained, booked_at, explain
from zanari_api.reconciliation.pending import list_pending
from zanari_api.reconciliation.reports import Report
from zanari_api.runtime.db import Database, Role, Tx

log = structlog.get_logger(__name__)

SECOND: Final = timedelta(seconds=1)
DAY: Final = timedelta(days=1)
POLL_S: Final = timedelta(milliseconds=100).total_seconds()
ANSWER_WITHIN: Final = timedelta(seconds=60)
"""How long an answer is waited for. Safaricom sends it once, and never again."""


def _silent(_text: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciling:
    """What a reconciliation works with.

    `shortcodes` are all we run, the collecting one first. `recover` books payments whose confirmation never came;
    `look_again` works on callbacks that overtook what they answer, as an answer to us may have. `paying` is there
    where M-PESA shall be asked about payouts in doubt at once, for which there is a job otherwise.
    """

    database: Database
    clock: Clock
    asking: Asking
    shortcodes: Sequence[str]
    look_again: Callable[[], Awaitable[object]]
    recover: Callable[[], Awaitable[object]] | None = None
    paying: Paying | None = None
    answer_within: timedelta = ANSWER_WITHIN


async def reconcile(
    parts: Reconciling, *, on: date | None = None, progress: Callable[[str], None] = _silent
) -> Report:
    """Compare all our accounts, note what differs, close what does not any more.

    Without `on` Safaricom is asked now, after lost payments were recovered and payouts in doubt were asked about. With
    `on`, a Nairobi day, the last answer of that day is compared with what we have booked of it by now. `progress` is
    told what takes a while.
    """
    started_at = parts.clock.now()
    hastened = Hastened()
    if on is None:
        await _recover(parts, progress)
        hastened = await _hasten(parts, progress)
        answers = await _ask_all(parts, progress)
    else:
        answers = await _answers_of(parts, on)

    async def compare(tx: Tx) -> Sequence[Compared]:
        return await _compare(tx, answers, now=parts.clock.now(), on=on)

    compared = await parts.database.unit_of_work(compare, role=Role.SYSTEM)
    unanswered = [shortcode for shortcode, answer in answers.items() if answer is None or not answer.reports]
    async with parts.database.transaction(Role.SYSTEM) as tx:
        report = Report(
            at=parts.clock.now(),
            on=on,
            compared=compared,
            unanswered=unanswered,
            breaks=await breaks.list_open(tx),
            closed=await breaks.list_closed(tx, since=started_at),
            hastened=hastened,
        )
    log.info("reconciled", accounts=len(compared), unanswered=len(unanswered), open_breaks=len(report.breaks))
    return report


async def _recover(parts: Reconciling, progress: Callable[[str], None]) -> None:
    if parts.recover is None:
        return
    progress("recovering payments whose confirmation never came")
    try:
        await parts.recover()
    except (DarajaError, PullBrokeOff) as error:
        # What is missing shows as a difference all the same, and the next pull begins where this one did.
        log.warning("payments_not_recovered", error=type(error).__name__)
        progress("Safaricom did not list the payments; going on without")


async def _hasten(parts: Reconciling, progress: Callable[[str], None]) -> Hastened:
    if parts.paying is None:
        return Hastened()
    return await payout_hastening.ask_now(
        parts.paying, within=parts.answer_within, look_again=parts.look_again, progress=progress
    )


async def _ask_all(parts: Reconciling, progress: Callable[[str], None]) -> Mapping[str, Answer | None]:
    """Ask for the balances of every shortcode, one after the other, and wait for each answer."""
    answers: dict[str, Answer | None] = {}
    for shortcode in parts.shortcodes:
        progress(f"asking Safaricom what {shortcode} holds")
        request_id = await balance_service.ask(parts.asking, shortcode=shortcode)
        answers[shortcode] = answer = await _wait(parts, request_id)
        if not answer.reports:
            seconds = parts.answer_within // SECOND
            progress(f"no answer for {shortcode} within {seconds} s, or none that told a balance")
    return answers


async def _wait(parts: Reconciling, request_id: UUID) -> Answer:
    deadline = parts.clock.now() + parts.answer_within
    while True:
        async with parts.database.transaction(Role.SYSTEM) as tx:
            answer = await balance_service.find(tx, request_id=request_id)
        if answer.is_final or parts.clock.now() >= deadline:
            return answer
        await parts.clock.sleep(POLL_S)
        await parts.look_again()


async def _answers_of(parts: Reconciling, on: date) -> Mapping[str, Answer | None]:
    since = eat_day_start(on)
    async with parts.database.transaction(Role.SYSTEM) as tx:
        return {
            shortcode: await balance_service.find_last(
                tx, shortcode=shortcode, since=since, until=since + DAY
            )
            for shortcode in parts.shortcodes
        }


async def _compare(
    tx: Tx, answers: Mapping[str, Answer | None], *, now: datetime, on: date | None
) -> Sequence[Compared]:
    compared: list[Compared] = []
    for shortcode, answer in answers.items():
        await _note_unanswered(tx, shortcode, answer, now=now, on=on)
        if answer is not None:
            compared += await _booked(tx, answer)
    pending = await list_pending(tx, now=now)
    for each in compared:
        subject = f"float:{each.place}" if on is None else f"float:{each.place}:{on}"
        explained = explain(each, pending=pending, others=compared)
        await _note_difference(tx, each, explained, subject=subject, now=now)
    await fees.check_cover(tx, now=now)
    return compared


async def _booked(tx: Tx, answer: Answer) -> list[Compared]:
    """Put our balances beside the reported ones, as they were at the moment of the report."""
    compared: list[Compared] = []
    if answer.reports:
        await float_service.open_floats(tx, shortcode=answer.request.shortcode)
    for report in answer.reports:
        place = Place(report.shortcode, FloatAccount(report.account))
        window = {"booked_since": answer.request.booked_since}
        before = await moments.held_before(tx, [place.account_id], moment=report.reported_at, **window)
        changes = await moments.changes(
            tx,
            [place.account_id],
            since=report.reported_at,
            until=report.reported_at + SECOND,
            **window,
        )
        booked = booked_at(
            report.balance_cents,
            before_cents=before[place.account_id],
            changes=changes[place.account_id],
        )
        compared.append(
            Compared(
                place=place,
                reported_cents=report.balance_cents,
                booked_cents=booked,
                reported_at=report.reported_at,
            )
        )
    return compared


async def _note_unanswered(
    tx: Tx, shortcode: str, answer: Answer | None, *, now: datetime, on: date | None
) -> None:
    """Name a shortcode without an answer, else each account of it that its answer does not tell of."""
    subject = _unknown(shortcode, on)
    if answer is not None and answer.reports:
        await _close_unknown(tx, subject, now=now)
        untold = await balance_service.list_untold(tx, answer)
        for account in FloatAccount:
            if account in untold:
                await _note_untold(tx, Place(shortcode, account), now=now, on=on)
            else:
                await _close_unknown(tx, _unknown(Place(shortcode, account), on), now=now)
        return
    if on is not None:
        cause = "no balances were told on that day"
    else:
        reason = answer and answer.request.reason
        cause = f"Safaricom refused: {reason}" if reason else "the answer never came"
    await breaks.note_break(
        tx,
        kind=BreakKind.BALANCE_UNKNOWN,
        subject=subject,
        shortcode=shortcode,
        amount_cents=0,
        suspected_cause=cause,
        command="zanari reconcile"
        if on is None
        else f"zanari statement import FILE --shortcode {shortcode} --date {on}",
        now=now,
    )


async def _note_untold(tx: Tx, place: Place, *, now: datetime, on: date | None) -> None:
    await breaks.note_break(
        tx,
        kind=BreakKind.BALANCE_UNKNOWN,
        subject=_unknown(place, on),
        shortcode=place.shortcode,
        account=place.account,
        amount_cents=0,
        suspected_cause="the answer has no line of this account, or none that can be read",
        command="zanari reconcile"
        if on is None
        else f"zanari statement import FILE --shortcode {place.shortcode} --account {place.account} --date {on}",
        now=now,
    )


async def _close_unknown(tx: Tx, subject: str, *, now: datetime) -> None:
    await breaks.close_break(
        tx, kind=BreakKind.BALANCE_UNKNOWN, subject=subject, because="Safaricom told the balances", now=now
    )


def _unknown(about: str | Place, on: date | None) -> str:
    return f"balance:{about}" if on is None else f"balance:{about}:{on}"


async def _note_difference(
    tx: Tx, compared: Compared, explained: Explained, *, subject: str, now: datetime
) -> None:
    if not compared.difference_cents:
        at = f"{compared.reported_at:%Y-%m-%dT%H:%M:%SZ}"
        because = f"both books say {format_kes(compared.reported_cents)} at {at}"
        await breaks.close_break(tx, kind=BreakKind.FLOAT_DIFFERS, subject=subject, because=because, now=now)
        return
    await breaks.note_break(
        tx,
        kind=BreakKind.FLOAT_DIFFERS,
        subject=subject,
        shortcode=compared.place.shortcode,
        account=compared.place.account,
        amount_cents=compared.difference_cents,
        suspected_cause=explained.cause,
        command=explained.command,
        now=now,
    )
