"""Sends one payout that is due: under one id, once, after it is committed that M-PESA may hear of it.

A worker that dies after that leaves a payout in doubt, which is asked about and never sent under another id.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from zanari_api.daraja.client import DarajaClient
from zanari_api.daraja.errors import (
    DarajaRefused,
    DarajaUnavailable,
    DarajaUnresolved,
    DuplicateRequest,
    RefusalReason,
)
from zanari_api.daraja.requests import B2CPayment
from zanari_api.deposits import receivables
from zanari_api.kit.clock import Clock, eat_date
from zanari_api.mpesa import b2c_tariff, payout_steps
from zanari_api.mpesa.payout_steps import Happening
from zanari_api.payouts import freeze
from zanari_api.payouts import service as payouts
from zanari_api.payouts.rows import ClaimedPayout, Payout
from zanari_api.payouts.rules import RETRY_AFTER, Reason
from zanari_api.payouts.service import Cause
from zanari_api.payouts.states import (
    THROTTLED,
    WAITING,
    Accepted,
    AlreadyKnown,
    NotSent,
    Queued,
    Refused,
    Sending,
    Stopped,
    Unclear,
)
from zanari_api.runtime.crypto import Keyring
from zanari_api.runtime.db import Database, Role, Tx
from zanari_api.runtime.jobs import backoff
from zanari_api.users import holds, linking
from zanari_api.users import service as users
from zanari_api.users.rows import SaverRow

REMARKS: Final = "Withdrawal of savings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paying:
    """What payouts are sent and asked about with. The addresses are where Safaricom posts what it has to say."""

    database: Database
    daraja: DarajaClient
    clock: Clock
    keyring: Keyring
    result_url: str
    timeout_url: str
    status_result_url: str
    status_timeout_url: str


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Why a payout cannot be sent now, and when it is looked at again."""

    reason: Reason
    due_at: datetime


async def send(paying: Paying, row: ClaimedPayout) -> None:
    """Send a payout that this worker has leased, unless something of ours stands in its way."""

    async def prepare(tx: Tx) -> B2CPayment | None:
        return await _prepare(tx, paying, row)

    payment = await paying.database.unit_of_work(prepare, role=Role.SYSTEM)
    if payment is None:
        return
    replied = await _call(paying, payment, row)

    async def note(tx: Tx) -> None:
        saver, payout = await payout_steps.lock(tx, saver_id=row.saver_id, payout_id=row.id)
        await payout_steps.carry_out(tx, saver, payout, replied)

    await paying.database.unit_of_work(note, role=Role.SYSTEM)


async def _prepare(tx: Tx, paying: Paying, row: ClaimedPayout) -> B2CPayment | None:
    """Return what to send, once it is written down that it may be heard; None where it is not sent now."""
    saver, payout = await payout_steps.lock(tx, saver_id=row.saver_id, payout_id=row.id)
    if payout.lease_id != row.lease_id:
        return None
    if payout.state not in WAITING and not payout.resend_wanted:
        await payouts.release(tx, payout, lease=row.lease_id)
        return None
    now = paying.clock.now()
    if await receivables.owed(tx, saver_id=saver.saver_id) > 0:
        await _stop(tx, saver, payout, Reason.MONEY_OWED, row=row, now=now)
        return None
    data_key = users.data_key_of(saver, paying.keyring)
    numbers = await linking.list_numbers(tx, saver_id=saver.saver_id, data_key=data_key)
    if payout.account_id not in {number.id for number in numbers}:
        await _stop(tx, saver, payout, Reason.NUMBER_UNLINKED, row=row, now=now)
        return None
    shortcode = paying.daraja.config.b2c_shortcode
    hindrance = await _hindrance(tx, payout, shortcode=shortcode, now=now)
    if hindrance is not None:
        await _queue(tx, saver, payout, hindrance, row=row, now=now)
        return None
    happening = Happening(
        event=Sending(now),
        cause=Cause(name="sending", now=now, detail="again" if payout.resend_wanted else None),
        shortcode=shortcode,
        # The lease lasts: what comes next is the reply, to this worker.
        attempts=row.attempts,
    )
    await payout_steps.carry_out(tx, saver, payout, happening)
    return B2CPayment(
        originator_conversation_id=payout.originator_conversation_id,
        amount_cents=payout.amount_cents,
        msisdn=payouts.msisdn_of(payout, data_key),
        remarks=REMARKS,
        result_url=paying.result_url,
        timeout_url=paying.timeout_url,
    )


