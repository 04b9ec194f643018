"""Every statement on mpesa.pulls; no decisions, no commits."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString

from zanari_api.runtime.db import Tx

FIND: Final[LiteralString] = "SELECT shortcode, pulled_until FROM mpesa.pulls WHERE shortcode = $1"

LIST: Final[LiteralString] = """
    SELECT shortcode, pulled_until FROM mpesa.pulls WHERE shortcode > '' ORDER BY shortcode
"""

INSERT: Final[LiteralString] = """
    INSERT INTO mpesa.pulls (shortcode, registered_at) VALUES ($1, $2)
    ON CONFLICT ON CONSTRAINT pulls_pkey DO NOTHING
"""

MARK_PULLED: Final[LiteralString] = """
    UPDATE mpesa.pulls SET pulled_until = greatest(pulled_until, $2) WHERE shortcode = $1
"""


@dataclass(frozen=True, slots=True)
class PullState:
    """A shortcode that is registered for pulling, and how far its payments are known."""

    shortcode: str
    pulled_until: datetime | None


async def find(tx: Tx, *, shortcode: str) -> PullState | None:
    return await tx.fetch_one(PullState, FIND, shortcode)


async def list_all(tx: Tx) -> list[PullState]:
    """Return all shortcodes that are registered: a handful."""
    return await tx.fetch_all(PullState, LIST)


async def insert(tx: Tx, *, shortcode: str, now: datetime) -> None:
    await tx.execute(INSERT, shortcode, now)


async def mark_pulled(tx: Tx, *, shortcode: str, until: datetime) -> None:
    """Remember how far the payments are known; it never goes back."""
    await tx.execute(MARK_PULLED, shortcode, until)
