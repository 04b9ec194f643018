"""Books a payment that came in: to a saver's account, or to suspense. The receipt must have been claimed."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from zanari_api.deposits import queries
from zanari_api.deposits.rows import Payment
from zanari_api.kit.ids import new_id
from zanari_api.kit.money import format_kes
from zanari_api.ledger import accounts, posting
from zanari_api.ledger.posting import Outcome, Transfer
from zanari_api.runtime.db import Tx
from zanari_api.transactions import service as feed
from zanari_api.transactions.rows import FeedRow


class SuspenseReason(StrEnum):
    """Why a payment could not be matched."""

    NO_REFERENCE = "no_reference"
    "nothing in the account reference reads as a member code"

    UNKNOWN_MEMBER = "unknown_member"
    "a well-formed member code that no saver has"


class BooksRefused(Exception):  # noqa: N818 (a bug: money that came in can always be booked somewhere)
    """The ledger refused to book a payment that has already been made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a matched payment goes: a saver's wallet, or one of the saver's goals."""

    saver_id: UUID
    account_id: UUID
    goal_id: UUID | None = None
    goal_name: str | None = None


async def credit(tx: Tx, payment: Payment, destination: Destination) -> None:
    """Book a payment to a saver, with its row in the feed. The saver and the receipt must be locked."""
    deposit_id = new_id()
    await _post(tx, payment, key=f"deposit:{deposit_id}", kind="deposit", account_id=destination.account_id)
    await queries.insert_deposit(
        tx, payment, saver_id=destination.saver_id, deposit_id=deposit_id, goal_id=destination.goal_id
    )
    place = destination.goal_name or "your wallet"
    row = FeedRow(
        saver_id=destination.saver_id,
        id=deposit_id,
        type="deposit",
        status="completed",
        direction="in",
        amount_cents=payment.amount_cents,
        occurred_at=payment.event_at,
        title="M-PESA deposit",
        goal_id=destination.goal_id,
        receipt=payment.receipt,
        explanation={"text": f"{format_kes(payment.amount_cents)} came in from M-PESA, to {place}."},
    )
    await feed.record(tx, [row])


async def hold(tx: Tx, payment: Payment, *, reason: SuspenseReason) -> None:
    """Book a payment that nobody could be matched to into suspense. The receipt must be locked."""
    item_id = new_id()
    await _post(tx, payment, key=f"suspense:{item_id}", kind="suspense", account_id=accounts.SUSPENSE)
    await queries.insert_suspense_item(tx, payment, item_id=item_id, reason=reason)


async def booked_amount(tx: Tx, *, receipt: str) -> int | None:
    """Return the cents that a receipt was booked with; None when it was not."""
    return await queries.find_booked_amount(tx, receipt=receipt)


async def _post(tx: Tx, payment: Payment, *, key: str, kind: str, account_id: UUID) -> None:
    """Move the amount from the shortcode's float, where M-PESA put it, to its owner.

    The floats of a shortcode are opened by the first payment to it.
    """
    transfer = Transfer(
        key=key,
        kind=kind,
        event_at=payment.event_at,
        entries=(
            (accounts.float_id(payment.shortcode), -payment.amount_cents),
            (account_id, payment.amount_cents),
        ),
    )
    (posted,) = await posting.post(tx, [transfer])
    if posted.outcome is Outcome.UNKNOWN_ACCOUNT:
        await accounts.open_floats(tx, payment.shortcode)
        await posting.post_one(tx, transfer)
    elif not posted.stands:
        raise BooksRefused(posted.outcome)
