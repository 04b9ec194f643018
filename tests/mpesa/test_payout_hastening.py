"""Asking M-PESA at once about payouts in doubt: the job's way of asking, before its time, and honest about the rest."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tests.support.app import Api
from tests.support.payouts import Withdrawing, assert_nothing_is_in_flight, payer, withdrawing
from zanari_api.mpesa import payout_hastening, payout_jobs
from zanari_api.mpesa.payout_hastening import Hastened
from zanari_api.runtime.jobs import RowJob, run_round

WITHIN = timedelta(seconds=20)
"""Of the service's clock, which goes ten times as fast while it waits: two seconds in which M-PESA may be late."""

SAID: list[str] = []


@pytest.fixture(autouse=True)
async def no_faults(api: Api) -> None:
    api.emulator.faults.clear()
    api.emulator.delays.process_s = 0.05
    SAID.clear()


@pytest.fixture(autouse=True)
async def nothing_else_in_doubt(api: Api) -> None:
    """Payouts of the tests before end by themselves."""
    await api.alter(
        "UPDATE savings.payouts SET submitting_at = $1 WHERE state IN ('submitted', 'unknown')",
        api.clock.now() + timedelta(days=400),
    )


async def hasten(api: Api, *, most: int = payout_hastening.ASKED_MAX) -> Hastened:
    parts = api.app.state.parts
    return await payout_hastening.ask_now(
        parts.paying(),
        within=WITHIN,
        look_again=parts.reconciling().look_again,
        progress=SAID.append,
        most=most,
    )


async def in_doubt(api: Api, *, minutes: int = 3) -> Withdrawing:
    """Have a payout paid whose result is lost, so many minutes ago."""
    payout = await withdrawing(await payer(api), 20_000)
    api.emulator.faults.next("b2c", "lose_callback")
    [submission] = [job for job in _jobs(api) if job.name == "payout_submission"]
    await run_round(submission, database=api.db, clock=api.clock)
    await api.emulator.quiet()
    assert await payout.state() == "submitted"
    api.clock.advance(minutes=minutes)
    return payout


def _jobs(api: Api) -> list[RowJob[Any]]:
    return payout_jobs.jobs(api.app.state.parts.paying())


async def questions(api: Api, payout: Withdrawing) -> list[str]:
    rows = await api.rows(
        "SELECT state FROM savings.status_queries WHERE payout_id = $1 ORDER BY asked_at, id", payout.id
    )
    return [row["state"] for row in rows]


async def test_a_payout_whose_result_was_lost_is_asked_about_and_ends(api: Api) -> None:
    payout = await in_doubt(api)
    assert await hasten(api) == Hastened(in_doubt=1, asked=1, answered=1)
    assert await payout.state() == "settled"
    assert SAID == ["asking M-PESA about 1 of 1 payouts in doubt"]
    await assert_nothing_is_in_flight(api)


async def test_one_that_is_not_due_for_hours_is_asked_about_all_the_same(api: Api) -> None:
    payout = await in_doubt(api)
    due_at = api.clock.now() + timedelta(hours=2)
    await api.alter(
        "UPDATE savings.payouts SET state = 'unknown', unknown_at = $2, due_at = $2 WHERE id = $1",
        payout.id,
        due_at,
    )
    assert (await hasten(api)).answered == 1
    assert await payout.state() == "settled"


async def test_one_that_was_sent_a_moment_ago_is_left_to_its_result(api: Api) -> None:
    payout = await in_doubt(api, minutes=1)
    assert await hasten(api) == Hastened()
    assert await questions(api, payout) == []
    assert SAID == []


async def test_an_answer_that_does_not_come_is_told_and_changes_nothing(api: Api) -> None:
    payout = await in_doubt(api)
    api.emulator.faults.always("status", "lose_callback")
    hastened = await hasten(api)
    assert hastened == Hastened(in_doubt=1, asked=1)
    assert (hastened.unanswered, hastened.not_asked) == (1, 0)
    assert await payout.state() == "unknown"
    assert await questions(api, payout) == ["asked"]


async def test_what_was_asked_about_a_moment_ago_is_not_asked_about_again(api: Api) -> None:
    payout = await in_doubt(api)
    api.emulator.faults.always("status", "lose_callback")
    await hasten(api)
    hastened = await hasten(api)
    assert (hastened.asked, hastened.not_asked) == (0, 1)
    assert await questions(api, payout) == ["asked"]


async def test_what_a_worker_holds_is_left_to_it(api: Api) -> None:
    payout = await in_doubt(api)
    await api.alter(
        "UPDATE savings.payouts SET lease_id = gen_random_uuid(), lease_until = $2 WHERE id = $1",
        payout.id,
        api.clock.now() + timedelta(minutes=2),
    )
    hastened = await hasten(api)
    assert (hastened.in_doubt, hastened.asked, hastened.not_asked) == (1, 0, 1)
    assert await questions(api, payout) == []


async def test_two_operators_and_a_worker_ask_once(api: Api) -> None:
    payout = await in_doubt(api)
    [checks] = [job for job in _jobs(api) if job.name == "payout_checks"]
    await asyncio.gather(
        hasten(api), hasten(api), run_round(checks, database=api.db, clock=api.clock), hasten(api)
    )
    assert len(await questions(api, payout)) == 1
    await api.work()
    assert await payout.state() == "settled"


async def test_of_many_so_many_are_asked_about_and_the_rest_is_counted(api: Api) -> None:
    payouts = [await in_doubt(api) for _ in range(3)]
    hastened = await hasten(api, most=2)
    assert (hastened.in_doubt, hastened.asked, hastened.answered, hastened.not_asked) == (3, 2, 2, 1)
    assert sorted([await payout.state() for payout in payouts]) == ["settled", "settled", "submitted"]
    assert SAID == ["asking M-PESA about 2 of 3 payouts in doubt"]


async def test_a_question_that_cannot_be_sent_is_told_as_such(api: Api) -> None:
    payout = await in_doubt(api)
    api.emulator.faults.always("status", "http_error", code="400.002.02")
    hastened = await hasten(api)
    assert (hastened.asked, hastened.unsent, hastened.not_asked) == (0, 1, 0)
    assert await questions(api, payout) == ["unsent"]
    assert await payout.state() == "unknown"
