"""Names a contradiction: a receipt that was booked with one amount and is told of with another. Moves nothing."""

from zanari_api.deposits import service as deposits
from zanari_api.kit.ids import new_id
from zanari_api.mpesa import queries
from zanari_api.mpesa.inbox import Intake
from zanari_api.roundups.spends import Discrepancy
from zanari_api.runtime.db import Tx
from zanari_api.transactions.receipts import ReceiptRole


async def note_other_amount(tx: Tx, *, receipt: str, amount_cents: int, intake: Intake) -> None:
    """Note a known receipt that came with another amount: a named discrepancy, not a silent duplicate."""
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
    await queries.insert_discrepancy(
        tx, discrepancy_id=new_id(), role=ReceiptRole.DEPOSIT, discrepancy=discrepancy
    )
