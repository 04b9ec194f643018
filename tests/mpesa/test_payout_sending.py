"""Sending payouts: what makes one wait, what is never sent, and that no restart or rival sends one twice."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NoReturn
from uuid import UUID

import pytest

from tests.mpesa.reversing import Owing, take
from tests.support.app import B2C_SHORTCODE, Api
from tests.support.payouts import (
    Withdrawing,
    assert_payout_floats_agree,
    in_flight_cents,
    open_breaks,
    payer,
    results_after_replies,
    until_it_ends,
    withdrawing,
)
from tests.support.processes import free_port
from tests.support.savers import Saver
from zanari_api.daraja.client import DarajaClient
from zanari_api.daraja.config import DarajaConfig
from zanari_api.daraja.errors import DarajaUnavailable, Hindrance, Operation
from zanari_api.daraja.observing import MetricsObserver
from zanari_api.kit.ids import new_id
from zanari_api.ledger.accounts import FloatAccount
from zanari_api.mpesa import float_service, payout_jobs
from zanari_api.mpesa.float_service import Booked, Move, Place
from zanari_api.mpesa.payout_asking import ask
from zanari_api.mpesa.payout_sending import Paying, send
from zanari_api.payouts import leases
from zanari_api.payouts import service as payouts
from zanari_api.payouts.rows import ClaimedPayout
from zanari_api.runtime.db import Role, Tx
from zanari_api.runtime.jobs import Claim, RowJob, run_round
from zanari_api.sandbox.safaricom.faults import Fault, Flow
from zanari_api.users import holds, linking
from zanari_api.worker import worker_of


def paying(api: Api) -> Paying:
    return api.app.state.parts.paying()


def job(api: Api, name: str) -> RowJob[ClaimedPayout]:
    return next(each for each in payout_jobs.jobs(paying(api)) if each.name == name)


async def lease(api: Api, payout: Withdrawing, *, checks: bool = False) -> ClaimedPayout:
    """Lease the payouts that are due, as a worker does, and return this one."""

    async def claim(tx: Tx) -> list[ClaimedPayout]:
        now = api.clock.now()
        wanted = Claim(new_id(), now, now + timedelta(seconds=120), 100)
        return await (leases.claim_checks if checks else leases.claim_submissions)(tx, wanted)

    rows = await api.db.unit_of_work(claim, role=Role.SYSTEM)
    return next(row for row in rows if row.id == payout.id)


def unreachable(
    api: Api, config: DarajaConfig | None = None, *, kind: type[DarajaClient] = DarajaClient
) -> DarajaClient:
    """Return a client whose Safaricom is not there."""
    runtime = api.runtime
    return kind(
        replace(config or paying(api).daraja.config, base_url=f"http://127.0.0.1:{free_port()}"),
        database=runtime.database,
        service_keys=runtime.service_keys,
        clock=api.clock,
        observer=MetricsObserver(runtime.metrics),
    )


async def move_float(api: Api, cents: int, *, receipt: str, back: bool = False) -> None:
    """Take money out of our books' payout float, or put it back."""
    bank, utility = None, Place(B2C_SHORTCODE, FloatAccount.UTILITY)
    source, target = (bank, utility) if back else (utility, bank)

    async def book(tx: Tx) -> None:
        move = Move(
            source=source, target=target, amount_cents=cents, receipt=receipt, event_at=api.clock.now()
        )
        assert await float_service.book(tx, move, operator="tests") is Booked.BOOKED

    await api.db.unit_of_work(book, role=Role.SYSTEM)


async def held_float(api: Api) -> int:
    async def read(tx: Tx) -> int:
        held, outstanding = await payouts.hold_float(tx, shortcode=B2C_SHORTCODE)
        return held - sum(each.payouts * (each.amount_cents + 500) for each in outstanding)

    return await api.db.unit_of_work(read, role=Role.SYSTEM)


# Waiting -----------------------------------------------------------------------------------------------------


async def test_a_float_that_is_too_low_queues_and_is_tried_again_each_minute(api: Api) -> None:
    saver = await payer(api)
    payout = await withdrawing(saver, 50_000)
    free = await held_float(api)
    await move_float(api, free - 50_400, receipt="DRAIN00001")
    try:
        await api.work()
        waiting = await payout.read()
        assert (waiting["state"], waiting["reason"]) == ("queued", "float_low")
        assert "Our own M-PESA account is being filled" in waiting["text"]
        row = await payout.row()
        assert timedelta(0) < row["due_at"] - api.clock.now() <= timedelta(minutes=1)
        for _ in range(3):
            api.clock.advance(minutes=1)
            await api.work()
        assert await payout.steps() == ["requested", "queued"]
        assert len(await payout.events()) == 2
    finally:
        await move_float(api, free - 50_400, receipt="REFILL0001", back=True)
    with results_after_replies(api):
        assert await until_it_ends(payout) == "settled"
    assert await payout.steps() == ["requested", "queued", "submitting", "submitted", "settled"]


