"""The refusals of money out."""

from zanari_api.kit.errors import Refusal, Unavailable


class WholeShillingsOnly(Refusal):
    """M-PESA pays whole shillings only: `amount_cents` must be a multiple of 100."""

    code = "whole_shillings_only"
    status = 422


class PayoutNotFound(Refusal):
    """You have no withdrawal with this id."""

    code = "withdrawal_not_found"
    status = 404


class NumberNotLinked(Refusal):
    """You have no linked M-PESA number with this id."""

    code = "account_not_linked"
    status = 404


class PayoutsHeld(Refusal):
    """Withdrawals are held for a while, because your number or your PIN has changed."""

    code = "payouts_held"


class MoneyOwed(Refusal):
    """You owe for a payment that M-PESA took back. Nothing can be withdrawn until a deposit has repaid it."""

    code = "money_owed"


class PayoutsPaused(Unavailable):
    """Withdrawals are paused while we check our books. Your money is untouched; try again later."""

    code = "payouts_paused"
