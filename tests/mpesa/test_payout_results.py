"""What Safaricom says of payouts, shape by shape: only what is ours, whole and true moves money, and only once."""

import json
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest

from tests.support.app import B2C_SHORTCODE, Api
from tests.support.payouts import (
    Withdrawing,
    in_flight_cents,
    open_breaks,
    payer,
    until_it_ends,
    withdraw,
    withdrawing,
)
from tests.support.savers import Json, code_of, kes, new_receipt
from tests.support.two_books import floats_held
from zanari_api.kit.clock import eat_date
from zanari_api.ledger import accounts
from zanari_api.ledger.accounts import FloatAccount
from zanari_api.ledger.errors import KeyConflict
from zanari_api.mpesa import float_service, payout_jobs
from zanari_api.mpesa.float_service import Move, Place
from zanari_api.payouts import service as payouts
from zanari_api.payouts.rows import ClaimedPayout
from zanari_api.payouts.service import Refund
from zanari_api.runtime.db import Role, Tx
from zanari_api.runtime.jobs import RowJob, run_round
from zanari_api.sandbox.safaricom.faults import Fault, Flow

COMPLETED = "25.11.2026 12:00:00"


@dataclass(frozen=True, slots=True)
class Told:
    """Callbacks as Safaricom, or a stranger, sends them about one payout."""

    payout: Withdrawing
    ours: str
    theirs: str

    @property
    def api(self) -> Api:
        return self.payout.api

    def result(self, code: object = 0, *, receipt: str | None = None, **more: object) -> Json:
        """Return a result's body; `more` replaces fields of the Result, and amounts."""
        cents = more.pop("cents", self.payout.cents)
        fields: Json = {
            "ResultType": 0,
            "ResultCode": code,
            "ResultDesc": "said so",
            "OriginatorConversationID": self.ours,
            "ConversationID": self.theirs,
            "TransactionID": receipt or "TKB0000000",
        }
        if receipt is not None:
            fields["ResultParameters"] = {
                "ResultParameter": [
                    {"Key": "TransactionAmount", "Value": float(kes(int(str(cents))))},
                    {"Key": "TransactionReceipt", "Value": receipt},
                    {"Key": "TransactionCompletedDateTime", "Value": COMPLETED},
                ]
            }
        return {"Result": {name: value for name, value in (fields | more).items() if value is not None}}

    async def tell(self, body: Json | bytes, *, path: str = "/b2c/result") -> tuple[str, str | None]:
        """Deliver a callback; return what became of it, and the note."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = await self.api.call_back(path, raw)
        assert response.status_code == 200
        (row,) = await self.api.rows(
            "SELECT outcome, note FROM mpesa.callbacks ORDER BY received_at DESC, id DESC LIMIT 1"
        )
        return row["outcome"], row["note"]

    async def asked(self, **fields: object) -> tuple[UUID, Json]:
        """Store a question of ours about it, asked just now, and return the answer's body without parameters."""
        query_id, outer = uuid4(), (f"q-{uuid4()}", f"AG_{uuid4()}")
        (row,) = await self.api.rows("SELECT saver_id FROM savings.payouts WHERE id = $1", self.payout.id)
        await self.api.alter(
            "INSERT INTO savings.status_queries (saver_id, id, payout_id, state, originator_conversation_id,"
            " conversation_id, asked_at) VALUES ($1, $2, $3, 'asked', $4, $5, $6)",
            row["saver_id"],
            query_id,
            self.payout.id,
            *outer,
            self.api.clock.now(),
        )
        result = {
            "ResultType": 0,
            "ResultCode": 0,
            "ResultDesc": "said so",
            "OriginatorConversationID": outer[0],
            "ConversationID": outer[1],
            "TransactionID": "TKB0000000",
        }
        return query_id, {"Result": result | fields}

    def found(self, status: str | None, *, receipt: str | None = None, **more: object) -> Json:
        """Return the parameters of an answer about it."""
        said: Json = {
            "OriginatorConversationID": self.ours,
            "ConversationID": self.theirs,
            "TransactionStatus": status,
            "Amount": kes(self.payout.cents),
            "ReceiptNo": receipt,
            "DebitPartyCharges": "Fee For B2C Payment|KES|7.50",
            "FinalisedTime": "20261125120000",
        }
        items = [{"Key": name, "Value": value} for name, value in (said | more).items() if value is not None]
        return {"ResultParameters": {"ResultParameter": items}}


