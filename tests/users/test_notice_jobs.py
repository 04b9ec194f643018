"""Notices are sent by a worker, each under one id until the gateway takes it on, and never given up in silence."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.support.app import Api, Serve
from tests.support.observed import logging_as_the_service_does
from tests.support.pins import with_pin
from tests.support.savers import Saver, new_phone
from tests.users.telling import got, job, notices_of, prove, reset_pin, with_reset_pin, work_once
from zanari_api.runtime.db import Role, Tx
from zanari_api.runtime.jobs import run_round
from zanari_api.sandbox.sms import SmsFault
from zanari_api.users.notice_jobs import ATTEMPTS_MAX
from zanari_api.worker import worker_of


async def fact(api: Api, name: str, **labels: str) -> float | None:
    """Return what a worker shows of the whole database."""
    await worker_of(api.app.state.parts).read_facts()
    value: float | None = api.runtime.metrics.registry.get_sample_value(name, labels)
    return value


async def test_a_notice_that_was_sent_is_over(api: Api, saver: Saver) -> None:
    await with_reset_pin(saver)
    await api.work()
    (notice,) = await notices_of(api, saver)
    assert (notice["outcome"], notice["due_at"], notice["dead_at"]) == ("sent", None, None)
    assert notice["finished_at"] is not None
    assert list(api.handsets.requests).count(str(notice["id"])) == 1


async def test_two_workers_at_once_send_each_notice_once(api: Api) -> None:
    savers = [await with_reset_pin(await api.new_saver()) for _ in range(8)]
    while sum(await asyncio.gather(work_once(api), work_once(api))):
        pass
    for saver in savers:
        assert len(got(api, saver)) == 1
        (notice,) = await notices_of(api, saver)
        assert list(api.handsets.requests).count(str(notice["id"])) == 1


async def test_while_the_gateway_is_away_a_notice_waits_and_then_goes(api: Api, saver: Saver) -> None:
    await api.work()
    await with_reset_pin(saver)
    api.handsets.faults.extend([SmsFault.AWAY, SmsFault.AWAY])
    assert await work_once(api) == 1
    (notice,) = await notices_of(api, saver)
    assert (notice["outcome"], notice["last_error"], notice["attempts"]) == (None, "GatewayUnavailable", 1)
    assert notice["due_at"] > api.clock.now()
    assert await work_once(api) == 0
    for _ in range(2):
        api.clock.advance(minutes=1)
        assert await work_once(api) == 1
    assert len(got(api, saver)) == 1
    (notice,) = await notices_of(api, saver)
    assert (notice["outcome"], notice["attempts"]) == ("sent", 3)


async def test_what_the_gateway_will_not_have_is_given_up_in_the_open_and_goes_when_it_is_revived(
    api: Api, saver: Saver
) -> None:
    await api.work()
    await with_reset_pin(saver)
    api.handsets.faults.append(SmsFault.REFUSE)
    await api.work()
    (notice,) = await notices_of(api, saver)
    assert (notice["outcome"], notice["last_error"]) == (None, "GatewayRefused")
    assert await fact(api, "zanari_jobs_dead", job="notices") == 1
    assert await fact(api, "zanari_notices_waiting") == 0
    async with api.db.transaction(Role.SYSTEM) as tx:
        (dead,) = await job(api).list_dead(tx)
    assert (dead.id, dead.amount_cents) == (notice["id"], 0)
    api.clock.advance(days=1)
    await api.work()
    assert got(api, saver) == []

    async def revive(tx: Tx) -> bool:
        return await job(api).revive(tx, notice["id"], api.clock.now())

    assert await api.db.unit_of_work(revive, role=Role.SYSTEM)
    assert not await api.db.unit_of_work(revive, role=Role.SYSTEM)
    await api.work()
    assert len(got(api, saver)) == 1
    assert await fact(api, "zanari_jobs_dead", job="notices") == 0


async def test_a_worker_that_dies_before_it_noted_the_sending_has_it_sent_again_under_the_same_id(
    api: Api, saver: Saver
) -> None:
    await api.work()
    await with_reset_pin(saver)
    (notice,) = await notices_of(api, saver)
    api.handsets.faults.append(SmsFault.LOSE_ANSWER)
    worker = asyncio.create_task(work_once(api))
    while not got(api, saver):  # noqa: ASYNC110 (a handset tells nobody)
        await asyncio.sleep(0.01)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    (left,) = await notices_of(api, saver)
    assert (left["outcome"], left["lease_id"] is None) == (None, False)
    assert await work_once(api) == 0
    api.clock.advance(minutes=3)
    await api.work()
    assert list(api.handsets.requests).count(str(notice["id"])) == 2
    assert len(got(api, saver)) == 1
    (notice,) = await notices_of(api, saver)
    assert (notice["outcome"], notice["attempts"]) == ("sent", 2)


async def test_a_worker_that_lost_its_lease_sends_and_writes_nothing(api: Api, saver: Saver) -> None:
    await api.work()
    await with_reset_pin(saver)
    rows: list[Any] = []

    async def keep(row: object) -> None:
        rows.append(row)

    assert await run_round(replace(job(api), work=keep), database=api.db, clock=api.clock) == 1
    api.clock.advance(minutes=3)
    await api.work()
    await job(api).work(rows[0])
    (notice,) = await notices_of(api, saver)
    assert list(api.handsets.requests).count(str(notice["id"])) == 1
    assert notice["outcome"] == "sent"


async def test_without_a_gateway_notices_wait_and_are_seen_and_go_once_there_is_one(
    api: Api, serve: Serve
) -> None:
    await api.work()
    async with serve(sms_gateway_url=None, sms_gateway_token=None) as other:
        saver = await other.new_saver()
        await with_reset_pin(saver)
        other.clock.advance(hours=1)
        await other.work()
        (notice,) = await notices_of(other, saver)
        assert (notice["outcome"], notice["attempts"], notice["dead_at"]) == (None, 0, None)
        assert await fact(other, "zanari_notices_waiting") == 1
        age = await fact(other, "zanari_notice_oldest_age_seconds")
        assert age is not None
        assert 3600 <= age < 3700
        assert await fact(other, "zanari_jobs_due", job="notices") == 1
    await api.work()
    assert saver.phone is not None
    assert len(api.handsets.received_by(saver.phone)) == 1
    assert await fact(api, "zanari_notices_waiting") == 0
    assert await fact(api, "zanari_notice_oldest_age_seconds") == 0


async def test_what_comes_after_the_hold_says_that_it_is_late(api: Api, saver: Saver) -> None:
    await api.work()
    await with_pin(saver)
    until = await reset_pin(saver)
    api.clock.advance(until - api.clock.now() + timedelta(seconds=1))
    await api.work()
    (text,) = got(api, saver)
    assert "We tell you late: withdrawals wait no more." in text
    assert "Withdrawals wait until" not in text


async def test_what_was_begun_before_the_hold_ended_goes_after_it_though_its_text_is_another(
    api: Api, saver: Saver
) -> None:
    await api.work()
    await with_pin(saver)
    until = await reset_pin(saver)
    api.handsets.faults.append(SmsFault.LOSE_ANSWER)
    worker = asyncio.create_task(work_once(api))
    while not got(api, saver):  # noqa: ASYNC110 (a handset tells nobody)
        await asyncio.sleep(0.01)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    api.clock.advance(until - api.clock.now() + timedelta(seconds=1))
    api.handsets.faults.append(SmsFault.AWAY)
    await work_once(api)
    api.clock.advance(minutes=1)
    await api.work()
    in_time, late = got(api, saver)
    assert "Withdrawals wait until" in in_time
    assert "We tell you late" in late
    first, *again = list(api.handsets.requests)[-3:]
    assert again[0] == again[1] != first
    (notice,) = await notices_of(api, saver)
    assert (notice["outcome"], notice["dead_at"]) == ("sent", None)


async def test_a_number_that_became_another_savers_before_it_was_told_is_told_nothing(
    api: Api, saver: Saver
) -> None:
    assert saver.phone is not None
    await api.work()
    await with_reset_pin(saver)
    await api.alter(
        "UPDATE savings.mpesa_accounts SET linked_at = linked_at - interval '1 hour' WHERE saver_id = $1",
        saver.id,
    )
    other = await api.new_saver(phone=None)
    await prove(api, other, saver.phone)
    await api.work()
    assert got(api, saver) == []
    (notice,) = await notices_of(api, saver)
    assert (notice["outcome"], notice["due_at"]) == ("not_theirs", None)


async def test_no_number_and_no_text_is_logged(api: Api, saver: Saver) -> None:
    await api.work()
    assert saver.phone is not None
    second = new_phone()
    with logging_as_the_service_does() as log:
        await with_reset_pin(saver)
        await prove(api, saver, second)
        api.handsets.faults.extend([SmsFault.AWAY, SmsFault.REFUSE])
        await api.work()
        api.clock.advance(minutes=1)
        await api.work()
    assert len(got(api, saver)) == 1
    assert log.events("notice_finished")
    assert log.events("notice_refused")
    # A gateway that is away is no fault of ours.
    assert log.events("job_failed") == []
    written = json.dumps(log.lines, default=str)
    assert saver.phone[3:] not in written
    assert second[3:] not in written
    assert "your PIN" not in written


async def test_a_notice_is_tried_for_a_week(api: Api, saver: Saver) -> None:
    await api.work()
    await with_reset_pin(saver)
    assert timedelta(minutes=5) * ATTEMPTS_MAX * 0.8 > timedelta(days=5)
    await api.alter(
        "UPDATE savings.notices SET attempts = $2 WHERE saver_id = $1", saver.id, ATTEMPTS_MAX - 2
    )
    for dead in (False, True):
        api.handsets.faults.append(SmsFault.AWAY)
        assert await work_once(api) == 1
        (notice,) = await notices_of(api, saver)
        assert (notice["dead_at"] is not None) == dead
        api.clock.advance(minutes=6)
    assert notice["last_error"] == "GatewayUnavailable"
