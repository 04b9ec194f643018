"""The worker that prompts and asks: each prompt sent once, its outcome never guessed, and nothing stuck unseen."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.support.app import Api
from tests.support.collecting import Collector
from tests.support.prompts import Prompter
from tests.support.savers import Json, Saver, answered, new_receipt
from zanari_api.deposits import intents, step_queries, steps
from zanari_api.deposits.rows import DueIntent
from zanari_api.kit.ids import new_id
from zanari_api.runtime.db import Role, Tx
from zanari_api.runtime.jobs import Claim, Postponement, run_round
from zanari_api.sandbox.safaricom.faults import Fault, FaultPlan, Flow
from zanari_api.users import service as users

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def prompter(api: Api) -> AsyncIterator[Prompter]:
    """Ends every prompt and fault that a test left, so that the next one meets neither, nor an open breaker."""
    yield Prompter(api)
    api.emulator.faults = FaultPlan()
    api.clock.advance(minutes=5)
    for prompt in list(api.emulator.open_prompts()):
        await api.emulator.answer(prompt.msisdn, "cancel")
    await api.work()


async def silent(api: Api, prompter: Prompter, saver: Saver, cents: int = 50_000) -> Json:
    """Ask for a deposit that is paid, and of which neither callback ever comes."""
    api.emulator.faults.next(Flow.STK, Fault.LOSE_CALLBACK)
    asked = await prompter.ask(saver, cents)
    await api.work()
    assert await prompter.state(saver, asked) == ("prompted", None)
    return asked


async def breaks_of(api: Api, deposit: Json) -> list[tuple[Any, ...]]:
    rows = await api.rows(
        "SELECT kind, amount_cents, closed_at IS NULL FROM mpesa.breaks WHERE subject = $1",
        f"intent:{deposit['id']}",
    )
    return [tuple(row) for row in rows]


async def claim(api: Api) -> list[DueIntent]:
    """Lease whatever is to be prompted, as a worker that then dies."""
    now = api.clock.now()
    wanted = Claim(new_id(), now, now + timedelta(seconds=60), 10)

    async def take(tx: Tx) -> list[DueIntent]:
        return list(await steps.claim_prompts(tx, wanted))

    return await api.db.unit_of_work(take, role=Role.SYSTEM)


def pushes(api: Api, saver: Saver) -> int:
    """Return how many prompts the emulator was ever asked to show on the saver's phone."""
    return sum(push.msisdn == saver.phone for push in api.emulator._core.records.pushes.values())


# Sending


