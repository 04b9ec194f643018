"""Every statement on the numbers a saver holds, which is the default, who else holds one. No decisions, no commits."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.kit.ids import new_id
from zanari_api.runtime.db import Tx

# The default first: the number chosen last, or where none was chosen, the one linked first.
# Still linked: said so that it is looked up by saver, and never in the index of what all savers have linked.
LIST_LINKED: Final[LiteralString] = """
    SELECT id, msisdn, blind_index, proven_by, linked_at
      FROM savings.mpesa_accounts
     WHERE saver_id = $1 AND coalesce(unlinked_at, 'infinity') = 'infinity'
     ORDER BY made_default_at DESC NULLS LAST, linked_at, id
"""

IS_LINKED: Final[LiteralString] = """
    SELECT EXISTS (SELECT FROM savings.mpesa_accounts WHERE saver_id = $1 AND id = $2 AND unlinked_at IS NULL)
"""

LIST_HOLDERS: Final[LiteralString] = """
    SELECT saver_id, id, linked_at, unlinked_at, coalesce(proven_at, linked_at) AS proven_at
      FROM savings.mpesa_accounts
     WHERE blind_index = $1
"""

IS_IN_USE: Final[LiteralString] = "SELECT savings.number_in_use($1, $2)"

MAKE_DEFAULT: Final[LiteralString] = """
    UPDATE savings.mpesa_accounts SET made_default_at = $3
     WHERE saver_id = $1 AND id = $2 AND unlinked_at IS NULL
    RETURNING id
"""

# The clock that linked_at was taken by: a number is never unlinked before it was linked.
UNLINK: Final[LiteralString] = """
    UPDATE savings.mpesa_accounts
       SET unlinked_at = clock_timestamp(), unlinked_because = 'removed_by_saver'
     WHERE saver_id = $1 AND id = $2 AND unlinked_at IS NULL
    RETURNING id
"""

# A proof that only says again what was known a day ago is not worth a write.
RENEW_PROOF: Final[LiteralString] = """
    UPDATE savings.mpesa_accounts SET proven_at = $3
     WHERE saver_id = $1 AND blind_index = $2 AND unlinked_at IS NULL
       AND coalesce(proven_at, linked_at) < $3::timestamptz - interval '1 day'
"""

FIND_REMOVAL: Final[LiteralString] = """
    SELECT unlinked_because = 'removed_by_saver'
      FROM savings.mpesa_accounts
     WHERE saver_id = $1 AND blind_index = $2
     ORDER BY linked_at DESC, id DESC
     LIMIT 1
"""

INSERT_REFUSED: Final[LiteralString] = """
    INSERT INTO savings.refused_links (saver_id, id, refused_at) VALUES ($1, $2, $3)
"""

COUNT_REFUSED: Final[LiteralString] = """
    SELECT count(*) FROM savings.refused_links WHERE saver_id = $1 AND refused_at >= $2
"""


@dataclass(frozen=True, slots=True)
class LinkedRow:
    """A number that a saver holds, still encrypted."""

    id: UUID
    msisdn: bytes
    blind_index: bytes
    proven_by: str
    linked_at: datetime


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds or held one number, and when they last proved it."""

    saver_id: UUID
    id: UUID
    linked_at: datetime
    unlinked_at: datetime | None
    proven_at: datetime


async def list_linked(tx: Tx, *, saver_id: UUID) -> list[LinkedRow]:
    return await tx.fetch_all(LinkedRow, LIST_LINKED, saver_id)


async def is_linked(tx: Tx, *, saver_id: UUID, account_id: UUID) -> bool:
    return bool(await tx.fetch_value(bool, IS_LINKED, saver_id, account_id))


async def list_holders(tx: Tx, *, blind_index: bytes) -> list[Holder]:
    return await tx.fetch_all(Holder, LIST_HOLDERS, blind_index)


async def is_in_use(tx: Tx, *, blind_index: bytes, since: datetime) -> bool:
    """Tell whether a saver other than the request's own holds a number and proved it since then."""
    return bool(await tx.fetch_value(bool, IS_IN_USE, blind_index, since))


async def make_default(tx: Tx, *, saver_id: UUID, account_id: UUID, now: datetime) -> bool:
    return await tx.fetch_value(UUID, MAKE_DEFAULT, saver_id, account_id, now) is not None


async def unlink(tx: Tx, *, saver_id: UUID, account_id: UUID) -> bool:
    return await tx.fetch_value(UUID, UNLINK, saver_id, account_id) is not None


async def renew_proof(tx: Tx, *, saver_id: UUID, blind_index: bytes, proven_at: datetime) -> None:
    await tx.execute(RENEW_PROOF, saver_id, blind_index, proven_at)


async def was_removed(tx: Tx, *, saver_id: UUID, blind_index: bytes) -> bool:
    """Tell whether the saver last held the number and took it out themselves."""
    return bool(await tx.fetch_value(bool, FIND_REMOVAL, saver_id, blind_index))


async def insert_refused(tx: Tx, *, saver_id: UUID, now: datetime) -> None:
    await tx.execute(INSERT_REFUSED, saver_id, new_id(), now)


async def count_refused(tx: Tx, *, saver_id: UUID, since: datetime) -> int:
    return await tx.fetch_value(int, COUNT_REFUSED, saver_id, since) or 0