async def test_what_is_in_doubt_counts_against_the_float(api: Api) -> None:
    saver = await payer(api)
    api.emulator.faults.next(Flow.B2C, Fault.CUT_BEFORE)
    doubted = await withdrawing(saver, 50_000)
    await api.work()
    assert await doubted.state() == "unknown"
    free = await held_float(api)
    await move_float(api, free - 50_400, receipt="DRAIN00002")
    waiting = await withdrawing(saver, 50_000)
    await api.work()
    assert await waiting.state() == "queued"
    await move_float(api, free - 50_400, receipt="REFILL0002", back=True)
    assert await until_it_ends(waiting) == "settled"


async def test_a_hold_that_begins_before_it_is_sent_makes_it_wait_until_it_is_over(api: Api) -> None:
    saver = await payer(api)
    payout = await withdrawing(saver)
    await api.db.unit_of_work(
        lambda tx: holds.hold_for_pin_reset(tx, saver_id=saver.id, now=api.clock.now()),
        role=Role.SYSTEM,
    )
    await api.work()
    waiting = await payout.read()
    assert (waiting["state"], waiting["reason"]) == ("queued", "held")
    assert (api.clock.now() + timedelta(hours=48)).date().isoformat() in waiting["text"]
    api.clock.advance(hours=47)
    await api.work()
    assert await payout.state() == "queued"
    api.clock.advance(hours=2)
    assert await until_it_ends(payout) == "settled"


async def test_what_another_reason_holds_up_is_said_anew(api: Api) -> None:
    saver = await payer(api)
    payout = await withdrawing(saver)
    free = await held_float(api)
    await move_float(api, free, receipt="DRAIN00003")
    await api.work()
    await api.db.unit_of_work(
        lambda tx: holds.hold_for_pin_reset(tx, saver_id=saver.id, now=api.clock.now()),
        role=Role.SYSTEM,
    )
    api.clock.advance(minutes=1)
    await api.work()
    assert [each["cause"] for each in await payout.events()] == ["requested", "float_low", "held"]
    await move_float(api, free, receipt="REFILL0003", back=True)


async def answered_at_last(api: Api) -> None:
    """Do what is due; an answer that overtook its question is looked at again a little later."""
    await api.work()
    api.clock.advance(seconds=20)
    await api.work()


async def test_what_was_throttled_is_sent_again_a_minute_after_it_is_not_known(api: Api) -> None:
    api.emulator.faults.next(Flow.B2C, Fault.HTTP_ERROR, code="500.003.02")
    payout = await withdrawing(await payer(api))
    await run_round(job(api, "payout_submission"), database=api.db, clock=api.clock)
    doubted = await payout.read()
    assert (doubted["state"], doubted["reason"]) == ("unknown", "throttled")
    assert doubted["text"].endswith("It is set aside while we make sure; then it is sent again.")
    await answered_at_last(api)
    row = await payout.row()
    assert (row["state"], row["reason"], row["submitting_at"]) == ("requested", "throttled", None)
    assert timedelta(0) < row["due_at"] - api.clock.now() <= timedelta(minutes=1)
    assert payout.paid_by_safaricom() == 0
    assert await until_it_ends(payout) == "settled"
    assert payout.paid_by_safaricom() == 1


# Not sent ----------------------------------------------------------------------------------------------------


async def test_what_was_not_sent_to_a_number_that_is_lost_goes_back_at_once(api: Api) -> None:
    saver = await payer(api, cents=80_000)
    payout = await withdrawing(saver)
    await api.db.unit_of_work(
        lambda tx: holds.hold_for_pin_reset(tx, saver_id=saver.id, now=api.clock.now()),
        role=Role.SYSTEM,
    )
    await api.work()
    account_id = (await payout.row())["account_id"]

    async def lose(tx: Tx) -> int:
        await linking.unlink(tx, saver_id=saver.id, account_id=account_id)
        return await payouts.stop_for_number(
            tx, saver_id=saver.id, account_id=account_id, now=api.clock.now()
        )

    assert await api.db.unit_of_work(lose, role=Role.SYSTEM) == 1
    await api.work()
    failed = await payout.read()
    assert (failed["state"], failed["reason"]) == ("failed", "number_unlinked")
    assert failed["text"] == (
        "The number is no longer yours, so nothing was sent. KES 500 is back in your wallet."
    )
    assert (await saver.wallet())["balance_cents"] == 80_000
    assert payout.paid_by_safaricom() == 0


