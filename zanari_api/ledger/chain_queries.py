"""Every statement that verifying the chain reads with; no decisions, no commits, and no function of our own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.ledger.chain import Field, Head, Seal, SealKind
from zanari_api.runtime.db import Tx

FIRST_ID: Final = UUID(int=0)

# What was sealed is read beside its seal, field by field as Postgres sends it. ledger.chain says what a digest is of.
# LIMIT has the account of each entry looked up: Postgres might read all accounts for each page of seals instead.
LIST_SEALED: Final[LiteralString] = """
    SELECT s.seq, s.kind, s.subject_id, s.digest, s.hash, timestamptz_send(s.sealed_at) AS sealed_at, r.fields, r.parts
      FROM ledger.seals AS s
      LEFT JOIN LATERAL (
               SELECT ARRAY[
                          uuid_send(t.id), convert_to(t.key, 'UTF8'), convert_to(t.kind, 'UTF8'),
                          timestamptz_send(t.event_at), timestamptz_send(t.posted_at),
                          convert_to(t.metadata::text, 'UTF8'), xid8send(t.xact)
                      ] AS fields,
                      coalesce((
                          SELECT array_agg(
                                     ARRAY[
                                         int8send(e.id), uuid_send(e.account_id), int8send(e.amount_cents),
                                         int8send(e.account_previous_cents), int8send(e.account_current_cents),
                                         int8send(e.account_version), xid8send(e.xact),
                                         convert_to(a.kind, 'UTF8'), convert_to(a.normal_side, 'UTF8'),
                                         convert_to(a.currency, 'UTF8'), uuid_send(a.saver_id),
                                         convert_to(a.shortcode, 'UTF8'), convert_to(a.float_account, 'UTF8')
                                     ] ORDER BY e.id
                                 )
                            FROM ledger.entries AS e
                            LEFT JOIN LATERAL (
                                      SELECT x.kind, x.normal_side, x.currency, x.saver_id, x.shortcode, x.float_account
                                        FROM ledger.accounts AS x
                                       WHERE x.id = e.account_id
                                       LIMIT 1
                                 ) AS a ON true
                           WHERE e.transfer_id = t.id
                      ), '{}') AS parts
                 FROM ledger.transfers AS t
                WHERE s.kind = 'transfer' AND t.id = s.subject_id
               UNION ALL
               SELECT ARRAY[
                          uuid_send(a.id), convert_to(a.operator, 'UTF8'), convert_to(a.act, 'UTF8'),
                          convert_to(a.subject, 'UTF8'), convert_to(a.reason, 'UTF8'),
                          convert_to(a.before::text, 'UTF8'), convert_to(a.after::text, 'UTF8'),
                          timestamptz_send(a.recorded_at), xid8send(a.xact)
                      ],
                      NULL
                 FROM runtime.audit_log AS a
                WHERE s.kind = 'act' AND a.id = s.subject_id
               UNION ALL
               SELECT ARRAY[uuid_send(s.subject_id)], NULL WHERE s.kind IN ('restore', 'restored')
           ) AS r ON true
     WHERE s.seq > $1
     ORDER BY s.seq
     LIMIT $2
"""

FIND_SEAL_BEFORE: Final[LiteralString] = """
    SELECT s.seq AS count, s.hash FROM ledger.seals AS s WHERE s.seq < $1 ORDER BY s.seq DESC LIMIT 1
"""

FIND_SEAL: Final[LiteralString] = "SELECT s.seq AS count, s.hash FROM ledger.seals AS s WHERE s.seq = $1"

# One statement, hence one view of both.
FIND_END: Final[LiteralString] = """
    SELECT s.length AS left_count, s.hash AS left_hash, l.seq AS last_seq, l.hash AS last_hash,
           s.cluster_id IS NOT DISTINCT FROM ledger.cluster_id() AS sealed_here
      FROM ledger.sealing AS s
      LEFT JOIN LATERAL (
               SELECT x.seq, x.hash FROM ledger.seals AS x WHERE x.seq > 0 ORDER BY x.seq DESC LIMIT 1
           ) AS l ON true
     WHERE s.id = 1
"""

# Counts, not EXISTS: the planner may answer that one from a hash of the whole table.
# A row without a seal is out of place where sealing has passed it, or where its transaction is yet to come.
LIST_TRANSFERS_PASSED: Final[LiteralString] = """
    SELECT w.xact::text AS xact, w.id,
           (w.xact, w.id) <= (s.transfer_xact, s.transfer_id) AND (s.restored_from IS NULL OR w.xact < s.restored_from)
           OR s.restored_from IS NULL AND w.xact >= pg_snapshot_xmax(pg_current_snapshot()) AS out_of_place,
           (SELECT count(*) FROM ledger.seals AS l WHERE l.subject_id = w.id AND l.kind = 'transfer') > 0 AS sealed
      FROM (
               SELECT t.xact, t.id
                 FROM ledger.transfers AS t
                WHERE (t.xact, t.id) > ($1::text::xid8, $2::uuid)
                ORDER BY t.xact, t.id
                LIMIT $3
           ) AS w
      JOIN ledger.sealing AS s ON s.id = 1
     ORDER BY w.xact, w.id
