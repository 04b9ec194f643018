"""Decides when a collection is asked for, of how much, and what an answer to it means for the next. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from zanari_api.daraja.codes import Reason
from zanari_api.kit.clock import EAT, eat_date, eat_day_start
from zanari_api.kit.money import CENTS_PER_SHILLING
from zanari_api.roundups.allocation import Share
from zanari_api.roundups.rules import Rule
from zanari_api.roundups.tariffs import Tariff

SMALLEST_CENTS: Final = CENTS_PER_SHILLING
"""The least that M-PESA moves, and the threshold of a saver who asks for a collection."""

SMALLEST_THRESHOLD_CENTS: Final = 10_000
"""The lowest threshold a rule can have: with less waiting there is nothing to look at."""

MORNING: Final = time(7)
EVENING: Final = time(21)
"""Prompts are sent from seven in the morning until nine in the evening, in Nairobi."""

REST: Final = timedelta(minutes=30)
"""How long after one prompt the next comes by itself: a backlog must not ring a phone all morning."""

SENT_WITHIN: Final = timedelta(minutes=2)
"""A prompt that was not sent by then is not sent at all: so late it may come, and no later."""

SAME_AMOUNT_APART: Final = timedelta(minutes=2)
"""M-PESA refuses the same amount to the same paybill within this time (result code 17)."""

LOOK_AGAIN: Final = timedelta(hours=1)
"""When to look again where what stands in the way is ours and tells us nothing when it goes."""

COOL_DOWN_DAYS: Final = (1, 2, 4)
"""Days without a prompt after the first, the second and the third that the saver turned down in a row."""

DECLINED_MAX: Final = len(COOL_DOWN_DAYS)
"""So many in a row, and prompts stop until the saver asks for one or changes the rule."""


class Wish(StrEnum):
    """What a failed collection tells of the saver's wish to have the next one."""

    DECLINED = "declined"
    "the saver saw the prompt, or could have, and did not pay: wait, longer each time"

    UNABLE = "unable"
    "M-PESA would not let the saver pay today: try again tomorrow, and hold nothing against the saver"

    UNASKED = "unasked"
    "the saver was never asked: try again soon"