async def submitted(api: Api, *, cents: int = 50_000, wallet: int = 80_000) -> Told:
    """Return a payout that Safaricom took on and says nothing of: its callback is lost."""
    saver = await payer(api, cents=wallet)
    api.emulator.faults.next(Flow.B2C, Fault.LOSE_CALLBACK)
    api.emulator.faults.next(Flow.B2C, Fault.FAIL_WITH, code="26")
    payout = await withdrawing(saver, cents)
    await api.work()
    row = await payout.row()
    assert row["state"] == "submitted"
    return Told(payout, row["originator_conversation_id"], row["conversation_id"])


async def paid_out_today(payout: Withdrawing) -> int:
    """Return what counts for the saver's limit of today."""
    requested_at = (await payout.row())["requested_at"]
    return await payout.api.db.unit_of_work(
        lambda tx: payouts.paid_out_today_cents(tx, saver_id=payout.saver.id, day=eat_date(requested_at)),
        role=Role.SYSTEM,
    )


async def refused_at_once(api: Api) -> Told:
    """Return a payout that Safaricom refused in its reply, before anybody was asked about it."""
    api.emulator.faults.next(Flow.B2C, Fault.HTTP_ERROR, code="400.002.02")
    payout = await withdrawing(await payer(api, cents=80_000))
    await run_round(payout_job(api, "payout_submission"), database=api.db, clock=api.clock)
    row = await payout.row()
    assert (row["state"], row["reason"], row["definite_by"]) == ("unknown", "refused", "reply")
    return Told(payout, row["originator_conversation_id"], f"AG_{uuid4()}")


def payout_job(api: Api, name: str) -> RowJob[ClaimedPayout]:
    return next(each for each in payout_jobs.jobs(api.app.state.parts.paying()) if each.name == name)


# Results ----------------------------------------------------------------------------------------------------


async def test_a_success_settles_once_however_often_and_however_it_is_written(api: Api) -> None:
    told = await submitted(api)
    receipt = new_receipt()
    assert await told.tell(told.result(0, receipt=receipt)) == ("settled", None)
    assert (await told.tell(told.result(0, receipt=receipt)))[0] == "settled"  # the same body: one row
    assert await told.tell(told.result("0", receipt=receipt, ResultType="0")) == ("evidence", None)
    row = await told.payout.row()
    assert (row["state"], row["receipt"]) == ("settled", receipt)
    assert row["event_at"].isoformat() == "2026-11-25T09:00:00+00:00"
    (claimed,) = await api.rows("SELECT role, saver_id FROM mpesa.receipts WHERE receipt = $1", receipt)
    assert (claimed["role"], claimed["saver_id"]) == ("payout", told.payout.saver.id)


@pytest.mark.parametrize(
    "garbage",
    [b"", b"<html>", b"{}", b'{"Result": {}}', b'{"Result": {"ResultCode": 0}}', b'{"Result": []}'],
)
async def test_what_cannot_be_read_is_quarantined(api: Api, garbage: bytes) -> None:
    told = await submitted(api)
    for path in ("/b2c/result", "/b2c/timeout", "/status/result", "/status/timeout"):
        assert await told.tell(garbage, path=path) == ("quarantined", "unreadable")
    assert (await told.payout.read())["state"] == "submitted"


async def test_an_id_that_we_never_made_is_a_strangers(api: Api) -> None:
    told = await submitted(api)
    forged = told.result(0, receipt=new_receipt(), OriginatorConversationID=str(uuid4()))
    assert await told.tell(forged) == ("quarantined", "unmatched")
    assert (await told.payout.read())["state"] == "submitted"


