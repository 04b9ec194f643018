"""What M-PESA may have done without our knowing: payouts, prompts and reversals without an end. Changes nothing."""

from zanari_api.deposits import comparison as paid_in
from zanari_api.ledger.accounts import FloatAccount
from zanari_api.mpesa import breaks
from zanari_api.mpesa.breaks import BreakKind
from zanari_api.mpesa.float_service import Place
from zanari_api.payouts import comparison as paid_out
from zanari_api.reconciliation.comparing import Pending
from zanari_api.runtime.db import Tx


async def list_pending(tx: Tx) -> list[Pending]:
    """List what may have changed our accounts without our knowing. Runs as Role.SYSTEM."""
    prompts = [
        Pending(
            Place(prompt.shortcode, FloatAccount.UTILITY),
            prompt.amount_cents,
            f"prompt {prompt.id}, whose outcome is unknown",
            "zanari reconcile",
        )
        for prompt in await paid_in.list_undecided(tx)
    ]
    payouts = [
        Pending(
            Place(payout.shortcode, FloatAccount.UTILITY),
            -payout.amount_cents,
            f"payout {payout.id}, whose outcome is unknown",
            f"zanari payouts show {payout.id}",
            payout.id,
        )
        for payout in await paid_out.list_heard(tx)
    ]
    return [*payouts, *prompts, *await _pending_reversals(tx)]


async def _pending_reversals(tx: Tx) -> list[Pending]:
    return [
        Pending(
            Place(reversal.shortcode or "", FloatAccount.UTILITY),
            reversal.amount_cents,
            "a reversal, whose outcome is unknown",
            reversal.command,
        )
        for reversal in await breaks.list_open(tx)
        if reversal.kind == BreakKind.REVERSAL_UNRESOLVED
    ]
