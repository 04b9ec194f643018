"""Pure decisions about savers: how a member number becomes a code's digits, and whose a number was at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from zanari_api.kit.clock import cut_to_second

MEMBER_NUMBERS: Final = 10_000_000
"""A member code has seven digits before its check digit."""

_STRIDE: Final = 7_368_787
_OFFSET: Final = 3_141_593


@dataclass(frozen=True, slots=True)
class Link:
    """One stretch of time in which a saver held a number; `unlinked_at` None while it lasts."""

    saver_id: UUID
    id: UUID
    blind_index: bytes
    linked_at: datetime
    unlinked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Lost:
    """A number that a saver holds no more, because another one proved it."""

    saver_id: UUID
    account_id: UUID


def scatter(count: int) -> int:
    """Turn the n-th saver into a seven-digit number: a bijection, so no collision, yet neighbours lie far apart.

    The stride shares no factor with 10^7, which is what makes it a bijection.
    """
    return (count * _STRIDE + _OFFSET) % MEMBER_NUMBERS


def link_at(links: Sequence[Link], instant: datetime) -> Link | None:
    """Return the link of one number that held it at `instant`, both ends cut to the second.

    An instant from before the number's very first link belongs to that link: whether the spend counts is
    then decided by when its saver joined.
    """
    if not links:
        return None
    in_order = sorted(links, key=lambda link: (link.linked_at, link.id))
    moment = cut_to_second(instant)
    if moment < cut_to_second(in_order[0].linked_at):
        return in_order[0]
    # Where a number changed hands within one second, the newer holder has it.
    for link in reversed(in_order):
        ended = link.unlinked_at is not None and cut_to_second(link.unlinked_at) <= moment
        if cut_to_second(link.linked_at) <= moment and not ended:
            return link
    return None


def proof_is_stale(links: Sequence[Link], *, saver_id: UUID, issued_at: datetime) -> bool:
    """Tell whether something newer than this proof already decided whose the number is.

    A token outlives a change of hands by up to its lifetime. One that was issued before another saver
    proved the number, or before this saver lost it, proves nothing about today.
    """
    newer = [link.linked_at for link in links if link.saver_id != saver_id]
    newer += [
        link.unlinked_at for link in links if link.saver_id == saver_id and link.unlinked_at is not None
    ]
    return any(issued_at <= cut_to_second(decided_at) for decided_at in newer)
