"""What can go wrong with round-ups; none of it is a saver's doing."""


class RuleMissing(Exception):  # noqa: N818 (a bug: every saver has a first version)
    """A saver has no rule version at all."""


class BooksRefused(Exception):  # noqa: N818 (a bug: the balance was read under the same lock)
    """The ledger refused a transfer that the locked balances allowed."""
