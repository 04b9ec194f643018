"""What can be done with a payout: take it on, find it, write down its steps, post its one outcome.

The saver must be locked by whoever takes a step. Which step it is, is decided by states; what a step needs of goals,
receipts and breaks, is composed above.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final
from uuid import UUID, uuid4

from zanari_api.kit.clock import eat_date, eat_day_start
from zanari_api.kit.ids import new_id
from zanari_api.ledger import accounts, balances, posting
from zanari_api.ledger.posting import Transfer
from zanari_api.payouts import job_queries, queries, rules
from zanari_api.payouts.queries import NewPayout, Request
from zanari_api.payouts.rows import OpenPayouts, Outstanding, Payout, PayoutEvent
from zanari_api.payouts.states import State
from zanari_api.runtime.crypto import DataKey, Place
from zanari_api.runtime.db import Tx
from zanari_api.transactions import outcomes
from zanari_api.transactions import service as feed
from zanari_api.transactions.rows import FeedRow

PAYOUTS: Final = "savings.payouts"
TITLE: Final = "Withdrawal to M-PESA"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A payout that a saver asked for: from which ledger account, to which of the saver's numbers."""

    saver_id: UUID
    amount_cents: int
    goal_id: UUID | None
    source_account_id: UUID
    account_id: UUID
    msisdn: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why something happens to a payout. `name` is one constant word, `detail` a code or an operator's words."""

    name: str
    now: datetime
    detail: str | None = None
    callback_id: UUID | None = None
    operator: str | None = None


@dataclass(frozen=True, slots=True)
class Refund:
    """Where the money goes back to: the goal it came from, or the wallet.

    `repaid_cents` of it go to `owing_account_id` instead, which is what the saver owes; `words` tell the saver so.
    """

    place: str
    account_id: UUID
    repaid_cents: int = 0
    owing_account_id: UUID | None = None
    words: str = ""


async def take_on(tx: Tx, wanted: Wanted, *, data_key: DataKey) -> Payout:
    """Set the amount aside and store the payout, to be sent by the worker. Raises InsufficientFunds.

    Its id for M-PESA is made here, before anybody is called, and never again.
    """
    payout_id = new_id()
    await posting.post_one(
        tx,
        Transfer(
            key=f"payout:{payout_id}",
            kind="payout",
            event_at=wanted.now,
            entries=(
                (wanted.source_account_id, -wanted.amount_cents),
                (accounts.IN_FLIGHT, wanted.amount_cents),
            ),
            metadata={"payout_id": str(payout_id)},
        ),
    )
    new = NewPayout(
        saver_id=wanted.saver_id,
        id=payout_id,
        amount_cents=wanted.amount_cents,
        goal_id=wanted.goal_id,
        account_id=wanted.account_id,
        msisdn=data_key.encrypt(wanted.msisdn.encode(), msisdn_place(payout_id)),
        originator_conversation_id=str(uuid4()),
        requested_at=wanted.now,
    )
    await queries.insert_payout(tx, new)
    payout = await queries.find_payout(tx, saver_id=wanted.saver_id, payout_id=payout_id)
    assert payout is not None  # noqa: S101 (just inserted)
    await _note(tx, payout, Cause(name="requested", now=wanted.now), before=None)
    tx.note("payout", payout.state)
    await feed.record(tx, [_feed_row(payout)])
    return payout


async def save(
    tx: Tx, before: Payout, after: Payout, cause: Cause, *, lease: UUID | None = None, attempts: int = 0
) -> Payout:
    """Write a step down with its cause, and return the payout as it is now.

    `lease` is the worker's that ends with it; `attempts` are kept where the same is to be tried again, later each
    time.
    """
    await queries.save_payout(tx, after, lease=lease, attempts=attempts)
    await _note(tx, after, cause, before=before.state)
    if after.state is not before.state:
        tx.note("payout", after.state)
    return after


async def name(tx: Tx, payout: Payout, *, conversation_id: str) -> Payout:
    """Keep the id that Safaricom gave it, and return the payout with it."""
    await queries.name_payout(
        tx, saver_id=payout.saver_id, payout_id=payout.id, conversation_id=conversation_id
    )
    return replace(payout, conversation_id=conversation_id)


async def note(tx: Tx, payout: Payout, cause: Cause) -> None:
    """Write down what was said of a payout and changed nothing."""
    await _note(tx, payout, cause, before=payout.state)


async def release(
    tx: Tx, payout: Payout, *, lease: UUID, due_at: datetime | None = None, attempts: int = 0
) -> None:
    """End a worker's lease without a step; `due_at` is when to look again. Nothing happens to another's lease.

    `attempts` are kept where the same is to be tried again, later each time.
    """
    await job_queries.release(
        tx,
        saver_id=payout.saver_id,
        payout_id=payout.id,
        lease=lease,
        due_at=due_at,
        attempts=attempts,
    )


