"""The refusals of what is asked for by STK push."""

from zanari_api.kit.errors import Refusal


class PromptOpen(Refusal):
    """Another M-PESA prompt of yours is still open. Answer it, or wait until it is gone."""

    code = "prompt_open"
    status = 409


class DepositNotFound(Refusal):
    """You have asked for no deposit with this id."""

    code = "deposit_not_found"
    status = 404
