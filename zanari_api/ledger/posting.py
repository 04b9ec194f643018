"""Posts transfers: the one way money moves. Decides nothing; the database does, under its locks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, LiteralString
from uuid import UUID

import orjson

from zanari_api.kit.ids import new_id
from zanari_api.ledger import accounts
from zanari_api.ledger.errors import AccountClosed, InsufficientFunds, KeyConflict, UnknownAccount
from zanari_api.runtime.db import Tx

POST: Final[LiteralString] = """
    SELECT p.outcome, p.transfer_id
      FROM ledger.post($1::jsonb) AS p
     ORDER BY p.ordinal
"""


class Outcome(StrEnum):
    """What became of one transfer of a batch. A refusal stores nothing: its key may post later."""

    POSTED = "posted"
    "it is in the books now"

    EXISTS = "exists"
    "the same transfer was already in the books; nothing moved again"

    KEY_CONFLICT = "key_conflict"
    "its key or id belongs to a transfer with other content"

    INSUFFICIENT_FUNDS = "insufficient_funds"
    "a saver account would fall below zero"

    UNKNOWN_ACCOUNT = "unknown_account"
    "an account is not there, or is another saver's"

    CLOSED_ACCOUNT = "closed_account"
    "an account takes no postings any more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Balanced entries that post at once.

    `entries` are (account id, cents), positive for a credit; at least two, summing to zero. `key` is
    built from our own ids, `<kind>:<row id>[:<step>]`, and makes the transfer happen once. `event_at`
    is when it happened by M-PESA's clock. `metadata` explains it with ids, never with personal data.
    """

    key: str
    kind: str
    event_at: datetime
    entries: Sequence[tuple[UUID, int]]
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])
    id: UUID = field(default_factory=new_id)


@dataclass(frozen=True, slots=True)
class Posted:
    """The answer for one transfer; `transfer_id` is the one in the books, which a refusal does not have."""

    outcome: Outcome
    transfer_id: UUID | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "outcome", Outcome(self.outcome))

    @property
    def stands(self) -> bool:
        """Whether the transfer is in the books, by this call or an earlier one."""
        return self.outcome in {Outcome.POSTED, Outcome.EXISTS}


async def post(tx: Tx, transfers: Sequence[Transfer]) -> list[Posted]:
    """Post a batch and return one outcome per transfer, in input order.

    A refused transfer does not stop its neighbours, and each sees the balances its predecessors left.
    Locks the balance rows of all saver accounts named, by id. A transfer that does not sum to zero is
    a bug and fails the whole batch.
    """
    if not transfers:
        return []
    answers = await _ask(tx, transfers)
    for transfer, answer in zip(transfers, answers, strict=True):
        tx.note("ledger_post", transfer.kind, answer.outcome)
    return answers


async def post_paid_in(tx: Tx, transfer: Transfer, *, shortcode: str) -> Posted:
    """Post a payment that came to a shortcode, whose floats the first one opens. Locks as `post`.

    Only how it ended is counted: that the floats were not there yet is no failure.
    """
    (posted,) = await _ask(tx, [transfer])
    if posted.outcome is Outcome.UNKNOWN_ACCOUNT:
        await accounts.open_floats(tx, shortcode)
        (posted,) = await _ask(tx, [transfer])
    tx.note("ledger_post", transfer.kind, posted.outcome)
    return posted


async def _ask(tx: Tx, transfers: Sequence[Transfer]) -> list[Posted]:
    return await tx.fetch_all(Posted, POST, orjson.dumps(transfers, default=_uuid_text).decode())


def _uuid_text(value: object) -> str:
    """Write the driver's own UUID class, which orjson does not know, as the UUID it is."""
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a transfer")


async def post_one(tx: Tx, transfer: Transfer) -> Posted:
    """Post one transfer that must succeed, or already have.

    Raises InsufficientFunds or AccountClosed, and UnknownAccount or KeyConflict where the caller erred.
    """
    (posted,) = await post(tx, [transfer])
    match posted.outcome:
        case Outcome.POSTED | Outcome.EXISTS:
            return posted
        case Outcome.INSUFFICIENT_FUNDS:
            raise InsufficientFunds(key=transfer.key)
        case Outcome.CLOSED_ACCOUNT:
            raise AccountClosed(key=transfer.key)
        case Outcome.UNKNOWN_ACCOUNT:
            raise UnknownAccount(transfer.key)
        case Outcome.KEY_CONFLICT:
            raise KeyConflict(transfer.key)