async def _call(paying: Paying, payment: B2CPayment, row: ClaimedPayout) -> Happening:
    """Call Safaricom, and return what that did to the payout."""
    try:
        accepted = await paying.daraja.b2c(payment)
    except DarajaUnavailable as error:
        now = paying.clock.now()
        return Happening(
            event=NotSent(),
            cause=Cause(name="not_sent", now=now, detail=error.cause),
            reason=Reason.NOT_SENT,
            due_at=now + backoff(row.attempts),
            lease=row.lease_id,
            attempts=row.attempts,
        )
    except DuplicateRequest as error:
        # The first sending went through: nothing is sent again, and M-PESA is asked what became of it.
        event, reason, detail = AlreadyKnown(), Reason.ALREADY_KNOWN, error.error_code
    except DarajaRefused as error:
        detail = error.error_code or error.reason
        throttled = error.reason is RefusalReason.THROTTLED
        event = Refused(THROTTLED if throttled else detail, paying.clock.now())
        reason = Reason.THROTTLED if throttled else Reason.REFUSED
    except DarajaUnresolved as error:
        event, reason, detail = Unclear(), Reason.NO_ANSWER, error.cause
    else:
        return Happening(
            event=Accepted(),
            cause=Cause(name="accepted", now=paying.clock.now()),
            conversation_id=accepted.conversation_id,
            lease=row.lease_id,
        )
    cause = Cause(name=reason, now=paying.clock.now(), detail=detail)
    return Happening(event=event, cause=cause, reason=reason, lease=row.lease_id)


async def _stop(
    tx: Tx, saver: SaverRow, payout: Payout, reason: Reason, *, row: ClaimedPayout, now: datetime
) -> None:
    """It must not be sent: what never was goes back, what may have been is not sent again."""
    happening = Happening(
        event=Stopped(),
        cause=Cause(name=reason, now=now),
        reason=reason if payout.state in WAITING else None,
        lease=row.lease_id,
    )
    await payout_steps.carry_out(tx, saver, payout, happening)


async def _hindrance(tx: Tx, payout: Payout, *, shortcode: str | None, now: datetime) -> Hindrance | None:
    """Return what of ours stands in the way of sending it; None where nothing does."""
    if await freeze.frozen(tx):
        return Hindrance(Reason.PAUSED, now + RETRY_AFTER)
    held_until = await holds.payout_hold_until(tx, saver_id=payout.saver_id, now=now)
    if held_until is not None:
        return Hindrance(Reason.HELD, held_until)
    if shortcode is None or payout.shortcode not in {None, shortcode}:
        return Hindrance(Reason.NOT_SENT, now + RETRY_AFTER)
    held, outstanding = await payouts.hold_float(tx, shortcode=shortcode)
    claimed = sum(each.payouts * _needed(each.amount_cents, now=now) for each in outstanding)
    if payout.state in WAITING:
        claimed += _needed(payout.amount_cents, now=now)
    return Hindrance(Reason.FLOAT_LOW, now + RETRY_AFTER) if claimed > held else None


def _needed(amount_cents: int, *, now: datetime) -> int:
    """Return what a payout takes from the float at most, M-PESA's fee included."""
    return amount_cents + b2c_tariff.charge_cents(amount_cents, on=eat_date(now))


async def _queue(
    tx: Tx, saver: SaverRow, payout: Payout, hindrance: Hindrance, *, row: ClaimedPayout, now: datetime
) -> None:
    """Let it wait. What goes on waiting for the same is no new step, and what may have been heard stays in doubt."""
    if payout.state not in WAITING or payout.reason == hindrance.reason:
        await payouts.release(tx, payout, lease=row.lease_id, due_at=hindrance.due_at)
        return
    happening = Happening(
        event=Queued(),
        cause=Cause(name=hindrance.reason, now=now),
        reason=hindrance.reason,
        due_at=hindrance.due_at,
        lease=row.lease_id,
    )
    await payout_steps.carry_out(tx, saver, payout, happening)
