"""`zanari jobs`: an operator sees what was given up, and brings it back to life under a name and with a reason."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from tests.cli.conftest import CommandBeside
from tests.support.app import Api
from tests.support.payouts import Withdrawing, payer, until_it_ends, withdrawing
from tests.support.pins import OTHER_PIN, put_pin, signed_in, with_pin
from tests.support.savers import Saver, answered
from zanari_api.runtime.jobs import run_round
from zanari_api.sandbox.sms import SmsFault
from zanari_api.worker import work_of

REASON = ("--reason", "the bug is mended")


async def given_up(api: Api) -> Withdrawing:
    """Return a payout that was never sent, and that the worker has given up."""
    payout = await withdrawing(await payer(api))

    async def fail(_row: object) -> None:
        raise ArithmeticError("a bug")

    jobs = {job.name: job for job in work_of(api.app.state.parts).jobs}
    broken = replace(jobs["payout_submission"], work=fail, attempts_max=1)
    assert await run_round(broken, database=api.db, clock=api.clock) == 1
    return payout


async def acts(api: Api, payout: Withdrawing) -> list[tuple[str, str, str]]:
    rows = await api.rows(
        "SELECT operator, act, reason FROM runtime.audit_log WHERE subject = $1",
        f"payout_submission:{payout.id}",
    )
    return [(row["operator"], row["act"], row["reason"]) for row in rows]


async def test_what_was_given_up_is_listed_and_revived_once(api: Api, operator: CommandBeside) -> None:
    quiet = await operator("jobs", "list")
    assert quiet.code == 0, quiet.err
    assert quiet.out.splitlines()[-1] == "No row is dead."
    assert {"prompts", "payout_checks", "callbacks"} <= {line.split()[0] for line in quiet.out.splitlines()}

    payout = await given_up(api)
    listed = await operator("jobs", "list")
    assert listed.code == 1
    assert ["payout_submission", "0", "1"] in [line.split() for line in listed.out.splitlines()]
    (line,) = [line for line in listed.out.splitlines() if str(payout.id) in line]
    assert "KES 500" in line
    assert "ArithmeticError" in line
    named = await operator("breaks", "list")
    assert f"zanari jobs revive payout_submission {payout.id}" in named.out

    revive = ("jobs", "revive", "payout_submission", str(payout.id), *REASON)
    done = await operator(*revive)
    assert done.code == 0, done.err
    assert done.out.startswith(f"{payout.id} is due again")
    assert await acts(api, payout) == [("wanjiku", "work_revived", "the bug is mended")]
    assert str(payout.id) not in (await operator("breaks", "list")).out
    again = await operator(*revive)
    assert again.failure == f"payout_submission has no dead row {payout.id}: nothing was changed"
    assert len(await acts(api, payout)) == 1
    assert await until_it_ends(payout) == "settled"
    assert payout.paid_by_safaricom() == 1


async def test_a_notice_that_the_gateway_refused_is_listed_and_goes_when_it_is_revived(
    api: Api, saver: Saver, operator: CommandBeside
) -> None:
    await with_pin(saver)
    answered(await put_pin(signed_in(saver), OTHER_PIN))
    api.handsets.faults.append(SmsFault.REFUSE)
    await api.work()
    listed = await operator("jobs", "list")
    assert listed.code == 1
    (line,) = [line for line in listed.out.splitlines() if "GatewayRefused" in line]
    assert str(saver.phone)[3:] not in listed.out
    done = await operator("jobs", "revive", "notices", line.split()[1], *REASON)
    assert done.code == 0, done.err
    await api.work()
    assert len(api.handsets.received_by(str(saver.phone))) == 1
    assert (await operator("jobs", "list")).code == 0


async def test_only_a_dead_row_of_a_job_is_revived(api: Api, operator: CommandBeside) -> None:
    payout, nobody = await given_up(api), uuid4()
    other = await operator("jobs", "revive", "payout_checks", str(payout.id), *REASON)
    assert other.failure == f"payout_checks has no dead row {payout.id}: nothing was changed"
    unknown = await operator("jobs", "revive", "payout_submission", str(nobody), *REASON)
    assert unknown.failure == f"payout_submission has no dead row {nobody}: nothing was changed"
    no_job = await operator("jobs", "revive", "payments", str(payout.id), *REASON)
    assert no_job.failure.startswith("there is no job payments; there are: callbacks, collections, ")
    assert await acts(api, payout) == []
    assert (await payout.row())["dead_at"] is not None


async def test_reviving_needs_a_name_and_a_reason(
    api: Api, operator: CommandBeside, monkeypatch: pytest.MonkeyPatch
) -> None:
    revive = ("jobs", "revive", "payout_submission", str(UUID(int=1)))
    assert (await operator(*revive)).code == 2
    assert (await operator(*revive, "--reason", " ")).failure == "a reason has 1 to 1000 characters"
    monkeypatch.delenv("ZANARI_OPERATOR")
    assert "say who you are" in (await operator(*revive, *REASON)).failure
