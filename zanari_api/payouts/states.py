"""What becomes of a payout with each thing that happens to it. Pure: it moves no money and says when money moves.

    requested → queued? → submitting → submitted → settled | failed | unknown → settled | failed

From `submitting` on M-PESA may have heard of it, whatever is known: from there its money goes back only where a
definite code and an answer to a status query agree, or where an operator says so. Both ends stay ends. Only what was
stopped for its haste, and of which M-PESA then knows nothing, begins again under the same id.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, TypeAlias

APART: Final = timedelta(minutes=30)
"""Two answers that know nothing of a payout count as two when their questions were asked so far apart."""

THROTTLED: Final = "throttled"
"""The code of a refusal that says nothing against the payout: Safaricom was asked too much."""


class State(StrEnum):
    """Where a payout stands."""

    REQUESTED = "requested"
    "its money left the wallet or goal; nothing was sent"

    QUEUED = "queued"
    "it waits for something of ours; nothing was sent"

    SUBMITTING = "submitting"
    "it is being sent: M-PESA may hear of it at any moment"

    SUBMITTED = "submitted"
    "M-PESA took it on, which is not paying it"

    UNKNOWN = "unknown"
    "nobody here knows what became of it; its money is held"

    SETTLED = "settled"
    "M-PESA paid it"

    FAILED = "failed"
    "M-PESA did not pay it, and its money went back"


OPEN: Final = frozenset(State) - {State.SETTLED, State.FAILED}
WAITING: Final = frozenset({State.REQUESTED, State.QUEUED})
HEARD: Final = frozenset({State.SUBMITTING, State.SUBMITTED, State.UNKNOWN})
"""States in which M-PESA may know of it."""


class Definite(StrEnum):
    """Who said that it definitely failed."""

    REPLY = "reply"
    "Safaricom refused the request at once: nothing was taken on"

    RESULT = "result"
    "the result of something that was taken on"


class Act(StrEnum):
    """What the books have to do now."""

    NOTHING = "nothing"
    SETTLE = "settle"
    "in flight → the float it was paid from"

    REFUND = "refund"
    "in flight → where it came from"

    OWE = "owe"
    "M-PESA paid what was given back: the saver owes it"


class Verdict(StrEnum):
    """What an event was worth."""

    APPLIED = "applied"
    "it changed something"

    KNOWN = "known"
    "nothing new"

    SUPERSEDED = "superseded"
    "it tells of a failure after a success, which stands"

    REFUSED = "refused"
    "it cannot be so, or may not be done: nothing changes, and a person should see it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A payout as the machine knows it.

    `sent_at`: when it was last about to be sent; None while M-PESA cannot have heard of it. `ended`: a status answer
    said that the transaction ended without moving money.
    """

    state: State
    sent_at: datetime | None = None
    definite_by: Definite | None = None
    definite_code: str | None = None
    definite_at: datetime | None = None
    not_found_at: datetime | None = None
    "when the first question was asked whose answer knew nothing of it"
    not_found_twice: bool = False
    ended: bool = False
    resends: int = 0
    resend_wanted: bool = False
    receipt: str | None = None
    late_receipt: str | None = None

    @property
    def resolvable(self) -> bool:
        """Whether an operator may decide without a line of the statement."""
        return self.state is State.UNKNOWN and (self.not_found_twice or self.ended)


# What happens to a payout. ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Queued:
    """It has to wait for something of ours."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """It must not be sent any more."""


@dataclass(frozen=True, slots=True)
class Sending:
    """It is about to be sent."""

    at: datetime


@dataclass(frozen=True, slots=True)
class NotSent:
    """The client is certain that nothing was sent."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Safaricom took it on."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Safaricom refused the request, definitely."""

    code: str
    at: datetime


@dataclass(frozen=True, slots=True)
class AlreadyKnown:
    """Safaricom knows this id: an earlier sending went through."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """No answer, a code that decides nothing, or a sending that never came back."""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """A notice that it waited too long in Safaricom's queue: so it got there, and nobody knows more."""


