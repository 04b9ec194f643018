"""Lost confirmations are found by pulling what Safaricom lists, and booked as they would have been, once."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stamina

from tests.mpesa.callbacks import ACKNOWLEDGED, kept, opened
from tests.mpesa.payments import CONFIRMATION, payment
from tests.support.app import SHORTCODE, Api, Serve
from tests.support.daraja_server import (
    PULL,
    PULL_REGISTER,
    ScriptedSafaricom,
    Told,
    error,
    scripted_safaricom,
)
from tests.support.observed import Written
from tests.support.prompts import Prompter
from tests.support.savers import Saver, answered, new_phone, new_receipt
from zanari_api.daraja.errors import DarajaError
from zanari_api.daraja.pull import PullRow
from zanari_api.kit.clock import EAT
from zanari_api.mpesa import pull_jobs, pull_service
from zanari_api.mpesa.inbox import CallbackKind
from zanari_api.mpesa.pull_jobs import PullBrokeOff
from zanari_api.mpesa.pull_service import Zone, zone_of
from zanari_api.runtime.db import Role
from zanari_api.sandbox.safaricom.faults import Fault, Flow
from zanari_api.worker import work_of, worker_of

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)


@pytest.fixture
async def pulling(serve: Serve) -> AsyncIterator[Api]:
    """A service that may pull, whose Safaricom never heard where to post confirmations: all of them are lost."""
    async with serve(mpesa_pull_number="254700000000") as api:
        await api.alter("DELETE FROM mpesa.pulls")
        yield api
        await api.books.check()


async def pull(api: Api, *, whole: bool = False) -> int:
    return await pull_jobs.pull(api.app.state.parts.pulling(), whole=whole)


async def lost(api: Api, cents: int, account_reference: str) -> str:
    """Have somebody pay us without our hearing of it; return the receipt. Two minutes pass."""
    made = await api.emulator.pay_bill(
        amount_cents=cents, account_reference=account_reference, msisdn=new_phone(), shortcode=SHORTCODE
    )
    api.clock.advance(minutes=3)
    return made.receipt


async def deposit_of(api: Api, receipt: str) -> dict[str, Any]:
    (row,) = await api.rows("SELECT * FROM savings.deposits WHERE receipt = $1", receipt)
    return dict(row)


def row(receipt: str, **more: object) -> dict[str, object]:
    """Return one row as Safaricom lists it."""
    return {
        "transactionId": receipt,
        "trxDate": f"{datetime.now(UTC) - timedelta(hours=5):%Y-%m-%dT%H:%M:%SZ}",
        "msisdn": "2547 ***** 126",
        "sender": "MPESA",
        "transactiontype": "c2b-pay-bill-debit",
        "billreference": "rent",
        "amount": "50.00",
        "organizationname": "ZANARI",
        **more,
    }


def page(*rows: object, **more: object) -> bytes:
    return json.dumps(
        {"ResponseRefID": "1", "ResponseCode": "1000", "Response": [list(rows)], **more}
    ).encode()


# What is recovered


async def test_a_payment_whose_confirmation_was_lost_is_credited_by_a_pull(
    pulling: Api, written: Written
) -> None:
    saver = await pulling.new_saver()
    goal = await saver.goal(target_cents=20_000)
    receipt = await lost(pulling, 5_000, saver.member_code + goal["letter"])
    paid_at = pulling.emulator.books.movements[-1].at
    assert await saver.holds() == (0, 0, 0)
    assert await pull(pulling) == 1
    assert await saver.holds() == (0, 5_000, 0)
    assert [milestone["percent"] for milestone in (await saver.read_goal(goal))["milestones"]] == [25]
    booked = await deposit_of(pulling, receipt)
    assert (booked["channel"], booked["amount_cents"], booked["shortcode"]) == ("pull", 5_000, SHORTCODE)
    assert booked["event_at"] == paid_at.replace(microsecond=0)
    (evidence,) = await pulling.rows("SELECT * FROM mpesa.callbacks WHERE id = $1", booked["callback_id"])
    assert (evidence["kind"], evidence["outcome"], evidence["source_listed"]) == ("pull", "credited", None)
    assert (await opened(pulling, evidence))["transactionid"] == receipt
    sample = pulling.runtime.metrics.registry.get_sample_value
    assert sample("zanari_recovered_payments_total") == 1
    assert sample("zanari_callbacks_total", {"kind": "pull", "outcome": "credited"}) == 1
    (line,) = written.events("payments_recovered")
    assert (line["shortcode"], line["payments"]) == (SHORTCODE, 1)


async def test_what_was_pulled_is_not_recovered_again_nor_what_was_confirmed(pulling: Api) -> None:
    saver = await pulling.new_saver()
    await lost(pulling, 5_000, saver.member_code)
    confirmed = await lost(pulling, 700, saver.member_code)
    await pulling.pay_in(700, account_reference=saver.member_code, receipt=confirmed)
    assert await pull(pulling) == 1
    for whole in (False, True):
        assert await pull(pulling, whole=whole) == 0
    assert await saver.holds() == (5_700, 0, 0)
    assert pulling.runtime.metrics.registry.get_sample_value("zanari_recovered_payments_total") == 1


async def test_a_confirmation_that_comes_after_all_credits_nothing_again(pulling: Api) -> None:
    saver = await pulling.new_saver()
    receipt = await lost(pulling, 5_000, saver.member_code)
    await pull(pulling)
    body = payment(saver.member_code, TransID=receipt, TransAmount="50.00")
    assert answered(await pulling.call_back(CONFIRMATION, body)) == ACKNOWLEDGED
    assert (await kept(pulling, CallbackKind.C2B_CONFIRMATION, body))["outcome"] == "duplicate"
    assert await saver.holds() == (5_000, 0, 0)


async def test_a_payment_that_nobody_can_be_matched_to_is_recovered_into_suspense(pulling: Api) -> None:
    receipt = await lost(pulling, 4_200, "rent")
    assert await pull(pulling) == 1
    (item,) = await pulling.rows("SELECT * FROM mpesa.suspense_items WHERE receipt = $1", receipt)
    assert (item["state"], item["amount_cents"], item["reason"]) == ("held", 4_200, "no_reference")


async def test_a_payment_that_we_asked_for_settles_its_intent_by_a_pull(pulling: Api) -> None:
    saver = await pulling.new_saver()
    prompter = Prompter(pulling)
    asked = await prompter.ask(saver, 30_000)
    receipt = await lost(pulling, 30_000, (await prompter.intent(asked)).reference)
    assert await pull(pulling) == 1
    assert await saver.holds() == (30_000, 0, 0)
    settled = await prompter.intent(asked)
    assert (settled.state, settled.settled_by, settled.receipt) == ("settled", "pull", receipt)


async def test_a_payment_of_a_moment_ago_is_not_missed_yet(pulling: Api) -> None:
    saver = await pulling.new_saver()
    await pulling.emulator.pay_bill(
        amount_cents=5_000, account_reference=saver.member_code, msisdn=new_phone(), shortcode=SHORTCODE
    )
    assert await pull(pulling) == 0
    pulling.clock.advance(minutes=3)
    assert await pull(pulling) == 1
    assert await saver.holds() == (5_000, 0, 0)


async def test_all_pages_are_read(pulling: Api) -> None:
    saver = await pulling.new_saver()
    phone = new_phone()
    for _ in range(205):
        await pulling.emulator.pay_bill(
            amount_cents=100, account_reference=saver.member_code, msisdn=phone, shortcode=SHORTCODE
        )
    pulling.clock.advance(minutes=3)
    assert await pull(pulling) == 205
    assert await saver.holds() == (20_500, 0, 0)


async def test_the_same_receipt_listed_with_another_amount_is_a_discrepancy(pulling: Api) -> None:
    saver = await pulling.new_saver()
    receipt = await lost(pulling, 5_000, saver.member_code)
    await pulling.pay_in(4_000, account_reference=saver.member_code, receipt=receipt)
    assert await pull(pulling) == 0
    assert await saver.holds() == (4_000, 0, 0)
    (noted,) = await pulling.rows("SELECT * FROM mpesa.discrepancies WHERE receipt = $1", receipt)
    assert (noted["first_amount_cents"], noted["later_amount_cents"]) == (4_000, 5_000)


# How it is asked


async def test_a_shortcode_is_registered_once_and_pulled_by_schedule(pulling: Api) -> None:
    saver = await pulling.new_saver()
    await lost(pulling, 5_000, saver.member_code)
    assert [
        (each.name, each.every, each.daily_at and each.daily_at.hour)
        for each in work_of(pulling.app.state.parts).schedules
        if each.name.startswith("pull")
    ] == [("pull", timedelta(minutes=15), None), ("pull_nightly", timedelta(days=1), 2)]
    await pulling.work()
    assert await saver.holds() == (5_000, 0, 0)
    (known,) = await pulling.rows("SELECT * FROM mpesa.pulls WHERE shortcode = $1", SHORTCODE)
    pulling.clock.advance(days=1)
    await lost(pulling, 700, saver.member_code)
    await pulling.work()
    assert await saver.holds() == (5_700, 0, 0)
    (later,) = await pulling.rows("SELECT * FROM mpesa.pulls WHERE shortcode = $1", SHORTCODE)
    assert later["registered_at"] == known["registered_at"]
    assert later["pulled_until"] > known["pulled_until"]


async def test_a_registration_that_safaricom_has_forgotten_is_made_again(
    told: Api, scripted: ScriptedSafaricom
) -> None:
    saver = await told.new_saver()
    await pull(told)
    before = len(scripted.calls(PULL_REGISTER))
    scripted.will(
        PULL,
        error("400.002.02", "Bad Request - Kindly register the ShortCode", 400),
        listed(row(new_receipt(), billreference=saver.member_code)),
    )
    assert await pull(told) == 1
    assert len(scripted.calls(PULL_REGISTER)) == before + 1


async def test_without_a_number_to_register_with_nothing_is_pulled(api: Api) -> None:
    assert not [each for each in work_of(api.app.state.parts).schedules if each.name.startswith("pull")]


async def test_how_far_the_payments_are_known_is_told(pulling: Api) -> None:
    async def known(shortcode: str) -> datetime | None:
        async with pulling.db.transaction(Role.SYSTEM) as tx:
            return await pull_service.pulled_until(tx, shortcode=shortcode)

    gauge, labels = "zanari_pulled_until_timestamp_seconds", {"shortcode": SHORTCODE}
    sample = pulling.runtime.metrics.registry.get_sample_value
    assert await known("999999") is None
    pulling.emulator.faults.always(Flow.PULL, Fault.HTTP_ERROR)
    with pytest.raises(DarajaError):
        await pull(pulling)
    pulling.emulator.faults.clear()
    await worker_of(pulling.app.state.parts).read_facts()
    assert sample(gauge, labels) is None
    before = pulling.clock.now()
    await pull(pulling)
    until = await known(SHORTCODE)
    await worker_of(pulling.app.state.parts).read_facts()
    assert sample(gauge, labels) == (until and until.timestamp())
    assert until is not None
    assert before - timedelta(minutes=2) <= until <= pulling.clock.now() - timedelta(minutes=2)


async def test_a_pull_that_fails_changes_nothing_and_the_next_one_makes_good_for_it(pulling: Api) -> None:
    saver = await pulling.new_saver()
    await pull(pulling)
    (before,) = await pulling.rows("SELECT pulled_until FROM mpesa.pulls")
    await lost(pulling, 5_000, saver.member_code)
    pulling.emulator.faults.always(Flow.PULL, Fault.HTTP_ERROR)
    with pytest.raises(DarajaError):
        await pull(pulling)
    assert await pulling.rows("SELECT pulled_until FROM mpesa.pulls") == [before]
    pulling.emulator.faults.clear()
    pulling.clock.advance(hours=40)
    assert await pull(pulling) == 1
    assert await saver.holds() == (5_000, 0, 0)


async def test_rows_in_another_container_are_found(pulling: Api) -> None:
    saver = await pulling.new_saver()
    await lost(pulling, 5_000, saver.member_code)
    pulling.emulator.faults.next(Flow.PULL, Fault.OTHER_CONTAINER)
    assert await pull(pulling) == 1
    assert await saver.holds() == (5_000, 0, 0)


# When it was


async def test_times_that_end_in_z_and_are_of_east_africa_are_seen_through_by_what_is_known(
    pulling: Api,
) -> None:
    saver = await pulling.new_saver()
    known = await lost(pulling, 700, saver.member_code)
    at = pulling.emulator.books.movements[-1].at
    await pulling.pay_in(
        700,
        account_reference=saver.member_code,
        receipt=known,
        TransTime=f"{at.astimezone(EAT):%Y%m%d%H%M%S}",
    )
    receipt = await lost(pulling, 5_000, saver.member_code)
    paid_at = pulling.emulator.books.movements[-1].at
    pulling.clock.advance(hours=10)
    pulling.emulator.faults.next(Flow.PULL, Fault.LOCAL_TIME)
    assert await pull(pulling) == 1
    assert (await deposit_of(pulling, receipt))["event_at"] == paid_at.replace(microsecond=0)


async def test_times_in_the_future_are_of_east_africa(pulling: Api) -> None:
    saver = await pulling.new_saver()
    receipt = await lost(pulling, 5_000, saver.member_code)
    paid_at = pulling.emulator.books.movements[-1].at
    pulling.emulator.faults.next(Flow.PULL, Fault.LOCAL_TIME)
    assert await pull(pulling) == 1
    assert (await deposit_of(pulling, receipt))["event_at"] == paid_at.replace(microsecond=0)


def told_row(receipt: str, as_utc: datetime | None) -> PullRow:
    return PullRow(
        receipt=receipt,
        amount_cents=100,
        account_reference="",
        transaction_type="",
        sender=None,
        organization=None,
        msisdn_raw=None,
        occurred_at_raw=None,
        occurred_at_as_utc=as_utc,
        occurred_at_as_eat=as_utc and as_utc - timedelta(hours=3),
        extra={},
    )


def test_the_zone_is_what_fits_the_receipts_that_are_known() -> None:
    long_ago = NOW - timedelta(days=1)
    rows = [told_row("KNOWN1", long_ago), told_row("KNOWN2", long_ago), told_row("STRANGE", long_ago)]
    as_utc, as_eat = {"KNOWN1": long_ago}, {"KNOWN1": long_ago - timedelta(hours=3)}
    assert zone_of(rows, known=as_utc, now=NOW) is Zone.UTC
    assert zone_of(rows, known=as_eat, now=NOW) is Zone.EAT
    # What fits neither, or both, says nothing, and neither does a row whose time is not readable.
    assert zone_of(rows, known={"KNOWN1": NOW}, now=NOW) is Zone.UTC
    assert zone_of(rows, known=as_eat | {"KNOWN2": long_ago}, now=NOW) is Zone.UTC
    assert zone_of([*rows, told_row("KNOWN3", None)], known=as_eat, now=NOW) is Zone.EAT


def test_without_a_known_receipt_the_future_decides() -> None:
    assert zone_of([], known={}, now=NOW) is Zone.UTC
    assert zone_of([told_row("A", NOW - timedelta(hours=4))], known={}, now=NOW) is Zone.UTC
    assert zone_of([told_row("A", NOW + timedelta(minutes=5))], known={}, now=NOW) is Zone.UTC
    assert zone_of([told_row("A", NOW + timedelta(minutes=6))], known={}, now=NOW) is Zone.EAT
    # Of the same pull, the old ones are in the same zone as the newest.
    rows = [told_row("OLD", NOW - timedelta(days=1)), told_row("NEW", NOW + timedelta(hours=2))]
    assert zone_of(rows, known={}, now=NOW) is Zone.EAT


# The callback of pulls, and rows that are odd


async def post(api: Api, body: bytes) -> str:
    """Post to the pull callback; return what became of the body."""
    assert answered(await api.call_back("/pull", body)) == ACKNOWLEDGED
    return (await kept(api, CallbackKind.PULL, body))["outcome"]


async def test_a_row_that_is_posted_is_booked_likewise(api: Api, saver: Saver) -> None:
    receipt = new_receipt()
    body = page(row(receipt, billreference=saver.member_code))
    assert await post(api, body) == "credited"
    assert await saver.holds() == (5_000, 0, 0)
    assert (await deposit_of(api, receipt))["channel"] == "pull"
    assert await post(api, body + b" ") == "duplicate"
    assert await saver.holds() == (5_000, 0, 0)


async def test_several_rows_are_kept_each_by_itself_and_one_that_is_odd_stops_no_other(
    api: Api, saver: Saver
) -> None:
    receipts = [new_receipt() for _ in range(3)]
    rows = [row(receipt, billreference=saver.member_code) for receipt in receipts]
    odd = row(new_receipt(), amount="a lot")
    assert await post(api, page(*rows[:2], odd, *rows[2:])) == "noted"
    assert await saver.holds() == (0, 0, 0)
    await api.work()
    assert await saver.holds() == (15_000, 0, 0)
    (left,) = await api.rows(
        "SELECT * FROM mpesa.callbacks WHERE kind = 'pull' AND outcome = 'quarantined' AND note = 'unreadable'"
    )
    assert (await opened(api, left))["amount"] == "a lot"


@pytest.mark.parametrize(
    ("fields", "outcome", "note"),
    [
        ({"transactiontype": "b2c-business-payment"}, "quarantined", "unknown_type"),
        ({"transactiontype": "C2B-buy-goods-debit"}, "suspense", None),
        ({"shortcode": "999999"}, "quarantined", "unknown_shortcode"),
        ({"shortcode": 600000}, "suspense", None),
        ({"transactionId": "?"}, "quarantined", "unreadable"),
        ({"amount": "0"}, "quarantined", "unreadable"),
        ({"trxDate": "soon"}, "suspense", None),
        ({"billreference": None}, "suspense", None),
    ],
)
async def test_what_is_no_payment_to_us_is_quarantined_and_anything_else_is_booked(
    api: Api, fields: dict[str, object], outcome: str, note: str | None
) -> None:
    body = page(row(new_receipt()) | fields)
    assert await post(api, body) == outcome
    assert (await kept(api, CallbackKind.PULL, body))["note"] == note


async def test_a_row_without_a_readable_time_is_booked_with_ours(api: Api, saver: Saver) -> None:
    receipt = new_receipt()
    await post(api, page(row(receipt, trxDate="soon", billreference=saver.member_code)))
    at = (await deposit_of(api, receipt))["event_at"]
    assert abs(at - api.clock.now()) < timedelta(minutes=1)


async def test_with_several_shortcodes_a_row_has_to_name_its_own(serve: Serve, saver: Saver) -> None:
    async with serve(mpesa_shortcode=f"{SHORTCODE},600777") as several:
        assert await post(several, page(row(new_receipt()))) == "quarantined"
        receipt = new_receipt()
        mine = row(receipt, billreference=saver.member_code, shortcode="600777")
        assert await post(several, page(mine)) == "credited"
        assert (await deposit_of(several, receipt))["shortcode"] == "600777"


async def test_an_empty_page_decides_nothing(api: Api) -> None:
    assert await post(api, json.dumps({"ResponseCode": "1001", "Response": "[[]]"}).encode()) == "noted"


# A Safaricom that lists as the emulator never does


@pytest.fixture(scope="module")
async def scripted() -> AsyncIterator[ScriptedSafaricom]:
    async with scripted_safaricom() as running:
        yield running


@pytest.fixture
async def told(serve: Serve, scripted: ScriptedSafaricom) -> AsyncIterator[Api]:
    """A service whose pulls are answered by the test's script."""
    scripted.reset()
    async with serve(mpesa_pull_number="254700000000", mpesa_base_url=scripted.url) as api:
        await api.alter("DELETE FROM mpesa.pulls")
        yield api
        await api.books.check()


