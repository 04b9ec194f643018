"""What a difference between our books and Safaricom's is likely to come from, and what resolves it. Pure.

A cause is suspected where an amount fits to the cent; a person decides whether it is one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from zanari_api.kit.money import CENTS_PER_SHILLING
from zanari_api.ledger.accounts import FloatAccount
from zanari_api.mpesa.float_service import Place

_SEVERAL: Final = 2
_CHANGES_MAX: Final = 12
"""Of more changes in one second, not every way to choose among them is looked at."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Something whose end we do not know: what it would change in a place if M-PESA did it, and how to look at it.

    `payout_id` is set where it is a payout, which a line of a statement can end.
    """

    place: Place
    effect_cents: int
    what: str
    command: str
    payout_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One of our accounts at a moment of Safaricom's clock, in both books."""

    place: Place
    reported_cents: int
    booked_cents: int
    reported_at: datetime

    @property
    def difference_cents(self) -> int:
        """Positive where Safaricom has more than our books say."""
        return self.reported_cents - self.booked_cents


@dataclass(frozen=True, slots=True)
class Explained:
    """A suspected cause, and the command that resolves it if it is one."""

    cause: str
    command: str


def explain(compared: Compared, *, pending: Sequence[Pending], others: Sequence[Compared]) -> Explained:
    """Explain one difference by what is pending in its place, or by the differences of our other accounts."""
    here = [each for each in pending if each.place == compared.place]
    return (
        _one_pending(compared, here)
        or _all_pending(compared, here)
        or _a_move(compared, others)
        or _unexplained(compared)
    )


def booked_at(reported_cents: int, *, before_cents: int, changes: Sequence[int]) -> int:
    """Return our balance at the moment of a report, given what we held before its second and how that changed in it.

    M-PESA's clock shows seconds: each change of that second may have come before the report or after it. Where
    some of them make our balance what was reported, that is what it was; else all of them count.
    """
    reachable = {before_cents}
    for change in changes[:_CHANGES_MAX]:
        reachable |= {cents + change for cents in reachable}
    return reported_cents if reported_cents in reachable else before_cents + sum(changes)


def _one_pending(compared: Compared, pending: Sequence[Pending]) -> Explained | None:
    for each in pending:
        if each.effect_cents == compared.difference_cents:
            return Explained(f"{each.what}, of just this amount", each.command)
    return None


def _all_pending(compared: Compared, pending: Sequence[Pending]) -> Explained | None:
    if len(pending) < _SEVERAL or sum(each.effect_cents for each in pending) != compared.difference_cents:
        return None
    return Explained(
        f"{len(pending)} things whose end is unknown come to just this amount", pending[0].command
    )


def _a_move(compared: Compared, others: Sequence[Compared]) -> Explained | None:
    for other in others:
        if other.place != compared.place and other.difference_cents == -compared.difference_cents:
            source, target = compared.place, other.place
            if compared.difference_cents > 0:
                source, target = target, source
            command = (
                f"zanari float move --from {source} --to {target}"
                f" --amount {shillings(compared.difference_cents)} --receipt RECEIPT"
            )
            return Explained(f"a move from {source} to {target} that nobody booked", command)
    return None


def _unexplained(compared: Compared) -> Explained:
    place, amount = compared.place, shillings(compared.difference_cents)
    is_more = compared.difference_cents > 0
    if place.account is FloatAccount.CHARGES_PAID:
        cause = "charges that were settled" if is_more else "charges that are not posted"
        return Explained(
            cause,
            f"zanari statement import FILE --shortcode {place.shortcode} --account charges_paid --date DAY",
        )
    if is_more:
        cause = "money from the bank that nobody booked, or a payment that we were never told of"
        command = f"zanari float fund {place} --amount {amount} --receipt RECEIPT"
    else:
        cause = "money taken to the bank that nobody booked, or a reversal that we were never told of"
        command = f"zanari float defund {place} --amount {amount} --receipt RECEIPT"
    return Explained(cause, command)


def shillings(cents: int) -> str:
    """Write an amount as an operator types it, without a sign for what is taken."""
    whole, rest = divmod(abs(cents), CENTS_PER_SHILLING)
    return f"{whole}.{rest:02d}" if rest else str(whole)
