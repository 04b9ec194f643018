"""The order in which sealing passes rows, as the chain itself shows it. Reads nothing, believes no stored position.

Sealing takes rows in the order of (transaction, id), so a seal on a row behind the one before it shows a row that was
put in later. Only a restore into another cluster, where transaction ids start over, begins that order anew; sealing
marks where its walk over what was restored begins and ends, and the marks are part of the chain.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from zanari_api.ledger.chain import ROWS, Field, Seal, SealKind

Position = tuple[int, int]
"""Where a row stands: its transaction's id, and its own as a number. Postgres orders uuids alike."""

BEGINNING: Final[Position] = (-1, 0)
POSTGRES_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Restore:
    """Where sealing walked everything again: the seal that marks it, and when."""

    seq: int
    at: datetime
    behind: int = 0
    """Rows that the walk sealed and whose transactions are neither later than what the old cluster sealed nor than
    the new one's first sealing: written in the new one before that, or put in. The chain cannot tell."""


class Order:
    """Where the rows of each kind have come to, seal by seal."""

    def __init__(self) -> None:
        self.restores = list[Restore]()
        self._reached: dict[SealKind, Position] = dict.fromkeys(ROWS, BEGINNING)
        self._before = self._reached
        self._open: UUID | None = None

    def reached(self, kind: SealKind) -> Position:
        """Return what no row without a seal may stand behind; the beginning while a restored one is walked."""
        return BEGINNING if self._open is not None else self._reached[kind]

    def mark(self, seal: Seal, *, from_the_first: bool) -> str | None:
        """Take a mark of a restore; return what is wrong with it. A walk may have begun before what was read."""
        if seal.kind == SealKind.RESTORE:
            stood = [_stood(seal.subject_id)] + ([] if self._open is None else [_stood(self._open)])
            self._open = seal.subject_id
            self._before = {kind: min(at, *stood) for kind, at in self._reached.items()}
            self._reached = dict.fromkeys(ROWS, BEGINNING)
            at = POSTGRES_EPOCH + timedelta(microseconds=int.from_bytes(seal.sealed_at, signed=True))
            self.restores.append(Restore(seal.seq, at))
            return None
        began = self._open == seal.subject_id or (self._open is None and not from_the_first)
        if seal.kind != SealKind.RESTORED or not began:
            return "it ends a walk over restored rows that never began"
        self._open = None
        self._reached = dict.fromkeys(ROWS, _stood(seal.subject_id))
        return None

    def row(self, kind: SealKind, seal: Seal, fields: list[Field]) -> bool:
        """Take a sealed row; return whether it stands after the one before it."""
        position = (int.from_bytes(fields[-1] or b""), seal.subject_id.int)
        if position <= self._reached[kind]:
            return False
        self._reached[kind] = position
        if self._open is not None and position < self._before[kind]:
            self.restores[-1] = replace(self.restores[-1], behind=self.restores[-1].behind + 1)
        return True


def _stood(mark: UUID) -> Position:
    """Return where a cluster stood, by the mark: its transaction id is the second half."""
    return (int.from_bytes(mark.bytes[8:]), 0)