def listed(*rows: dict[str, object]) -> Told:
    return Told(body=page(*rows))


async def test_rows_that_cannot_be_read_are_quarantined_once(told: Api, scripted: ScriptedSafaricom) -> None:
    saver = await told.new_saver()
    odd = new_receipt()
    answer = listed(
        row(new_receipt(), billreference=saver.member_code), row(odd, amount="a lot"), row("?", odd=odd)
    )
    scripted.will(PULL, answer, answer)
    assert await pull(told) == 1
    assert await pull(told) == 0
    assert await saver.holds() == (5_000, 0, 0)
    unreadable = await told.rows("SELECT * FROM mpesa.callbacks WHERE note = 'unreadable'")
    of_these = [each for each in unreadable if odd in json.dumps(await opened(told, each))]
    assert [(each["kind"], each["outcome"], each["deliveries"]) for each in of_these] == [
        ("pull", "quarantined", 2)
    ] * 2


async def test_a_pull_that_breaks_off_keeps_what_it_got(told: Api, scripted: ScriptedSafaricom) -> None:
    saver = await told.new_saver()
    full = listed(*(row(new_receipt(), billreference=saver.member_code) for _ in range(100)))
    refused = error("500.003.03", "Quota Violation", 500)
    scripted.will(PULL, full, *[refused] * 10)
    with stamina.set_testing(True, attempts=2), pytest.raises(DarajaError):
        await pull(told)
    assert await saver.holds() == (500_000, 0, 0)
    (known,) = await told.rows("SELECT pulled_until FROM mpesa.pulls WHERE shortcode = $1", SHORTCODE)
    assert known["pulled_until"] is None
    await worker_of(told.app.state.parts).read_facts()
    gauge, labels = "zanari_pulled_until_timestamp_seconds", {"shortcode": SHORTCODE}
    assert told.runtime.metrics.registry.get_sample_value(gauge, labels) is None
    assert [call.body["OffSetValue"] for call in scripted.calls(PULL)][:2] == ["0", "100"]


