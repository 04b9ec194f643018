"""What we booked under the receipts of a statement, and what it did to the account in question. Changes nothing."""

from collections.abc import AsyncIterator, Sequence

from zanari_api.deposits import comparison as paid_in
from zanari_api.ledger.accounts import FloatAccount
from zanari_api.mpesa import fees, float_service
from zanari_api.mpesa.fees import Subject
from zanari_api.mpesa.float_service import Place
from zanari_api.payouts import comparison as paid_out
from zanari_api.reconciliation.matching import Booked
from zanari_api.reconciliation.statement_file import Line
from zanari_api.runtime.db import Tx


async def list_booked(tx: Tx, place: Place, *, lines: Sequence[Line]) -> dict[str, list[Booked]]:
    """Return by receipt what we booked of these lines in this place. Runs as Role.SYSTEM."""
    receipts = sorted({line.receipt for line in lines})
    booked: dict[str, list[Booked]] = {receipt: [] for receipt in receipts}
    for receipt, row_id, cents in await float_service.list_changes(tx, place, receipts=receipts):
        booked[receipt].append(Booked(row_id, cents))
    if place.account is FloatAccount.UTILITY:
        async for receipt, found in _of_savers(tx, receipts=receipts):
            booked[receipt].append(found)
        async for receipt, found in _taken_back(tx, lines=lines):
            booked[receipt].append(found)
    if place.account is FloatAccount.CHARGES_PAID:
        async for receipt, found in _charged(tx, lines=lines):
            booked[receipt].append(found)
    return booked


async def _of_savers(tx: Tx, *, receipts: Sequence[str]) -> AsyncIterator[tuple[str, Booked]]:
    for paid in await paid_in.list_paid_in(tx, receipts=receipts):
        yield paid.receipt, Booked(paid.id, paid.amount_cents)
    for paid in await paid_in.list_given_back(tx, receipts=receipts):
        yield paid.receipt, Booked(paid.id, -paid.amount_cents)
    for paid in await paid_out.list_paid_out(tx, receipts=receipts):
        yield paid.receipt or "", Booked(paid.id, -paid.amount_cents)


async def _taken_back(tx: Tx, *, lines: Sequence[Line]) -> AsyncIterator[tuple[str, Booked]]:
    """Find reversals by the payment that they took back, where their own receipt was not known."""
    linked = {line.linked_receipt: line.receipt for line in lines if line.linked_receipt}
    for taken in await paid_in.list_reversed_deposits(tx, receipts=sorted(linked)):
        yield linked[taken.receipt], Booked(taken.id, -taken.amount_cents)


async def _charged(tx: Tx, *, lines: Sequence[Line]) -> AsyncIterator[tuple[str, Booked]]:
    charged = await list_charged(tx, lines=lines)
    posted = await fees.list_posted(tx, list(charged.values()))
    for receipt, subject in charged.items():
        if subject in posted:
            yield receipt, Booked(subject.id, -posted[subject])


async def list_charged(tx: Tx, *, lines: Sequence[Line]) -> dict[str, Subject]:
    """Return by receipt what these lines may be charges for: payouts of ours, and deposits that were taken back.

    A reversal is found by its own receipt, and where nobody knew that, by the payment it took back.
    """
    receipts = sorted({line.receipt for line in lines})
    linked = {line.linked_receipt: line.receipt for line in lines if line.linked_receipt}
    charged: dict[str, Subject] = {}
    for taken in await paid_in.list_reversed_deposits(tx, receipts=sorted(linked)):
        charged[linked[taken.receipt]] = fees.of_reversal(taken.id)
    for taken in await paid_in.list_reversals(tx, receipts=receipts):
        charged[taken.receipt] = fees.of_reversal(taken.id)
    for payout in await paid_out.list_paid_out(tx, receipts=receipts):
        charged[payout.receipt or ""] = fees.of_payout(payout.id)
    return charged