async def test_a_result_with_safaricoms_id_alone_is_found_by_it_or_waits(api: Api) -> None:
    told = await submitted(api)
    unknown = told.result(
        0, receipt=new_receipt(), OriginatorConversationID=None, ConversationID=f"AG_{uuid4()}"
    )
    assert await told.tell(unknown) == ("waiting", None)
    known = told.result(0, receipt=new_receipt(), OriginatorConversationID=None)
    assert await told.tell(known) == ("settled", None)


async def test_a_result_of_another_conversation_moves_nothing(api: Api) -> None:
    told = await submitted(api)
    forged = told.result(0, receipt=new_receipt(), ConversationID="AG_20261125_00000000000000000000")
    assert await told.tell(forged) == ("quarantined", "other_conversation")
    assert (await told.payout.read())["state"] == "submitted"


@pytest.mark.parametrize("cents", [40_000, 50_001, 5_000_000])
async def test_another_amount_moves_nothing(api: Api, cents: int) -> None:
    told = await submitted(api)
    assert await told.tell(told.result(0, receipt=new_receipt(), cents=cents)) == (
        "quarantined",
        "amount_mismatch",
    )
    assert await told.tell(told.result(0, receipt=new_receipt())) == ("settled", None)


async def test_a_receipt_of_a_move_of_our_own_settles_no_payout_and_is_named(api: Api) -> None:
    told, receipt = await submitted(api), new_receipt()
    utility = Place(B2C_SHORTCODE, FloatAccount.UTILITY)
    move = Move(source=None, target=utility, amount_cents=100, receipt=receipt, event_at=api.clock.now())
    await api.db.unit_of_work(lambda tx: float_service.book(tx, move, operator="wanjiku"), role=Role.SYSTEM)
    assert await told.tell(told.result(0, receipt=receipt)) == ("quarantined", "receipt_taken")
    assert (await told.payout.read())["state"] == "submitted"
    (found,) = await api.rows("SELECT kind FROM mpesa.breaks WHERE subject = $1", f"receipt:{receipt}")
    assert found["kind"] == "receipt_booked_as_move"
    assert await told.tell(told.result(0, receipt=new_receipt())) == ("settled", None)


async def test_a_receipt_of_another_payout_moves_nothing(api: Api) -> None:
    first, second = await submitted(api), await submitted(api)
    receipt = new_receipt()
    assert await first.tell(first.result(0, receipt=receipt)) == ("settled", None)
    assert await second.tell(second.result(0, receipt=receipt)) == ("quarantined", "receipt_taken")
    assert (await second.payout.read())["state"] == "submitted"


async def test_a_second_payment_under_another_receipt_is_for_a_person_to_see(api: Api) -> None:
    told = await submitted(api)
    assert await told.tell(told.result(0, receipt=new_receipt())) == ("settled", None)
    assert await told.tell(told.result(0, receipt=new_receipt())) == ("quarantined", "other_receipt")


async def test_a_success_without_a_receipt_proves_nothing_and_is_asked_about(api: Api) -> None:
    told = await submitted(api)
    assert await told.tell(told.result(0)) == ("unresolved", None)
    doubted = await told.payout.read()
    assert (doubted["state"], doubted["reason"]) == ("unknown", "unclear_result")
    assert (await told.payout.row())["due_at"] <= api.clock.now()


async def test_an_unknown_code_decides_nothing(api: Api) -> None:
    told = await submitted(api)
    assert await told.tell(told.result("X999")) == ("unresolved", None)
    assert (await told.payout.read())["state"] == "unknown"


async def test_a_failure_after_a_success_changes_nothing(api: Api) -> None:
    told = await submitted(api)
    assert await told.tell(told.result(0, receipt=new_receipt())) == ("settled", None)
    assert await told.tell(told.result(1)) == ("superseded", None)
    assert (await told.payout.read())["state"] == "settled"