async def test_a_list_that_repeats_itself_for_ever_is_broken_off(
    told: Api, scripted: ScriptedSafaricom
) -> None:
    saver = await told.new_saver()
    full = listed(*(row(new_receipt(), billreference=saver.member_code) for _ in range(100)))
    scripted.will(PULL, *[full] * 50)
    with pytest.raises(PullBrokeOff):
        await pull(told)
    assert len(scripted.calls(PULL)) == 2
    assert await saver.holds() == (500_000, 0, 0)


async def test_a_shortcode_that_cannot_be_pulled_keeps_no_other_from_it(
    serve: Serve, scripted: ScriptedSafaricom
) -> None:
    scripted.reset()
    async with serve(
        mpesa_pull_number="254700000000",
        mpesa_base_url=scripted.url,
        mpesa_shortcode=f"{SHORTCODE},600778",
    ) as two:
        saver = await two.new_saver()
        await two.alter("DELETE FROM mpesa.pulls")
        scripted.will(PULL_REGISTER, error("400.002.02", "Bad Request - Invalid ShortCode", 400))
        receipt = new_receipt()
        scripted.will(PULL, listed(row(receipt, billreference=saver.member_code)))
        with pytest.raises(DarajaError):
            await pull(two)
        assert (await deposit_of(two, receipt))["shortcode"] == "600778"
        # One may come twice: the first one with a token of the test before.
        assert {call.body["ShortCode"] for call in scripted.calls(PULL_REGISTER)} == {SHORTCODE, "600778"}
        assert scripted.calls(PULL_REGISTER)[0].body["CallBackURL"].endswith("/pull")
        assert scripted.calls(PULL_REGISTER)[0].body["NominatedNumber"] == "254700000000"


async def test_each_pull_goes_over_four_hours_again_and_the_nightly_one_over_all(
    told: Api, scripted: ScriptedSafaricom
) -> None:
    began = told.clock.now()
    await pull(told)
    told.clock.advance(minutes=15)
    await pull(told)
    await pull(told, whole=True)
    first, second, nightly = (
        [
            datetime.strptime(call.body[name], "%Y-%m-%d %H:%M:%S").replace(tzinfo=EAT)
            for name in ("StartDate", "EndDate")
        ]
        for call in scripted.calls(PULL)
    )
    second_long = timedelta(seconds=5)
    assert abs(first[0] - (began - timedelta(hours=48))) < second_long
    assert abs(first[1] - (began - timedelta(minutes=2))) < second_long
    assert abs(second[0] - (first[1] - timedelta(hours=4))) < second_long
    assert abs(second[1] - (first[1] + timedelta(minutes=15))) < second_long
    assert abs(nightly[0] - (began + timedelta(minutes=15) - timedelta(hours=48))) < second_long
