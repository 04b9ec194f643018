"""What there is to tell a saver's old numbers, and the notices as rows. States no SQL and changes nothing."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class NoticeKind(StrEnum):
    """What a number is told of."""

    PIN_RESET = "pin_reset"
    "the PIN was replaced without the one before it"

    NUMBER_ADDED = "number_added"
    "a number that nobody had was linked"

    NUMBER_MOVED = "number_moved"
    "a number that another saver had was linked"

    NUMBER_PROVEN_AGAIN = "number_proven_again"
    "a number that this saver had and lost was linked again"

    NUMBER_LOST = "number_lost"
    "another saver proved one of this saver's numbers"


class NoticeOutcome(StrEnum):
    """How a notice ended."""

    SENT = "sent"
    "the gateway took it on"

    NOT_THEIRS = "not_theirs"
    "the number had become another saver's before it was told"


@dataclass(frozen=True, slots=True)
class AboutNumber:
    """The number that a change is about: it is told nothing itself."""

    account_id: UUID
    blind_index: bytes


@dataclass(frozen=True, slots=True)
class ClaimedNotice:
    """A notice that this worker leased."""

    saver_id: UUID
    id: UUID
    lease_id: UUID
    attempts: int


@dataclass(frozen=True, slots=True)
class Notice:
    """What has to be told to which number, both numbers still encrypted."""

    kind: str
    created_at: datetime
    held_until: datetime | None
    account_id: UUID
    msisdn: bytes = field(repr=False)
    about_account_id: UUID | None
    about_msisdn: bytes | None = field(repr=False)
    is_anothers: bool
    """Whether another saver holds the number by now."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What nobody was told yet and the worker still tries to tell."""

    waiting: int
    oldest_at: datetime | None