"""

LIST_ACTS_PASSED: Final[LiteralString] = """
    SELECT w.xact::text AS xact, w.id,
           (w.xact, w.id) <= (s.act_xact, s.act_id) AND (s.restored_from IS NULL OR w.xact < s.restored_from)
           OR s.restored_from IS NULL AND w.xact >= pg_snapshot_xmax(pg_current_snapshot()) AS out_of_place,
           (SELECT count(*) FROM ledger.seals AS l WHERE l.subject_id = w.id AND l.kind = 'act') > 0 AS sealed
      FROM (
               SELECT a.xact, a.id
                 FROM runtime.audit_log AS a
                WHERE (a.xact, a.id) > ($1::text::xid8, $2::uuid)
                ORDER BY a.xact, a.id
                LIMIT $3
           ) AS w
      JOIN ledger.sealing AS s ON s.id = 1
     ORDER BY w.xact, w.id
"""

LIST_ENTRIES: Final[LiteralString] = """
    SELECT e.id, e.transfer_id,
           (SELECT count(*) FROM ledger.transfers AS t WHERE t.id = e.transfer_id) > 0 AS has_transfer
      FROM (
               SELECT x.id, x.transfer_id FROM ledger.entries AS x WHERE x.id > $1 ORDER BY x.id LIMIT $2
           ) AS e
     ORDER BY e.id
"""


_PASSED: Final[Mapping[SealKind, LiteralString]] = {
    SealKind.TRANSFER: LIST_TRANSFERS_PASSED,
    SealKind.ACT: LIST_ACTS_PASSED,
}


@dataclass(frozen=True, slots=True)
class Sealed:
    """A seal and what it is on; `fields` is None where that is gone. `parts` are a transfer's entries."""

    seal: Seal
    fields: Sequence[Field] | None
    parts: Sequence[Sequence[Field]] | None


@dataclass(frozen=True, slots=True)
class End:
    """The chain's last seal beside the head as sealing left it, and whether this cluster's positions are known."""

    left: Head
    last: Head | None
    sealed_here: bool


@dataclass(frozen=True, slots=True)
class Walked:
    """A row in the order of transactions: whether it has a seal, and whether it should have had one by now."""

    xact: str
    id: UUID
    out_of_place: bool
    sealed: bool


@dataclass(frozen=True, slots=True)
class WalkedEntry:
    """An entry and whether there is a transfer that it belongs to."""

    id: int
    transfer_id: UUID
    has_transfer: bool


def _sealed(  # noqa: PLR0913 (a row's columns, each by its name)
    *,
    seq: int,
    kind: str,
    subject_id: UUID,
    digest: bytes,
    hash: bytes,  # noqa: A002 (a column's name)
    sealed_at: bytes,
    fields: list[Field] | None,
    parts: list[list[Field]] | None,
) -> Sealed:
    seal = Seal(
        seq=seq,
        kind=kind,
        subject_id=UUID(str(subject_id)),
        digest=digest,
        hash=hash,
        sealed_at=sealed_at,
    )
    return Sealed(seal, fields, parts)


def _end(
    *,
    left_count: int,
    left_hash: bytes,
    last_seq: int | None,
    last_hash: bytes | None,
    sealed_here: bool,
) -> End:
    last = None if last_seq is None or last_hash is None else Head(last_seq, last_hash)
    return End(Head(left_count, left_hash), last, sealed_here)


async def list_sealed(tx: Tx, *, after_seq: int, limit: int) -> list[Sealed]:
    return await tx.fetch_all(_sealed, LIST_SEALED, after_seq, limit)


async def find_seal_before(tx: Tx, *, seq: int) -> Head | None:
    """Return where the chain stands before this seal; None where there is no seal before it."""
    return await tx.fetch_one(Head, FIND_SEAL_BEFORE, seq)


async def find_seal(tx: Tx, *, seq: int) -> Head | None:
    """Return the chain's head as it was when this seal was the last; None where there is no such seal."""
    return await tx.fetch_one(Head, FIND_SEAL, seq)


async def find_end(tx: Tx) -> End:
    end = await tx.fetch_one(_end, FIND_END)
    assert end is not None  # noqa: S101 (its row cannot be deleted)
    return end


async def list_walked(tx: Tx, kind: SealKind, *, after: tuple[str, UUID], limit: int) -> list[Walked]:
    """Return the next transfers or lines in the order of transactions, after (xact, id)."""
    return await tx.fetch_all(Walked, _PASSED[kind], *after, limit)


async def list_entries(tx: Tx, *, after_id: int, limit: int) -> list[WalkedEntry]:
    return await tx.fetch_all(WalkedEntry, LIST_ENTRIES, after_id, limit)
