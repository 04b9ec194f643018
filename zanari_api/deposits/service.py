"""Books a payment that came in: to a saver's account, or to suspense. The receipt must have been claimed."""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from uuid import UUID

from zanari_api.deposits import queries, receivables
from zanari_api.deposits.receivables import Split
from zanari_api.deposits.rows import Payment
from zanari_api.kit.clock import eat_day_start
from zanari_api.kit.ids import new_id
from zanari_api.kit.money import format_kes
from zanari_api.ledger import accounts, posting
from zanari_api.ledger.posting import Transfer
from zanari_api.runtime.db import Tx
from zanari_api.transactions import service as feed
from zanari_api.transactions.rows import FeedRow


class SuspenseReason(StrEnum):
    """Why a payment could not be matched."""

    NO_REFERENCE = "no_reference"
    "nothing in the account reference reads as a member code"

    UNKNOWN_MEMBER = "unknown_member"
    "a well-formed member code that no saver has"

    UNKNOWN_INTENT = "unknown_intent"
    "a well-formed reference of a request that we never made"


class BooksRefused(Exception):  # noqa: N818 (a bug: money that came in can always be booked somewhere)
    """The ledger refused to book a payment that has already been made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a matched payment goes: a saver's wallet, or one of the saver's goals.

    `words` is a sentence that the saver is told besides where the money went.
    """

    saver_id: UUID
    account_id: UUID
    goal_id: UUID | None = None
    goal_name: str | None = None
    words: str = ""


async def credit(tx: Tx, payment: Payment, destination: Destination, *, out_of: UUID | None = None) -> UUID:
    """Book a payment to a saver, with its row in the feed; return the deposit's id, which is also the row's.

    What the saver owes is repaid first. The money comes from the shortcode's float, where M-PESA put it, unless
    `out_of` names the account in which it was held. The saver and the receipt must be locked.
    """
    deposit_id = new_id()
    split = receivables.split(
        owed_cents=await receivables.owed(tx, saver_id=destination.saver_id),
        amount_cents=payment.amount_cents,
    )
    entries = [(out_of or accounts.float_id(payment.shortcode), -payment.amount_cents)]
    if split.repaid_cents:
        owing = await receivables.receivable_account(tx, saver_id=destination.saver_id)
        entries.append((owing, split.repaid_cents))
    if split.rest_cents:
        entries.append((destination.account_id, split.rest_cents))
    await _post(
        tx,
        Transfer(
            key=f"deposit:{deposit_id}", kind="deposit", event_at=payment.event_at, entries=tuple(entries)
        ),
        shortcode=payment.shortcode,
    )
    # A debt takes the place of a goal: the goal is told of only where it got something.
    goal_id = destination.goal_id if split.rest_cents else None
    await queries.insert_deposit(
        tx, payment, saver_id=destination.saver_id, deposit_id=deposit_id, goal_id=goal_id
    )
    row = FeedRow(
        saver_id=destination.saver_id,
        id=deposit_id,
        type="deposit",
        status="completed",
        direction="in",
        amount_cents=payment.amount_cents,
        occurred_at=payment.event_at,
        title="M-PESA deposit",
        goal_id=goal_id,
        receipt=payment.receipt,
        explanation={"text": _told(payment, destination, split)},
    )
    await feed.record(tx, [row])
    return deposit_id


async def record_collected(tx: Tx, payment: Payment, *, saver_id: UUID, deposit_id: UUID) -> None:
    """Record a payment whose money was booked otherwise; `deposit_id` is the id of its row in the feed."""
    await queries.insert_deposit(tx, payment, saver_id=saver_id, deposit_id=deposit_id, goal_id=None)


async def attach_receipt(tx: Tx, *, saver_id: UUID, intent_id: UUID, receipt: str) -> None:
    """Give the deposit of an intent the receipt that a query could not tell. The saver and the receipt are locked."""
    deposit_id = await queries.attach_receipt(tx, saver_id=saver_id, intent_id=intent_id, receipt=receipt)
    assert deposit_id is not None  # noqa: S101 (what settled an intent is a deposit, and had no receipt)
    await feed.attach_receipt(tx, saver_id=saver_id, transaction_id=deposit_id, receipt=receipt)


async def hold(tx: Tx, payment: Payment, *, reason: SuspenseReason) -> None:
    """Book a payment that nobody could be matched to into suspense. The receipt must be locked."""
    item_id = new_id()
    await _post(
        tx,
        Transfer(
            key=f"suspense:{item_id}",
            kind="suspense",
            event_at=payment.event_at,
            entries=(
                (accounts.float_id(payment.shortcode), -payment.amount_cents),
                (accounts.SUSPENSE, payment.amount_cents),
            ),
        ),
        shortcode=payment.shortcode,
    )
    await queries.insert_suspense_item(tx, payment, item_id=item_id, reason=reason)


async def booked_amount(tx: Tx, *, receipt: str) -> int | None:
    """Return the cents that a receipt was booked with; None when it was not."""
    return await queries.find_booked_amount(tx, receipt=receipt)


async def deposited_today_cents(tx: Tx, *, saver_id: UUID, day: date) -> int:
    """Return what came in for a saver on a Nairobi day, and what may yet: asked for on that day and still undecided.

    The saver must be locked wherever a limit is decided by it.
    """
    since, until = eat_day_start(day), eat_day_start(day + timedelta(days=1))
    return await queries.sum_deposited(tx, saver_id=saver_id, since=since, until=until)


async def _post(tx: Tx, transfer: Transfer, *, shortcode: str) -> None:
    """Post what must succeed."""
    posted = await posting.post_paid_in(tx, transfer, shortcode=shortcode)
    if not posted.stands:
        raise BooksRefused(posted.outcome)


def _told(payment: Payment, destination: Destination, split: Split) -> str:
    amount = format_kes(payment.amount_cents)
    place = destination.goal_name or "your wallet"
    if not split.rest_cents:
        place = "what you owed"
    sentences = [f"{amount} came in from M-PESA, to {place}.", split.told(), destination.words]
    return " ".join(filter(None, sentences))