async def test_a_failure_is_believed_when_a_status_agrees_and_not_before(api: Api) -> None:
    told = await submitted(api)
    assert await told.tell(told.result(2040)) == ("unresolved", None)
    held = await told.payout.read()
    assert held["text"].startswith(
        "M-PESA says that KES 500 was not paid. It is set aside while we make sure"
    )
    assert (await told.payout.saver.wallet())["balance_cents"] == 30_000
    _, answer = await told.asked(**told.found("Declined"))
    assert await told.tell(answer, path="/status/result") == ("failed", None)
    failed = await told.payout.read()
    assert failed["text"] == ("The number is not registered with M-PESA. KES 500 is back in your wallet.")
    assert failed["reason"] == "failed_result"
    assert (await told.payout.saver.wallet())["balance_cents"] == 80_000
    assert await told.tell(told.result(2040, ResultDesc="again")) == ("noted", None)


async def test_a_timeout_decides_nothing_and_the_result_after_it_settles(api: Api) -> None:
    told = await submitted(api)
    echo = {
        "InitiatorName": "zanari",
        "SecurityCredential": "c2VjcmV0",
        "CommandID": "BusinessPayment",
        "Amount": 500,
        "PartyA": B2C_SHORTCODE,
        "PartyB": told.payout.saver.phone,
        "OriginatorConversationID": told.ours,
    }
    assert await told.tell(echo, path="/b2c/timeout") == ("unresolved", None)
    doubted = await told.payout.read()
    assert (doubted["state"], doubted["reason"]) == ("unknown", "timed_out")
    assert await told.tell(told.result(0, receipt=new_receipt())) == ("settled", None)
    assert await told.tell(echo | {"Remarks": "again"}, path="/b2c/timeout") == ("noted", None)
    stranger = echo | {"OriginatorConversationID": str(uuid4())}
    assert await told.tell(stranger, path="/b2c/timeout") == ("quarantined", "unmatched")
    (stored,) = await api.rows(
        "SELECT count(*) AS n FROM savings.payouts WHERE state = 'unknown' AND id = $1", told.payout.id
    )
    assert stored["n"] == 0


async def test_a_result_for_what_was_never_sent_is_a_strangers(api: Api) -> None:
    payout = await withdrawing(await payer(api))
    row = await payout.row()
    told = Told(payout, row["originator_conversation_id"], f"AG_{uuid4()}")
    assert await told.tell(told.result(0, receipt=new_receipt())) == ("quarantined", "never_sent")
    assert await told.tell(told.result(2040)) == ("quarantined", "never_sent")
    assert (await payout.read())["state"] == "requested"
    await api.alter("UPDATE savings.payouts SET conversation_id = NULL WHERE id = $1", payout.id)
    assert await until_it_ends(payout) == "settled"


async def test_a_status_that_knows_it_contradicts_the_refusal(api: Api) -> None:
    told = await refused_at_once(api)
    _, answer = await told.asked(**told.found("Pending"))
    assert await told.tell(answer, path="/status/result") == ("unresolved", None)
    await assert_one_not_found_gives_nothing_back(told, reason="no_result")


async def test_a_notice_that_it_waited_in_the_queue_contradicts_the_refusal(api: Api) -> None:
    told = await refused_at_once(api)
    echo = {"CommandID": "BusinessPayment", "Amount": 500, "OriginatorConversationID": told.ours}
    assert await told.tell(echo, path="/b2c/timeout") == ("unresolved", None)
    await assert_one_not_found_gives_nothing_back(told, reason="timed_out")


async def assert_one_not_found_gives_nothing_back(told: Told, *, reason: str) -> None:
    """Assert that the refusal of the reply is forgotten, so that one answer which knows nothing is too little."""
    row = await told.payout.row()
    assert (row["state"], row["reason"]) == ("unknown", reason)
    assert (row["definite_by"], row["definite_code"], row["definite_code_at"]) == (None, None, None)
    _, answer = await told.asked(ResultCode=2032)
    assert await told.tell(answer, path="/status/result") == ("unresolved", None)
    assert await told.payout.state() == "unknown"
    assert (await told.payout.saver.wallet())["balance_cents"] == 30_000


