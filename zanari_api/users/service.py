"""What can be done with a saver: find, lock, read and change the profile, link a proven number."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from zanari_api.kit.damm import member_code
from zanari_api.kit.ids import new_id
from zanari_api.kit.msisdn import parse_msisdn
from zanari_api.runtime.crypto import DataKey, IndexKey, Keyring, Place
from zanari_api.runtime.db import Rerun, Tx
from zanari_api.users import holds, link_queries, notices, queries
from zanari_api.users.errors import PhoneNotEditable, SaverNotFound
from zanari_api.users.notice_rows import AboutNumber
from zanari_api.users.rows import SaverRow
from zanari_api.users.rules import Link, Lost, proof_is_stale, scatter
from zanari_api.users.schemas import Profile, ProfileUpdate

SAVERS: Final = "savings.savers"
MPESA_ACCOUNTS: Final = "savings.mpesa_accounts"


def data_key_place(saver_id: UUID) -> Place:
    return Place(SAVERS, "data_key", saver_id)


def data_key_of(saver: SaverRow, keyring: Keyring) -> DataKey:
    """Unwrap a saver's data key. Raises Undecryptable when PII_KEYS no longer holds its wrapper."""
    return keyring.data_key(saver.data_key, data_key_place(saver.saver_id))


async def find_saver(tx: Tx, *, saver_id: UUID) -> SaverRow:
    """Read a saver without a lock. Raises SaverNotFound."""
    saver = await queries.find_saver(tx, saver_id=saver_id)
    if saver is None:
        raise SaverNotFound(saver_id=saver_id)
    return saver


async def lock_saver(tx: Tx, *, saver_id: UUID) -> SaverRow:
    """Lock one saver FOR NO KEY UPDATE: the first statement of every effect on that saver's money."""
    savers = await lock_savers(tx, saver_ids=[saver_id])
    if saver_id not in savers:
        raise SaverNotFound(saver_id=saver_id)
    return savers[saver_id]


async def lock_savers(tx: Tx, *, saver_ids: Sequence[UUID]) -> dict[UUID, SaverRow]:
    """Lock several savers in the one order everybody uses: by id."""
    return {row.saver_id: row for row in await queries.lock_savers(tx, saver_ids=saver_ids)}


async def list_key_ids(tx: Tx) -> list[str]:
    """Return the ids of the PII keys that savers' keys are wrapped with. Reads every saver's row."""
    return [each.kid for each in await queries.list_key_ids(tx)]


async def find_saver_by_code(tx: Tx, *, member_code: str) -> UUID | None:
    return await queries.find_saver_by_code(tx, member_code=member_code)


async def create(tx: Tx, *, saver_id: UUID, wallet_account_id: UUID, keyring: Keyring) -> bool:
    """Make a saver with a new member code and data key; False when there is one already.

    Two at once: the second waits for the first to commit, then finds the saver made. A member number
    that was drawn in vain is never drawn again.
    """
    if await queries.find_saver(tx, saver_id=saver_id) is not None:
        return False
    code = member_code(scatter(await queries.next_member_number(tx)))
    _, wrapped = keyring.new_data_key(data_key_place(saver_id))
    return await queries.insert_saver(
        tx, saver_id=saver_id, member_code=code, wallet_account_id=wallet_account_id, data_key=wrapped
    )


async def profile(tx: Tx, *, saver_id: UUID, keyring: Keyring) -> Profile:
    """Read the saver's own profile, decrypted."""
    saver = await find_saver(tx, saver_id=saver_id)
    key = data_key_of(saver, keyring)
    number = await queries.find_newest_number(tx, saver_id=saver_id)
    msisdn = number and key.decrypt(number.msisdn, Place(MPESA_ACCOUNTS, "msisdn", number.id)).decode()
    return Profile(
        id=saver.saver_id,
        member_code=saver.member_code,
        phone=f"+{msisdn}" if msisdn else None,
        first_name=_open(key, saver.first_name, _name_place("first_name", saver_id)),
        last_name=_open(key, saver.last_name, _name_place("last_name", saver_id)),
        kyc_tier=saver.kyc_tier,
        created_at=saver.created_at,
    )


