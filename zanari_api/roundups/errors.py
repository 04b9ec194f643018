"""What round-ups refuse a saver, and what can go wrong with them that is none of a saver's doing.

Refusal
  NothingWaiting             there is nothing to collect or to pay
  CollectionNotFound
  CollectionAlreadyPrompted  too late to skip it
  NoNumberLinked             nobody to prompt
RuleMissing, BooksRefused    bugs
"""

from zanari_api.kit.errors import Refusal


class NothingWaiting(Refusal):
    """No round-up of yours waits for money, or less than M-PESA moves: one shilling."""

    code = "nothing_waiting"


class CollectionNotFound(Refusal):
    """You have no collection with this id."""

    code = "collection_not_found"
    status = 404


class CollectionAlreadyPrompted(Refusal):
    """It is too late to skip this collection: its prompt was sent. You can cancel it on your phone."""

    code = "collection_already_prompted"


class DebtFirst(Refusal):
    """You owe money for a payment that M-PESA took back. Deposit it first; your round-ups wait until then."""

    code = "debt_first"


class NoNumberLinked(Refusal):
    """You have no linked M-PESA number that we could prompt."""

    code = "no_number_linked"


class RuleMissing(Exception):  # noqa: N818 (a bug: every saver has a first version)
    """A saver has no rule version at all."""


class BooksRefused(Exception):  # noqa: N818 (a bug: the balance was read under the same lock)
    """The ledger refused a transfer that the locked balances allowed."""
