"""Exposes at 0 what will be counted, before it is: `increase()` cannot see a counter that is born at 1.

An API and a worker count the same things, each its own share, so both start with every series. Counts nothing.
"""

from typing import Final

from zanari_api.deposits.rows import IntentState, Purpose
from zanari_api.deposits.steps import SUBMITTING
from zanari_api.ledger.posting import Outcome as PostOutcome
from zanari_api.mpesa.config import SOURCE_MODES, Flow
from zanari_api.mpesa.inbox import CallbackKind
from zanari_api.mpesa.inbox import Outcome as CallbackOutcome
from zanari_api.payouts.states import State as PayoutState
from zanari_api.roundups.collections import State as CollectionState
from zanari_api.roundups.rules import Outcome as SpendOutcome
from zanari_api.roundups.rules import Reason
from zanari_api.runtime.metrics import Metrics

TRANSFER_KINDS: Final = (
    "collection",
    "deposit",
    "deposit_reversal",
    "fee",
    "float_move",
    "goal_deposit",
    "goal_withdrawal",
    "payout",
    "payout_late",
    "payout_outcome",
    "round_up",
    "round_up_undo",
    "suspense",
    "suspense_return",
    "suspense_taken_out",
    "waiting_payment",
)
"""Every kind of transfer that is given to the ledger; a test holds this to the code."""


def start_at_zero(metrics: Metrics) -> None:
    """Expose every series whose labels are known before anything is counted."""
    metrics.start_at_zero(metrics.spends, SpendOutcome, ("none", *Reason))
    metrics.start_at_zero(metrics.collections, CollectionState)
    metrics.start_at_zero(metrics.payouts, PayoutState)
    metrics.start_at_zero(metrics.intents, Purpose, (SUBMITTING, *IntentState))
    metrics.start_at_zero(metrics.callbacks, CallbackKind, CallbackOutcome)
    metrics.start_at_zero(metrics.callback_sources_refused, Flow, SOURCE_MODES)
    metrics.start_at_zero(metrics.ledger_posts, TRANSFER_KINDS, PostOutcome)