# Too late ---------------------------------------------------------------------------------------------------------


async def test_a_payment_told_after_its_refund_is_owed_and_named(api: Api) -> None:
    told = await submitted(api)
    await told.tell(told.result(2040))
    _, answer = await told.asked(**told.found("Declined"))
    assert await told.tell(answer, path="/status/result") == ("failed", None)
    assert await paid_out_today(told.payout) == 0
    before = (await floats_held(api))[B2C_SHORTCODE, "utility"]

    receipt = new_receipt()
    late = told.result(0, receipt=receipt)
    assert await told.tell(late) == ("settled", "paid_after_refund")

    saver = told.payout.saver
    row = await told.payout.row()
    assert (row["state"], row["late_receipt"], row["receipt"]) == ("failed", receipt, None)
    assert (await floats_held(api))[B2C_SHORTCODE, "utility"] == before - 50_000
    assert (await saver.wallet())["balance_cents"] == 80_000
    assert await open_breaks(told.payout) == {"payout_paid_after_refund"}
    shown = await told.payout.read()
    assert shown["receipt"] == receipt
    assert "you owe it to Zanari" in shown["text"]
    feed = await told.payout.feed_row()
    assert feed["receipt"] == receipt
    assert code_of(await withdraw(saver, 1_000)) == (409, "money_owed")
    # It went out, so it counts for the day's limit.
    assert await paid_out_today(told.payout) == 50_000

    assert await told.tell(told.result("0", receipt=receipt)) == ("evidence", None)
    assert await told.tell(told.result(0, receipt=new_receipt())) == ("quarantined", "other_receipt")
    await saver.deposit(60_000)
    assert (await saver.wallet())["balance_cents"] == 90_000


async def test_the_books_refuse_a_second_outcome_whatever_the_code_above_them_does(api: Api) -> None:
    told = await submitted(api)
    assert await told.tell(told.result(0, receipt=new_receipt())) == ("settled", None)
    wallet = await api.rows(
        "SELECT wallet_account_id FROM savings.savers WHERE saver_id = $1", told.payout.saver.id
    )

    async def refund(tx: Tx) -> None:
        payout = await payouts.find(tx, saver_id=told.payout.saver.id, payout_id=told.payout.id)
        assert payout is not None
        to = Refund("wallet", wallet[0]["wallet_account_id"])
        await payouts.post_refund(tx, payout, to, event_at=api.clock.now())

    before = await api.books.balance(accounts.IN_FLIGHT)
    with pytest.raises(KeyConflict):
        await api.db.unit_of_work(refund, role=Role.SYSTEM)
    assert await in_flight_cents(api) == before


# Answers -----------------------------------------------------------------------------------------------------------


async def test_a_completed_answer_settles_with_mpesas_own_fee(api: Api) -> None:
    told = await submitted(api)
    receipt = new_receipt()
    query_id, answer = await told.asked(**told.found("Completed", receipt=receipt))
    assert await told.tell(answer, path="/status/result") == ("settled", None)
    row = await told.payout.row()
    assert (row["receipt"], row["last_status_at"] is not None) == (receipt, True)
    (fee,) = await api.rows("SELECT cents, source FROM mpesa.fees WHERE payout_id = $1", told.payout.id)
    assert (fee["cents"], fee["source"]) == (750, "status")
    (query,) = await api.rows("SELECT state, answer FROM savings.status_queries WHERE id = $1", query_id)
    assert (query["state"], query["answer"]) == ("answered", "completed")
    changed = json.loads(json.dumps(answer))
    changed["Result"]["ResultDesc"] = "once more"
    assert await told.tell(changed, path="/status/result") == ("duplicate", None)


