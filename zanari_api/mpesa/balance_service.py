"""Asks Safaricom what our accounts hold, and keeps what it says. Compares nothing and moves no money."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from zanari_api.daraja.client import DarajaClient
from zanari_api.daraja.codes import Api, Kind
from zanari_api.daraja.errors import DarajaError
from zanari_api.daraja.requests import Accepted
from zanari_api.daraja.results import BalanceLine, BalanceResult, read_result
from zanari_api.daraja.values import UnreadableCallback
from zanari_api.kit.clock import Clock
from zanari_api.kit.ids import new_id
from zanari_api.ledger import accounts, balances, moments
from zanari_api.ledger.accounts import FloatAccount
from zanari_api.mpesa import balance_queries
from zanari_api.mpesa.balance_queries import BalanceReport, BalanceRequest
from zanari_api.mpesa.inbox import Effected, InboxItem, Intake, Note, Outcome
from zanari_api.runtime.db import Database, Role, Tx

REPLY_WITHIN: Final = timedelta(minutes=2)
"""The reply to a question comes within this, or never."""

LINES_UNREAD: Final = "lines_unread"
"""The reason that an answer keeps when some of it could not be read."""


class State(StrEnum):
    """Where a question for balances is."""

    REQUESTED = "requested"
    "stored, and being asked"

    SUBMITTED = "submitted"
    "Safaricom took it on; its result is to come"

    REPORTED = "reported"
    "the result came"

    FAILED = "failed"
    "there will be no result"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What balances are asked with. The two addresses are where Safaricom posts its answer."""

    database: Database
    daraja: DarajaClient
    clock: Clock
    result_url: str
    timeout_url: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A question and what was said, one report an account; none while nothing was said."""

    request: BalanceRequest
    reports: tuple[BalanceReport, ...]

    @property
    def is_final(self) -> bool:
        return self.request.state in {State.REPORTED, State.FAILED}


async def ask(asking: Asking, *, shortcode: str) -> UUID:
    """Ask for a shortcode's balances and return the question's id. What Safaricom refuses ends as failed."""
    request_id = new_id()

    async def store(tx: Tx) -> None:
        await balance_queries.insert_request(
            tx,
            request_id=request_id,
            shortcode=shortcode,
            booked_since=await moments.horizon(tx),
            now=asking.clock.now(),
        )

    await asking.database.unit_of_work(store, role=Role.SYSTEM)
    try:
        accepted = await asking.daraja.account_balance(
            shortcode=shortcode, result_url=asking.result_url, timeout_url=asking.timeout_url
        )
    except DarajaError as error:
        await _fail(asking, request_id, reason=type(error).__name__)
    else:
        await _submitted(asking, request_id, accepted)
    return request_id


async def _fail(asking: Asking, request_id: UUID, *, reason: str) -> None:
    async def fail(tx: Tx) -> None:
        await balance_queries.mark_finished(
            tx, request_id=request_id, state=State.FAILED, reason=reason, now=asking.clock.now()
        )

    await asking.database.unit_of_work(fail, role=Role.SYSTEM)


async def _submitted(asking: Asking, request_id: UUID, accepted: Accepted) -> None:
    async def submitted(tx: Tx) -> None:
        await balance_queries.mark_submitted(
            tx,
            request_id=request_id,
            conversation_id=accepted.conversation_id,
            originator_conversation_id=accepted.originator_conversation_id,
            now=asking.clock.now(),
        )

    await asking.database.unit_of_work(submitted, role=Role.SYSTEM)


async def receive(tx: Tx, item: InboxItem, intake: Intake) -> Effected:
    """Keep the balances that a result tells. One that overtook the reply to its question waits for it."""
    try:
        result = read_result(item.body)
    except UnreadableCallback:
        return Effected(Outcome.QUARANTINED, note=Note.UNREADABLE)
    request = await _lock(tx, result.conversation_id)
    if request is None:
        return await _unmatched(tx, item, intake)
    if request.state == State.REPORTED:
        return Effected(Outcome.DUPLICATE)
    meaning, told = result.meaning(Api.BALANCE), BalanceResult.of(result)
    found = _balances(told)
    if meaning.kind is not Kind.SUCCESS or not found:
        reason = meaning.reason.value if meaning.kind is not Kind.SUCCESS else Note.UNREADABLE.value
        await balance_queries.mark_finished(
            tx, request_id=request.id, state=State.FAILED, reason=reason, now=intake.policy.now
        )
        return Effected(Outcome.FAILED, note=reason)
    await balance_queries.insert_reports(
        tx,
        request,
        balances=found,
        reported_at=told.completed_at or item.received_at,
        callback_id=item.id,
    )
    await balance_queries.mark_finished(
        tx,
        request_id=request.id,
        state=State.REPORTED,
        reason=LINES_UNREAD if told.unread else None,
        now=intake.policy.now,
    )
    return Effected(Outcome.NOTED)


async def _unmatched(tx: Tx, item: InboxItem, intake: Intake) -> Effected:
    """Wait for the reply that this result overtook; where that reply was lost, the result is of no use."""
    waited = intake.policy.now - item.received_at
    lost = await balance_queries.find_unnamed(tx, since=item.received_at - REPLY_WITHIN)
    if lost is not None and waited > REPLY_WITHIN:
        return Effected(Outcome.NOTED, note="reply_lost")
    return Effected(Outcome.WAITING)


async def find(tx: Tx, *, request_id: UUID) -> Answer:
    """Return a question of `ask` and what was said by now."""
    request = await balance_queries.find_request(tx, request_id=request_id)
    assert request is not None  # noqa: S101 (ask stored it, and none is ever deleted)
    return Answer(request, tuple(await balance_queries.list_reports(tx, request_id=request_id)))


async def list_untold(tx: Tx, answer: Answer) -> list[FloatAccount]:
    """Return the accounts of ours that an answer says nothing readable of, and that may hold something.

    Every shortcode has a utility account. One of the others is left out where all of the answer was read, our books
    have nothing in it, and Safaricom never told of it: such a shortcode has no such account.
    """
    shortcode, told = answer.request.shortcode, {report.account for report in answer.reports}
    untold = [account for account in FloatAccount if account.value not in told]
    if not untold or answer.request.reason == LINES_UNREAD:
        return untold
    ids = {account: accounts.float_id(shortcode, account) for account in untold}
    held = await balances.balances(tx, list(ids.values()))
    known = await balance_queries.list_told_accounts(tx, shortcode=shortcode)
    return [
        account
        for account in untold
        if account is FloatAccount.UTILITY or held.get(ids[account]) or account.value in known
    ]


async def find_last(tx: Tx, *, shortcode: str, since: datetime, until: datetime) -> Answer | None:
    """Return the last answer whose balances are of a moment in [since, until)."""
    request = await balance_queries.find_last_reported(tx, shortcode=shortcode, since=since, until=until)
    if request is None:
        return None
    return Answer(request, tuple(await balance_queries.list_reports(tx, request_id=request.id)))


async def find_horizon(tx: Tx, *, shortcode: str, moment: datetime) -> str:
    """Return a horizon of the ledger from before `moment`: that of the last question until then, else of all time."""
    found = await balance_queries.find_horizon(tx, shortcode=shortcode, moment=moment)
    return found or moments.SINCE_EVER


async def _lock(tx: Tx, conversation_id: str | None) -> BalanceRequest | None:
    if conversation_id is None:
        return None
    return await balance_queries.lock_request(tx, conversation_id=conversation_id)


def _balances(told: BalanceResult) -> dict[str, int]:
    """Return the accounts we keep books of, by our names; one that was not told is left out."""
    lines: dict[str, BalanceLine | None] = {
        FloatAccount.UTILITY.value: told.utility,
        FloatAccount.WORKING.value: told.working,
        FloatAccount.CHARGES_PAID.value: told.charges_paid,
    }
    return {account: line.current_cents for account, line in lines.items() if line is not None}
