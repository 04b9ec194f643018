"""The feed's refusals."""

from zanari_api.kit.errors import Refusal


class TransactionNotFound(Refusal):
    """You have no transaction with this id."""

    code = "transaction_not_found"
    status = 404


class InvalidCursor(Refusal):
    """The cursor is not one this API gave. Start again without it."""

    code = "invalid_cursor"
    status = 422