async def test_a_fee_told_after_the_settlement_corrects_the_tariffs(api: Api) -> None:
    told = await submitted(api)
    receipt = new_receipt()
    await told.tell(told.result(0, receipt=receipt))
    _, answer = await told.asked(**told.found("Completed", receipt=receipt))
    assert await told.tell(answer, path="/status/result") == ("evidence", None)
    (fee,) = await api.rows("SELECT cents, source FROM mpesa.fees WHERE payout_id = $1", told.payout.id)
    assert (fee["cents"], fee["source"]) == (750, "status")


@pytest.mark.parametrize(
    ("said", "note"),
    [
        ({"OriginatorConversationID": "another"}, "other_transaction"),
        ({"ConversationID": "AG_another"}, "other_transaction"),
        ({"Amount": "499"}, "amount_mismatch"),
    ],
)
async def test_an_answer_about_something_else_moves_nothing(
    api: Api, said: dict[str, str], note: str
) -> None:
    told = await submitted(api)
    _, answer = await told.asked(**told.found("Completed", receipt=new_receipt(), **said))
    assert await told.tell(answer, path="/status/result") == ("quarantined", note)
    assert (await told.payout.read())["state"] == "submitted"


@pytest.mark.parametrize(
    ("status", "receipt", "outcome"),
    [("Pending", None, "unresolved"), ("Completed", None, "unresolved"), (None, None, "noted")],
)
async def test_an_answer_that_is_no_end_decides_nothing(
    api: Api, status: str | None, receipt: str | None, outcome: str
) -> None:
    told = await submitted(api)
    _, answer = await told.asked(**told.found(status, receipt=receipt))
    assert (await told.tell(answer, path="/status/result"))[0] == outcome
    assert (await told.payout.read())["state"] == "submitted"


async def test_a_question_that_failed_says_nothing(api: Api) -> None:
    told = await submitted(api)
    _, answer = await told.asked(ResultCode=26)
    assert await told.tell(answer, path="/status/result") == ("noted", "busy")
    assert (await told.payout.read())["state"] == "submitted"


async def test_an_end_without_a_code_is_for_an_operator(api: Api) -> None:
    told = await submitted(api)
    _, answer = await told.asked(**told.found("Expired"))
    assert await told.tell(answer, path="/status/result") == ("unresolved", None)
    row = await told.payout.row()
    assert (row["state"], row["reason"], row["ended"]) == ("unknown", "ended", True)
    assert row["resolvable_at"] is not None
    assert await open_breaks(told.payout) == {"payout_unresolved"}
    # The code that comes after it completes the proof.
    assert await told.tell(told.result(2040)) == ("failed", None)
    assert await open_breaks(told.payout) == set()


async def test_not_found_twice_thirty_minutes_apart_is_for_an_operator(api: Api) -> None:
    told = await submitted(api)
    for minutes, resolvable in ((0, False), (20, False), (11, True)):
        api.clock.advance(minutes=minutes)
        _, answer = await told.asked(ResultCode=2032)
        assert await told.tell(answer, path="/status/result") == ("unresolved", None)
        assert ((await told.payout.row())["resolvable_at"] is not None) == resolvable
    assert (await told.payout.saver.wallet())["balance_cents"] == 30_000
    # That M-PESA knows it after all takes that back.
    _, answer = await told.asked(**told.found("Pending"))
    assert await told.tell(answer, path="/status/result") == ("unresolved", None)
    assert (await told.payout.row())["resolvable_at"] is None


async def test_an_answer_to_no_question_of_ours_is_a_strangers(api: Api) -> None:
    told = await submitted(api)
    await api.alter("UPDATE savings.status_queries SET asked_at = '2020-01-01'")
    forged = {
        "Result": {
            "ResultCode": 0,
            "OriginatorConversationID": "nobody-asked",
            "ConversationID": f"AG_{uuid4()}",
            **told.found("Completed", receipt=new_receipt()),
        }
    }
    assert await told.tell(forged, path="/status/result") == ("quarantined", "unmatched")
    assert (await told.payout.read())["state"] == "submitted"


