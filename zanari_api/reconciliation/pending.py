"""What M-PESA may have done without our knowing: payouts, prompts and reversals without an end. Changes nothing."""

from datetime import date, datetime

from zanari_api.deposits import comparison as paid_in
from zanari_api.deposits.comparison_rows import Undecided
from zanari_api.kit.clock import eat_date
from zanari_api.ledger.accounts import FloatAccount
from zanari_api.mpesa import b2c_tariff, breaks
from zanari_api.mpesa.breaks import BreakKind
from zanari_api.mpesa.float_service import Place
from zanari_api.payouts import comparison as paid_out
from zanari_api.payouts.comparison_rows import PaidOut
from zanari_api.reconciliation.comparing import Pending
from zanari_api.runtime.db import Tx


async def list_pending(tx: Tx, *, now: datetime) -> list[Pending]:
    """List what may have changed our accounts without our knowing. Runs as Role.SYSTEM."""
    payouts = await paid_out.list_heard(tx)
    return [
        *(_payout(each) for each in payouts),
        *(_charge(each, on=eat_date(now)) for each in payouts),
        *(_prompt(each) for each in await paid_in.list_undecided(tx)),
        *await _pending_reversals(tx),
    ]


def _payout(payout: PaidOut) -> Pending:
    return Pending(
        Place(payout.shortcode, FloatAccount.UTILITY),
        -payout.amount_cents,
        f"payout {payout.id}, whose outcome is unknown",
        f"zanari payouts show {payout.id}",
        payout.id,
    )


def _charge(payout: PaidOut, *, on: date) -> Pending:
    return Pending(
        Place(payout.shortcode, FloatAccount.CHARGES_PAID),
        -b2c_tariff.charge_cents(payout.amount_cents, on=on),
        f"the charge for payout {payout.id}, whose outcome is unknown",
        f"zanari payouts show {payout.id}",
    )


def _prompt(prompt: Undecided) -> Pending:
    return Pending(
        Place(prompt.shortcode, FloatAccount.UTILITY),
        prompt.amount_cents,
        f"prompt {prompt.id}, whose outcome is unknown",
        "zanari reconcile",
    )


async def _pending_reversals(tx: Tx) -> list[Pending]:
    return [
        Pending(
            Place(reversal.shortcode or "", FloatAccount.UTILITY),
            reversal.amount_cents,
            "a reversal, whose outcome is unknown",
            reversal.command,
        )
        for reversal in await breaks.list_open_of(tx, [BreakKind.REVERSAL_UNRESOLVED])
    ]
