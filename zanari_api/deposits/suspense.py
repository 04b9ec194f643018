"""Ends what is held in suspense: credits it to whom it turned out to be meant for. Who that is, is decided above."""

from datetime import datetime
from uuid import UUID

from zanari_api.deposits import queries, service
from zanari_api.deposits.queries import SuspenseItem
from zanari_api.deposits.rows import Channel, Payment
from zanari_api.deposits.service import Destination
from zanari_api.ledger import accounts, posting
from zanari_api.ledger.posting import Transfer
from zanari_api.runtime.db import Tx


async def find_held(tx: Tx, *, receipt: str) -> SuspenseItem | None:
    """Return the item of a receipt while it is held. The receipt must be locked."""
    return await queries.find_held_item(tx, receipt=receipt)


async def assign(  # noqa: PLR0913 (who, what, whence and why, each by its keyword)
    tx: Tx,
    item: SuspenseItem,
    destination: Destination,
    *,
    channel: Channel,
    by: str,
    evidence: str,
    now: datetime,
    intent_id: UUID | None = None,
    callback_id: UUID | None = None,
) -> UUID:
    """Credit a held item to a saver as a deposit, and return the deposit's id. The saver and the receipt are locked.

    `by` is the operator, or what matched it after all; `evidence` says by what, with ids only.
    """
    payment = Payment(
        receipt=item.receipt,
        amount_cents=item.amount_cents,
        shortcode=item.shortcode,
        event_at=item.event_at,
        callback_id=callback_id,
        channel=channel,
        intent_id=intent_id,
    )
    deposit_id = await service.credit(tx, payment, destination, out_of=accounts.SUSPENSE)
    await queries.resolve_item(tx, item_id=item.id, now=now, by=by, evidence=evidence)
    return deposit_id


async def take_out(
    tx: Tx, item: SuspenseItem, *, by: str, evidence: str, event_at: datetime, now: datetime
) -> None:
    """Take a held item out of suspense: whose payment it is, is known, and it is booked there, or was before.

    `event_at` is the time of that other booking, so that the float of no moment has the payment twice or not at all.
    The receipt must be locked, and so must the saver.
    """
    await posting.post_one(
        tx,
        Transfer(
            key=f"suspense_taken_out:{item.id}",
            kind="suspense_taken_out",
            event_at=event_at,
            entries=(
                (accounts.SUSPENSE, -item.amount_cents),
                (accounts.float_id(item.shortcode), item.amount_cents),
            ),
            metadata={"suspense_item_id": str(item.id)},
        ),
    )
    await queries.resolve_item(tx, item_id=item.id, now=now, by=by, evidence=evidence)
