"""Payouts, their steps and our questions about them as stored, the rows that others may hold. States no SQL."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self
from uuid import UUID

from zanari_api.payouts.states import Definite, Standing, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """A payout as stored; the number is still encrypted.

    `due_at` is when the worker looks at it next; `unknown_at` when its outcome was last in doubt.
    """

    saver_id: UUID
    id: UUID
    amount_cents: int
    goal_id: UUID | None
    account_id: UUID
    msisdn: bytes
    originator_conversation_id: str
    conversation_id: str | None
    shortcode: str | None
    state: State
    reason: str | None
    receipt: str | None
    refunded_to: str | None
    late_receipt: str | None
    requested_at: datetime
    submitting_at: datetime | None
    submitted_at: datetime | None
    unknown_at: datetime | None
    settled_at: datetime | None
    failed_at: datetime | None
    event_at: datetime | None
    definite_by: Definite | None
    definite_code: str | None
    definite_code_at: datetime | None
    first_not_found_at: datetime | None
    not_found_twice: bool
    ended: bool
    last_status_at: datetime | None
    asked: int
    resolvable_at: datetime | None
    resends: int
    resend_wanted: bool
    proposed_outcome: str | None
    proposed_receipt: str | None
    proposed_by: str | None
    proposed_evidence: str | None
    proposed_at: datetime | None
    due_at: datetime | None
    lease_id: UUID | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", State(self.state))
        if self.definite_by is not None:
            object.__setattr__(self, "definite_by", Definite(self.definite_by))

    @property
    def standing(self) -> Standing:
        """Return what decides what can happen to it."""
        return Standing(
            state=self.state,
            sent_at=self.submitting_at,
            definite_by=self.definite_by,
            definite_code=self.definite_code,
            definite_at=self.definite_code_at,
            not_found_at=self.first_not_found_at,
            not_found_twice=self.not_found_twice,
            ended=self.ended,
            resends=self.resends,
            resend_wanted=self.resend_wanted,
            receipt=self.receipt,
            late_receipt=self.late_receipt,
        )

    def standing_as(self, standing: Standing, *, now: datetime) -> Self:
        """Return it as it stands from `now` on; what else the change brings is for the caller to add."""

        def entered(state: State) -> bool:
            return standing.state is state and self.state is not state

        resolvable_at = self.resolvable_at or now
        return replace(
            self,
            state=standing.state,
            submitting_at=standing.sent_at,
            shortcode=self.shortcode if standing.sent_at is not None else None,
            submitted_at=now if entered(State.SUBMITTED) else self.submitted_at,
            unknown_at=now if entered(State.UNKNOWN) else self.unknown_at,
            settled_at=(self.settled_at or now) if standing.state is State.SETTLED else None,
            failed_at=(self.failed_at or now) if standing.state is State.FAILED else None,
            definite_by=standing.definite_by,
            definite_code=standing.definite_code,
            definite_code_at=standing.definite_at,
            first_not_found_at=standing.not_found_at,
            not_found_twice=standing.not_found_twice,
            ended=standing.ended,
            resolvable_at=resolvable_at if standing.resolvable else None,
            resends=standing.resends,
            resend_wanted=standing.resend_wanted,
            receipt=standing.receipt,
            late_receipt=standing.late_receipt,
        )

    def without_proposal(self) -> Self:
        """Return it without what an operator proposed: that was about how it stood."""
        return replace(
            self,
            proposed_outcome=None,
            proposed_receipt=None,
            proposed_by=None,
            proposed_evidence=None,
            proposed_at=None,
        )


@dataclass(frozen=True, slots=True)
class ClaimedPayout:
    """A payout that is leased to a worker, by what finds it again."""

    saver_id: UUID
    id: UUID
    lease_id: UUID
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutEvent:
    """One step of a payout, or something said of it that changed nothing. `detail` never names a person."""

    state_before: State | None
    state: State
    cause: str
    detail: str | None
    callback_id: UUID | None
    operator: str | None
    happened_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusQuery:
    """A question of ours about a payout. The two ids are the question's own, and Safaricom's."""

    saver_id: UUID
    id: UUID
    payout_id: UUID
    state: str
    conversation_id: str | None
    originator_conversation_id: str | None
    answer: str | None
    asked_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class OpenPayouts:
    """How many payouts are in one state that is no end, what they come to, and since when the oldest is in doubt."""

    state: str
    payouts: int
    cents: int
    oldest_unknown_at: datetime | None


@dataclass(frozen=True, slots=True)
class Outstanding:
    """Payouts of one amount whose money may leave a float at any moment, or has left unseen."""

    amount_cents: int
    payouts: int
