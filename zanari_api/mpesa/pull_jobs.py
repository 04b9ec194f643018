"""Pulls the payments that Safaricom lists, every quarter of an hour, and takes in those that nobody had told us of.

Each pull goes over much of what the one before it saw, and the nightly one over all that Safaricom keeps: what is
known already is left alone. A pull that breaks off keeps what it has got, and the next one begins where it began.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final

import structlog

from zanari_api.daraja.client import DarajaClient
from zanari_api.daraja.errors import DarajaError, DarajaRefused
from zanari_api.daraja.pull import PAGE_ROWS, PullPage, PullRow
from zanari_api.deposits import bookings
from zanari_api.deposits.booking_rows import Booking
from zanari_api.kit.clock import Clock
from zanari_api.mpesa import callback_service, pull_queries, pull_service
from zanari_api.mpesa.callback_service import RECOVERED
from zanari_api.mpesa.config import MpesaConfig
from zanari_api.mpesa.inbox import CallbackKind, Intake
from zanari_api.mpesa.pull_service import Zone, zone_of
from zanari_api.runtime.db import Database, Role, Tx
from zanari_api.runtime.metrics import Metrics
from zanari_api.runtime.schedules import Schedule

log = structlog.get_logger(__name__)

KEPT_FOR: Final = timedelta(hours=48)
"""How far back Safaricom lists payments."""

OVERLAP: Final = timedelta(hours=4)
"""How much of what is known each pull looks at again: more than the three hours that a zone misread would shift it."""

STILL_ARRIVING: Final = timedelta(minutes=2)
"""A payment as young as this is not missed yet: its confirmation may be on its way."""

PAGES_MAX: Final = 2000
EVERY: Final = timedelta(minutes=15)
NIGHTLY_AT: Final = time(2, 40)


class PullBrokeOff(Exception):  # noqa: N818 (reads as what it says)
    """Safaricom lists without end, or the same rows again for another offset: some payment may not have been seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulling:
    """What pulling needs. `intake` is asked for each page anew: what is decided by it has a time."""

    database: Database
    daraja: DarajaClient
    clock: Clock
    metrics: Metrics
    config: MpesaConfig
    intake: Callable[[], Awaitable[Intake]]


def schedules(context: Pulling) -> list[Schedule]:
    """Return the pulls; none where no number is configured to register them with."""
    if context.config.pull_msisdn is None:
        return []

    async def pull_lately() -> None:
        await pull(context)

    async def pull_all() -> None:
        await pull(context, whole=True)

    return [
        Schedule(name="pull", run=pull_lately, every=EVERY),
        Schedule(name="pull_nightly", run=pull_all, daily_at=NIGHTLY_AT),
    ]


async def pull(context: Pulling, *, whole: bool = False) -> int:
    """Pull each of our shortcodes, `whole` for all that Safaricom keeps; return how many payments were recovered.

    Raises DarajaError or PullBrokeOff for the first that could not be pulled to its end, when all were tried.
    """
    recovered, failure = 0, None
    for shortcode in sorted(context.config.shortcodes):
        try:
            recovered += await _pull(context, shortcode, whole=whole)
        except (DarajaError, PullBrokeOff) as error:
            failure = failure or error
    if failure is not None:
        raise failure
    return recovered


async def _pull(context: Pulling, shortcode: str, *, whole: bool) -> int:
    known_until = await _registered(context, shortcode)
    now = context.clock.now()
    since, until = now - KEPT_FOR, now - STILL_ARRIVING
    if known_until is not None and not whole:
        since = max(since, known_until - OVERLAP)
    pages, failure = await _read(context, shortcode, since=since, until=until)
    if isinstance(failure, DarajaRefused) and not pages:
        # Safaricom may have forgotten that the shortcode is registered. Once more changes nothing where it has not.
        await _register(context, shortcode)
        pages, failure = await _read(context, shortcode, since=since, until=until)
    recovered = await _take_in(context, pages, shortcode=shortcode, until=until)
    if recovered:
        log.warning("payments_recovered", shortcode=shortcode, payments=recovered)
    if failure is not None:
        raise failure
    await context.database.unit_of_work(
        lambda tx: pull_queries.mark_pulled(tx, shortcode=shortcode, until=until), role=Role.SYSTEM
    )
    return recovered


async def _registered(context: Pulling, shortcode: str) -> datetime | None:
    """Register a shortcode for pulling, once; return how far its payments are known."""
    async with context.database.transaction(Role.SYSTEM) as tx:
        state = await pull_queries.find(tx, shortcode=shortcode)
    if state is not None:
        return state.pulled_until
    await _register(context, shortcode)
    await context.database.unit_of_work(
        lambda tx: pull_queries.insert(tx, shortcode=shortcode, now=context.clock.now()), role=Role.SYSTEM
    )
    return None


async def _register(context: Pulling, shortcode: str) -> None:
    await context.daraja.pull_register(
        shortcode=shortcode,
        nominated_msisdn=context.config.pull_msisdn or "",
        callback_url=context.config.callback_url(CallbackKind.PULL),
    )


async def _read(
    context: Pulling, shortcode: str, *, since: datetime, until: datetime
) -> tuple[list[PullPage], DarajaError | PullBrokeOff | None]:
    """Read page after page; return those that came, and why there are no more where it was not the last."""
    pages: list[PullPage] = []
    seen: set[str] = set()
    while True:
        try:
            page = await context.daraja.pull_query(
                shortcode=shortcode, since=since, until=until, offset=len(pages) * PAGE_ROWS
            )
        except DarajaError as error:
            return pages, error
        receipts = {row.receipt for row in page.rows}
        if (receipts and receipts <= seen) or len(pages) == PAGES_MAX:
            return pages, PullBrokeOff(f"{len(pages)} pages of {shortcode}")
        pages.append(page)
        seen |= receipts
        if not page.is_full:
            return pages, None


async def _take_in(context: Pulling, pages: Sequence[PullPage], *, shortcode: str, until: datetime) -> int:
    """Take in what nobody had told us of, and what is told with another amount; return how many were recovered."""
    rows = [row for page in pages for row in page.rows]
    strange, zone = await _unknown(context, rows)
    missed = PullPage(
        rows=tuple(row for row in strange if (zone.time_of(row) or until) <= until),
        unread=0,
        unread_rows=tuple(fields for page in pages for fields in page.unread_rows),
    )
    recovered = 0
    for delivery in pull_service.deliveries_of(missed, shortcode=shortcode, zone=zone):
        effected = await callback_service.take_in(
            context.database,
            delivery,
            intake=await context.intake(),
            deferred_log=context.config.deferred_log,
        )
        callback_service.tell(context.metrics, CallbackKind.PULL, effected.outcome)
        recovered += effected.outcome in RECOVERED
    return recovered


async def _unknown(context: Pulling, rows: Sequence[PullRow]) -> tuple[list[PullRow], Zone]:
    """Return the rows that our books do not have as they are told, and the zone that their times are in."""

    async def find(tx: Tx) -> dict[str, Booking]:
        return await bookings.find_bookings(tx, receipts=[row.receipt for row in rows])

    booked = await context.database.unit_of_work(find, role=Role.SYSTEM)
    told = {receipt: each.told_at for receipt, each in booked.items() if each.told_at is not None}
    strange = [
        row
        for row in rows
        if row.receipt not in booked or booked[row.receipt].amount_cents != row.amount_cents
    ]
    return strange, zone_of(rows, known=told, now=context.clock.now())
