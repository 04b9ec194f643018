"""The words of the inbox: what Safaricom posts, what became of it, what an effect is given. Stores nothing."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from zanari_api.roundups.spends import Policy
from zanari_api.runtime.crypto import ServiceKeys
from zanari_api.runtime.db import Tx


class CallbackKind(StrEnum):
    """What Safaricom posts to us; each kind has a route of its own."""

    C2B_VALIDATION = "c2b_validation"
    "may this payment be made? The one callback that may be refused"

    C2B_CONFIRMATION = "c2b_confirmation"
    "a payment to our paybill was made"

    STK = "stk"
    "what became of a prompt"

    B2C_RESULT = "b2c_result"
    "what became of a payout"

    B2C_TIMEOUT = "b2c_timeout"
    "a payout waited too long: its outcome is unknown"

    STATUS_RESULT = "status_result"
    "the answer to a question after a transaction"

    STATUS_TIMEOUT = "status_timeout"
    "that question waited too long"

    BALANCE_RESULT = "balance_result"
    "what our accounts hold"

    BALANCE_TIMEOUT = "balance_timeout"
    "the question after them waited too long"

    REVERSAL_RESULT = "reversal_result"
    "what became of a reversal"

    REVERSAL_TIMEOUT = "reversal_timeout"
    "a reversal waited too long: its outcome is unknown"

    PULL = "pull"
    "payments in whose confirmation may never have come; a row we pulled and could not read is kept as one too"


class Outcome(StrEnum):
    """What became of a callback."""

    CREDITED = "credited"
    "booked to a saver"

    SUSPENSE = "suspense"
    "booked, but nobody could be matched"

    ACCEPTED = "accepted"
    "a validation that was answered with yes"

    REFUSED = "refused"
    "a validation that was answered with no"

    UNDECIDED = "undecided"
    "a validation that could not be answered in time"

    DUPLICATE = "duplicate"
    "the receipt, or the whole callback, was known; nothing changed"

    QUARANTINED = "quarantined"
    "not readable, not ours or contradictory: kept for a person to see, moves nothing"

    SETTLED = "settled"
    "what we had asked for is done"

    FAILED = "failed"
    "what we had asked for is definitely not done"

    UNRESOLVED = "unresolved"
    "noted; the outcome of what we had asked for is still unknown"

    WAITING = "waiting"
    "nothing matches it yet: it may have overtaken what it answers, so the worker looks again"

    EVIDENCE = "evidence"
    "attached to what was settled before; nothing moved"

    SUPERSEDED = "superseded"
    "tells of a failure after a success, which stands"

    NOTED = "noted"
    "kept; it decides nothing"

    DEFERRED = "deferred"
    "acting on it failed unexpectedly: it is kept, and the worker tries again"


class Note(StrEnum):
    """Why a callback moved nothing; others may note a code of their own."""

    UNREADABLE = "unreadable"
    "a part that it cannot do without is missing or no value"

    UNKNOWN_SHORTCODE = "unknown_shortcode"
    "for a shortcode that we do not run"

    AMOUNT_MISMATCH = "amount_mismatch"
    "tells another amount than what we asked for"

    RECEIPT_CONFLICT = "receipt_conflict"
    "tells a receipt that was booked as something else"

    UNMATCHED = "unmatched"
    "nothing of ours matched it within a day"

    UNKNOWN_TYPE = "unknown_type"
    "a pulled row that may be no payment in"

    UNKNOWN_ACCOUNT = "unknown_account"
    "a validation for a reference that is nobody's"

    AMOUNT_TOO_LARGE = "amount_too_large"
    "a validation of more than M-PESA moves at once"

    GAVE_UP = "gave_up"
    "acting on it failed too often"


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxItem:
    """A callback that is stored. `body` is what was stored, decrypted: redacted, and otherwise as it came."""

    id: UUID
    kind: CallbackKind
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Effected:
    """What came of acting on a callback. `note` says in one code why nothing moved, where that needs saying."""

    outcome: Outcome
    saver_id: UUID | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Intake:
    """What callbacks are taken in with."""

    keys: ServiceKeys
    shortcodes: frozenset[str]
    policy: Policy


Effect = Callable[[Tx, InboxItem, Intake], Awaitable[Effected]]
"""Acts on a stored callback inside the transaction that stores its outcome; safe to repeat. Runs as Role.SYSTEM.

The callback's row is locked already, so it locks savers by id, then receipts. May raise Rerun.
"""
