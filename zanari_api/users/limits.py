"""Pure rules of how much and how often: amounts by KYC tier, per payment and per Nairobi day, and payouts in a row.

M-PESA itself takes KES 1 to 250,000 a payment in, 10 to 250,000 a payout, and 500,000 a day for one number. Tier 3
has these whole; a lower tier is how much may go wrong before we know who a saver is.

    tier  who it is                         in, each    in, a day    out, each    out, a day
    0     a proven number                     50,000      100,000       20,000        40,000
    1     names and an id number told         70,000      150,000       70,000       140,000
    2     the document checked               150,000      300,000      150,000       300,000
    3     and the address                    250,000      500,000      250,000       500,000

There is no limit on what a saver may hold: a payment that M-PESA has confirmed is never refused, so such a limit could
not be kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from types import MappingProxyType
from typing import Final

from zanari_api.kit.clock import eat_date, eat_day_start
from zanari_api.kit.errors import Refusal
from zanari_api.kit.money import CENTS_PER_SHILLING, format_kes

DEPOSIT_MIN_CENTS: Final = 1 * CENTS_PER_SHILLING
PAYOUT_MIN_CENTS: Final = 10 * CENTS_PER_SHILLING

PAYOUTS_PER_HOUR: Final = 5
PAYOUTS_PER_DAY: Final = 10
"""On one Nairobi day."""
HOUR: Final = timedelta(hours=1)


class AmountOutsideLimits(Refusal):
    """The amount is less or more than one payment may have."""

    code = "amount_outside_limits"
    status = 422


class DayLimitReached(Refusal):
    """This would be more than you may move on one day. The day ends at midnight in Nairobi."""

    code = "day_limit_reached"
    status = 409


class TooManyPayouts(Refusal):
    """You have taken money out very often. Wait as long as Retry-After says."""

    code = "too_many_payouts"
    status = 429


@dataclass(frozen=True, slots=True)
class Limit:
    """How much one payment may be, and all payments of a Nairobi day together."""

    min_cents: int
    max_cents: int
    day_cents: int

    def left_cents(self, used_cents: int) -> int:
        """Return what is left of a day on which `used_cents` have moved."""
        return max(0, self.day_cents - used_cents)

    def check(self, amount_cents: int, *, used_cents: int, now: datetime) -> None:
        """Refuse an amount that is too small, too large, or too much on a day that has moved `used_cents`.

        Raises AmountOutsideLimits, DayLimitReached.
        """
        if not self.min_cents <= amount_cents <= self.max_cents:
            raise AmountOutsideLimits(
                f"One payment is {format_kes(self.min_cents)} to {format_kes(self.max_cents)}."
            )
        left_cents = self.left_cents(used_cents)
        if amount_cents > left_cents:
            tomorrow = eat_day_start(eat_date(now) + timedelta(days=1))
            raise DayLimitReached(
                f"{format_kes(left_cents)} of {format_kes(self.day_cents)} are left until midnight in Nairobi.",
                retry_after=_seconds(tomorrow - now),
            )


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one KYC tier."""

    deposit: Limit
    payout: Limit


def _tier(deposit_kes: tuple[int, int], payout_kes: tuple[int, int]) -> Limits:
    """Make a tier of (each, a day) in shillings."""
    deposit_each, deposit_day = (kes * CENTS_PER_SHILLING for kes in deposit_kes)
    payout_each, payout_day = (kes * CENTS_PER_SHILLING for kes in payout_kes)
    return Limits(
        deposit=Limit(DEPOSIT_MIN_CENTS, deposit_each, deposit_day),
        payout=Limit(PAYOUT_MIN_CENTS, payout_each, payout_day),
    )


TIERS: Final[Mapping[int, Limits]] = MappingProxyType(
    {
        0: _tier((50_000, 100_000), (20_000, 40_000)),
        1: _tier((70_000, 150_000), (70_000, 140_000)),
        2: _tier((150_000, 300_000), (150_000, 300_000)),
        3: _tier((250_000, 500_000), (250_000, 500_000)),
    }
)
"""By `savers.kyc_tier`; the database knows no other."""


def limits_of(kyc_tier: int) -> Limits:
    """Return a tier's limits."""
    return TIERS[kyc_tier]


def check_velocity(asked_at: Sequence[datetime], *, now: datetime) -> None:
    """Refuse one more payout after 5 within an hour or 10 on a Nairobi day; `asked_at` are those before it.

    A stolen session empties an account in many small steps as well as in one. Raises TooManyPayouts.
    """
    free_at = next_payout_at(asked_at, now=now)
    if free_at > now:
        raise TooManyPayouts(retry_after=_seconds(free_at - now))


def next_payout_at(asked_at: Sequence[datetime], *, now: datetime) -> datetime:
    """Return when the next payout may be asked for: `now`, or later."""
    today = eat_date(now)
    if sum(eat_date(each) == today for each in asked_at) >= PAYOUTS_PER_DAY:
        return eat_day_start(today + timedelta(days=1))
    last_hour = sorted(each for each in asked_at if each > now - HOUR)
    return last_hour[-PAYOUTS_PER_HOUR] + HOUR if len(last_hour) >= PAYOUTS_PER_HOUR else now


def _seconds(wait: timedelta) -> int:
    return max(1, ceil(wait.total_seconds()))
