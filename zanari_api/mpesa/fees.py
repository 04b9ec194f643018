"""Posts what M-PESA charges us for payouts, against what the company put in. A fee never touches a saver's money."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from zanari_api.kit.clock import eat_date
from zanari_api.ledger import accounts, balances, posting
from zanari_api.ledger.accounts import FloatAccount
from zanari_api.ledger.posting import Transfer
from zanari_api.mpesa import b2c_tariff, breaks, fee_queries
from zanari_api.mpesa.breaks import BreakKind
from zanari_api.mpesa.fee_queries import FeeRow
from zanari_api.runtime.db import Tx

COMPANY: Final = "company:funding"


class FeeSource(StrEnum):
    """Who says what was charged; each is believed over those before it."""

    TARIFF = "tariff"
    "the published table"

    STATUS = "status"
    "M-PESA's answer to a status query (DebitPartyCharges)"

    STATEMENT = "statement"
    "a line of the shortcode's statement"


_RANK: Final = {source: rank for rank, source in enumerate(FeeSource)}


async def post_tariff_fee(
    tx: Tx, *, payout_id: UUID, shortcode: str, amount_cents: int, event_at: datetime
) -> None:
    """Post the fee that the tariff names for a settled payout of `amount_cents`. Safe to repeat."""
    cents = b2c_tariff.charge_cents(amount_cents, on=eat_date(event_at))
    await post_fee(
        tx,
        payout_id=payout_id,
        shortcode=shortcode,
        cents=cents,
        event_at=event_at,
        source=FeeSource.TARIFF,
    )


async def post_fee(
    tx: Tx,
    *,
    payout_id: UUID,
    shortcode: str,
    cents: int,
    event_at: datetime,
    source: FeeSource = FeeSource.STATUS,
) -> None:
    """Post what a settled payout cost: out of the shortcode's charges paid, as M-PESA books it. Safe to repeat.

    Where a fee was posted already, a better source with another amount posts the difference; a lesser one is
    ignored. Locks the payout's fee. Runs as Role.SYSTEM.
    """
    told = FeeRow(payout_id, shortcode, cents, source.value, event_at)
    if await fee_queries.insert_fee(tx, told):
        await _post(tx, told, key=f"fee:payout:{payout_id}", cents=cents)
        return
    before = await fee_queries.lock_fee(tx, payout_id=payout_id)
    assert before is not None  # noqa: S101 (the insert met it, and none is ever deleted)
    if _RANK[source] <= _RANK[FeeSource(before.source)]:
        return
    await fee_queries.update_fee(tx, payout_id=payout_id, cents=cents, source=source.value)
    await _post(tx, told, key=f"fee:payout:{payout_id}:{source}", cents=cents - before.cents)


async def list_posted(tx: Tx, *, payout_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return the cents that were posted for each of these payouts; one without a row is left out."""
    return {fee.payout_id: fee.cents for fee in await fee_queries.list_fees(tx, payout_ids=payout_ids)}


async def _post(tx: Tx, fee: FeeRow, *, key: str, cents: int) -> None:
    if not cents:
        return
    await accounts.open_floats(tx, fee.shortcode)
    charges_paid = accounts.float_id(fee.shortcode, FloatAccount.CHARGES_PAID)
    await posting.post_one(
        tx,
        Transfer(
            key=key,
            kind="fee",
            event_at=fee.event_at,
            entries=((charges_paid, cents), (accounts.FEES, -cents)),
            metadata={"payout_id": str(fee.payout_id), "source": fee.source},
        ),
    )


async def check_cover(tx: Tx, *, now: datetime) -> int:
    """Note or close the break of fees that the company's funding does not cover; return the cents uncovered."""
    held = await balances.balances(tx, [accounts.FEES, accounts.FUNDING])
    uncovered = held[accounts.FEES] - held[accounts.FUNDING]
    if uncovered <= 0:
        await breaks.close_break(
            tx,
            kind=BreakKind.FEES_NOT_COVERED,
            subject=COMPANY,
            because="the funding covers the fees",
            now=now,
        )
        return 0
    await breaks.note_break(
        tx,
        kind=BreakKind.FEES_NOT_COVERED,
        subject=COMPANY,
        amount_cents=-uncovered,
        suspected_cause="M-PESA's fees have come to more than the company put in",
        command="zanari float fund SHORTCODE:ACCOUNT --amount KES --receipt RECEIPT",
        now=now,
    )
    return uncovered