async def plan(tx: Tx, payout: Payout, *, attempts: int) -> None:
    """Write down when a payout is looked at next and how often it was asked about, which is no step of it."""
    await queries.save_payout(tx, payout, lease=None, attempts=attempts)


async def post_settlement(tx: Tx, payout: Payout, *, event_at: datetime) -> None:
    """Post that M-PESA paid it: out of the float it was sent from. Raises KeyConflict after a refund."""
    await _post_outcome(tx, payout, [(_float_of(payout), payout.amount_cents)], event_at=event_at)
    await _tell(tx, payout, status="completed", receipt=payout.receipt)


async def post_refund(tx: Tx, payout: Payout, refund: Refund, *, event_at: datetime) -> None:
    """Post that the money goes back, what the saver owes first. Raises KeyConflict after a settlement."""
    rest_cents = payout.amount_cents - refund.repaid_cents
    to = [(refund.account_id, rest_cents)] if rest_cents else []
    if refund.owing_account_id is not None and refund.repaid_cents:
        to.append((refund.owing_account_id, refund.repaid_cents))
    await _post_outcome(tx, payout, to, event_at=event_at)
    await _tell(tx, payout, status="failed", receipt=None, refund=refund)


async def post_debt(tx: Tx, payout: Payout, *, receivable_account_id: UUID, event_at: datetime) -> None:
    """Post that M-PESA paid what had gone back already: the float has less, and the saver owes it."""
    await posting.post_one(
        tx,
        Transfer(
            key=f"payout_late:{payout.id}",
            kind="payout_late",
            event_at=event_at,
            entries=(
                (_float_of(payout), payout.amount_cents),
                (receivable_account_id, -payout.amount_cents),
            ),
            metadata={"payout_id": str(payout.id)},
        ),
    )
    await _tell(tx, payout, status="failed", receipt=payout.late_receipt)


async def find(tx: Tx, *, saver_id: UUID, payout_id: UUID) -> Payout | None:
    return await queries.find_payout(tx, saver_id=saver_id, payout_id=payout_id)


async def find_owner(tx: Tx, *, payout_id: UUID) -> UUID | None:
    """Return whose payout an id is. Runs as Role.SYSTEM."""
    key = await queries.find_by_id(tx, payout_id=payout_id)
    return None if key is None else key.saver_id


async def find_by_conversation(tx: Tx, *, ours: str | None, theirs: str | None) -> Payout | None:
    """Return the payout of our id, or where that is not told, of Safaricom's. Runs as Role.SYSTEM."""
    if ours is not None:
        key = await queries.find_by_originator(tx, originator_conversation_id=ours)
    elif theirs is not None:
        key = await queries.find_by_conversation(tx, conversation_id=theirs)
    else:
        return None
    return None if key is None else await queries.find_payout(tx, saver_id=key.saver_id, payout_id=key.id)


async def list_of_saver(tx: Tx, *, saver_id: UUID, before: UUID, limit: int) -> list[Payout]:
    """Return a saver's payouts that are older than `before`, the newest first."""
    return await queries.list_payouts(tx, saver_id=saver_id, before=before, limit=limit)


async def list_newest(tx: Tx, *, since: datetime, states: Sequence[State], limit: int) -> list[Payout]:
    """Return everybody's payouts in these states, the newest first. Runs as Role.SYSTEM."""
    return await queries.list_newest(tx, since=since, states=states, limit=limit)


async def list_events(tx: Tx, payout: Payout) -> list[PayoutEvent]:
    """Return every step of a payout with its cause, in order."""
    return await queries.list_events(tx, saver_id=payout.saver_id, payout_id=payout.id)


async def requests_since(tx: Tx, *, saver_id: UUID, since: datetime) -> list[Request]:
    """Return when a saver asked for payouts since then and for how much, those that failed included."""
    return await queries.list_requests(tx, saver_id=saver_id, since=since)


async def paid_out_today_cents(tx: Tx, *, saver_id: UUID, day: date) -> int:
    """Return what a saver's payouts of a Nairobi day come to, but for those whose money went back."""
    return paid_out_cents(await requests_since(tx, saver_id=saver_id, since=eat_day_start(day)), day=day)


def paid_out_cents(requests: Sequence[Request], *, day: date) -> int:
    """Return what those of a Nairobi day come to, but for those whose money went back."""
    return sum(each.amount_cents for each in requests if each.counts and eat_date(each.requested_at) == day)