@dataclass(frozen=True, slots=True)
class Paid:
    """M-PESA says that it paid, by a result, a status answer or a statement. The amount was compared."""

    receipt: str


@dataclass(frozen=True, slots=True)
class FailedWith:
    """A result with a code that definitely means failure."""

    code: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Ended:
    """A status answer: the transaction was cancelled, declined or has expired."""


@dataclass(frozen=True, slots=True)
class NotFound:
    """A status answer: M-PESA knows no such transaction. `asked_at` is when it was asked."""

    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Pending:
    """A status answer: M-PESA knows it and has not finished it."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """An operator decided. `by_statement`: with a line of the statement.

    A line that shows the payment needs no other sign. No line can show that there was none: without a receipt it only
    stands beside a definite code.
    """

    receipt: str | None
    by_statement: bool


@dataclass(frozen=True, slots=True)
class ResendWanted:
    """An operator wants the same id sent once more."""


Event: TypeAlias = (
    Queued
    | Stopped
    | Sending
    | NotSent
    | Accepted
    | Refused
    | AlreadyKnown
    | Unclear
    | TimedOut
    | Paid
    | FailedWith
    | Ended
    | NotFound
    | Pending
    | Resolved
    | ResendWanted
)


@dataclass(frozen=True, slots=True)
class Step:
    """What came of an event: how the payout stands now, and what the books have to do."""

    standing: Standing
    act: Act = Act.NOTHING
    verdict: Verdict = Verdict.APPLIED


def step(now: Standing, event: Event) -> Step:
    """Return what becomes of a payout that stands so when this happens."""
    match event:
        case Queued() | Stopped() | Sending() | ResendWanted():
            return _ours(now, event)
        case NotSent() | Accepted() | Refused() | AlreadyKnown() | Unclear() | TimedOut():
            return _replied(now, event)
        case Paid(receipt):
            return _paid(now, receipt)
        case FailedWith() | Ended() | NotFound() | Pending():
            return _told(now, event)
        case _:
            return _resolved(now, event)


def _ours(now: Standing, event: Queued | Stopped | Sending | ResendWanted) -> Step:
    """What we do with it ourselves."""
    match event:
        case Queued() if now.state in WAITING:
            stepped = Step(replace(now, state=State.QUEUED))
        case Stopped() if now.state in WAITING:
            stepped = _refund(now)
        case Stopped() if now.resend_wanted:
            stepped = Step(replace(now, resend_wanted=False))
        case Sending(at) if now.state in WAITING:
            stepped = Step(replace(now, state=State.SUBMITTING, sent_at=at))
        case Sending(at) if now.resend_wanted:
            forgotten = _forget_absence(now, state=State.SUBMITTING)
            stepped = Step(replace(forgotten, sent_at=at, resends=now.resends + 1))
        case ResendWanted() if now.state is State.UNKNOWN and now.not_found_twice and not now.resends:
            stepped = Step(replace(now, resend_wanted=True))
        case _:
            stepped = _refused(now)
    return stepped


def _replied(now: Standing, event: NotSent | Accepted | Refused | AlreadyKnown | Unclear | TimedOut) -> Step:
    """What the request itself came to. An end that came before the reply stands."""
    if now.state not in HEARD:
        return Step(now, verdict=Verdict.KNOWN)
    match event:
        case NotSent() if now.state is State.SUBMITTING and now.resends:
            # The first sending may have been heard all the same, so it waits where it was.
            after = replace(now, state=State.UNKNOWN, resends=now.resends - 1, resend_wanted=True)
        case NotSent() if now.state is State.SUBMITTING:
            after = replace(now, state=State.REQUESTED, sent_at=None)
        case Accepted():
            taken_on = State.SUBMITTED if now.state is State.SUBMITTING else now.state
            after = _forget_absence(now, state=taken_on)
        case AlreadyKnown():
            after = _forget_absence(now, state=State.UNKNOWN)
        case Refused(code, at) if not now.resends:
            # Of a second sending it would say nothing about the first.
            after = _failed_with(replace(now, state=State.UNKNOWN), Definite.REPLY, code, at)
        case TimedOut():
            after = _forget_refusal(replace(now, state=State.UNKNOWN))
        case _:
            after = replace(now, state=State.UNKNOWN)
    return Step(after)


def _resolved(now: Standing, event: Resolved) -> Step:
    """What an operator says of what is in doubt, once it may be said."""
    shown = event.receipt is not None or now.definite_by is not None
    if now.state is not State.UNKNOWN or not (now.resolvable or (event.by_statement and shown)):
        return _refused(now)
    return _refund(now) if event.receipt is None else _paid(now, event.receipt)


def _paid(now: Standing, receipt: str) -> Step:
    if now.state in HEARD:
        settled = replace(now, state=State.SETTLED, receipt=receipt, resend_wanted=False)
        return Step(settled, Act.SETTLE)
    if now.state is State.FAILED and now.sent_at is not None and now.late_receipt is None:
        return Step(replace(now, late_receipt=receipt), Act.OWE)
    is_known = receipt in {now.receipt, now.late_receipt}
    return Step(now, verdict=Verdict.KNOWN if is_known else Verdict.REFUSED)


def _told(now: Standing, event: FailedWith | Ended | NotFound | Pending) -> Step:
    """What a result or a status answer says short of a success."""
    if now.state is State.SETTLED:
        return Step(now, verdict=Verdict.SUPERSEDED)
    if now.state is State.FAILED and now.sent_at is not None:
        return Step(now, verdict=Verdict.KNOWN)
    if now.state not in HEARD:
        return _refused(now)
    match event:
        case FailedWith(code, at):
            held = replace(now, state=State.UNKNOWN, resend_wanted=False)
            held = _failed_with(held, Definite.RESULT, code, at)
            stepped = _refund(held) if held.ended else Step(held)
        case Ended():
            held = replace(now, state=State.UNKNOWN, resend_wanted=False, ended=True)
            stepped = Step(held) if held.definite_by is None else _refund(held)
        case Pending():
            stepped = Step(_forget_absence(now, state=now.state))
        case _:
            stepped = _not_found(now, event.asked_at)
    return stepped


def _not_found(now: Standing, asked_at: datetime) -> Step:
    """A question from before the last sending, or from before the code that it should confirm, says nothing."""
    if now.sent_at is None or asked_at < now.sent_at:
        return Step(now, verdict=Verdict.KNOWN)
    held = replace(now, state=State.UNKNOWN)
    confirms = now.definite_at is not None and asked_at >= now.definite_at
    if confirms and now.definite_by is Definite.REPLY:
        # Nobody has heard of it, and nothing speaks against it: it is as new.
        is_as_new = now.definite_code == THROTTLED and not now.ended
        return Step(Standing(state=State.REQUESTED)) if is_as_new else _refund(held)
    if held.not_found_at is None:
        return Step(replace(held, not_found_at=asked_at))
    if asked_at - held.not_found_at < APART:
        return Step(held)
    # What was taken on may be slow to be seen: of that, one answer which knows nothing is not enough.
    return _refund(held) if confirms else Step(replace(held, not_found_twice=True))


def _failed_with(now: Standing, by: Definite, code: str, at: datetime) -> Standing:
    """Keep the first code of a result; what has a result was taken on, whatever the reply said."""
    if now.definite_by in {Definite.RESULT, by}:
        return now
    return replace(now, definite_by=by, definite_code=code, definite_at=at)


def _forget_absence(now: Standing, *, state: State) -> Standing:
    """M-PESA knows of it, or it is sent anew: that it was not found or was refused before means nothing any more."""
    present = replace(now, state=state, resend_wanted=False, not_found_at=None, not_found_twice=False)
    return _forget_refusal(present)


def _forget_refusal(now: Standing) -> Standing:
    """What got to M-PESA was not refused at once, whatever the reply said. The code of a result stays."""
    if now.definite_by is not Definite.REPLY:
        return now
    return replace(now, definite_by=None, definite_code=None, definite_at=None)


def _refund(now: Standing) -> Step:
    return Step(replace(now, state=State.FAILED, resend_wanted=False), Act.REFUND)


def _refused(now: Standing) -> Step:
    return Step(now, verdict=Verdict.REFUSED)
