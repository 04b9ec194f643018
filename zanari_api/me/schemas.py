"""The whole of a saver's money in one view."""

from typing import Literal

from zanari_api.kit.schema import Schema


class Wallet(Schema):
    """Money in no goal, money in all goals, and round-ups that wait for money to come in."""

    balance_cents: int
    saved_cents: int
    waiting_cents: int
    currency: Literal["KES"] = "KES"
