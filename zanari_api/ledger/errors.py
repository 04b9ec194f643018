"""What the books refuse, and the mistakes they will not make. Never about who a saver is.

Refusal
  InsufficientFunds   the money is not there; the saver can act on it
  AccountClosed       the account takes no postings any more
  AccountNotEmpty     an account that holds money is not closed
UnknownAccount        a bug: a caller named an account that is not open, or that is another saver's
KeyConflict           a bug: one key was built for two different transfers
"""

from uuid import UUID

from zanari_api.kit.errors import Refusal


class InsufficientFunds(Refusal):
    """There is not enough money in this account."""

    code = "insufficient_funds"


class AccountClosed(Refusal):
    """This account is closed."""

    code = "account_closed"


class AccountNotEmpty(Refusal):
    """This account still holds money. Move it out first."""

    code = "account_not_empty"


class UnknownAccount(LookupError):  # noqa: N818 (named for what went wrong, as the refusals are)
    """A posting or closing named an account the caller does not have."""

    def __init__(self, subject: UUID | str) -> None:
        super().__init__(f"{subject} names a ledger account that is not there for this caller")


class KeyConflict(ValueError):  # noqa: N818 (named for what went wrong, as the refusals are)
    """The key, or the id, already belongs to a transfer with other content."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} is already the key or id of another transfer")