async def test_a_number_that_another_saver_proved_is_not_paid(api: Api) -> None:
    saver = await payer(api, cents=80_000)
    payout = await withdrawing(saver)
    # Auth's clock shows seconds: a proof of the same second as the first one's would be as old.
    await api.alter(
        "UPDATE savings.mpesa_accounts SET linked_at = linked_at - interval '1 hour' WHERE saver_id = $1",
        saver.id,
    )
    await api.new_saver(phone=saver.phone)
    await api.work()
    assert await payout.state() == "failed"
    assert payout.paid_by_safaricom() == 0


async def test_while_safaricom_cannot_be_reached_it_waits_and_is_sent_later(api: Api) -> None:
    saver = await payer(api)
    payout = await withdrawing(saver)
    alone = replace(paying(api), daraja=unreachable(api))
    await send(alone, await lease(api, payout))
    await alone.daraja.close()
    row = await payout.row()
    assert (row["state"], row["reason"], row["submitting_at"]) == ("requested", "not_sent", None)
    assert row["due_at"] > api.clock.now()
    assert await payout.steps() == ["requested", "submitting", "requested"]
    assert await until_it_ends(payout) == "settled"
    assert payout.paid_by_safaricom() == 1


async def test_what_is_owed_stops_a_withdrawal_that_waits_and_is_repaid_by_it(api: Api) -> None:
    saver = await payer(api, cents=0)
    receipt = await saver.deposit(80_000)
    payout = await withdrawing(saver, 50_000)
    waits = await hold_and_work(api, saver)
    before = await in_flight_cents(api)
    assert await payout.state() == "queued"

    taken = await take(api, receipt)
    assert taken.owed_cents == 50_000
    assert (await payout.row())["due_at"] <= api.clock.now() < waits
    await api.work()

    failed = await payout.read()
    assert (failed["state"], failed["reason"]) == ("failed", "money_owed")
    assert "nothing was sent" in failed["text"]
    assert payout.paid_by_safaricom() == 0
    assert "submitting" not in await payout.steps()
    assert await Owing(api)(saver.id) == 0
    assert (await saver.wallet())["balance_cents"] == 0
    assert await in_flight_cents(api) == before - 50_000
    feed = await payout.feed_row()
    assert feed["status"] == "failed"
    assert feed["explanation"]["repaid_cents"] == 50_000
    assert "KES 500 of it repaid what you owed" in feed["explanation"]["text"]
    api.clock.advance(hours=49)
    await api.work()
    assert payout.paid_by_safaricom() == 0
    await assert_payout_floats_agree(api)


async def test_what_is_left_of_a_stopped_withdrawal_is_in_the_wallet(api: Api) -> None:
    saver = await payer(api, cents=0)
    receipt = await saver.deposit(20_000)
    goal = await saver.goal_holding(50_000)
    payout = await withdrawing(saver, 50_000, goal=goal)
    first = await withdrawing(saver, 20_000)
    await hold_and_work(api, saver)
    assert (await take(api, receipt)).owed_cents == 20_000
    await api.work()
    assert {await payout.state(), await first.state()} == {"failed", "queued"}
    assert await Owing(api)(saver.id) == 0
    stopped, waiting = (payout, first) if await payout.state() == "failed" else (first, payout)
    # What the first of them repaid is owed no more, so the other goes on waiting.
    assert (await saver.wallet())["balance_cents"] == stopped.cents - 20_000
    assert payout.paid_by_safaricom() == 0
    api.clock.advance(hours=49)
    assert await until_it_ends(waiting) == "settled"
    await assert_payout_floats_agree(api)


async def test_what_is_owed_ends_the_wish_to_send_again(api: Api) -> None:
    saver = await payer(api, cents=0)
    receipt = await saver.deposit(80_000)
    api.emulator.faults.next(Flow.B2C, Fault.CUT_BEFORE)
    payout = await withdrawing(saver, 50_000)
    assert await until_it_ends(payout) == "unknown"
    await take(api, receipt)
    await api.alter(
        "UPDATE savings.payouts SET resend_wanted = true, due_at = $2 WHERE id = $1",
        payout.id,
        api.clock.now(),
    )
    await api.work()
    row = await payout.row()
    assert (row["state"], row["resend_wanted"]) == ("unknown", False)
    assert payout.paid_by_safaricom() == 0