async def test_an_answer_with_one_id_of_another_question_is_nobodys(api: Api) -> None:
    told = await submitted(api)
    await api.alter("UPDATE savings.status_queries SET asked_at = '2020-01-01'")
    _, answer = await told.asked(**told.found("Completed", receipt=new_receipt()))
    answer["Result"]["ConversationID"] = "AG_of_another"
    assert await told.tell(answer, path="/status/result") == ("quarantined", "unmatched")
    answer["Result"].pop("OriginatorConversationID")
    assert await told.tell(answer, path="/status/result") == ("quarantined", "unmatched")


async def test_an_answer_is_found_by_safaricoms_id_alone(api: Api) -> None:
    told = await submitted(api)
    _, answer = await told.asked(**told.found("Completed", receipt=new_receipt()))
    answer["Result"].pop("OriginatorConversationID")
    assert await told.tell(answer, path="/status/result") == ("settled", None)


async def test_an_answer_that_overtakes_its_questions_name_waits_and_one_whose_name_is_lost_is_kept(
    api: Api,
) -> None:
    told = await submitted(api)
    await api.alter("UPDATE savings.status_queries SET asked_at = '2020-01-01'")
    query_id, answer = await told.asked(**told.found("Completed", receipt=new_receipt()))
    name = (
        "UPDATE savings.status_queries SET state = $2, originator_conversation_id = $3, conversation_id = $4"
        " WHERE id = $1"
    )
    outer = answer["Result"]["OriginatorConversationID"], answer["Result"]["ConversationID"]
    await api.alter(name, query_id, "unanswered", None, None)
    assert await told.tell(answer, path="/status/result") == ("noted", "reply_lost")
    await api.alter(name, query_id, "asking", None, None)
    answer["Result"]["ResultDesc"] = "once more"
    assert await told.tell(answer, path="/status/result") == ("waiting", None)
    await api.alter(name, query_id, "asked", *outer)
    api.clock.advance(minutes=1)
    await api.work()
    assert await told.payout.state() == "settled"


async def test_a_question_that_timed_out_is_noted_and_its_answer_still_counts(api: Api) -> None:
    told = await submitted(api)
    query_id, answer = await told.asked(**told.found("Completed", receipt=new_receipt()))
    echo = {
        "CommandID": "TransactionStatusQuery",
        "OriginalConversationID": told.ours,
        "PartyA": B2C_SHORTCODE,
    }
    assert await told.tell(echo, path="/status/timeout") == ("noted", None)
    (query,) = await api.rows("SELECT state FROM savings.status_queries WHERE id = $1", query_id)
    assert query["state"] == "timed_out"
    assert await told.tell(answer, path="/status/result") == ("settled", None)
    unknown = echo | {"OriginalConversationID": str(uuid4())}
    assert await told.tell(unknown, path="/status/timeout") == ("noted", None)
    by_receipt = {"CommandID": "TransactionStatusQuery", "TransactionID": new_receipt()}
    assert await told.tell(by_receipt, path="/status/timeout") == ("noted", None)


async def test_every_fault_of_a_question_only_costs_time(api: Api) -> None:
    for fault, particulars in (
        (Fault.LOSE_CALLBACK, {}),
        (Fault.TIMEOUT_ECHO, {}),
        (Fault.CUT_BEFORE, {}),
        (Fault.CUT_AFTER, {}),
        (Fault.HTTP_ERROR, {"code": "500.003.02"}),
        (Fault.HTTP_ERROR, {"code": "500.002.1001"}),
        (Fault.FAIL_WITH, {"code": "17"}),
        (Fault.RESULT_FIRST, {}),
        (Fault.GARBAGE_CALLBACK, {}),
        (Fault.FORGED_UNKNOWN, {}),
        (Fault.NOT_FOUND, {}),
    ):
        saver = await payer(api, cents=80_000)
        api.emulator.faults.next(Flow.B2C, Fault.LOSE_CALLBACK)
        payout = await withdrawing(saver)
        await api.work()
        api.emulator.faults.next(Flow.STATUS, fault, **particulars)
        assert await until_it_ends(payout) == "settled", fault
        assert payout.paid_by_safaricom() == 1
