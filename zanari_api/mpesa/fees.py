"""Posts what M-PESA charges for payouts and reversals, against the company's funding. Touches no saver's money."""

from collections.abc import Sequence
from dataclasses import dataclass
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
    "M-PESA itself: its answer to a status query (DebitPartyCharges), or its result of a reversal (Charge)"

    STATEMENT = "statement"
    "a line of the shortcode's statement"


_RANK: Final = {source: rank for rank, source in enumerate(FeeSource)}


class Charged(StrEnum):
    """What M-PESA charges us for."""

    PAYOUT = "payout"
    "a payout that it made"

    REVERSAL = "reversal"
    "taking a deposit back, known by the deposit: that happens to one once, whoever brought it about"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a fee is for. `id` is the payout's, or that of the deposit that was taken back."""

    kind: Charged
    id: UUID

    @property
    def payout_id(self) -> UUID | None:
        return self.id if self.kind is Charged.PAYOUT else None

    @property
    def deposit_id(self) -> UUID | None:
        return self.id if self.kind is Charged.REVERSAL else None

    def __str__(self) -> str:
        """Write it as the keys of its transfers do."""
        return f"{self.kind}:{self.id}"


def of_payout(payout_id: UUID) -> Subject:
    return Subject(Charged.PAYOUT, payout_id)


def of_reversal(deposit_id: UUID) -> Subject:
    """Return what the fee for taking this deposit back is for."""
    return Subject(Charged.REVERSAL, deposit_id)


async def post_tariff_fee(
    tx: Tx, *, payout_id: UUID, shortcode: str, amount_cents: int, event_at: datetime
) -> None:
    """Post the fee that the tariff names for a settled payout of `amount_cents`. Safe to repeat."""
    cents = b2c_tariff.charge_cents(amount_cents, on=eat_date(event_at))
    await post_fee(
        tx,
        of_payout(payout_id),
        shortcode=shortcode,
        cents=cents,
        event_at=event_at,
        source=FeeSource.TARIFF,
    )


async def post_fee(
    tx: Tx,
    subject: Subject,
    *,
    shortcode: str,
    cents: int,
    event_at: datetime,
    source: FeeSource = FeeSource.STATUS,
) -> None:
    """Post what a settled payout or a reversal cost: out of charges paid, as M-PESA books it. Safe to repeat.

    Where a fee was posted already, a better source with another amount posts the difference; a lesser one is
    ignored. Locks that fee. Runs as Role.SYSTEM.
    """
    told = FeeRow(subject.payout_id, subject.deposit_id, shortcode, cents, source.value, event_at)
    if await fee_queries.insert_fee(tx, told):
        await _post(tx, told, key=f"fee:{subject}", cents=cents)
        return
    before = await fee_queries.lock_fee(tx, payout_id=subject.payout_id, deposit_id=subject.deposit_id)
    assert before is not None  # noqa: S101 (the insert met it, and none is ever deleted)
    if _RANK[source] <= _RANK[FeeSource(before.source)]:
        return
    await fee_queries.update_fee(tx, told)
    await _post(tx, told, key=f"fee:{subject}:{source}", cents=cents - before.cents)


async def list_posted(tx: Tx, subjects: Sequence[Subject]) -> dict[Subject, int]:
    """Return the cents that were posted for each of these; one without a row is left out."""
    found = await fee_queries.list_fees(
        tx,
        payout_ids=[each.id for each in subjects if each.kind is Charged.PAYOUT],
        deposit_ids=[each.id for each in subjects if each.kind is Charged.REVERSAL],
    )
    return {_subject(fee): fee.cents for fee in found}


def _subject(fee: FeeRow) -> Subject:
    if fee.payout_id is not None:
        return of_payout(fee.payout_id)
    assert fee.deposit_id is not None  # noqa: S101 (the table's own check: it is for one of the two)
    return of_reversal(fee.deposit_id)


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
            metadata={
                "payout_id" if fee.payout_id is not None else "deposit_id": str(_subject(fee).id),
                "source": fee.source,
            },
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
