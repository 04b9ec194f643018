"""Every statement on savings.savers and savings.mpesa_accounts; no decisions, no commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, LiteralString
from uuid import UUID

from zanari_api.runtime.db import Tx
from zanari_api.users.rows import SaverRow
from zanari_api.users.rules import Link

FIND_SAVER: Final[LiteralString] = """
    SELECT saver_id, member_code, first_name, last_name, kyc_tier, wallet_account_id, data_key, created_at
      FROM savings.savers
     WHERE saver_id = $1
"""

LOCK_SAVERS: Final[LiteralString] = """
    SELECT saver_id, member_code, first_name, last_name, kyc_tier, wallet_account_id, data_key, created_at
      FROM savings.savers
     WHERE saver_id = ANY ($1::uuid[])
     ORDER BY saver_id
       FOR NO KEY UPDATE
"""

FIND_SAVER_BY_CODE: Final[LiteralString] = "SELECT saver_id FROM savings.savers WHERE member_code = $1"

# The id stands before the wrapped key, after one byte that says how long it is.
LIST_KEY_IDS: Final[LiteralString] = """
    SELECT DISTINCT convert_from(substring(data_key FROM 2 FOR get_byte(data_key, 0)), 'UTF8') AS kid
      FROM savings.savers
     WHERE data_key IS NOT NULL
     ORDER BY kid
"""

NEXT_MEMBER_NUMBER: Final[LiteralString] = "SELECT nextval('savings.member_numbers')"

INSERT_SAVER: Final[LiteralString] = """
    INSERT INTO savings.savers (saver_id, member_code, wallet_account_id, data_key)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (saver_id) DO NOTHING
    RETURNING saver_id
"""

UPDATE_NAMES: Final[LiteralString] = """
    UPDATE savings.savers SET first_name = $2, last_name = $3, updated_at = now() WHERE saver_id = $1
"""

LIST_LINKS: Final[LiteralString] = """
    SELECT saver_id, id, blind_index, linked_at, unlinked_at
      FROM savings.mpesa_accounts
     WHERE blind_index = ANY ($1::bytea[])
"""

# The clock after the wait for the savers' locks, not the transaction's start: what was recorded for the old holder
# meanwhile stays on the old holder's side of the change.
INSERT_LINK: Final[LiteralString] = """
    INSERT INTO savings.mpesa_accounts (saver_id, id, msisdn, blind_index, proven_by, linked_at)
    VALUES ($1, $2, $3, $4, $5, clock_timestamp())
    ON CONFLICT (blind_index) WHERE unlinked_at IS NULL DO NOTHING
    RETURNING id
"""

END_LINK: Final[LiteralString] = """
    UPDATE savings.mpesa_accounts
       SET unlinked_at = clock_timestamp(), unlinked_because = $3
     WHERE saver_id = $1 AND id = $2 AND unlinked_at IS NULL
"""

# Still linked: said so that it is looked up by saver, and never in the index of what all savers have linked.
FIND_NEWEST_NUMBER: Final[LiteralString] = """
    SELECT id, msisdn
      FROM savings.mpesa_accounts
     WHERE saver_id = $1 AND coalesce(unlinked_at, 'infinity') = 'infinity'
     ORDER BY linked_at DESC, id DESC
     LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class SealedNumber:
    """A linked number, still encrypted."""

    id: UUID
    msisdn: bytes


@dataclass(frozen=True, slots=True)
class KeyId:
    """The id of a PII key."""

    kid: str


async def list_key_ids(tx: Tx) -> list[KeyId]:
    return await tx.fetch_all(KeyId, LIST_KEY_IDS)


async def find_saver(tx: Tx, *, saver_id: UUID) -> SaverRow | None:
    return await tx.fetch_one(SaverRow, FIND_SAVER, saver_id)


async def lock_savers(tx: Tx, *, saver_ids: Sequence[UUID]) -> list[SaverRow]:
    return await tx.fetch_all(SaverRow, LOCK_SAVERS, list(saver_ids))


async def find_saver_by_code(tx: Tx, *, member_code: str) -> UUID | None:
    return await tx.fetch_value(UUID, FIND_SAVER_BY_CODE, member_code)


async def next_member_number(tx: Tx) -> int:
    number = await tx.fetch_value(int, NEXT_MEMBER_NUMBER)
    assert number is not None  # noqa: S101 (a sequence always answers)
    return number


async def insert_saver(
    tx: Tx, *, saver_id: UUID, member_code: str, wallet_account_id: UUID, data_key: bytes
) -> bool:
    """Insert a saver; False when there was one. Waits for a rival's commit before it answers."""
    inserted = await tx.fetch_value(UUID, INSERT_SAVER, saver_id, member_code, wallet_account_id, data_key)
    return inserted is not None


async def update_names(tx: Tx, *, saver_id: UUID, first_name: bytes | None, last_name: bytes | None) -> None:
    await tx.execute(UPDATE_NAMES, saver_id, first_name, last_name)


async def list_links(tx: Tx, *, blind_indexes: Sequence[bytes]) -> list[Link]:
    return await tx.fetch_all(Link, LIST_LINKS, list(blind_indexes))


async def insert_link(
    tx: Tx, *, saver_id: UUID, link_id: UUID, msisdn: bytes, blind_index: bytes, proven_by: str
) -> bool:
    """Link a number; False when somebody holds it."""
    return (
        await tx.fetch_value(UUID, INSERT_LINK, saver_id, link_id, msisdn, blind_index, proven_by) is not None
    )


async def end_link(tx: Tx, *, link: Link, because: str) -> None:
    await tx.execute(END_LINK, link.saver_id, link.id, because)


async def find_newest_number(tx: Tx, *, saver_id: UUID) -> SealedNumber | None:
    return await tx.fetch_one(SealedNumber, FIND_NEWEST_NUMBER, saver_id)