async def update_profile(tx: Tx, *, saver_id: UUID, update: ProfileUpdate, keyring: Keyring) -> Profile:
    """Change the names that the update holds. Locks the saver. Raises PhoneNotEditable."""
    if "phone" in update.model_fields_set:
        raise PhoneNotEditable
    saver = await lock_saver(tx, saver_id=saver_id)
    key = data_key_of(saver, keyring)
    names = {"first_name": saver.first_name, "last_name": saver.last_name}
    for field in names.keys() & update.model_fields_set:
        name: str | None = getattr(update, field)
        names[field] = None if name is None else key.encrypt(name.encode(), _name_place(field, saver_id))
    await queries.update_names(tx, saver_id=saver_id, **names)
    return await profile(tx, saver_id=saver_id, keyring=keyring)


async def list_links(tx: Tx, *, index: IndexKey, msisdns: Sequence[str]) -> dict[str, list[Link]]:
    """Return everybody who ever held these numbers, by number."""
    by_index = {index.number(msisdn): msisdn for msisdn in msisdns}
    links: dict[str, list[Link]] = {msisdn: [] for msisdn in msisdns}
    for link in await queries.list_links(tx, blind_indexes=list(by_index)):
        links[by_index[link.blind_index]].append(link)
    return links


async def link_proven_by_auth(
    tx: Tx,
    *,
    saver_id: UUID,
    phone: str,
    issued_at: datetime,
    now: datetime,
    index: IndexKey,
    keyring: Keyring,
) -> list[Lost]:
    """Link the phone of a verified access token, ending another saver's link to it; return what others lost by that.

    Supabase Auth holds a confirmed phone for one user only, so a proof by it is the newest word on whose
    the number is, unless the token itself is older than that word. Locks both savers, by id. A phone that
    is not a Kenyan mobile number links nothing. Any number but the saver's first holds payouts from `now`
    (holds.py). Raises Rerun when the number changed hands meanwhile.
    """
    try:
        msisdn = parse_msisdn(phone)
    except ValueError:
        return []
    blind_index = index.number(msisdn)
    links = await queries.list_links(tx, blind_indexes=[blind_index])
    if _holds(links, saver_id):
        await link_queries.renew_proof(tx, saver_id=saver_id, blind_index=blind_index, proven_at=issued_at)
        return []
    involved = {saver_id} | {link.saver_id for link in links}
    savers = await lock_savers(tx, saver_ids=sorted(involved))
    links = await queries.list_links(tx, blind_indexes=[blind_index])
    if not {link.saver_id for link in links} <= involved:
        raise Rerun
    if _holds(links, saver_id) or proof_is_stale(links, saver_id=saver_id, issued_at=issued_at):
        return []
    # Every token carries the phone: that alone does not undo what the saver wanted.
    if await link_queries.was_removed(tx, saver_id=saver_id, blind_index=blind_index):
        return []
    link_id = new_id()
    number = AboutNumber(link_id, blind_index)
    await holds.hold_for_number(tx, saver_id=saver_id, number=number, links=links, now=now)
    ended = [link for link in links if link.unlinked_at is None]
    for link in ended:
        await queries.end_link(tx, link=link, because="proven_by_another_saver")
        lost = AboutNumber(link.id, blind_index)
        await notices.tell_of_lost(tx, saver_id=link.saver_id, number=lost, now=now)
    key = data_key_of(savers[saver_id], keyring)
    sealed = key.encrypt(msisdn.encode(), Place(MPESA_ACCOUNTS, "msisdn", link_id))
    linked = await queries.insert_link(
        tx,
        saver_id=saver_id,
        link_id=link_id,
        msisdn=sealed,
        blind_index=blind_index,
        proven_by="supabase_auth",
    )
    if not linked:
        raise Rerun
    return [Lost(link.saver_id, link.id) for link in ended]


def _holds(links: Sequence[Link], saver_id: UUID) -> bool:
    return any(link.saver_id == saver_id and link.unlinked_at is None for link in links)


def _name_place(column: str, saver_id: UUID) -> Place:
    return Place(SAVERS, column, saver_id)


def _open(key: DataKey, sealed: bytes | None, place: Place) -> str | None:
    return None if sealed is None else key.decrypt(sealed, place).decode()