async def test_nothing_is_sent_before_it_is_committed_as_being_sent(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    api.emulator.faults.next(Flow.STK, Fault.SLOW_REPLY, seconds=1)
    asked = await prompter.ask(saver)
    sends, _ = prompter.jobs()
    sending = asyncio.create_task(run_round(sends, database=api.db, clock=api.clock))
    while pushes(api, saver) == 0:  # noqa: ASYNC110 (the emulator tells nobody)
        await asyncio.sleep(0.01)
    assert await prompter.column(asked, "submitting_at") is not None
    assert (await prompter.read(saver, asked))["state"] == "requested"
    await sending


async def test_a_callback_faster_than_the_reply_is_acted_on_when_the_reply_is_there(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    api.emulator.faults.next(Flow.STK, Fault.RESULT_FIRST)
    asked = await prompter.ask(saver)
    await api.work()
    assert await prompter.state(saver, asked) == ("settled", None)
    assert await saver.holds() == (50_000, 0, 0)


async def test_a_payment_faster_than_the_reply_stands_and_its_callback_finds_it(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    await prompter.leave_open(saver)
    api.emulator.faults.next(Flow.STK, Fault.SLOW_REPLY, seconds=1)
    asked = await prompter.ask(saver)
    sends, _ = prompter.jobs()
    sending = asyncio.create_task(run_round(sends, database=api.db, clock=api.clock))
    while pushes(api, saver) == 0:  # noqa: ASYNC110 (the emulator tells nobody)
        await asyncio.sleep(0.01)
    await prompter.pay(await prompter.intent(asked), receipt=(receipt := new_receipt()))
    assert await prompter.state(saver, asked) == ("settled", None)
    await sending
    assert await prompter.state(saver, asked) == ("settled", None)
    await prompter.tell(prompter.handle(saver), receipt=receipt)
    assert await saver.holds() == (50_000, 0, 0)
    assert [step for step, _ in await prompter.steps(asked)][-1] == "settled"


@pytest.mark.parametrize("fault", [Fault.CUT_AFTER, Fault.HTTP_ERROR_AFTER])
async def test_a_push_whose_reply_is_lost_is_never_sent_again_and_its_payment_names_it(
    api: Api, saver: Saver, prompter: Prompter, fault: Fault
) -> None:
    await prompter.leave_open(saver)
    api.emulator.faults.next(Flow.STK, fault)
    asked = await prompter.ask(saver)
    await api.work()
    read = await prompter.read(saver, asked)
    assert (read["state"], read["reason"]) == ("unresolved", "lost")
    assert read["text"].startswith("We cannot tell yet whether this was paid")
    await prompter.later(minutes=30)
    assert pushes(api, saver) == 1
    await prompter.pay(await prompter.intent(asked), receipt=(receipt := new_receipt()))
    assert await prompter.state(saver, asked) == ("settled", None)
    await prompter.tell(prompter.handle(saver), receipt=receipt)
    assert await saver.holds() == (50_000, 0, 0)


async def test_a_callback_of_a_push_whose_reply_is_lost_waits_for_what_the_payment_tells(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    await prompter.leave_open(saver)
    api.emulator.faults.next(Flow.STK, Fault.CUT_AFTER)
    asked = await prompter.ask(saver)
    await api.work()
    await prompter.tell(prompter.handle(saver), receipt=(receipt := new_receipt()))
    assert await prompter.state(saver, asked) == ("unresolved", "lost")
    await prompter.pull(await prompter.intent(asked), receipt=receipt)
    await prompter.later(seconds=10)
    (row,) = await api.rows("SELECT outcome FROM mpesa.callbacks WHERE saver_id = $1", saver.id)
    assert row["outcome"] == "evidence"
    assert await saver.holds() == (50_000, 0, 0)


async def test_a_definite_refusal_fails_it_and_nothing_was_paid(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    api.emulator.faults.next(Flow.STK, Fault.HTTP_ERROR, code="400.002.02", message="Bad Request")
    asked = await prompter.ask(saver)
    await api.work()
    read = await prompter.read(saver, asked)
    assert (read["state"], read["reason"]) == ("failed", "bad_request")
    assert read["text"] == "M-PESA did not take our request. Nothing was paid; try again later."
    assert answered(await saver.post("/mpesa/deposits", {"amount_cents": 60_000}), 202)


async def test_a_subscriber_who_is_busy_is_told_so(api: Api, saver: Saver, prompter: Prompter) -> None:
    api.emulator.faults.next(Flow.STK, Fault.HTTP_ERROR, code="500.001.1001")
    asked = await prompter.ask(saver)
    await api.work()
    read = await prompter.read(saver, asked)
    assert (read["state"], read["reason"]) == ("failed", "prompt_open")
    assert read["text"].startswith("Another M-PESA request was open on your phone.")


async def test_a_push_that_was_stopped_at_the_gate_is_sent_a_little_later(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    api.emulator.faults.next(Flow.STK, Fault.HTTP_ERROR, code="500.003.02")
    asked = await prompter.ask(saver)
    await api.work()
    assert await prompter.state(saver, asked) == ("requested", None)
    assert await prompter.column(asked, "submitting_at") is None
    await prompter.later(seconds=3)
    assert await prompter.state(saver, asked) == ("settled", None)


async def test_nothing_is_sent_while_safaricom_is_out_of_reach_and_later_it_is(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    api.emulator.faults.always(Flow.OAUTH, Fault.HTTP_ERROR)
    api.clock.advance(hours=1)
    asked = await prompter.ask(saver)
    await api.work()
    assert await prompter.state(saver, asked) == ("requested", None)
    assert await prompter.column(asked, "submitting_at") is None
    api.emulator.faults.clear()
    await prompter.later(seconds=60)
    assert await prompter.state(saver, asked) == ("settled", None)


async def test_a_prompt_that_could_not_be_sent_within_two_minutes_comes_as_no_surprise_later(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    asked = await prompter.ask(saver)
    await prompter.later(seconds=121)
    read = await prompter.read(saver, asked)
    assert (read["state"], read["reason"]) == ("failed", "not_sent")
    assert read["text"].startswith("The prompt could not be sent in time.")
    assert pushes(api, saver) == 0


async def test_the_same_amount_again_waits_until_mpesa_would_take_it(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    await prompter.ask(saver, 50_000)
    await api.work()
    second = await prompter.ask(saver, 50_000)
    await api.work()
    read = await prompter.read(saver, second)
    assert read["state"] == "requested"
    assert read["text"].startswith("M-PESA refuses the same amount twice within two minutes")
    assert pushes(api, saver) == 1
    refused = await saver.post("/mpesa/deposits", {"amount_cents": 60_000})
    assert refused.json()["code"] == "prompt_open"
    await prompter.later(seconds=122)
    assert await prompter.state(saver, second) == ("settled", None)
    assert await saver.holds() == (100_000, 0, 0)


async def test_a_number_that_is_no_longer_the_savers_is_not_prompted(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    asked = await prompter.ask(saver)
    await held_since(api, saver, hours=48)
    await api.new_saver(phone=saver.phone)
    await api.work()
    read = await prompter.read(saver, asked)
    assert (read["state"], read["reason"]) == ("failed", "number_unlinked")
    assert pushes(api, saver) == 0


async def held_since(api: Api, saver: Saver, *, hours: int) -> None:
    """Have a saver's number linked earlier than it was, so that a new proof is newer."""
    since = api.clock.now() - timedelta(hours=hours)
    await api.alter("UPDATE savings.mpesa_accounts SET linked_at = $2 WHERE saver_id = $1", saver.id, since)


# Workers that die, and several of them


async def test_a_worker_that_dies_before_it_sends_leaves_it_to_the_next(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    asked = await prompter.ask(saver)
    (leased,) = await claim(api)
    assert leased.id == UUID(asked["id"])
    await api.work()
    assert await prompter.state(saver, asked) == ("requested", None)
    await prompter.later(seconds=61)
    assert await prompter.state(saver, asked) == ("settled", None)


async def test_a_worker_that_dies_while_it_sends_leaves_a_doubt_and_no_second_prompt(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    asked = await prompter.ask(saver)
    (leased,) = await claim(api)

    async def begin(tx: Tx) -> bool:
        now = api.clock.now()
        return await step_queries.mark_submitting(tx, leased, now=now, open_until=now + 2 * MINUTE)

    assert await api.db.unit_of_work(begin, role=Role.SYSTEM)
    await prompter.later(seconds=61)
    assert await prompter.state(saver, asked) == ("unresolved", "lost")
    await prompter.later(minutes=5)
    assert pushes(api, saver) == 0
    await prompter.pay(await prompter.intent(asked), receipt=new_receipt())
    assert await prompter.state(saver, asked) == ("settled", None)


async def test_a_worker_that_lost_its_lease_changes_nothing(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    asked = await prompter.ask(saver)
    (stale,) = await claim(api)
    api.clock.advance(seconds=61)
    (fresh,) = await claim(api)
    now = api.clock.now()

    async def write(tx: Tx) -> bool:
        await steps.postpone(tx, stale, Postponement(now, "Late", dead=True))
        await steps.take_back(tx, stale, due_at=now + MINUTE, error="late")
        await step_queries.rest(tx, stale, until=None)
        return await step_queries.mark_submitting(tx, stale, now=now, open_until=now + 2 * MINUTE)

    assert not await api.db.unit_of_work(write, role=Role.SYSTEM)
    assert await prompter.column(asked, "lease_id") == fresh.lease_id
    assert await prompter.column(asked, "dead_at") is None


async def test_one_that_was_taken_back_while_it_was_leased_is_not_sent(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    asked = await prompter.ask(saver)
    (leased,) = await claim(api)

    async def give_up(tx: Tx) -> bool:
        await users.lock_saver(tx, saver_id=saver.id)
        intent = await intents.find(tx, saver_id=saver.id, intent_id=UUID(asked["id"]))
        assert intent is not None
        return await intents.cancel_requested(tx, intent, reason="skipped", now=api.clock.now())

    assert await api.db.unit_of_work(give_up, role=Role.SYSTEM)
    sends, _ = prompter.jobs()
    await sends.work(leased)
    assert await prompter.state(saver, asked) == ("failed", "skipped")
    assert pushes(api, saver) == 0


@pytest.mark.parametrize(
    ("told", "state"),
    [({"code": 1032}, ("failed", "cancelled")), ({"cents": 60_000}, ("unresolved", "amount_mismatch"))],
    ids=str,
)
async def test_one_that_moved_on_while_it_was_leased_is_not_asked_after(
    api: Api, saver: Saver, prompter: Prompter, told: dict[str, int], state: tuple[str, str]
) -> None:
    asked = await prompter.prompted(saver)
    api.clock.advance(seconds=91)
    _, asks = prompter.jobs()
    now = api.clock.now()

    async def take(tx: Tx) -> list[DueIntent]:
        return list(await steps.claim_checks(tx, Claim(new_id(), now, now + MINUTE, 100)))

    leased = await api.db.unit_of_work(take, role=Role.SYSTEM)
    (mine,) = [row for row in leased if row.id == UUID(asked["id"])]
    await prompter.tell(prompter.handle(saver), **told)
    due_at = await prompter.column(asked, "due_at")
    await asks.work(mine)
    assert await prompter.state(saver, asked) == state
    assert await prompter.column(asked, "due_at") == due_at


async def test_the_handle_of_a_push_is_recorded_once(api: Api, saver: Saver, prompter: Prompter) -> None:
    asked = await prompter.prompted(saver)
    before, taken = await prompter.intent(asked), await prompter.steps(asked)
    keys = await api.runtime.service_keys.keys()

    async def again(tx: Tx) -> None:
        row = await users.lock_saver(tx, saver_id=saver.id)
        data_key = users.data_key_of(row, api.runtime.keyring)
        await steps.prompt(
            tx,
            before,
            checkout_request_id="ws_CO_other",
            index=keys.index,
            key=data_key,
            now=api.clock.now(),
        )

    await api.db.unit_of_work(again, role=Role.SYSTEM)
    assert (await prompter.intent(asked), await prompter.steps(asked)) == (before, taken)


async def test_a_reply_that_comes_after_the_lease_is_over_ends_the_doubt(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    await prompter.leave_open(saver)
    api.emulator.faults.next(Flow.STK, Fault.SLOW_REPLY, seconds=1)
    asked = await prompter.ask(saver)
    sends, _ = prompter.jobs()
    sending = asyncio.create_task(run_round(sends, database=api.db, clock=api.clock))
    while pushes(api, saver) == 0:  # noqa: ASYNC110 (the emulator tells nobody)
        await asyncio.sleep(0.01)
    api.clock.advance(seconds=121)
    await run_round(sends, database=api.db, clock=api.clock)
    assert await prompter.state(saver, asked) == ("unresolved", "lost")
    await sending
    assert await prompter.state(saver, asked) == ("prompted", None)
    assert pushes(api, saver) == 1


async def test_of_several_workers_one_sends(api: Api, saver: Saver, prompter: Prompter) -> None:
    asked = await prompter.ask(saver)
    sends, _ = prompter.jobs()
    await asyncio.gather(*(run_round(sends, database=api.db, clock=api.clock) for _ in range(4)))
    await api.work()
    assert pushes(api, saver) == 1
    assert await prompter.state(saver, asked) == ("settled", None)


async def test_one_that_fails_again_and_again_is_left_to_a_person_visibly(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    asked = await prompter.ask(saver)
    (leased,) = await claim(api)

    async def put_off(tx: Tx) -> None:
        await steps.postpone(tx, leased, Postponement(api.clock.now(), "ValueError", dead=True))

    await api.db.unit_of_work(put_off, role=Role.SYSTEM)
    await api.work()
    assert await prompter.state(saver, asked) == ("requested", None)
    assert await prompter.column(asked, "last_error") == "ValueError"
    async with api.db.transaction(Role.SYSTEM) as tx:
        assert (await steps.count_prompts(tx, api.clock.now())).dead == 1
    await api.alter("UPDATE savings.intents SET dead_at = NULL WHERE id = $1", UUID(asked["id"]))


# Asking


async def test_a_silent_prompt_is_asked_after_and_its_success_credited(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    asked = await silent(api, prompter, saver)
    await prompter.later(seconds=89)
    assert await prompter.state(saver, asked) == ("prompted", None)
    await prompter.later(seconds=2)
    read = await prompter.read(saver, asked)
    assert (read["state"], read["receipt"]) == ("settled", None)
    assert await saver.holds() == (50_000, 0, 0)
    (row,) = await saver.feed()
    assert row["receipt"] is None


async def test_the_receipt_that_a_query_could_not_tell_is_attached_when_it_comes(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    asked = await silent(api, prompter, saver)
    await prompter.later(seconds=91)
    await prompter.pay(await prompter.intent(asked), receipt=(receipt := new_receipt()))
    assert (await prompter.read(saver, asked))["receipt"] == receipt
    (row,) = await saver.feed()
    assert row["receipt"] == receipt
    assert await saver.holds() == (50_000, 0, 0)
    await prompter.later(hours=25)
    assert await breaks_of(api, asked) == []


async def test_a_receipt_that_does_not_come_for_a_day_is_a_break_until_it_does(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    asked = await silent(api, prompter, saver)
    await prompter.later(seconds=91)
    await prompter.later(hours=25)
    assert await breaks_of(api, asked) == [("prompt_unresolved", 50_000, True)]
    await prompter.pull(await prompter.intent(asked), receipt=new_receipt())
    assert await breaks_of(api, asked) == [("prompt_unresolved", 50_000, False)]
    assert await saver.holds() == (50_000, 0, 0)


async def test_a_query_that_says_no_fails_it_and_the_callback_that_says_yes_still_counts(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    asked = await silent(api, prompter, saver)
    api.emulator.faults.next(Flow.QUERY, Fault.CONTRADICT)
    await prompter.later(seconds=91)
    assert await prompter.state(saver, asked) == ("failed", "no_answer")
    (push,) = [each for each in api.emulator._core.records.pushes.values() if each.msisdn == saver.phone]
    await prompter.tell(push.checkout_request_id)
    assert await prompter.state(saver, asked) == ("settled", None)
    assert await saver.holds() == (50_000, 0, 0)


@pytest.mark.parametrize(
    "fault", [Fault.PENDING_BY_CODE, Fault.NOT_FOUND, Fault.HTTP_ERROR, Fault.CUT_BEFORE]
)
async def test_what_is_not_definite_is_asked_again_ever_less_often(
    api: Api, saver: Saver, prompter: Prompter, fault: Fault
) -> None:
    asked = await prompter.prompted(saver)
    api.emulator.faults.always(Flow.QUERY, fault)
    prompted_at: datetime = await prompter.column(asked, "prompted_at")
    gaps: list[timedelta] = []
    for _ in range(12):
        due_at: datetime = await prompter.column(asked, "due_at")
        gaps.append(due_at - api.clock.now())
        api.clock.advance(due_at - api.clock.now() + timedelta(seconds=1))
        await api.work()
        assert await prompter.state(saver, asked) == ("prompted", None)
    assert prompted_at + timedelta(seconds=90) - api.clock.now() < timedelta()
    assert timedelta(seconds=25) < min(gaps[1:])
    assert gaps[-1] > 20 * MINUTE
    assert max(gaps) <= 30 * MINUTE
    await api.alter("UPDATE savings.intents SET due_at = NULL WHERE id = $1", UUID(asked["id"]))


@pytest.mark.parametrize("code", [26, 9999, "NEW_CODE", "0x1 weird"])
async def test_a_code_that_says_nothing_certain_is_asked_after_at_once(
    api: Api, saver: Saver, prompter: Prompter, code: int | str
) -> None:
    asked = await prompter.prompted(saver)
    await prompter.tell(prompter.handle(saver), code=code)
    assert (await prompter.state(saver, asked))[0] == "unresolved"
    assert await prompter.column(asked, "due_at") <= api.clock.now()
    assert saver.phone is not None
    await api.emulator.answer(saver.phone, "approve")
    await api.work()
    assert await prompter.state(saver, asked) == ("settled", None)
    assert await saver.holds() == (50_000, 0, 0)


@pytest.mark.parametrize("lacking", ["Amount", "MpesaReceiptNumber"])
async def test_a_yes_that_lacks_amount_or_receipt_proves_too_little_and_is_asked_after(
    api: Api, saver: Saver, prompter: Prompter, lacking: str
) -> None:
    asked = await silent(api, prompter, saver)
    (push,) = [each for each in api.emulator._core.records.pushes.values() if each.msisdn == saver.phone]
    await prompter.tell(push.checkout_request_id, **{lacking: None})
    assert await prompter.state(saver, asked) == ("unresolved", "incomplete")
    assert await saver.holds() == (0, 0, 0)
    await api.work()
    assert await prompter.state(saver, asked) == ("settled", None)
    assert await saver.holds() == (50_000, 0, 0)


async def test_what_nobody_can_say_for_a_day_is_a_break_and_money_that_comes_still_counts(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    asked = await prompter.prompted(saver)
    api.emulator.faults.always(Flow.QUERY, Fault.NOT_FOUND)
    await prompter.later(hours=24)
    read = await prompter.read(saver, asked)
    assert (read["state"], read["reason"]) == ("unresolved", "not_heard")
    assert read["text"].startswith("M-PESA has not told us for a day")
    assert await breaks_of(api, asked) == [("prompt_unresolved", 50_000, True)]
    assert await prompter.column(asked, "due_at") is None
    await prompter.tell(prompter.handle(saver))
    assert await prompter.state(saver, asked) == ("settled", None)
    assert await saver.holds() == (50_000, 0, 0)
    assert await breaks_of(api, asked) == [("prompt_unresolved", 50_000, False)]


async def test_a_push_without_a_handle_cannot_be_asked_after_and_rests_until_its_day_is_over(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    await prompter.leave_open(saver)
    api.emulator.faults.next(Flow.STK, Fault.CUT_AFTER)
    asked = await prompter.ask(saver)
    await api.work()
    await api.alter(
        "UPDATE savings.intents SET due_at = $2 WHERE id = $1", UUID(asked["id"]), api.clock.now()
    )
    await api.work()
    assert await prompter.state(saver, asked) == ("unresolved", "lost")
    assert await prompter.column(asked, "due_at") == await prompter.column(asked, "expires_at")


async def test_a_push_whose_reply_was_lost_is_a_break_after_a_day_too(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    await prompter.leave_open(saver)
    api.emulator.faults.next(Flow.STK, Fault.CUT_AFTER)
    asked = await prompter.ask(saver)
    await api.work()
    await prompter.later(hours=25)
    assert await prompter.state(saver, asked) == ("unresolved", "not_heard")
    assert await breaks_of(api, asked) == [("prompt_unresolved", 50_000, True)]
    await prompter.tell(prompter.handle(saver), code=1032)
    await prompter.later(hours=1)
    assert await prompter.state(saver, asked) == ("unresolved", "not_heard")


async def test_a_failure_that_is_heard_of_late_closes_the_break(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    asked = await prompter.prompted(saver)
    api.emulator.faults.always(Flow.QUERY, Fault.NOT_FOUND)
    await prompter.later(hours=24)
    await prompter.tell(prompter.handle(saver), code=1032)
    assert await prompter.state(saver, asked) == ("failed", "cancelled")
    assert await breaks_of(api, asked) == [("prompt_unresolved", 50_000, False)]


async def test_a_contradiction_is_given_up_like_any_other_when_its_day_is_over(
    api: Api, saver: Saver, prompter: Prompter
) -> None:
    asked = await prompter.prompted(saver)
    await prompter.tell(prompter.handle(saver), cents=60_000)
    await prompter.later(hours=25)
    assert await prompter.state(saver, asked) == ("unresolved", "amount_mismatch")
    assert await prompter.column(asked, "due_at") is None
    assert await breaks_of(api, asked) == [("prompt_unresolved", 50_000, True)]


async def test_the_worker_counts_what_waits(api: Api, saver: Saver, prompter: Prompter) -> None:
    await prompter.ask(saver)
    async with api.db.transaction(Role.SYSTEM) as tx:
        waiting = await steps.count_prompts(tx, api.clock.now())
        checks = await steps.count_checks(tx, api.clock.now())
    assert waiting.due == 1
    assert waiting.oldest_due_at is not None
    assert checks.due == 0
    await api.work()


# Collections


@pytest.fixture
def collector(api: Api) -> Collector:
    return Collector(api)


async def collected(api: Api, saver: Saver, collector: Collector) -> Json:
    """Have KES 100 of round-ups wait and be asked for; returns the collection."""
    await collector.noon()
    await collector.wait(saver, 6_000, 4_000)
    collection = await collector.ask(saver)
    await api.work()
    return collection


async def test_a_collection_is_prompted_and_paid_like_a_deposit(
    api: Api, saver: Saver, prompter: Prompter, collector: Collector
) -> None:
    collection = await collected(api, saver, collector)
    assert (await collector.read(saver, collection))["state"] == "settled"
    assert await saver.holds() == (0, 10_000, 0)
    (row,) = await api.rows("SELECT id, goal_id FROM savings.deposits WHERE saver_id = $1", saver.id)
    assert (row["id"], row["goal_id"]) == (UUID(collection["id"]), None)


async def test_a_collection_waits_for_a_deposit_that_is_open(
    api: Api, saver: Saver, prompter: Prompter, collector: Collector
) -> None:
    await collector.noon()
    await collector.wait(saver, 10_000)
    collection = await collector.announced(saver)
    deposit = await prompter.prompted(saver, 20_000)
    await prompter.later(seconds=65)
    assert (await collector.read(saver, collection))["state"] == "requested"
    assert pushes(api, saver) == 1
    assert saver.phone is not None
    await api.emulator.answer(saver.phone, "cancel")
    await api.work()
    assert await prompter.state(saver, deposit) == ("failed", "cancelled")
    await prompter.later(seconds=70)
    assert pushes(api, saver) == 2


async def test_a_collection_nobody_can_tell_of_lets_its_round_ups_go_only_after_a_pull_showed_nothing(
    api: Api, saver: Saver, prompter: Prompter, collector: Collector
) -> None:
    await prompter.leave_open(saver)
    collection = await collected(api, saver, collector)
    api.emulator.faults.always(Flow.QUERY, Fault.NOT_FOUND)
    api.emulator.faults.always(Flow.PULL, Fault.HTTP_ERROR)
    await prompter.later(hours=24)
    read = await collector.read(saver, collection)
    assert read["state"] not in {"settled", "failed"}
    intent_id = await intent_of(api, collection)
    rows = await api.rows(
        "SELECT kind FROM mpesa.breaks WHERE subject = $1 AND closed_at IS NULL", f"intent:{intent_id}"
    )
    assert [row["kind"] for row in rows] == ["collection_unresolved"]
    bound = "SELECT count(*) AS bound FROM savings.accruals WHERE collection_id = $1"
    assert (await api.rows(bound, UUID(collection["id"])))[0]["bound"] == 2
    await api.alter(
        "INSERT INTO mpesa.pulls (shortcode, registered_at, pulled_until) VALUES ('600000', $1, $1)"
        " ON CONFLICT (shortcode) DO UPDATE SET pulled_until = $1",
        api.clock.now(),
    )
    await prompter.later(minutes=11)
    assert (await api.rows(bound, UUID(collection["id"])))[0]["bound"] == 0
    assert (await saver.wallet())["waiting_cents"] == 10_000


async def intent_of(api: Api, collection: Json) -> UUID:
    (row,) = await api.rows("SELECT intent_id FROM savings.collections WHERE id = $1", UUID(collection["id"]))
    return row["intent_id"]


async def test_a_collection_that_a_query_settled_gets_its_receipt(
    api: Api, saver: Saver, prompter: Prompter, collector: Collector
) -> None:
    api.emulator.faults.next(Flow.STK, Fault.LOSE_CALLBACK)
    collection = await collected(api, saver, collector)
    await prompter.later(seconds=91)
    assert (await collector.read(saver, collection))["state"] == "settled"
    intent = await prompter.intent({"id": str(await intent_of(api, collection))})
    assert intent.receipt is None
    await prompter.pay(intent, receipt=(receipt := new_receipt()), cents=10_000)
    assert await saver.holds() == (0, 10_000, 0)
    (row,) = await saver.feed(type="deposit")
    assert row["receipt"] == receipt