async def hold_and_work(api: Api, saver: Saver) -> datetime:
    """Have a saver's withdrawals wait for a hold; return when it is over."""
    await api.db.unit_of_work(
        lambda tx: holds.hold_for_pin_reset(tx, saver_id=saver.id, now=api.clock.now()),
        role=Role.SYSTEM,
    )
    await api.work()
    return api.clock.now() + timedelta(hours=48)


# Rivals and restarts ---------------------------------------------------------------------------------------------


async def test_two_workers_send_each_payout_once(api: Api) -> None:
    made = [await withdrawing(await payer(api), 20_000) for _ in range(6)]
    first, second = (worker_of(api.app.state.parts) for _ in range(2))
    await asyncio.gather(first.drain(), second.drain())
    await api.work()
    for payout in made:
        assert await until_it_ends(payout) == "settled"
        assert payout.paid_by_safaricom() == 1
        assert (await payout.steps()).count("submitting") == 1
    await assert_payout_floats_agree(api)


async def test_of_two_workers_with_the_same_row_the_second_sends_nothing(api: Api) -> None:
    payout = await withdrawing(await payer(api))
    row = await lease(api, payout)
    await asyncio.gather(send(paying(api), row), send(paying(api), row))
    await api.work()
    assert payout.paid_by_safaricom() == 1
    assert (await payout.steps()).count("submitting") == 1


async def test_a_worker_whose_lease_ran_out_sends_nothing(api: Api) -> None:
    payout = await withdrawing(await payer(api))
    lost = await lease(api, payout)
    api.clock.advance(minutes=5)
    await lease(api, payout)
    await send(paying(api), lost)
    assert await payout.state() == "requested"
    assert payout.paid_by_safaricom() == 0


async def killed_while_sending(api: Api, payout: Withdrawing) -> None:
    """Have a worker die between writing down that it sends, and what came of it."""
    row = await lease(api, payout)
    api.emulator.faults.next(Flow.B2C, Fault.SLOW_REPLY, seconds=30)
    sending = asyncio.create_task(send(paying(api), row))
    while await payout.state() != "submitting":  # noqa: ASYNC110 (the table tells nobody)
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    api.emulator.faults.clear()


async def test_a_worker_that_dies_while_sending_leaves_a_payout_that_is_asked_about(api: Api) -> None:
    payout = await withdrawing(await payer(api))
    row = await lease(api, payout)
    # Killed after it was written down, before the socket opened: the machine stands, and nothing was sent.
    await api.alter(
        "UPDATE savings.payouts SET state = 'submitting', submitting_at = $2, shortcode = $3, due_at = $4"
        " WHERE id = $1",
        payout.id,
        api.clock.now(),
        B2C_SHORTCODE,
        api.clock.now() + timedelta(minutes=2),
    )
    await api.work()
    assert await payout.state() == "submitting"
    assert (await payout.read())["text"] == "KES 500 is being sent to M-PESA."
    api.clock.advance(minutes=3)
    await api.work()
    expired = await payout.read()
    assert (expired["state"], expired["reason"]) in {("unknown", "expired"), ("unknown", "not_found")}
    assert await until_it_ends(payout) == "unknown"
    assert payout.paid_by_safaricom() == 0
    assert await open_breaks(payout) == {"payout_unresolved"}
    # Its lease is long over, and still nobody sends it.
    await send(paying(api), row)
    assert payout.paid_by_safaricom() == 0


async def test_a_worker_that_dies_after_it_was_heard_leaves_a_payout_that_settles(api: Api) -> None:
    payout = await withdrawing(await payer(api))
    await killed_while_sending(api, payout)
    assert await payout.state() in {"submitting", "settled"}
    assert await until_it_ends(payout) == "settled"
    assert payout.paid_by_safaricom() == 1


