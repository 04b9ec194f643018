"""Work that was given up: named as a break at once, alive again at an operator's word or by what happens meanwhile."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import pytest

from tests.mpesa.callbacks import body_of, path_of
from tests.support.app import Api
from tests.support.collecting import Collector
from tests.support.payouts import payer, until_it_ends, withdrawing
from tests.support.prompts import Prompter
from tests.support.savers import Saver, new_receipt
from zanari_api.mpesa import given_up, reversal_acts
from zanari_api.mpesa.inbox import CallbackKind
from zanari_api.mpesa.reversal_acts import Asked
from zanari_api.runtime.db import Role, Tx
from zanari_api.runtime.jobs import RowJob, run_round
from zanari_api.worker import work_of


@dataclass(frozen=True, slots=True)
class Undertaker:
    """Gives rows up as a worker does, and sees what is said of them."""

    api: Api

    def job(self, name: str) -> RowJob[Any]:
        return next(job for job in work_of(self.api.app.state.parts).jobs if job.name == name)

    async def give_up(self, name: str) -> None:
        """Have the job fail at all that is due now, for the last time."""

        async def fail(_row: object) -> None:
            raise ArithmeticError("a bug")

        broken = replace(self.job(name), work=fail, attempts_max=1)
        assert await run_round(broken, database=self.api.db, clock=self.api.clock)

    async def breaks(self, name: str, row_id: UUID) -> list[dict[str, Any]]:
        rows = await self.api.rows(
            "SELECT * FROM mpesa.breaks WHERE kind = 'work_given_up' AND subject = $1 ORDER BY opened_at",
            f"{name}:{row_id}",
        )
        return [dict(row) for row in rows]

    async def is_named(self, name: str, row_id: UUID) -> bool:
        """Tell whether an open break names the row."""
        return any(each["closed_at"] is None for each in await self.breaks(name, row_id))

    async def is_dead(self, name: str, row_id: UUID) -> bool:
        async with self.api.db.transaction(Role.SYSTEM) as tx:
            listed = [row.id for row in await self.job(name).list_dead(tx)]
            assert (await self.job(name).count(tx, self.api.clock.now())).dead == len(listed)
        return row_id in listed

    async def revive(self, name: str, row_id: UUID) -> bool:
        async def bring_back(tx: Tx) -> bool:
            return await given_up.revive(
                tx,
                self.job(name),
                row_id,
                operator="wanjiku",
                reason="the bug is mended",
                now=self.api.clock.now(),
            )

        return await self.api.db.unit_of_work(bring_back, role=Role.SYSTEM)

    async def look(self) -> None:
        """Let the schedule come round."""
        self.api.clock.advance(minutes=6)
        await self.api.work()


@pytest.fixture
def bury(api: Api) -> Undertaker:
    return Undertaker(api)


@pytest.fixture(autouse=True)
async def nothing_else(api: Api, bury: Undertaker) -> None:
    """Begin with nothing dead and nothing due: a job takes what it finds."""
    api.emulator.faults.clear()
    for name in [job.name for job in work_of(api.app.state.parts).jobs]:
        async with api.db.transaction(Role.SYSTEM) as tx:
            dead = [row.id for row in await bury.job(name).list_dead(tx)]
        for row_id in dead:
            await bury.revive(name, row_id)
    await api.work()


async def unsent(api: Api) -> UUID:
    """Return a payout that was taken on and not sent."""
    return (await withdrawing(await payer(api))).id


async def silent(api: Api) -> UUID:
    """Return an intent whose prompt is due to be asked after."""
    prompter = Prompter(api)
    asked = await prompter.prompted(await api.new_saver())
    api.clock.advance(minutes=2)
    return UUID(asked["id"])


async def requested(api: Api) -> UUID:
    """Return an intent whose prompt is due to be sent."""
    return UUID((await Prompter(api).ask(await api.new_saver()))["id"])


async def in_doubt(api: Api) -> UUID:
    """Return a payout that is due to be asked about."""
    api.emulator.faults.next("b2c", "lose_callback")
    payout = await withdrawing(await payer(api))
    await api.work()
    api.clock.advance(minutes=3)
    return payout.id


async def waiting(api: Api) -> UUID:
    """Return a saver whose round-ups are due to be collected."""
    saver = await api.new_saver()
    collect = Collector(api)
    await collect.noon()
    await api.work()
    await collect.wait(saver, 10_000)
    return saver.id


async def asked_back(api: Api) -> UUID:
    """Return a reversal that is due to be sent."""
    receipt = await (await api.new_saver()).deposit(50_000)

    async def ask(tx: Tx) -> Asked:
        return await reversal_acts.request(
            tx, receipt=receipt, operator="wanjiku", evidence="ticket", now=api.clock.now()
        )

    assert await api.db.unit_of_work(ask, role=Role.SYSTEM) is Asked.REQUESTED
    (row,) = await api.rows("SELECT id FROM mpesa.reversals WHERE receipt = $1", receipt)
    return row["id"]


CASES: dict[str, tuple[Callable[[Api], Awaitable[UUID]], int]] = {
    "prompts": (requested, 50_000),
    "prompt_checks": (silent, 50_000),
    "payout_submission": (unsent, 50_000),
    "payout_checks": (in_doubt, 50_000),
    "collections": (waiting, 0),
    "reversals": (asked_back, 50_000),
}


def test_every_job_of_money_is_a_case(api: Api) -> None:
    jobs = {job.name for job in work_of(api.app.state.parts).jobs}
    # What those two give up moves no money, and has a gauge of its own.
    assert jobs - {"callbacks", "notices"} == set(CASES)


@pytest.mark.parametrize("name", CASES)
async def test_a_row_that_is_given_up_is_a_break_until_an_operator_revives_it(
    api: Api, bury: Undertaker, name: str
) -> None:
    make, cents = CASES[name]
    row_id, before = await make(api), api.clock.now()
    await bury.give_up(name)
    assert await bury.is_dead(name, row_id)
    (found,) = await bury.breaks(name, row_id)
    assert before <= found["opened_at"] <= api.clock.now()
    assert (found["amount_cents"], found["closed_at"]) == (cents, None)
    assert found["suspected_cause"].endswith("ArithmeticError")
    assert found["command"].startswith(f"zanari jobs revive {name} {row_id} --reason")

    # It stays so, and keeps its age, however often the worker looks.
    await bury.look()
    (kept,) = await bury.breaks(name, row_id)
    assert (kept["closed_at"], kept["opened_at"]) == (None, found["opened_at"])
    assert kept["last_seen_at"] > found["last_seen_at"]

    others = [other for other in CASES if other != name]
    assert [await bury.revive(other, row_id) for other in others] == [False] * len(others)
    assert await bury.revive(name, row_id)
    (closed,) = await bury.breaks(name, row_id)
    assert closed["closed_because"] == "wanjiku revived it: the bug is mended"
    assert not await bury.is_dead(name, row_id)
    assert not await bury.revive(name, row_id)
    acts = await api.rows(
        "SELECT operator, act, reason FROM runtime.audit_log WHERE subject = $1", f"{name}:{row_id}"
    )
    assert [tuple(act) for act in acts] == [("wanjiku", "work_revived", "the bug is mended")]
    # The worker works on it again.
    assert await run_round(bury.job(name), database=api.db, clock=api.clock)


async def test_a_payout_that_was_never_sent_is_paid_once_it_is_revived(api: Api, bury: Undertaker) -> None:
    payout = await withdrawing(await payer(api))
    await bury.give_up("payout_submission")
    await bury.look()
    assert await payout.state() == "requested"
    assert await bury.revive("payout_submission", payout.id)
    assert await until_it_ends(payout) == "settled"
    assert payout.paid_by_safaricom() == 1
    assert not await bury.is_named("payout_submission", payout.id)


async def test_one_that_fails_again_after_it_was_revived_is_a_new_break(api: Api, bury: Undertaker) -> None:
    payout_id = await unsent(api)
    await bury.give_up("payout_submission")
    assert await bury.revive("payout_submission", payout_id)
    api.clock.advance(minutes=1)
    await bury.give_up("payout_submission")
    first, second = await bury.breaks("payout_submission", payout_id)
    assert first["closed_at"] is not None
    assert second["closed_at"] is None
    assert second["opened_at"] > first["closed_at"]


async def test_a_break_closes_by_itself_when_its_row_needs_no_work_any_more(
    api: Api, saver: Saver, bury: Undertaker
) -> None:
    prompter = Prompter(api)
    asked = await prompter.prompted(saver)
    api.clock.advance(minutes=2)
    await bury.give_up("prompt_checks")
    intent = await prompter.intent(asked)
    await prompter.pay(intent, receipt=new_receipt())
    assert not await bury.is_dead("prompt_checks", intent.id)
    await bury.look()
    (closed,) = await bury.breaks("prompt_checks", intent.id)
    assert closed["closed_because"] == "it is worked on again, or needs no work any more"


@pytest.mark.parametrize("code", [1032, 9999])
async def test_a_prompt_that_safaricom_tells_of_after_all_is_not_dead_any_more(
    api: Api, saver: Saver, bury: Undertaker, code: int
) -> None:
    prompter = Prompter(api)
    asked = await prompter.prompted(saver)
    api.clock.advance(minutes=2)
    await bury.give_up("prompt_checks")
    await prompter.tell(prompter.handle(saver), code=code)
    assert not await bury.is_dead("prompt_checks", UUID(asked["id"]))
    assert await prompter.column(asked, "dead_at") is None


async def test_a_break_that_was_closed_by_hand_comes_back_while_its_row_is_dead(
    api: Api, bury: Undertaker
) -> None:
    payout_id = await unsent(api)
    await bury.give_up("payout_submission")
    await api.alter(
        "UPDATE mpesa.breaks SET closed_at = opened_at, closed_because = 'a slip' WHERE subject = $1",
        f"payout_submission:{payout_id}",
    )
    await bury.look()
    assert await bury.is_named("payout_submission", payout_id)


async def test_round_ups_of_a_prompt_that_was_given_up_are_free_again_once_it_is_revived(
    api: Api, saver: Saver, bury: Undertaker
) -> None:
    collect = Collector(api)
    assert saver.phone is not None
    await api.emulator.set_handset(saver.phone, behaviour="cancel")
    await collect.noon()
    await api.work()
    await collect.wait(saver, 10_000)
    collection = await collect.ask(saver)
    api.emulator.faults.next("stk", "lose_callback")
    await api.work()
    (row,) = await api.rows(
        "SELECT id FROM savings.intents WHERE saver_id = $1 AND purpose = 'collection'", saver.id
    )
    api.clock.advance(minutes=2)
    await bury.give_up("prompt_checks")
    for _ in range(3):
        await bury.look()
    assert (await collect.read(saver, collection))["state"] == "prompted"
    assert await bury.is_named("prompt_checks", row["id"])
    assert await bury.revive("prompt_checks", row["id"])
    await api.work()
    assert (await collect.read(saver, collection))["state"] == "failed"


async def test_a_callback_that_was_given_up_has_its_quarantine_and_is_revived_from_it(
    api: Api, saver: Saver, bury: Undertaker
) -> None:
    body = body_of(CallbackKind.C2B_CONFIRMATION, BillRefNumber=saver.member_code, TransAmount="70.00")
    await api.alter("ALTER TABLE savings.savers RENAME COLUMN member_code TO mistaken")
    try:
        await api.call_back(path_of(CallbackKind.C2B_CONFIRMATION), body)
    finally:
        await api.alter("ALTER TABLE savings.savers RENAME COLUMN mistaken TO member_code")
    api.clock.advance(minutes=20)
    await bury.give_up("callbacks")
    (row,) = await api.rows("SELECT id, outcome FROM mpesa.callbacks WHERE dead_at IS NOT NULL")
    assert row["outcome"] == "quarantined"
    assert await bury.is_dead("callbacks", row["id"])
    assert await bury.breaks("callbacks", row["id"]) == []
    assert await bury.revive("callbacks", row["id"])
    assert not await bury.revive("callbacks", row["id"])
    await api.work()
    assert await saver.holds() == (7_000, 0, 0)
