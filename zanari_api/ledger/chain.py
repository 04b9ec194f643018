"""What a seal of the hash chain is computed from, and how. Pure: reads no database, and believes no function of one.

`ledger.seal` makes the seals in the database; this computes the same from the rows, so that a database whose
functions were changed cannot vouch for itself. A field is its length as four bytes and then its bytes; a null is the
length -1. Numbers, ids and times are as Postgres sends them: big-endian, times in microseconds since 2000.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

Field = bytes | None
"""One field as Postgres sends it; None is null."""

DIGEST_BYTES: Final = 32
BIGINT_BYTES: Final = 8
_NULL: Final = b"\xff\xff\xff\xff"


class SealKind(StrEnum):
    """What a seal is on."""

    TRANSFER = "transfer"
    "a transfer with its entries, and what their accounts are"

    ACT = "act"
    "a line of the audit log"

    RESTORE = "restore"
    "from here on sealing walked everything again, as after a restore into another cluster"

    RESTORED = "restored"
    "that walk is over"


ROWS: Final[tuple[SealKind, ...]] = (SealKind.TRANSFER, SealKind.ACT)
"""The kinds that are on rows; the others mark where the order of the rows begins anew."""


@dataclass(frozen=True, slots=True)
class Head:
    """How many rows a chain has sealed, and the hash of the last: whoever knows it knows all that came before."""

    count: int
    hash: bytes


EMPTY: Final = Head(0, bytes(DIGEST_BYTES))
"""The head of a chain without a seal."""


@dataclass(frozen=True, slots=True)
class Seal:
    """A seal as stored. `sealed_at` is as Postgres sends it."""

    seq: int
    kind: str
    subject_id: UUID
    digest: bytes
    hash: bytes
    sealed_at: bytes


def digest(fields: Iterable[Field], parts: Sequence[Iterable[Field]] | None = None) -> bytes:
    """Return the digest of a row of these fields; `parts` are the rows that belong to it, in order, counted."""
    framed = [*map(_frame, fields)]
    if parts is not None:
        framed.append(_frame(len(parts).to_bytes(BIGINT_BYTES)))
        framed += [_frame(field) for part in parts for field in part]
    return hashlib.sha256(b"".join(framed)).digest()


def link(before: bytes, seal: Seal) -> bytes:
    """Return the hash that a seal has to have after `before`, the hash of its predecessor."""
    fields = (
        before,
        seal.seq.to_bytes(BIGINT_BYTES),
        seal.sealed_at,
        seal.kind.encode(),
        seal.subject_id.bytes,
        seal.digest,
    )
    return hashlib.sha256(b"".join(map(_frame, fields))).digest()


def _frame(field: Field) -> bytes:
    return _NULL if field is None else len(field).to_bytes(4) + field