@pytest.mark.parametrize("state", ["requested", "queued", "submitted", "unknown"])
async def test_a_restart_in_any_state_goes_on_from_there(api: Api, state: str) -> None:
    saver = await payer(api)
    free = await held_float(api)
    if state == "queued":
        await move_float(api, free, receipt="DRAIN00004")
    if state in {"submitted", "unknown"}:
        api.emulator.faults.next(Flow.B2C, Fault.LOSE_CALLBACK)
    if state == "unknown":
        api.emulator.faults.next(Flow.B2C, Fault.CUT_AFTER)
    payout = await withdrawing(saver)
    if state != "requested":
        await run_round(job(api, "payout_submission"), database=api.db, clock=api.clock)
        await api.emulator.quiet()
    assert await payout.state() == state
    if state == "queued":
        await move_float(api, free, receipt="REFILL0004", back=True)
    # What a worker holds when it dies is its lease: it runs out.
    await api.alter(
        "UPDATE savings.payouts SET lease_id = $2, lease_until = $3, attempts = 1 WHERE id = $1",
        payout.id,
        UUID(int=1),
        api.clock.now() + timedelta(seconds=60),
    )
    await run_round(job(api, "payout_submission"), database=api.db, clock=api.clock)
    assert await payout.state() == state
    api.clock.advance(minutes=5)
    assert await until_it_ends(payout) == "settled"
    assert payout.paid_by_safaricom() == 1


async def test_work_that_fails_puts_a_payout_off_and_gives_up_in_the_open(api: Api) -> None:
    payout = await withdrawing(await payer(api))
    failing = job(api, "payout_submission")

    async def fail(_row: ClaimedPayout) -> None:
        raise RuntimeError("a bug")

    broken = replace(failing, work=fail, attempts_max=2)
    for _ in range(2):
        await run_round(broken, database=api.db, clock=api.clock)
        api.clock.advance(minutes=10)
    row = await payout.row()
    assert row["dead_at"] is not None
    assert row["last_error"] == "RuntimeError"
    async with api.db.transaction(Role.SYSTEM) as tx:
        assert (await failing.count(tx, api.clock.now())).dead == 1
        assert (await job(api, "payout_checks").count(tx, api.clock.now())).dead == 0
    await api.work()
    assert await payout.state() == "requested"
    await api.alter("UPDATE savings.payouts SET dead_at = NULL WHERE id = $1", payout.id)
    assert await until_it_ends(payout) == "settled"


# Asking -------------------------------------------------------------------------------------------------------


async def in_doubt(api: Api) -> Withdrawing:
    """Return a payout whose reply was lost, not yet asked about."""
    api.emulator.faults.next(Flow.B2C, Fault.CUT_BEFORE)
    payout = await withdrawing(await payer(api))
    await run_round(job(api, "payout_submission"), database=api.db, clock=api.clock)
    assert await payout.state() == "unknown"
    api.clock.advance(minutes=1)
    return payout


async def questions_about(payout: Withdrawing) -> list[str]:
    rows = await payout.api.rows(
        "SELECT state FROM savings.status_queries WHERE payout_id = $1 ORDER BY asked_at", payout.id
    )
    return [row["state"] for row in rows]


async def test_a_worker_that_lost_its_lease_asks_nothing(api: Api) -> None:
    payout = await in_doubt(api)
    lost = await lease(api, payout, checks=True)
    api.clock.advance(minutes=5)
    await lease(api, payout, checks=True)
    await ask(paying(api), lost)
    assert await questions_about(payout) == []


async def test_what_ended_before_it_was_asked_about_is_not_asked_about(api: Api) -> None:
    payout = await in_doubt(api)
    row = await lease(api, payout, checks=True)
    await api.alter(
        "UPDATE savings.payouts SET state = 'settled', receipt = 'ENDED00001', settled_at = now(), due_at = NULL"
        " WHERE id = $1",
        payout.id,
    )
    await ask(paying(api), row)
    await send(paying(api), row)
    assert await questions_about(payout) == []
    await api.alter(
        "UPDATE savings.payouts SET state = 'unknown', receipt = NULL, settled_at = NULL, due_at = now()"
        " WHERE id = $1",
        payout.id,
    )


async def test_what_is_being_sent_has_its_time_before_anybody_asks(api: Api) -> None:
    payout = await in_doubt(api)
    sent_at = api.clock.now()
    await api.alter(
        "UPDATE savings.payouts SET state = 'submitting', submitting_at = $2, due_at = $2 WHERE id = $1",
        payout.id,
        sent_at,
    )
    await ask(paying(api), await lease(api, payout, checks=True))
    row = await payout.row()
    assert (row["state"], row["lease_id"]) == ("submitting", None)
    assert row["due_at"] == sent_at + timedelta(minutes=2)
    assert await questions_about(payout) == []


