"""Reversals that we ask Safaricom for: stored first, sent once, and decided by the result of what we asked alone."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.mpesa.reversing import Owing, result, take
from tests.support.app import SHORTCODE, Api
from tests.support.savers import Saver, new_receipt
from zanari_api.daraja.client import DarajaClient
from zanari_api.daraja.errors import DarajaRefused, Operation, RefusalReason
from zanari_api.daraja.observing import MetricsObserver
from zanari_api.daraja.requests import Accepted
from zanari_api.kit.ids import new_id
from zanari_api.mpesa import breaks, reversal_acts, reversal_queries
from zanari_api.mpesa.reversal_acts import Asked, Kept
from zanari_api.mpesa.reversal_jobs import reversal_job
from zanari_api.mpesa.reversal_queries import ClaimedReversal
from zanari_api.mpesa.taking_back import Result, TakenBack
from zanari_api.runtime.db import Role, Tx
from zanari_api.runtime.jobs import Claim, Postponement, RowJob
from zanari_api.sandbox.introduction import introduce

RESULT = "/reversal/result"
TIMEOUT = "/reversal/timeout"


@pytest.fixture(autouse=True)
async def no_faults(api: Api) -> None:
    api.emulator.faults.clear()


async def paid(api: Api, saver: Saver, cents: int = 50_000) -> str:
    """Have the saver pay our paybill in the emulator. Returns the receipt, booked in both sets of books."""
    assert saver.phone is not None
    await _introduced(api)
    payment = await api.emulator.pay_bill(
        amount_cents=cents, account_reference=saver.member_code, msisdn=saver.phone
    )
    await api.emulator.quiet()
    return payment.receipt


async def _introduced(api: Api) -> None:
    parts = api.app.state.parts
    await introduce(api.emulator, daraja=parts.daraja, config=parts.mpesa, database=api.db, clock=api.clock)


async def work(api: Api) -> None:
    """Do what is due, and a little later what a result left that overtook its reply."""
    await api.work()
    api.clock.advance(seconds=5)
    await api.work()


async def ask(api: Api, receipt: str) -> Asked:
    async def request(tx: Tx) -> Asked:
        return await reversal_acts.request(
            tx, receipt=receipt, evidence="paid to us in error", operator="wanjiku", now=api.clock.now()
        )

    return await api.db.unit_of_work(request, role=Role.SYSTEM)


async def keep(api: Api, receipt: str) -> Kept:
    async def work(tx: Tx) -> Kept:
        return await reversal_acts.keep(
            tx, receipt=receipt, evidence="the portal shows none", operator="wanjiku", now=api.clock.now()
        )

    return await api.db.unit_of_work(work, role=Role.SYSTEM)


async def by_hand(api: Api, receipt: str) -> TakenBack:
    async def work(tx: Tx) -> TakenBack:
        return await reversal_acts.reverse(
            tx,
            receipt=receipt,
            evidence="statement of today",
            operator="wanjiku",
            event_at=api.clock.now(),
            now=api.clock.now(),
        )

    return await api.db.unit_of_work(work, role=Role.SYSTEM)


async def state_of(api: Api, receipt: str) -> tuple[str, str | None]:
    (row,) = await api.rows(
        "SELECT state, reason FROM mpesa.reversals WHERE receipt = $1 ORDER BY requested_at DESC LIMIT 1",
        receipt,
    )
    return row["state"], row["reason"]


async def steps_of(api: Api, receipt: str) -> list[str]:
    rows = await api.rows(
        "SELECT e.state, e.cause FROM mpesa.reversal_events AS e JOIN mpesa.reversals AS r ON r.id = e.reversal_id"
        " WHERE r.receipt = $1 ORDER BY e.id",
        receipt,
    )
    return [f"{row['state']}: {row['cause']}" for row in rows]


async def breaks_about(api: Api, receipt: str) -> list[str]:
    async with api.db.transaction(Role.SYSTEM) as tx:
        return [each.kind for each in await breaks.list_open(tx) if each.subject == f"reversal:{receipt}"]


async def give_ids(api: Api, receipt: str, conversation_id: str) -> None:
    """Have the reversal stand as if its request was accepted under this id."""
    await api.alter(
        "UPDATE mpesa.reversals SET state = 'submitted', conversation_id = $2, submitting_at = $3, submitted_at = $3,"
        " due_at = expires_at WHERE receipt = $1",
        receipt,
        conversation_id,
        api.clock.now(),
    )


async def tell(api: Api, body: bytes, *, path: str = RESULT) -> str:
    """Deliver a callback; return what the inbox says became of it."""
    response = await api.call_back(path, body)
    assert response.status_code == 200
    rows = await api.rows(
        "SELECT outcome FROM mpesa.callbacks ORDER BY last_received_at DESC, id DESC LIMIT 1"
    )
    return rows[0]["outcome"]


def conversation() -> str:
    return f"AG_20261125_{new_receipt().lower()}"


# The way it goes


async def test_a_reversal_that_safaricom_makes_takes_the_deposit_back(api: Api, saver: Saver) -> None:
    receipt = await paid(api, saver)
    assert await ask(api, receipt) is Asked.REQUESTED
    assert await saver.holds() == (50_000, 0, 0)
    await work(api)
    assert await state_of(api, receipt) == ("settled", None)
    assert await saver.holds() == (0, 0, 0)
    assert await steps_of(api, receipt) == [
        "requested: operator",
        "submitting: worker",
        "submitted: accepted",
        "settled: result: 0",
    ]
    (kept,) = await api.rows(
        "SELECT r.cause, r.reversal_receipt FROM savings.deposit_reversals AS r JOIN savings.deposits AS d"
        " ON d.id = r.deposit_id WHERE d.receipt = $1",
        receipt,
    )
    assert kept["cause"] == "daraja"
    reversal = api.emulator.books.reversal_of(receipt)
    assert reversal is not None
    assert kept["reversal_receipt"] == reversal.receipt


async def test_the_request_is_sent_once_however_often_it_is_wished_for(api: Api, saver: Saver) -> None:
    receipt = await paid(api, saver)
    asked = await asyncio.gather(*(ask(api, receipt) for _ in range(5)))
    assert sorted(asked) == sorted([Asked.REQUESTED, *[Asked.UNDER_WAY] * 4])
    await work(api)
    assert await ask(api, receipt) is Asked.REVERSED_BEFORE
    assert len([step for step in await steps_of(api, receipt) if step.startswith("submitting")]) == 1


async def test_nothing_is_asked_for_what_is_no_deposit_of_ours(api: Api) -> None:
    assert await ask(api, new_receipt()) is Asked.UNKNOWN_RECEIPT


async def test_cents_cannot_be_asked_back(api: Api, saver: Saver) -> None:
    assert await ask(api, await saver.deposit(98_050)) is Asked.NOT_WHOLE_SHILLINGS


async def test_asking_is_written_into_the_audit_log(api: Api, saver: Saver) -> None:
    receipt = await saver.deposit(50_000)
    await ask(api, receipt)
    (act,) = await api.rows(
        "SELECT a.operator, a.reason FROM runtime.audit_log AS a JOIN savings.deposits AS d"
        " ON a.subject = 'deposit:' || d.id WHERE d.receipt = $1",
        receipt,
    )
    assert tuple(act) == ("wanjiku", "paid to us in error")


async def test_what_is_asked_for_is_told_to_no_saver_before_the_result(api: Api, saver: Saver) -> None:
    receipt = await saver.deposit(50_000)
    await ask(api, receipt)
    (row,) = await saver.feed()
    assert row["status"] == "completed"


# What Safaricom may do instead


@pytest.mark.parametrize(
    "fault",
    [
        "duplicate_callback",
        "result_first",
        "garbage_callback",
        "forged_unknown",
        "success_then_failure",
        "timeout_then_result",
        "failure_then_success",
    ],
)
async def test_a_success_counts_however_it_comes(api: Api, saver: Saver, fault: str) -> None:
    receipt = await paid(api, saver)
    api.emulator.faults.next("reversal", fault, seconds=1)
    await ask(api, receipt)
    await work(api)
    await api.emulator.drain()
    for _ in range(3):
        api.clock.advance(seconds=30)
        await work(api)
    assert (await state_of(api, receipt))[0] == "settled"
    assert await saver.holds() == (0, 0, 0)
    assert await breaks_about(api, receipt) == []


async def test_a_refusal_leaves_the_deposit_and_names_a_break(api: Api, saver: Saver) -> None:
    receipt = await paid(api, saver)
    api.emulator.faults.next("reversal", "fail_with", code="R000002")
    await ask(api, receipt)
    await work(api)
    assert await state_of(api, receipt) == ("failed", "no_such_transaction")
    assert await breaks_about(api, receipt) == ["reversal_failed"]
    assert await saver.holds() == (50_000, 0, 0)


async def test_a_payment_that_was_reversed_before_is_taken_back_here_too(api: Api, saver: Saver) -> None:
    receipt = await paid(api, saver)
    await api.emulator.reverse(receipt)
    await ask(api, receipt)
    await work(api)
    assert (await state_of(api, receipt))[0] == "settled"
    assert await saver.holds() == (0, 0, 0)


@pytest.mark.parametrize("code", ["17", "26", "100000002", "NEW_CODE"])
async def test_a_code_that_decides_nothing_leaves_it_unresolved(api: Api, saver: Saver, code: str) -> None:
    receipt = await paid(api, saver)
    api.emulator.faults.next("reversal", "fail_with", code=code)
    await ask(api, receipt)
    await work(api)
    assert (await state_of(api, receipt))[0] == "unresolved"
    assert await breaks_about(api, receipt) == ["reversal_unresolved"]
    assert await saver.holds() == (50_000, 0, 0)


async def test_a_reply_that_refuses_fails_it(api: Api, saver: Saver) -> None:
    receipt = await saver.deposit(50_000)
    await ask(api, receipt)
    api.emulator.faults.next("reversal", "http_error", code="400.002.02")
    await work(api)
    assert await state_of(api, receipt) == ("failed", "bad_request")


@pytest.mark.parametrize("fault", ["cut_after", "http_error_after"])
async def test_a_lost_reply_is_unresolved_until_its_result_comes_by_the_receipt(
    api: Api, saver: Saver, fault: str
) -> None:
    receipt = await paid(api, saver)
    api.emulator.faults.next("reversal", fault, code="500.002.1001")
    await ask(api, receipt)
    await work(api)
    for _ in range(3):
        api.clock.advance(seconds=30)
        await work(api)
    assert (await state_of(api, receipt))[0] == "settled"
    assert await saver.holds() == (0, 0, 0)
    assert await breaks_about(api, receipt) == []


async def test_a_lost_result_is_a_break_after_an_hour_and_a_late_one_still_counts(
    api: Api, saver: Saver
) -> None:
    receipt = await paid(api, saver)
    api.emulator.faults.next("reversal", "lose_callback")
    await ask(api, receipt)
    await work(api)
    assert await state_of(api, receipt) == ("submitted", None)
    assert await breaks_about(api, receipt) == []
    api.clock.advance(minutes=61)
    await work(api)
    assert await state_of(api, receipt) == ("unresolved", "no_result")
    assert await breaks_about(api, receipt) == ["reversal_unresolved"]
    assert await saver.holds() == (50_000, 0, 0)
    (row,) = await api.rows("SELECT conversation_id FROM mpesa.reversals WHERE receipt = $1", receipt)
    body = result(
        conversation_id=row["conversation_id"], parameters={"Amount": 500, "OriginalTransactionID": receipt}
    )
    assert await tell(api, body) == "settled"
    assert await saver.holds() == (0, 0, 0)
    assert await breaks_about(api, receipt) == []


async def test_a_timeout_notice_decides_nothing(api: Api, saver: Saver) -> None:
    receipt = await paid(api, saver)
    api.emulator.faults.next("reversal", "timeout_echo")
    await ask(api, receipt)
    await work(api)
    assert await state_of(api, receipt) == ("unresolved", "queue_timeout")
    assert await saver.holds() == (50_000, 0, 0)


async def test_what_could_not_be_sent_is_sent_later(api: Api, saver: Saver) -> None:
    receipt = await paid(api, saver)
    await ask(api, receipt)
    api.emulator.faults.always("oauth", "http_error", code="500.003.02")
    api.emulator.faults.next("reversal", "revoke_token")
    await work(api)
    assert await state_of(api, receipt) == ("requested", None)
    assert api.emulator.books.reversal_of(receipt) is None
    api.emulator.faults.clear()
    api.clock.advance(minutes=6)
    await work(api)
    assert (await state_of(api, receipt))[0] == "settled"


async def test_a_worker_that_died_over_it_leaves_it_unresolved_and_nothing_is_sent_again(
    api: Api, saver: Saver
) -> None:
    receipt = await paid(api, saver)
    await ask(api, receipt)
    await api.alter(
        "UPDATE mpesa.reversals SET state = 'submitting', submitting_at = now() WHERE receipt = $1", receipt
    )
    await work(api)
    assert await state_of(api, receipt) == ("unresolved", "no_reply")
    assert api.emulator.books.reversal_of(receipt) is None


# What a stranger, or a confused Safaricom, may say


async def test_a_success_for_something_we_never_asked_moves_nothing(api: Api, saver: Saver) -> None:
    receipt = await saver.deposit(50_000)
    body = result(
        conversation_id=conversation(), parameters={"Amount": 500, "OriginalTransactionID": receipt}
    )
    assert await tell(api, body) == "waiting"
    assert await saver.holds() == (50_000, 0, 0)


@pytest.mark.parametrize("parameters", [{"Amount": 400}, {"OriginalTransactionID": "TKOTHER001"}])
async def test_a_result_about_something_else_is_kept_for_a_person(
    api: Api, saver: Saver, parameters: dict[str, Any]
) -> None:
    receipt, id_ = await saver.deposit(50_000), conversation()
    await ask(api, receipt)
    await give_ids(api, receipt, id_)
    assert await tell(api, result(conversation_id=id_, parameters=parameters)) == "quarantined"
    assert await saver.holds() == (50_000, 0, 0)
    assert (await state_of(api, receipt))[0] == "submitted"


async def test_a_result_that_contradicts_itself_decides_nothing(api: Api, saver: Saver) -> None:
    receipt, id_ = await saver.deposit(50_000), conversation()
    await ask(api, receipt)
    await give_ids(api, receipt, id_)
    parameters = {
        "Amount": "500",
        "OriginalTransactionID": receipt,
        "TransCompletedTime": "20261125120000",
    }
    assert await tell(api, result(code="21", conversation_id=id_, parameters=parameters)) == "unresolved"
    assert await state_of(api, receipt) == ("unresolved", "contradictory")
    assert await saver.holds() == (50_000, 0, 0)


async def test_a_failure_after_the_success_changes_nothing(api: Api, saver: Saver) -> None:
    receipt, id_ = await saver.deposit(50_000), conversation()
    await ask(api, receipt)
    await give_ids(api, receipt, id_)
    assert await tell(api, result(conversation_id=id_)) == "settled"
    assert await tell(api, result(code="R000002", conversation_id=id_)) == "superseded"
    assert await tell(api, result(code=0, conversation_id=id_, transaction_id="TKAGAIN001")) == "duplicate"
    assert (await state_of(api, receipt))[0] == "settled"


async def test_the_originators_id_finds_it_too(api: Api, saver: Saver) -> None:
    receipt, id_ = await saver.deposit(50_000), conversation()
    await ask(api, receipt)
    await give_ids(api, receipt, id_)
    assert await tell(api, result(conversation_id=conversation(), originator=id_)) == "settled"


async def test_a_result_with_another_id_does_not_stand_in_for_the_one_we_know(api: Api, saver: Saver) -> None:
    receipt = await saver.deposit(50_000)
    await ask(api, receipt)
    await give_ids(api, receipt, conversation())
    body = result(
        conversation_id=conversation(), parameters={"OriginalTransactionID": receipt, "Amount": 500}
    )
    assert await tell(api, body) == "waiting"


@pytest.mark.parametrize("path", [RESULT, TIMEOUT])
async def test_what_cannot_be_read_is_kept_for_a_person(api: Api, path: str) -> None:
    assert await tell(api, b'{"hello": "%s"}' % new_receipt().encode(), path=path) == "quarantined"


async def test_a_timeout_notice_of_nothing_we_asked_waits(api: Api) -> None:
    body = json.dumps({"CommandID": "TransactionReversal", "TransactionID": new_receipt()}).encode()
    assert await tell(api, body, path=TIMEOUT) == "waiting"
    named = json.dumps({"CommandID": "TransactionReversal", "ConversationID": conversation()}).encode()
    assert await tell(api, named, path=TIMEOUT) == "waiting"


async def test_a_timeout_notice_after_the_end_is_evidence_alone(api: Api, saver: Saver) -> None:
    receipt, id_ = await saver.deposit(50_000), conversation()
    await ask(api, receipt)
    await give_ids(api, receipt, id_)
    await tell(api, result(conversation_id=id_))
    body = json.dumps({"CommandID": "TransactionReversal", "ConversationID": id_}).encode()
    assert await tell(api, body, path=TIMEOUT) == "evidence"
    assert (await state_of(api, receipt))[0] == "settled"


async def test_doubt_after_a_definite_end_changes_nothing(api: Api, saver: Saver) -> None:
    receipt, id_ = await saver.deposit(50_000), conversation()
    await ask(api, receipt)
    await give_ids(api, receipt, id_)
    assert await tell(api, result(code="R000002", conversation_id=id_)) == "failed"
    assert await tell(api, result(code="26", conversation_id=id_)) == "unresolved"
    assert (await state_of(api, receipt))[0] == "failed"


# What an operator may say


async def test_an_operator_with_evidence_takes_it_back_and_ends_the_doubt(api: Api, saver: Saver) -> None:
    receipt = await saver.deposit(50_000)
    await ask(api, receipt)
    await api.alter(
        "UPDATE mpesa.reversals SET state = 'submitting', submitting_at = now() WHERE receipt = $1", receipt
    )
    await work(api)
    assert (await by_hand(api, receipt)).result is Result.TAKEN_BACK
    assert (await state_of(api, receipt))[0] == "settled"
    assert await breaks_about(api, receipt) == []
    assert await saver.holds() == (0, 0, 0)
    assert (await by_hand(api, receipt)).result is Result.ALREADY


async def test_an_operators_reversal_is_audited(api: Api, saver: Saver) -> None:
    receipt = await saver.deposit(50_000)
    await by_hand(api, receipt)
    (act,) = await api.rows(
        "SELECT act, operator, reason FROM runtime.audit_log WHERE subject = $1", f"receipt:{receipt}"
    )
    assert tuple(act) == ("deposit_reversed", "wanjiku", "statement of today")


async def test_a_reversal_that_did_not_happen_can_be_given_up_and_asked_for_again(
    api: Api, saver: Saver
) -> None:
    receipt = await paid(api, saver)
    await ask(api, receipt)
    await api.alter(
        "UPDATE mpesa.reversals SET state = 'submitting', submitting_at = now() WHERE receipt = $1", receipt
    )
    await work(api)
    assert await keep(api, receipt) is Kept.KEPT
    assert (await state_of(api, receipt))[0] == "failed"
    assert await breaks_about(api, receipt) == []
    assert await ask(api, receipt) is Asked.REQUESTED
    await work(api)
    assert (await state_of(api, receipt))[0] == "settled"


async def test_what_was_taken_back_cannot_be_kept_and_what_was_not_asked_neither(
    api: Api, saver: Saver
) -> None:
    receipt, other = await saver.deposit(50_000), await saver.deposit(10_000)
    await take(api, receipt)
    assert await keep(api, receipt) is Kept.REVERSED_BEFORE
    assert await keep(api, other) is Kept.NOT_ASKED
    assert await keep(api, new_receipt()) is Kept.NOT_ASKED


async def test_an_operator_and_the_result_at_once_take_it_back_once(api: Api, saver: Saver) -> None:
    receipt, id_ = await saver.deposit(50_000), conversation()
    await saver.deposit(20_000)
    await ask(api, receipt)
    await give_ids(api, receipt, id_)
    await asyncio.gather(
        by_hand(api, receipt), api.call_back(RESULT, result(conversation_id=id_)), by_hand(api, receipt)
    )
    assert await saver.holds() == (20_000, 0, 0)
    assert (await state_of(api, receipt))[0] == "settled"


async def test_reversals_are_listed_newest_first(api: Api, saver: Saver) -> None:
    receipt = await saver.deposit(50_000)
    await ask(api, receipt)
    async with api.db.transaction(Role.SYSTEM) as tx:
        found = await reversal_acts.list_recent(tx, since=api.clock.now() - timedelta(days=1))
    assert found[0].receipt == receipt
    assert isinstance(found[0].id, UUID)
    assert found[0].shortcode == SHORTCODE


async def test_a_late_success_of_one_given_up_still_takes_the_money(
    api: Api,
    saver: Saver,
) -> None:
    receipt, id_ = await saver.deposit(50_000), conversation()
    await ask(api, receipt)
    await give_ids(api, receipt, id_)
    await keep(api, receipt)
    assert await tell(api, result(conversation_id=id_)) == "settled"
    assert await saver.holds() == (0, 0, 0)
    assert await Owing(api)(saver.id) == 0


# The work itself


def job_of(api: Api) -> RowJob[ClaimedReversal]:
    return reversal_job(api.app.state.parts.reversing())


async def claimed(api: Api, receipt: str) -> ClaimedReversal:
    """Lease a reversal as a worker does."""
    now = api.clock.now()

    async def claim(tx: Tx) -> list[ClaimedReversal]:
        lease = Claim(new_id(), now, now + timedelta(minutes=2), 100)
        return await reversal_queries.claim_reversals(tx, lease)

    (row,) = [row for row in await api.db.unit_of_work(claim, role=Role.SYSTEM) if row.receipt == receipt]
    return row


async def test_a_lease_keeps_other_workers_away_until_it_is_over(api: Api, saver: Saver) -> None:
    receipt = await saver.deposit(50_000)
    await ask(api, receipt)
    first = await claimed(api, receipt)
    assert first.attempts == 1
    await work(api)
    assert await state_of(api, receipt) == ("requested", None)
    api.clock.advance(minutes=3)
    assert (await claimed(api, receipt)).attempts == 2
    api.clock.advance(minutes=3)
    await work(api)
    assert (await state_of(api, receipt))[0] != "requested"


async def test_a_worker_that_lost_its_lease_sends_nothing(api: Api, saver: Saver) -> None:
    receipt = await paid(api, saver)
    await ask(api, receipt)
    row = await claimed(api, receipt)
    await api.alter("UPDATE mpesa.reversals SET lease_id = gen_random_uuid() WHERE receipt = $1", receipt)
    await job_of(api).work(row)
    assert await state_of(api, receipt) == ("requested", None)
    assert api.emulator.books.reversal_of(receipt) is None


@pytest.mark.parametrize("fault", ["cut_after", "http_error"])
async def test_a_worker_that_lost_its_lease_meanwhile_writes_nothing(
    api: Api, saver: Saver, fault: str
) -> None:
    receipt = await saver.deposit(50_000)
    await ask(api, receipt)
    row = replace(await claimed(api, receipt), state="submitting")
    await api.alter("UPDATE mpesa.reversals SET lease_id = gen_random_uuid() WHERE receipt = $1", receipt)
    await job_of(api).work(row)
    assert (await state_of(api, receipt))[0] == "requested"
    assert await breaks_about(api, receipt) == []


@pytest.mark.parametrize("refused", [False, True])
async def test_a_reply_after_the_lease_was_lost_changes_nothing(
    api: Api, saver: Saver, *, refused: bool
) -> None:
    receipt = await paid(api, saver)
    await ask(api, receipt)
    row = await claimed(api, receipt)
    parts = api.app.state.parts.reversing()

    class Robbed(DarajaClient):
        """A client whose caller loses the lease while it waits for the reply."""

        async def reverse(self, **asked: Any) -> Accepted:
            accepted = await super().reverse(**asked)
            await api.alter(
                "UPDATE mpesa.reversals SET lease_id = gen_random_uuid() WHERE receipt = $1", receipt
            )
            if refused:
                raise DarajaRefused(
                    Operation.REVERSAL, RefusalReason.BAD_REQUEST, error_code=None, http_status=400
                )
            return accepted

    robbed = Robbed(
        parts.daraja.config,
        database=api.db,
        service_keys=api.runtime.service_keys,
        clock=api.clock,
        observer=MetricsObserver(api.runtime.metrics),
    )
    await reversal_job(replace(parts, daraja=robbed)).work(row)
    await robbed.close()
    (stored,) = await api.rows(
        "SELECT state, conversation_id FROM mpesa.reversals WHERE receipt = $1", receipt
    )
    assert stored["conversation_id"] is None
    assert stored["state"] in {"submitting", "settled"}


async def test_work_that_fails_is_put_off_and_at_last_left_to_a_person(api: Api, saver: Saver) -> None:
    receipt = await saver.deposit(50_000)
    await ask(api, receipt)
    later = api.clock.now() + timedelta(minutes=1)
    for dead in (False, True):
        row = await claimed(api, receipt)

        async def put_off(tx: Tx, row: ClaimedReversal = row, *, dead: bool = dead) -> None:
            await job_of(api).postpone(tx, row, Postponement(later, "KeyError", dead))

        await api.db.unit_of_work(put_off, role=Role.SYSTEM)
        async with api.db.transaction(Role.SYSTEM) as tx:
            assert (await job_of(api).count(tx, later)).dead == int(dead)
        api.clock.advance(minutes=2)
    (stored,) = await api.rows("SELECT last_error FROM mpesa.reversals WHERE receipt = $1", receipt)
    assert stored["last_error"] == "KeyError"
    # A person ends it, and it is no longer among what waits for one.
    assert await keep(api, receipt) is Kept.KEPT
    async with api.db.transaction(Role.SYSTEM) as tx:
        assert (await job_of(api).count(tx, later)).dead == 0
