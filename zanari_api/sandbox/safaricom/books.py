"""Safaricom's books of our shortcodes, in integer cents: what each account holds and every movement on it."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias


class Account(StrEnum):
    """A shortcode's accounts, as its balance answers name them."""

    UTILITY = "utility"
    WORKING = "working"
    CHARGES_PAID = "charges_paid"


class Kind(StrEnum):
    """Why money moved."""

    PAY_BILL = "pay_bill"
    PROMPTED = "prompted"
    PAYOUT = "payout"
    CHARGE = "charge"
    BANK_DEPOSIT = "bank_deposit"
    MOVE = "move"
    REVERSAL = "reversal"


FROM_CUSTOMERS = frozenset({Kind.PAY_BILL, Kind.PROMPTED})


class Overdrawn(Exception):  # noqa: N818 (reads as what it says)
    """The account does not hold that much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What a shortcode's accounts hold. `charges_paid_cents` falls below zero as fees accrue."""

    utility_cents: int = 0
    working_cents: int = 0
    charges_paid_cents: int = 0


Opening: TypeAlias = Position
"""What a shortcode begins with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What is told of a movement beside the amount. `reverses` is the receipt it takes back."""

    kind: Kind
    details: str
    msisdn: str | None = None
    account_reference: str = ""
    reverses: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """One change of one account; several share a receipt. `change_cents` is negative when money left."""

    receipt: str
    at: datetime
    shortcode: str
    account: Account
    change_cents: int
    balance_cents: int
    story: Story


class Books:
    """The accounts of every shortcode. May be read from any thread."""

    def __init__(self, openings: Mapping[str, Position]) -> None:
        self._lock = threading.Lock()
        self.openings = dict(openings)
        self.movements: list[Movement] = []
        self._by_receipt: dict[str, list[Movement]] = {}
        self._held: dict[tuple[str, Account], int] = {}
        for shortcode, opening in openings.items():
            for account in Account:
                self._held[shortcode, account] = asdict(opening)[f"{account}_cents"]

    def knows(self, shortcode: str) -> bool:
        return shortcode in self.openings

    def balance(self, shortcode: str, account: Account) -> int:
        """Return cents."""
        return self._held[shortcode, account]

    def position(self) -> dict[str, Position]:
        """Return what every shortcode holds at this moment, to compare with somebody else's books."""
        with self._lock:
            return {
                shortcode: Position(
                    utility_cents=self._held[shortcode, Account.UTILITY],
                    working_cents=self._held[shortcode, Account.WORKING],
                    charges_paid_cents=self._held[shortcode, Account.CHARGES_PAID],
                )
                for shortcode in self.openings
            }

    def post(
        self, receipt: str, at: datetime, shortcode: str, changes: Iterable[tuple[Account, int, Story]]
    ) -> Sequence[Movement]:
        """Write movements that share a receipt, all or none. Raises Overdrawn; fees may overdraw, as they do."""
        with self._lock:
            held = dict(self._held)
            made: list[Movement] = []
            for account, change_cents, story in changes:
                held[shortcode, account] += change_cents
                balance = held[shortcode, account]
                if balance < 0 and change_cents < 0 and account is not Account.CHARGES_PAID:
                    raise Overdrawn
                made.append(
                    Movement(
                        receipt=receipt,
                        at=at,
                        shortcode=shortcode,
                        account=account,
                        change_cents=change_cents,
                        balance_cents=balance,
                        story=story,
                    )
                )
            self._held = held
            self._remember(made)
            return made

    def restore(self, movements: Iterable[Movement]) -> None:
        """Take up movements that were kept; the accounts hold what their last one left."""
        with self._lock:
            kept = list(movements)
            self._remember(kept)
            for movement in kept:
                self._held[movement.shortcode, movement.account] = movement.balance_cents

    def find(self, receipt: str) -> Sequence[Movement]:
        """Return the movements of a receipt, none where it is unknown."""
        return self._by_receipt.get(receipt, [])

    def reversal_of(self, receipt: str) -> Movement | None:
        """Return the movement that took a receipt back."""
        return next((one for one in self.movements if one.story.reverses == receipt), None)

    def paid_lately(
        self, *, shortcode: str, msisdn: str, amount_cents: int, at: datetime, within: timedelta
    ) -> bool:
        """Whether the customer has just paid the same amount to the shortcode."""
        for movement in reversed(self.movements):
            if at - movement.at >= within:
                return False
            paid = (movement.shortcode, movement.story.msisdn, movement.change_cents)
            if paid == (shortcode, msisdn, amount_cents) and movement.story.kind in FROM_CUSTOMERS:
                return True
        return False

    def _remember(self, movements: Iterable[Movement]) -> None:
        for movement in movements:
            self.movements.append(movement)
            self._by_receipt.setdefault(movement.receipt, []).append(movement)


def story_of_reversal(original: Movement, *, details: str) -> Story:
    """Return what is told of taking `original` back."""
    return replace(original.story, kind=Kind.REVERSAL, details=details, reverses=original.receipt)