async def is_open_for(tx: Tx, *, saver_id: UUID, account_id: UUID) -> bool:
    """Tell whether a payout to a number has not come to its end. The saver must be locked."""
    return await queries.is_open_for(tx, saver_id=saver_id, account_id=account_id)


async def stop_for_number(tx: Tx, *, saver_id: UUID, account_id: UUID, now: datetime) -> int:
    """Have the worker look at once at what was not sent to a number; return how many payouts those are.

    Called where a number stops being this saver's, in that transaction. What nobody sent yet is then not sent:
    the worker asks whose the number is under the saver's lock, and gives the money back. What M-PESA may have
    heard of cannot be stopped any more.
    """
    return await queries.hasten(tx, saver_id=saver_id, account_id=account_id, now=now)


async def stop_for_debt(tx: Tx, *, saver_id: UUID, now: datetime) -> None:
    """Have the worker look at once at what was not sent to a saver, who has just come to owe something.

    The worker then stops it, as it asks under the saver's lock what is owed. The saver must be locked.
    """
    await queries.hasten_all(tx, saver_id=saver_id, now=now)


async def hold_float(tx: Tx, *, shortcode: str) -> tuple[int, list[Outstanding]]:
    """Return the cents our books have in a shortcode's utility, and the payouts that may leave it, or have.

    Holds the float until the transaction ends: of two that are about to be sent, the second sees the first.
    """
    await queries.lock_float(tx, shortcode=shortcode)
    held = await balances.balance(tx, accounts.float_id(shortcode))
    return held or 0, await queries.list_outstanding(tx, shortcode=shortcode)


async def open_payouts(tx: Tx) -> list[OpenPayouts]:
    """Return how many payouts are open, by state. Runs as Role.SYSTEM."""
    return await queries.count_open(tx)


def msisdn_of(payout: Payout, data_key: DataKey) -> str:
    """Return the number that a payout goes to."""
    return data_key.decrypt(payout.msisdn, msisdn_place(payout.id)).decode()


def msisdn_place(payout_id: UUID) -> Place:
    return Place(PAYOUTS, "msisdn", payout_id)


def due_next(payout: Payout, *, now: datetime) -> Payout:
    """Return a payout that has just come to stand so, due when it is looked at next; what has ended never is."""
    has_ended = payout.state in {State.SETTLED, State.FAILED}
    return replace(payout, due_at=None if has_ended else rules.next_look(payout, now=now))


async def _note(tx: Tx, payout: Payout, cause: Cause, *, before: State | None) -> None:
    event = PayoutEvent(
        state_before=before,
        state=payout.state,
        cause=cause.name,
        detail=cause.detail,
        callback_id=cause.callback_id,
        operator=cause.operator,
        happened_at=cause.now,
    )
    await queries.insert_event(tx, event, saver_id=payout.saver_id, payout_id=payout.id, event_id=new_id())


async def _post_outcome(
    tx: Tx, payout: Payout, to: Sequence[tuple[UUID, int]], *, event_at: datetime
) -> None:
    """Post one of the two ends, under the one key that both have: whichever comes second is refused."""
    await posting.post_one(
        tx,
        Transfer(
            key=f"payout_outcome:{payout.id}",
            kind="payout_outcome",
            event_at=event_at,
            entries=((accounts.IN_FLIGHT, -payout.amount_cents), *to),
            metadata={"payout_id": str(payout.id), "state": payout.state.value},
        ),
    )


async def _tell(
    tx: Tx, payout: Payout, *, status: str, receipt: str | None, refund: Refund | None = None
) -> None:
    explanation = _explanation(payout)
    if refund is not None and refund.repaid_cents:
        explanation = {
            **explanation,
            "text": f"{explanation['text']} {refund.words}",
            "repaid_cents": refund.repaid_cents,
        }
    await outcomes.mark(
        tx,
        saver_id=payout.saver_id,
        transaction_id=payout.id,
        status=status,
        explanation=explanation,
        receipt=receipt,
    )


def _float_of(payout: Payout) -> UUID:
    assert payout.shortcode is not None  # noqa: S101 (what M-PESA may have heard of was sent from one)
    return accounts.float_id(payout.shortcode)


def _feed_row(payout: Payout) -> FeedRow:
    return FeedRow(
        saver_id=payout.saver_id,
        id=payout.id,
        type="payout",
        status="pending",
        direction="out",
        amount_cents=payout.amount_cents,
        occurred_at=payout.requested_at,
        title=TITLE,
        goal_id=payout.goal_id,
        explanation=_explanation(payout),
    )


def _explanation(payout: Payout) -> dict[str, object]:
    return {"text": rules.told(payout), "reason": payout.reason}
