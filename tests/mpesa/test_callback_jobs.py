"""Callbacks that cannot be acted on at once: kept, come back to, given up visibly, and settled when they can be."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from tests.mpesa.callbacks import ACKNOWLEDGED, body_of, kept, path_of
from tests.mpesa.conftest import Counted, Fragile
from tests.support.app import Api
from tests.support.observed import Written
from tests.support.savers import Saver, answered, new_receipt
from zanari_api.mpesa import callback_jobs
from zanari_api.mpesa.callback_jobs import CallbackWork
from zanari_api.mpesa.inbox import CallbackKind
from zanari_api.runtime.db import Role
from zanari_api.runtime.jobs import Claim, Postponement, RowJob, run_round
from zanari_api.worker import worker_of

CONFIRMATION = CallbackKind.C2B_CONFIRMATION

BROKEN_CENTS = 66_600
"""A deposit of this amount meets a fault in the database, while there is one."""


@pytest.fixture
async def fault(api: Api) -> AsyncIterator[None]:
    """A fault that strikes one amount and that nobody foresaw, until the test mends it."""
    await api.alter(
        """
        CREATE OR REPLACE FUNCTION public.break_down() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'nobody foresaw this'; END $$
        """
    )
    await api.alter(
        f"""
        CREATE TRIGGER breaks_down BEFORE INSERT ON savings.deposits
            FOR EACH ROW WHEN (NEW.amount_cents = {BROKEN_CENTS}) EXECUTE FUNCTION public.break_down()
        """
    )
    yield
    await mend(api)


async def mend(api: Api) -> None:
    await api.alter("DROP TRIGGER IF EXISTS breaks_down ON savings.deposits")


def broken_payment(saver: Saver, **more: object) -> bytes:
    return body_of(
        CONFIRMATION,
        BillRefNumber=saver.member_code,
        TransAmount="666.00",
        TransID=new_receipt(),
        **more,
    )


def job_of(api: Api) -> RowJob[Any]:
    runtime = api.runtime
    context = CallbackWork(
        database=runtime.database, intake=api.app.state.parts.intake, metrics=runtime.metrics
    )
    (job,) = callback_jobs.jobs(context)
    return job


async def work(api: Api) -> None:
    """Have a worker do what is due in the inbox, and no other work."""
    while await run_round(job_of(api), database=api.db, clock=api.clock):
        pass


async def due_now(api: Api) -> None:
    """Let the time pass that the worker waits for at most between two tries."""
    api.clock.advance(minutes=16)
    await work(api)


async def read_facts(api: Api) -> None:
    await worker_of(api.app.state.parts).read_facts()


@pytest.mark.usefixtures("fault", "written")
async def test_a_callback_whose_effect_fails_is_acknowledged_kept_and_acted_on_later(
    api: Api, saver: Saver, counted: Counted, written: Written
) -> None:
    body = broken_payment(saver)
    assert answered(await api.call_back(path_of(CONFIRMATION), body)) == ACKNOWLEDGED
    row = await kept(api, CONFIRMATION, body)
    assert (row["outcome"], row["attempts"], row["lease_id"]) == ("deferred", 0, None)
    assert await saver.holds() == (0, 0, 0)
    assert counted("zanari_callbacks_total", kind=CONFIRMATION, outcome="deferred") == 1
    (line,) = written.events("callback_deferred")
    assert (line["kind"], line["error"]) == (CONFIRMATION, "RaiseError")

    await due_now(api)
    row = await kept(api, CONFIRMATION, body)
    assert (row["outcome"], row["attempts"], row["last_error"]) == ("deferred", 1, "RaiseError")

    await mend(api)
    await due_now(api)
    assert await saver.holds() == (BROKEN_CENTS, 0, 0)
    row = await kept(api, CONFIRMATION, body)
    assert (row["outcome"], row["due_at"], row["last_error"]) == ("credited", None, None)
    assert row["saver_id"] == saver.id
    assert counted("zanari_callbacks_total", kind=CONFIRMATION, outcome="credited") == 1
    await due_now(api)
    assert await saver.holds() == (BROKEN_CENTS, 0, 0)


@pytest.mark.usefixtures("fault", "written")
async def test_a_deferred_callback_that_is_delivered_again_is_left_to_the_worker(
    api: Api, saver: Saver
) -> None:
    body = broken_payment(saver)
    for _ in range(3):
        assert answered(await api.call_back(path_of(CONFIRMATION), body)) == ACKNOWLEDGED
    row = await kept(api, CONFIRMATION, body)
    assert (row["outcome"], row["deliveries"]) == ("deferred", 3)
    await mend(api)
    assert answered(await api.call_back(path_of(CONFIRMATION), body)) == ACKNOWLEDGED
    assert await saver.holds() == (0, 0, 0)
    await due_now(api)
    assert await saver.holds() == (BROKEN_CENTS, 0, 0)


@pytest.mark.usefixtures("fault", "written")
async def test_a_flood_of_callbacks_that_fail_writes_few_lines_and_no_500(
    api: Api, saver: Saver, written: Written
) -> None:
    for number in range(30):
        body = broken_payment(saver, Number=number)
        assert answered(await api.call_back(path_of(CONFIRMATION), body)) == ACKNOWLEDGED
    assert len(written.events("callback_deferred")) <= 10
    await mend(api)
    await due_now(api)
    assert await saver.holds() == (30 * BROKEN_CENTS, 0, 0)


@pytest.mark.usefixtures("fault", "written")
async def test_a_callback_that_fails_too_often_is_left_to_a_person_and_may_still_be_delivered_again(
    api: Api, saver: Saver
) -> None:
    body = broken_payment(saver)
    await api.call_back(path_of(CONFIRMATION), body)
    for _ in range(25):
        await due_now(api)
    row = await kept(api, CONFIRMATION, body)
    assert (row["outcome"], row["note"], row["attempts"]) == ("quarantined", "gave_up", 20)
    assert row["dead_at"] is not None
    assert row["due_at"] is None
    await read_facts(api)
    sample = api.runtime.metrics.registry.get_sample_value
    assert sample("zanari_jobs_dead", {"job": "callbacks"}) == 1
    assert sample("zanari_callbacks_quarantined", {"kind": CONFIRMATION}) == 1
    # While it still fails, another delivery changes nothing of that.
    assert answered(await api.call_back(path_of(CONFIRMATION), body)) == ACKNOWLEDGED
    assert (await kept(api, CONFIRMATION, body))["outcome"] == "quarantined"

    await mend(api)
    assert answered(await api.call_back(path_of(CONFIRMATION), body)) == ACKNOWLEDGED
    row = await kept(api, CONFIRMATION, body)
    assert (row["outcome"], row["note"], row["dead_at"]) == ("credited", None, None)
    await read_facts(api)
    assert sample("zanari_jobs_dead", {"job": "callbacks"}) == 0
    assert sample("zanari_callbacks_quarantined", {"kind": CONFIRMATION}) == 0


async def test_a_validation_that_cannot_be_judged_for_a_fault_is_undecided(
    api: Api, saver: Saver, written: Written
) -> None:
    await api.alter("ALTER TABLE savings.savers RENAME COLUMN member_code TO mistaken")
    try:
        body = body_of(CallbackKind.C2B_VALIDATION, BillRefNumber=saver.member_code)
        answer = answered(await api.call_back(path_of(CallbackKind.C2B_VALIDATION), body))
    finally:
        await api.alter("ALTER TABLE savings.savers RENAME COLUMN mistaken TO member_code")
    assert answer == {"ResultCode": "C2B00016", "ResultDesc": "Rejected"}
    assert len(written.events("request_failed")) == 0


async def test_what_matches_nothing_yet_is_looked_at_again_ever_less_often(api: Api) -> None:
    kind = CallbackKind.REVERSAL_RESULT
    body = body_of(kind, Overtook="its reply")
    await api.call_back(path_of(kind), body)
    waits: list[timedelta] = []
    for _ in range(40):
        row = await kept(api, kind, body)
        assert (row["outcome"], row["attempts"]) == ("waiting", 0)
        wait = row["due_at"] - api.clock.now()
        waits.append(wait)
        api.clock.advance(wait)
        await work(api)
    assert waits[0].total_seconds() <= 2
    # What the machine itself takes is part of what has passed already.
    assert all(later > earlier - timedelta(seconds=1) for earlier, later in pairwise(waits))
    assert 14 * 60 < waits[-1].total_seconds() <= 15 * 60


async def test_what_matched_nothing_for_a_day_is_quarantined(api: Api) -> None:
    kind = CallbackKind.REVERSAL_TIMEOUT
    sample = api.runtime.metrics.registry.get_sample_value
    body = body_of(kind, Answers="nothing of ours")
    await api.call_back(path_of(kind), body)
    api.clock.advance(hours=23, minutes=59)
    await work(api)
    row = await kept(api, kind, body)
    assert row["outcome"] == "waiting"
    # It is looked at a last time when the day is over, not a quarter of an hour later.
    assert (row["due_at"] - row["received_at"]).total_seconds() == 24 * 3600
    api.clock.advance(minutes=1)
    await work(api)
    row = await kept(api, kind, body)
    assert (row["outcome"], row["note"], row["due_at"]) == ("quarantined", "unmatched", None)
    for outcome in ("waiting", "quarantined"):
        assert sample("zanari_callbacks_total", {"kind": kind, "outcome": outcome}) == 1


@pytest.mark.usefixtures("fault", "written")
async def test_two_workers_act_on_a_callback_once(api: Api, saver: Saver) -> None:
    bodies = [broken_payment(saver, Number=number) for number in range(15)]
    for body in bodies:
        await api.call_back(path_of(CONFIRMATION), body)
    await mend(api)
    api.clock.advance(minutes=1)
    await asyncio.gather(work(api), work(api))
    assert await saver.holds() == (15 * BROKEN_CENTS, 0, 0)
    assert {(await kept(api, CONFIRMATION, body))["outcome"] for body in bodies} == {"credited"}


@pytest.mark.usefixtures("fault", "written")
async def test_a_callback_that_another_worker_has_is_left_to_it(api: Api, saver: Saver) -> None:
    body = broken_payment(saver)
    await api.call_back(path_of(CONFIRMATION), body)
    row = await kept(api, CONFIRMATION, body)
    held_by = UUID(int=7)
    until = api.clock.now().replace(year=api.clock.now().year + 1)
    await api.alter(
        "UPDATE mpesa.callbacks SET lease_id = $2, lease_until = $3 WHERE id = $1", row["id"], held_by, until
    )
    await mend(api)
    await due_now(api)
    assert await saver.holds() == (0, 0, 0)
    await api.alter("UPDATE mpesa.callbacks SET lease_until = $2 WHERE id = $1", row["id"], api.clock.now())
    await due_now(api)
    assert await saver.holds() == (BROKEN_CENTS, 0, 0)


async def test_a_worker_that_was_overtaken_by_another_delivery_writes_nothing(api: Api) -> None:
    kind = CallbackKind.REVERSAL_RESULT
    body = body_of(kind, Overtaken="while it was leased")
    await api.call_back(path_of(kind), body)
    api.clock.advance(minutes=16)
    now, job = api.clock.now(), job_of(api)
    claim = Claim(UUID(int=8), now, now + timedelta(minutes=1), 1000)
    leased = await api.db.unit_of_work(lambda tx: job.claim(tx, claim), role=Role.SYSTEM)
    stored = await kept(api, kind, body)
    (row,) = [row for row in leased if row.id == stored["id"]]
    assert (stored["lease_id"], stored["attempts"]) == (claim.lease_id, 1)

    await api.call_back(path_of(kind), body)
    freed = await kept(api, kind, body)
    assert (freed["outcome"], freed["lease_id"], freed["attempts"]) == ("waiting", None, 0)
    await job.work(row)
    postponement = Postponement(now, "SomeError", dead=True)
    await api.db.unit_of_work(lambda tx: job.postpone(tx, row, postponement), role=Role.SYSTEM)
    assert await kept(api, kind, body) == freed


async def test_a_callback_that_could_not_even_be_deferred_is_not_acknowledged(fragile: Fragile) -> None:
    body = body_of(CONFIRMATION, Lost="twice")
    await fragile.line.cut()
    response = await fragile.api.call_back(path_of(CONFIRMATION), body)
    assert response.status_code == 503
    await fragile.line.mend()
