"""Names contradictions: a receipt that was booked with another amount, or as a move of our own. Moves nothing.

Each is a discrepancy for a person to see, and a break, so that no reconciliation is clean while one is open.
"""

from datetime import datetime
from typing import Final

from zanari_api.deposits import holding
from zanari_api.deposits import service as deposits
from zanari_api.deposits.rows import Payment
from zanari_api.kit.ids import new_id
from zanari_api.mpesa import breaks, float_queries, queries
from zanari_api.mpesa.breaks import BreakKind
from zanari_api.mpesa.inbox import Intake
from zanari_api.roundups.spends import Discrepancy
from zanari_api.runtime.db import Tx
from zanari_api.transactions import receipts
from zanari_api.transactions.receipts import ReceiptRole

LOOK_AND_RESOLVE: Final = (
    "zanari breaks resolve ID --evidence TEXT, once M-PESA's statement shows which is right"
)


async def note_other_amount(tx: Tx, *, receipt: str, amount_cents: int, intake: Intake) -> None:
    """Note a known receipt that came with another amount: a named discrepancy, not a silent duplicate.

    Its break is opened once: told of again after a person closed it, it is nothing new.
    """
    booked = await deposits.booked_amount(tx, receipt=receipt)
    if booked is None or booked == amount_cents:
        return
    digest = intake.keys.index.digest("deposit_amount", receipt.encode(), str(amount_cents).encode())
    discrepancy = Discrepancy(
        receipt=receipt,
        content_digest=digest,
        first_amount_cents=booked,
        later_amount_cents=amount_cents,
        differs=("amount_cents",),
    )
    discrepancy_id = new_id()
    if await queries.insert_discrepancy(
        tx, discrepancy_id=discrepancy_id, role=ReceiptRole.DEPOSIT, discrepancy=discrepancy
    ):
        await breaks.note_break(
            tx,
            kind=BreakKind.RECEIPT_AMOUNT_DIFFERS,
            subject=f"discrepancy:{discrepancy_id}",
            amount_cents=amount_cents - booked,
            suspected_cause=f"receipt {receipt} was booked with another amount than it is told of with now",
            command=LOOK_AND_RESOLVE,
            now=intake.policy.now,
        )


async def is_booked_as_move(tx: Tx, payment: Payment, *, intake: Intake) -> bool:
    """Tell whether a payment's receipt is that of a move of our own, and note it if so: it is credited to nobody.

    The receipt must be locked.
    """
    receipt, now = payment.receipt, intake.policy.now
    assert receipt is not None  # noqa: S101 (what has none is claimed by none)
    if not await receipts.is_counted(tx, receipt, role=ReceiptRole.OWN_MOVE):
        return False
    digest = intake.keys.index.digest("deposit_role", receipt.encode(), str(payment.amount_cents).encode())
    discrepancy = Discrepancy(
        receipt=receipt,
        content_digest=digest,
        first_amount_cents=await _moved_cents(tx, receipt=receipt),
        later_amount_cents=payment.amount_cents,
        differs=("role",),
    )
    if await queries.insert_discrepancy(
        tx, discrepancy_id=new_id(), role=ReceiptRole.OWN_MOVE, discrepancy=discrepancy
    ):
        await note_booked_as_move(
            tx, receipt=receipt, amount_cents=payment.amount_cents, shortcode=payment.shortcode, now=now
        )
    return True


async def note_booked_as_move(
    tx: Tx, *, receipt: str, amount_cents: int, shortcode: str | None, now: datetime
) -> None:
    """Name a receipt that is a saver's payment by what M-PESA says now, and a move of our own by our books."""
    await breaks.note_break(
        tx,
        kind=BreakKind.RECEIPT_BOOKED_AS_MOVE,
        subject=f"receipt:{receipt}",
        shortcode=shortcode,
        amount_cents=amount_cents,
        suspected_cause="a saver's payment that an operator booked as a move of our own, or as a return",
        command=LOOK_AND_RESOLVE,
        now=now,
    )


async def _moved_cents(tx: Tx, *, receipt: str) -> int:
    """Return what our own move of this receipt was of: a float's, or a payment given back from suspense."""
    move = await float_queries.find_move(tx, receipt=receipt)
    if move is not None:
        return move.amount_cents
    returned = await holding.find_returned_by(tx, return_receipt=receipt)
    item = returned and await holding.find_item(tx, receipt=returned)
    return item.amount_cents if item else 0
