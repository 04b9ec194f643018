"""Moves of our own money: between our accounts at Safaricom, from the company's bank and back. Never a saver's.

Each is booked once per receipt, by an operator, and audited.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from zanari_api.kit.ids import new_id
from zanari_api.ledger import accounts, balances, posting
from zanari_api.ledger.accounts import FloatAccount
from zanari_api.ledger.posting import Transfer
from zanari_api.mpesa import float_queries
from zanari_api.mpesa.float_queries import MoveRow
from zanari_api.runtime import audit
from zanari_api.runtime.db import Tx
from zanari_api.transactions import receipts
from zanari_api.transactions.receipts import Claim, ReceiptRole


class MoveKind(StrEnum):
    """Where the money came from and went to."""

    MOVE = "move"
    "from one of our accounts at Safaricom to another"

    FUND = "fund"
    "from the company's bank to one of our accounts"

    DEFUND = "defund"
    "from one of our accounts to the company's bank"


class Booked(StrEnum):
    """What became of a wish to book a move."""

    BOOKED = "booked"
    "it is in the books now"

    ALREADY = "already"
    "this receipt was booked as this very move before; nothing moved again"

    OTHER_MOVE = "other_move"
    "this receipt was booked as another move; nothing moved"

    OTHER_ROLE = "other_role"
    "this receipt is a saver's payment, or gave one back; nothing moved"


@dataclass(frozen=True, slots=True)
class Place:
    """One of our accounts at Safaricom. Written `600000:utility`."""

    shortcode: str
    account: FloatAccount

    def __str__(self) -> str:
        return f"{self.shortcode}:{self.account}"

    @property
    def account_id(self) -> UUID:
        return accounts.float_id(self.shortcode, self.account)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A move to book; `source` or `target` None is the company's bank, and one of them is a place of ours.

    Raises ValueError for a move from nowhere to nowhere, or of an amount that is none.
    """

    source: Place | None
    target: Place | None
    amount_cents: int
    receipt: str
    event_at: datetime

    def __post_init__(self) -> None:
        if self.source == self.target:
            raise ValueError("the money has to move from one place to another")
        if self.amount_cents <= 0:
            raise ValueError("the amount must be more than zero")

    @property
    def kind(self) -> MoveKind:
        if self.source is None:
            return MoveKind.FUND
        return MoveKind.DEFUND if self.target is None else MoveKind.MOVE


def parse_place(text: str) -> Place:
    """Read `SHORTCODE:ACCOUNT`. Raises ValueError."""
    shortcode, colon, account = text.strip().partition(":")
    if not (colon and shortcode.isascii() and shortcode.isdigit() and account in set(FloatAccount)):
        raise ValueError(f"a place is SHORTCODE:ACCOUNT, where ACCOUNT is one of {', '.join(FloatAccount)}")
    return Place(shortcode, FloatAccount(account))


async def open_floats(tx: Tx, *, shortcode: str) -> None:
    """Open the three floats of a shortcode that we run, at zero. Safe to repeat."""
    await accounts.open_floats(tx, shortcode)


async def open_floats_by_hand(tx: Tx, *, shortcode: str, operator: str) -> bool:
    """Open them by an operator's word, audited; False where they were open. Safe to repeat."""
    if await balances.balance(tx, accounts.float_id(shortcode)) is not None:
        return False
    await accounts.open_floats(tx, shortcode)
    await audit.record(
        tx,
        operator=operator,
        act="float_opened",
        subject=f"shortcode:{shortcode}",
        reason="we run this shortcode",
        before={"open": False},
        after={"open": True},
    )
    return True


async def book(tx: Tx, move: Move, *, operator: str) -> Booked:
    """Book a move, once per receipt. Locks the receipt. Runs as Role.SYSTEM."""
    await receipts.lock(tx, [move.receipt])
    if any(claimed.role != ReceiptRole.OWN_MOVE for claimed in await receipts.find(tx, [move.receipt])):
        return Booked.OTHER_ROLE
    if not await receipts.claim(tx, ReceiptRole.OWN_MOVE, [Claim(move.receipt, None)]):
        return await _known(tx, move)
    row = _row_of(move)
    await float_queries.insert_move(tx, row, operator=operator)
    for place in (move.source, move.target):
        if place is not None:
            await accounts.open_floats(tx, place.shortcode)
    await posting.post_one(
        tx,
        Transfer(
            key=f"float_move:{row.id}",
            kind="float_move",
            event_at=move.event_at,
            entries=(
                (_account_of(move.source), move.amount_cents),
                (_account_of(move.target), -move.amount_cents),
            ),
            metadata={"kind": move.kind.value},
        ),
    )
    await audit.record(
        tx,
        operator=operator,
        act=f"float_{move.kind}",
        subject=f"float_move:{row.id}",
        reason=f"receipt {move.receipt}",
        before={},
        after={
            "from": str(move.source or "bank"),
            "to": str(move.target or "bank"),
            "amount_cents": move.amount_cents,
        },
    )
    return Booked.BOOKED


async def _known(tx: Tx, move: Move) -> Booked:
    before = await float_queries.find_move(tx, receipt=move.receipt)
    if before is None:
        # It gave a payment back out of suspense.
        return Booked.OTHER_ROLE
    return Booked.ALREADY if _same(before, _row_of(move)) else Booked.OTHER_MOVE


async def list_changes(tx: Tx, place: Place, *, receipts: Sequence[str]) -> list[tuple[str, UUID, int]]:
    """Return (receipt, id, cents) of the moves of these receipts that changed what a place of ours holds."""
    changes: list[tuple[str, UUID, int]] = []
    for move in await float_queries.list_moves(tx, receipts=receipts):
        if (move.from_shortcode, move.from_account) == (place.shortcode, place.account):
            changes.append((move.receipt, move.id, -move.amount_cents))
        if (move.to_shortcode, move.to_account) == (place.shortcode, place.account):
            changes.append((move.receipt, move.id, move.amount_cents))
    return changes


def _account_of(place: Place | None) -> UUID:
    return accounts.FUNDING if place is None else place.account_id


def _row_of(move: Move) -> MoveRow:
    source, target = move.source, move.target
    return MoveRow(
        id=new_id(),
        receipt=move.receipt,
        kind=move.kind,
        from_shortcode=source and source.shortcode,
        from_account=source and source.account,
        to_shortcode=target and target.shortcode,
        to_account=target and target.account,
        amount_cents=move.amount_cents,
        event_at=move.event_at,
    )


def _same(before: MoveRow, wanted: MoveRow) -> bool:
    """Tell whether two moves are one. The time is left out: an operator types it, or leaves it to the clock."""

    def content(move: MoveRow) -> tuple[object, ...]:
        return (
            move.from_shortcode,
            move.from_account,
            move.to_shortcode,
            move.to_account,
            move.amount_cents,
        )

    return content(before) == content(wanted)
