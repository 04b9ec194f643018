"""The numbers a saver holds: listed, one of them the default, unlinked, linked by a payment from the number itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from zanari_api.kit.ids import new_id
from zanari_api.runtime.crypto import DataKey, Place
from zanari_api.runtime.db import Rerun, Tx
from zanari_api.users import holds, link_queries, notices, queries
from zanari_api.users.link_queries import Holder
from zanari_api.users.notice_rows import AboutNumber
from zanari_api.users.rules import Link, Lost
from zanari_api.users.service import MPESA_ACCOUNTS

PROOF_KEEPS: Final = timedelta(days=180)
"""For so long after a proof a payment from the number does not take it from its holder: a handset may be shared."""


class LinkOutcome(StrEnum):
    """What became of a number that its payment proved."""

    LINKED = "linked"
    "it is the saver's"

    HELD = "held"
    "it was the saver's already"

    IN_USE = "phone_in_use"
    "another saver proved it not long ago: it stays theirs"


@dataclass(frozen=True, slots=True)
class LinkedNumber:
    """A number that a saver holds: 12 digits, no plus."""

    id: UUID
    msisdn: str = field(repr=False)
    is_default: bool
    proven_by: str
    linked_at: datetime


async def list_numbers(tx: Tx, *, saver_id: UUID, data_key: DataKey) -> list[LinkedNumber]:
    """Return the numbers that a saver holds, the default first."""
    return [
        LinkedNumber(
            id=row.id,
            msisdn=data_key.decrypt(row.msisdn, Place(MPESA_ACCOUNTS, "msisdn", row.id)).decode(),
            is_default=place == 0,
            proven_by=row.proven_by,
            linked_at=row.linked_at,
        )
        for place, row in enumerate(await link_queries.list_linked(tx, saver_id=saver_id))
    ]


async def default_number(tx: Tx, *, saver_id: UUID, data_key: DataKey) -> LinkedNumber | None:
    """Return the number that is used where none is named; None when the saver holds none."""
    return next(iter(await list_numbers(tx, saver_id=saver_id, data_key=data_key)), None)


async def is_linked(tx: Tx, *, saver_id: UUID, account_id: UUID) -> bool:
    """Tell whether a number is still this saver's. With the saver locked, that stays so until the transaction ends."""
    return await link_queries.is_linked(tx, saver_id=saver_id, account_id=account_id)


async def make_default(tx: Tx, *, saver_id: UUID, account_id: UUID, now: datetime) -> bool:
    """Choose the number that is used where none is named; False when the saver does not hold it."""
    return await link_queries.make_default(tx, saver_id=saver_id, account_id=account_id, now=now)


async def unlink(tx: Tx, *, saver_id: UUID, account_id: UUID) -> bool:
    """End a link at the saver's wish; False when it is none of theirs. The saver must be locked."""
    return await link_queries.unlink(tx, saver_id=saver_id, account_id=account_id)


async def is_in_use(tx: Tx, *, blind_index: bytes, now: datetime) -> bool:
    """Tell a saver's request whether another saver holds a number and proved it within 180 days."""
    return await link_queries.is_in_use(tx, blind_index=blind_index, since=now - PROOF_KEEPS)


async def note_refused(tx: Tx, *, saver_id: UUID, now: datetime) -> None:
    """Record that a saver asked for a number which is another's. The saver must be locked."""
    await link_queries.insert_refused(tx, saver_id=saver_id, now=now)


async def count_refused(tx: Tx, *, saver_id: UUID, since: datetime) -> int:
    """Return how often a saver has asked for numbers of others since then."""
    return await link_queries.count_refused(tx, saver_id=saver_id, since=since)


async def holders(tx: Tx, *, blind_index: bytes) -> set[UUID]:
    """Return every saver who holds or held a number: whoever links it locks them first. Runs as Role.SYSTEM."""
    return {holder.saver_id for holder in await link_queries.list_holders(tx, blind_index=blind_index)}


async def link_proven_by_payment(
    tx: Tx,
    *,
    saver_id: UUID,
    msisdn: str,
    blind_index: bytes,
    data_key: DataKey,
    locked: set[UUID],
    now: datetime,
) -> tuple[LinkOutcome, list[Lost]]:
    """Link a number that paid us, unless another saver proved it within 180 days; return who lost it by that.

    The savers in `locked` are locked, this one among them. Any number but the saver's first holds payouts from
    `now`. Raises Rerun when somebody came to hold it who is not among them. Runs as Role.SYSTEM.
    """
    known = await link_queries.list_holders(tx, blind_index=blind_index)
    if not {holder.saver_id for holder in known} <= locked:
        raise Rerun
    held = [holder for holder in known if holder.unlinked_at is None]
    if any(holder.saver_id == saver_id for holder in held):
        await link_queries.renew_proof(tx, saver_id=saver_id, blind_index=blind_index, proven_at=now)
        return LinkOutcome.HELD, []
    if any(holder.proven_at > now - PROOF_KEEPS for holder in held):
        return LinkOutcome.IN_USE, []
    link_id = new_id()
    number = AboutNumber(link_id, blind_index)
    links = _as_links(known, blind_index)
    await holds.hold_for_number(tx, saver_id=saver_id, number=number, links=links, now=now)
    for holder in held:
        await queries.end_link(tx, link=_as_link(holder, blind_index), because="proven_by_another_saver")
        await notices.tell_of_lost(
            tx, saver_id=holder.saver_id, number=AboutNumber(holder.id, blind_index), now=now
        )
    linked = await queries.insert_link(
        tx,
        saver_id=saver_id,
        link_id=link_id,
        msisdn=data_key.encrypt(msisdn.encode(), Place(MPESA_ACCOUNTS, "msisdn", link_id)),
        blind_index=blind_index,
        proven_by="stk_push",
    )
    if not linked:
        raise Rerun
    return LinkOutcome.LINKED, [Lost(holder.saver_id, holder.id) for holder in held]


def _as_links(known: Sequence[Holder], blind_index: bytes) -> list[Link]:
    return [_as_link(holder, blind_index) for holder in known]


def _as_link(holder: Holder, blind_index: bytes) -> Link:
    return Link(holder.saver_id, holder.id, blind_index, holder.linked_at, holder.unlinked_at)