async def test_a_question_that_could_not_be_sent_is_asked_again_soon(api: Api) -> None:
    payout = await in_doubt(api)
    alone = replace(paying(api), daraja=unreachable(api))
    await ask(alone, await lease(api, payout, checks=True))
    await alone.daraja.close()
    assert await questions_about(payout) == ["unsent"]
    assert (await payout.row())["due_at"] < api.clock.now() + timedelta(seconds=30)


async def test_an_outage_lengthens_the_pauses_and_leaves_no_trace_per_try(api: Api) -> None:
    payout = await in_doubt(api)
    events = len(await payout.events())
    alone = replace(paying(api), daraja=unreachable(api))
    pauses: list[timedelta] = []
    for _ in range(12):
        await ask(alone, await lease(api, payout, checks=True))
        row = await payout.row()
        assert (row["asked"], row["lease_id"]) == (0, None)
        pauses.append(row["due_at"] - api.clock.now())
        api.clock.advance(max(row["due_at"] - api.clock.now(), timedelta()))
    await alone.daraja.close()
    assert await questions_about(payout) == ["unsent"]
    assert len(await payout.events()) == events
    assert pauses[-1] >= timedelta(minutes=4) > timedelta(seconds=5) > pauses[0]
    assert (await payout.row())["attempts"] <= 10
    await answered_at_last(api)
    assert await questions_about(payout) == ["answered"]
    assert (await payout.events())[events]["cause"] == "asking"
    assert (await payout.row())["attempts"] == 0


async def test_what_is_learnt_while_a_question_cannot_be_sent_sets_its_own_time(api: Api) -> None:
    payout = await in_doubt(api)
    row = await lease(api, payout, checks=True)
    soon = api.clock.now() + timedelta(seconds=1)

    class LearningMeanwhile(DarajaClient):
        """Nobody is there, and while that is found out a result has come."""

        async def transaction_status(self, **_asked: object) -> NoReturn:
            await api.alter(
                "UPDATE savings.payouts SET asked = 0, due_at = $2 WHERE id = $1", payout.id, soon
            )
            raise DarajaUnavailable(Operation.TRANSACTION_STATUS, Hindrance.NOT_REACHED)

    alone = replace(paying(api), daraja=unreachable(api, kind=LearningMeanwhile))
    await ask(alone, row)
    await alone.daraja.close()
    after = await payout.row()
    assert (after["asked"], after["lease_id"], after["due_at"]) == (0, None, soon)


async def test_without_a_shortcode_to_pay_from_it_waits(api: Api) -> None:
    payout = await withdrawing(await payer(api))
    config = paying(api).daraja.config
    alone = replace(paying(api), daraja=unreachable(api, replace(config, b2c_shortcode=None)))
    await send(alone, await lease(api, payout))
    await alone.daraja.close()
    row = await payout.row()
    assert (row["state"], row["reason"]) == ("queued", "not_sent")
    assert await until_it_ends(payout) == "settled"


# Facts --------------------------------------------------------------------------------------------------------


async def test_open_payouts_and_the_oldest_doubt_are_measured(api: Api) -> None:
    saver = await payer(api)
    api.emulator.faults.next(Flow.B2C, Fault.CUT_BEFORE)
    doubted = await withdrawing(saver, 20_000)
    await api.work()
    api.clock.advance(minutes=10)
    await worker_of(api.app.state.parts).read_facts()
    metrics = api.runtime.metrics.registry
    assert (metrics.get_sample_value("zanari_payouts_open", {"state": "unknown"}) or 0) >= 1
    assert (metrics.get_sample_value("zanari_payouts_open_cents", {"state": "unknown"}) or 0) >= 20_000
    assert (metrics.get_sample_value("zanari_payout_unknown_age_seconds") or 0) >= 600
    assert metrics.get_sample_value("zanari_payouts_open", {"state": "queued"}) is not None
    assert (metrics.get_sample_value("zanari_payouts_total", {"state": "unknown"}) or 0) >= 1
    assert await doubted.state() == "unknown"


async def test_what_is_due_is_counted_for_each_job(api: Api) -> None:
    await withdrawing(await payer(api))
    async with api.db.transaction(Role.SYSTEM) as tx:
        assert (await job(api, "payout_submission").count(tx, api.clock.now())).due >= 1
        before = await job(api, "payout_checks").count(tx, api.clock.now())
    await api.work()
    async with api.db.transaction(Role.SYSTEM) as tx:
        assert (await job(api, "payout_submission").count(tx, api.clock.now())).due == 0
        after = await job(api, "payout_checks").count(tx, api.clock.now())
    assert before.dead == after.dead == 0
