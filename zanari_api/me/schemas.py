"""The whole of a saver's money in one view, and how much of it may move."""

from datetime import datetime
from typing import Literal

from zanari_api.kit.schema import Schema


class Wallet(Schema):
    """Money in no goal, money in all goals, and round-ups that wait for money to come in."""

    balance_cents: int
    saved_cents: int
    waiting_cents: int
    currency: Literal["KES"] = "KES"


class AmountLimit(Schema):
    """What one payment may be, and all of a day in Nairobi together; payments still under way are used up too."""

    min_cents: int
    max_cents: int
    day_cents: int
    day_used_cents: int
    day_left_cents: int


class PayoutLimit(AmountLimit):
    """How much may leave, and when: null where nothing stands in the way now."""

    held_until: datetime | None
    """Payouts wait after a PIN reset and after a number was added or proven again."""
    next_at: datetime | None
    """When the next one may be asked for, after many in a row."""


class SaverLimits(Schema):
    """What you may move with what we know of you. A higher KYC tier has higher limits."""

    kyc_tier: int
    deposit: AmountLimit
    payout: PayoutLimit
    currency: Literal["KES"] = "KES"