_DECLINED: Final = frozenset({Reason.CANCELLED, Reason.NO_ANSWER, Reason.EXPIRED, Reason.WRONG_PIN})
_UNABLE: Final = frozenset(
    {
        Reason.INSUFFICIENT_FUNDS,
        Reason.DAILY_LIMIT,
        Reason.ABOVE_MAXIMUM,
        Reason.BELOW_MINIMUM,
        Reason.RECEIVER_LIMIT,
        Reason.LOCKED,
        Reason.NOT_PERMITTED,
        Reason.NO_SUCH_NUMBER,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restraint:
    """What keeps prompts from a saver: until when, after how many refusals, and whether for good."""

    cool_down_until: datetime | None = None
    declined_in_a_row: int = 0
    paused: bool = False


class Hindrance(StrEnum):
    """Why no collection is asked for now. Looked at in this order."""

    FEATURE_DISABLED = "feature_disabled"
    PAUSED = "paused"
    RULE_DISABLED = "rule_disabled"
    RULE_PAUSED = "rule_paused"
    BELOW_THRESHOLD = "below_threshold"
    COOL_DOWN = "cool_down"
    PROMPT_OPEN = "prompt_open"
    RESTING = "resting"
    QUIET_HOURS = "quiet_hours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What the decision depends on. `waiting_cents` is what waits and is bound to no collection."""

    now: datetime
    notice: timedelta
    feature_enabled: bool
    rule: Rule
    waiting_cents: int
    restraint: Restraint
    open_until: datetime | None
    """When the prompt that is open now stops being so."""

    last_prompt_at: datetime | None
    """When the last collection was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """Ask for this much: the prompt is sent at `prompts_at`, until when the saver can skip it."""

    amount_cents: int
    prompts_at: datetime


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask for nothing now. `until` is when to look again; None: something has to happen first."""

    hindrance: Hindrance
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A round-up that waits: what of it is not settled yet."""

    spend_id: UUID
    open_cents: int


@dataclass(frozen=True, slots=True)
class Portion:
    """The part of a waiting round-up that one payment covers."""

    spend_id: UUID
    cents: int


def decide(situation: Situation, tariff: Tariff) -> Collect | Wait:
    """Return whether to ask the saver for a collection, and for how much."""
    now, rule = situation.now, situation.rule
    amount = choose_amount(situation.waiting_cents, rule.collection_threshold_cents, tariff)
    prompts_at = now + situation.notice
    hindrances = (
        (Hindrance.FEATURE_DISABLED, not situation.feature_enabled, now + LOOK_AGAIN),
        (Hindrance.PAUSED, situation.restraint.paused, None),
        (Hindrance.RULE_DISABLED, not rule.enabled, None),
        (Hindrance.RULE_PAUSED, _is_ahead(rule.paused_until, now), rule.paused_until),
        (Hindrance.BELOW_THRESHOLD, amount == 0, None),
        _until(Hindrance.COOL_DOWN, situation.restraint.cool_down_until, now),
        _until(Hindrance.PROMPT_OPEN, situation.open_until, now),
        _until(Hindrance.RESTING, _rested_at(situation.last_prompt_at), now),
        (
            Hindrance.QUIET_HOURS,
            is_quiet(prompts_at) or is_quiet(prompts_at + SENT_WITHIN),
            next_allowed(prompts_at + SENT_WITHIN),
        ),
    )
    for hindrance, holds, until in hindrances:
        if holds:
            return Wait(hindrance, until)
    return Collect(amount_cents=amount, prompts_at=prompts_at)


def choose_amount(waiting_cents: int, threshold_cents: int, tariff: Tariff) -> int:
    """Return how much to collect, in whole shillings; 0 where the threshold is not reached.

    Considered are all that waits and the upper edge of each band below it, where M-PESA's fee is best used.
    The least fee per shilling wins, and of equals the larger. What is left over goes on waiting.
    """
    all_of_it = min(waiting_cents - waiting_cents % CENTS_PER_SHILLING, tariff.most_cents)
    edges = (band.up_to_cents for band in tariff.bands)
    best = 0
    for amount in sorted({all_of_it, *(edge for edge in edges if edge < all_of_it)}):
        if amount < max(threshold_cents, SMALLEST_CENTS):
            continue
        # fee / amount, compared without dividing.
        if best == 0 or tariff.fee_cents(amount) * best <= tariff.fee_cents(best) * amount:
            best = amount
    return best


def is_quiet(instant: datetime) -> bool:
    """Tell whether no phone may ring then."""
    return not MORNING <= instant.astimezone(EAT).time() < EVENING


def next_allowed(instant: datetime) -> datetime:
    """Return the first moment from `instant` on at which a prompt may be sent by itself."""
    if not is_quiet(instant):
        return instant
    midnight = eat_day_start(eat_date(instant))
    opens_at = midnight + timedelta(hours=MORNING.hour)
    return opens_at if instant < opens_at else opens_at + timedelta(days=1)


def next_morning(now: datetime) -> datetime:
    """Return the first allowed moment of the next day in Nairobi."""
    return next_allowed(eat_day_start(eat_date(now) + timedelta(days=1)))


def apart(prompts_at: datetime, last_of_same_amount_at: datetime | None) -> datetime:
    """Move a prompt so far from the last one of the same amount that M-PESA takes both."""
    if last_of_same_amount_at is None:
        return prompts_at
    return max(prompts_at, last_of_same_amount_at + SAME_AMOUNT_APART)


def wish_behind(reason: str) -> Wish:
    """Return what the reason of a failed collection says of the saver. One we do not know is not the saver's."""
    if reason in _DECLINED:
        return Wish.DECLINED
    return Wish.UNABLE if reason in _UNABLE else Wish.UNASKED


def after_failure(restraint: Restraint, reason: str, now: datetime) -> Restraint:
    """Return how prompts are held back after a collection failed for this reason."""
    wish = wish_behind(reason)
    if wish is not Wish.DECLINED:
        pause = timedelta(days=1) if wish is Wish.UNABLE else REST
        return replace(restraint, cool_down_until=now + pause)
    declined = restraint.declined_in_a_row + 1
    days = COOL_DOWN_DAYS[min(declined, DECLINED_MAX) - 1]
    return Restraint(
        cool_down_until=now + timedelta(days=days),
        declined_in_a_row=declined,
        paused=restraint.paused or declined >= DECLINED_MAX,
    )


def after_skip(restraint: Restraint, now: datetime) -> Restraint:
    """Return how prompts are held back after the saver skipped one: nothing before tomorrow, and no reproach."""
    tomorrow = next_morning(now)
    return replace(restraint, cool_down_until=max(tomorrow, restraint.cool_down_until or tomorrow))


def due_at(restraint: Restraint, now: datetime) -> datetime | None:
    """Return when to look at a saver's accruals next; None while the saver is left in peace for good."""
    return None if restraint.paused else max(now, restraint.cool_down_until or now)


def fill(waiting: Iterable[Waiting], amount_cents: int) -> list[Portion]:
    """Return what an amount covers of round-ups that wait, in their order; the last may be covered in part."""
    portions: list[Portion] = []
    for each in waiting:
        if amount_cents == 0:
            break
        taken = min(each.open_cents, amount_cents)
        amount_cents -= taken
        portions.append(Portion(each.spend_id, taken))
    if amount_cents:
        raise ValueError("less waits than is to be covered")
    return portions


def cover_whole(waiting: Iterable[Waiting], held_cents: int) -> list[Portion]:
    """Return the round-ups, in their order, that this much money covers whole; it stops at the first it does not."""
    portions: list[Portion] = []
    for each in waiting:
        if each.open_cents > held_cents:
            break
        held_cents -= each.open_cents
        portions.append(Portion(each.spend_id, each.open_cents))
    return portions


def part_of(allocations: Sequence[Share], *, settled_cents: int, cents: int) -> list[Share]:
    """Split the next `cents` of a round-up over its goals, after `settled_cents` of it were settled before.

    The goals lie one after another, by id, and each payment covers the next stretch: however many payments it
    takes, in the end each goal has got exactly its allocation.
    """
    shares: list[Share] = []
    start, end, goal_start = settled_cents, settled_cents + cents, 0
    for allocation in sorted(allocations, key=lambda allocation: allocation.goal_id):
        goal_end = goal_start + allocation.cents
        overlap = min(end, goal_end) - max(start, goal_start)
        if overlap > 0:
            shares.append(Share(allocation.goal_id, overlap))
        goal_start = goal_end
    if end > goal_start:
        raise ValueError("more was settled than the round-up comes to")
    return shares


def _is_ahead(instant: datetime | None, now: datetime) -> bool:
    return instant is not None and instant > now


def _until(
    hindrance: Hindrance, instant: datetime | None, now: datetime
) -> tuple[Hindrance, bool, datetime | None]:
    return hindrance, _is_ahead(instant, now), instant


def _rested_at(last_prompt_at: datetime | None) -> datetime | None:
    return None if last_prompt_at is None else last_prompt_at + REST
