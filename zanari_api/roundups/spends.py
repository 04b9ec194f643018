"""The words of recording: a spend as a channel tells it, what it is recorded with, what came of it. No behaviour."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from zanari_api.kit.spend_kind import SpendKind
from zanari_api.roundups.rules import Decision
from zanari_api.runtime.crypto import Keyring
from zanari_api.transactions.schemas import RoundUp


class Source(StrEnum):
    """Who told us of a spend."""

    WEBHOOK = "webhook"
    "a relay whose signature was verified: the receipt counts once among all savers"

    SMS = "sms"
    "the saver's own message: the receipt counts once for that saver"

    STATEMENT = "statement"
    "a line of the saver's own statement: as for a message"

    @property
    def is_own(self) -> bool:
        """Whether it is the saver's own word, which counts for that saver alone."""
        return self is not Source.WEBHOOK


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """A spend to record, or the news that one was reversed. `saver_id` None: nobody held the number then.

    `is_reversal` with `reverses` None says that this very receipt was reversed; otherwise `reverses` is the
    receipt that was. `content_digest` is a keyed hash of what the channel said.
    """

    receipt: str
    saver_id: UUID | None
    source: Source
    kind: SpendKind
    amount_cents: int
    event_at: datetime
    content_digest: bytes
    merchant_name: str | None = None
    merchant_shortcode: str | None = None
    to_private_person: bool = False
    balance_after_cents: int | None = None
    is_reversal: bool = False
    reverses: str | None = None

    @property
    def reversed_receipt(self) -> str | None:
        """The receipt that this news takes back, if it takes one back."""
        return (self.reverses or self.receipt) if self.is_reversal else None


@dataclass(frozen=True, slots=True)
class Policy:
    """What a decision depends on besides the saver: switches, our own shortcodes, the clock, the keys."""

    feature_enabled: bool
    own_shortcodes: frozenset[str]
    now: datetime
    keyring: Keyring


class RecordStatus(StrEnum):
    """What recording did with one spend."""

    PROCESSED = "processed"
    "it was new: decided, and its effect posted"

    DUPLICATE = "duplicate"
    "the receipt was known: nothing changed, the first decision stands"

    UNMATCHED = "unmatched"
    "no saver: nothing is consumed, a later delivery may match"


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A known receipt that came with other content. The first content stands; this is for a person to see."""

    receipt: str
    content_digest: bytes
    first_amount_cents: int
    later_amount_cents: int
    differs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What came of one spend. `decision` is set only where one was taken now."""

    status: RecordStatus
    round_up: RoundUp | None = None
    decision: Decision | None = None
    discrepancy: Discrepancy | None = None
