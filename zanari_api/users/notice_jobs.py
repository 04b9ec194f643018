"""Sends notices by text message, and shows how many wait. Each text has one id; none is sent in a transaction."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

import structlog

from zanari_api.kit.clock import Clock
from zanari_api.kit.errors import Unavailable
from zanari_api.runtime.crypto import DataKey, Keyring, Place
from zanari_api.runtime.db import Database, Role, Tx
from zanari_api.runtime.jobs import Claim, Postponement, RowJob
from zanari_api.runtime.metrics import Metrics
from zanari_api.sms.gateway import GatewayRefused, GatewayUnavailable, SmsGateway, TextMessage
from zanari_api.users import notice_queries, service
from zanari_api.users.notice_rows import ClaimedNotice, Notice, NoticeKind, NoticeOutcome
from zanari_api.users.notice_texts import is_late, text_of

LEASE_S: Final = 120
BATCH: Final = 5
"""Few at a time: each may wait for the gateway until its call times out, and the last must still be leased then."""

ATTEMPTS_MAX: Final = 2000
"""At five minutes each, a week: a warning that comes late is better than none, and says that it is late."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What notices are sent with. `gateway` None: there is none, and they wait."""

    database: Database
    gateway: SmsGateway | None
    keyring: Keyring
    clock: Clock


def notice_job(telling: Telling) -> RowJob[ClaimedNotice]:
    """Return the job of notices. Without a gateway it takes none on, and goes on counting what is due."""
    gateway = telling.gateway

    async def claim(tx: Tx, asked: Claim) -> Sequence[ClaimedNotice]:
        return [] if gateway is None else await notice_queries.claim(tx, asked)

    async def work(row: ClaimedNotice) -> None:
        if gateway is not None:
            await _send(telling, gateway, row)

    return RowJob(
        name="notices",
        claim=claim,
        work=work,
        postpone=notice_queries.postpone,
        count=notice_queries.count,
        list_dead=notice_queries.list_dead,
        revive=notice_queries.revive,
        expected=(Unavailable, GatewayUnavailable),
        lease_s=LEASE_S,
        batch=BATCH,
        attempts_max=ATTEMPTS_MAX,
    )


def facts(metrics: Metrics) -> Callable[[Tx, datetime], Awaitable[None]]:
    """Return what reads how many notices wait and since when the oldest does, and shows it."""

    async def read(tx: Tx, now: datetime) -> None:
        found = await notice_queries.count_waiting(tx)
        metrics.notices_waiting.set(found.waiting)
        metrics.notice_oldest_age.set((now - (found.oldest_at or now)).total_seconds())

    return read


async def _send(telling: Telling, gateway: SmsGateway, row: ClaimedNotice) -> None:
    """Send a notice and note it, in this order: a worker that dies between the two has it sent again under its id."""
    async with telling.database.transaction(Role.SYSTEM) as tx:
        notice = await notice_queries.find_leased(tx, row)
        saver = await service.find_saver(tx, saver_id=row.saver_id)
    if notice is None:
        return
    if notice.is_anothers:
        await _finish(telling, row, NoticeOutcome.NOT_THEIRS)
        return
    data_key = service.data_key_of(saver, telling.keyring)
    message = _message(row, notice, data_key, now=telling.clock.now())
    try:
        await gateway.send(message)
    except GatewayRefused as refused:
        await _give_up(telling, row, refused, message_id=message.id)
    else:
        await _finish(telling, row, NoticeOutcome.SENT)


def _message(row: ClaimedNotice, notice: Notice, data_key: DataKey, *, now: datetime) -> TextMessage:
    def number(sealed: bytes, link_id: UUID) -> str:
        return data_key.decrypt(sealed, Place(service.MPESA_ACCOUNTS, "msisdn", link_id)).decode()

    about = None
    if notice.about_account_id is not None and notice.about_msisdn is not None:
        about = number(notice.about_msisdn, notice.about_account_id)
    text = text_of(
        NoticeKind(notice.kind),
        about_msisdn=about,
        happened_at=notice.created_at,
        held_until=notice.held_until,
        now=now,
    )
    # A gateway that heeds the id may refuse another text under one that it has seen: what is late is another message.
    message_id = uuid5(row.id, "late") if is_late(notice.held_until, now) else row.id
    return TextMessage(message_id, number(notice.msisdn, notice.account_id), text)


async def _finish(telling: Telling, row: ClaimedNotice, outcome: NoticeOutcome) -> None:
    async def finish(tx: Tx) -> bool:
        return await notice_queries.finish(tx, row, outcome=outcome, now=telling.clock.now())

    if await telling.database.unit_of_work(finish, role=Role.SYSTEM):
        log.info("notice_finished", notice_id=row.id, outcome=outcome, attempts=row.attempts)


async def _give_up(
    telling: Telling, row: ClaimedNotice, refused: GatewayRefused, *, message_id: UUID
) -> None:
    """Leave a notice that the gateway will never have as dead: it is counted and listed until a person looks."""

    async def give_up(tx: Tx) -> None:
        postponement = Postponement(telling.clock.now(), type(refused).__name__, dead=True)
        await notice_queries.postpone(tx, row, postponement)

    await telling.database.unit_of_work(give_up, role=Role.SYSTEM)
    log.warning("notice_refused", notice_id=row.id, message_id=message_id, http_status=refused.status)
