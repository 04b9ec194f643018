"""Recording lists of spends in one call: in the order they happened, each once, and in few statements."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from tests.support.app import Api
from tests.support.counting import counting
from tests.support.savers import Saver, now
from tests.support.spends import Recorder, shares, spend_of
from zanari_api.kit.spend_kind import SpendKind
from zanari_api.roundups.service import record_spends
from zanari_api.roundups.spends import RecordStatus, Source, Spend
from zanari_api.runtime.db import Role

SAVED, WAITING = (300, "saved", None), (300, "waiting", None)


async def test_nothing_told_is_nothing_recorded(record: Recorder) -> None:
    assert await record() == []


async def test_answers_come_in_the_order_of_the_list_whatever_happened_first(
    record: Recorder, saver: Saver
) -> None:
    await saver.deposit(10_000)
    await saver.joined(now() - timedelta(days=1))
    spends = [spend_of(saver, 14_000 + 100 * n, at=now() - timedelta(minutes=n)) for n in range(1, 11)]
    spends = spends[::2] + spends[::-2]
    recorded = await record(*spends)
    assert {item.status for item in recorded} == {RecordStatus.PROCESSED}
    amounts = [item.round_up.amount_cents for item in recorded if item.round_up]
    assert amounts == [-spend.amount_cents % 1_000 for spend in spends]


@pytest.mark.parametrize("shuffled", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_the_wallet_goes_to_what_happened_first(
    record: Recorder, saver: Saver, shuffled: Sequence[int]
) -> None:
    await saver.joined(now() - timedelta(days=1))
    await saver.deposit(600)
    spends = [spend_of(saver, at=now() - timedelta(minutes=30 - n)) for n in range(3)]
    outcomes = await record.outcomes(*(spends[place] for place in shuffled))
    assert [outcomes[shuffled.index(place)] for place in range(3)] == [SAVED, SAVED, WAITING]
    assert await saver.holds() == (0, 600, 300)


async def test_of_spends_in_one_second_the_receipt_settles_the_order(record: Recorder, saver: Saver) -> None:
    await saver.deposit(300)
    at = now()
    spends = [spend_of(saver, at=at, receipt=f"SAMESEC00{letter}") for letter in "CAB"]
    assert await record.outcomes(*spends) == [WAITING, SAVED, WAITING]


async def test_a_wallet_run_dry_half_way_lets_the_rest_wait_and_still_covers_what_is_small(
    record: Recorder, saver: Saver
) -> None:
    await saver.joined(now() - timedelta(days=1))
    await saver.deposit(700)
    amounts = [14_700, 14_700, 14_700, 14_900]
    spends = [spend_of(saver, cents, at=now() - timedelta(minutes=9 - n)) for n, cents in enumerate(amounts)]
    assert await record.outcomes(*spends) == [SAVED, SAVED, WAITING, (100, "saved", None)]
    assert await saver.holds() == (0, 700, 300)


async def test_the_same_receipt_twice_in_one_call_is_decided_once(record: Recorder, saver: Saver) -> None:
    await saver.deposit(10_000)
    at = now()
    first = spend_of(saver, at=at, receipt="TWICE00001")
    second = spend_of(saver, 2_300, at=at, receipt="TWICE00001")
    recorded = await record(first, second, first)
    assert [item.status for item in recorded] == [
        RecordStatus.PROCESSED,
        RecordStatus.DUPLICATE,
        RecordStatus.DUPLICATE,
    ]
    assert len({item.round_up for item in recorded}) == 1
    assert await saver.holds() == (9_700, 300, 0)
    assert len(await saver.feed(type="spend")) == 1


async def test_other_content_under_one_receipt_is_a_discrepancy_in_one_call_and_across_calls(
    record: Recorder, saver: Saver
) -> None:
    at = now()
    first = spend_of(saver, 14_700, at=at, receipt="TWICE00002")
    other = spend_of(saver, 2_300, at=at, receipt="TWICE00002")
    same, told = await record(first, first), await record(other)
    assert [item.discrepancy for item in same] == [None, None]
    in_one_call = await record(
        *(spend_of(saver, cents, at=at, receipt="TWICE00003") for cents in (14_700, 2_300))
    )
    for discrepancy in (told[0].discrepancy, in_one_call[1].discrepancy):
        assert discrepancy is not None
        assert discrepancy.differs == ("amount_cents",)
        assert (discrepancy.first_amount_cents, discrepancy.later_amount_cents) == (14_700, 2_300)
    assert in_one_call[0].discrepancy is None


async def test_a_spend_without_a_saver_consumes_nothing(record: Recorder, saver: Saver) -> None:
    (unmatched,) = await record(spend_of(None, receipt="NOBODY0001"))
    assert (unmatched.status, unmatched.round_up) == (RecordStatus.UNMATCHED, None)
    (matched,) = await record(spend_of(saver, receipt="NOBODY0001"))
    assert matched.status is RecordStatus.PROCESSED


async def test_a_signed_receipt_counts_for_one_saver_only(api: Api, record: Recorder, saver: Saver) -> None:
    other = await api.new_saver()
    await record(spend_of(saver, receipt="ONESAVER01"))
    (again,) = await record(spend_of(other, receipt="ONESAVER01"))
    assert again.status is RecordStatus.DUPLICATE
    assert await other.feed() == []


async def test_what_the_webhook_told_and_the_savers_own_message_is_one_spend(
    api: Api, record: Recorder, saver: Saver
) -> None:
    await record(spend_of(saver, receipt="CHANNEL001"))
    (message,) = await record(spend_of(saver, receipt="CHANNEL001", source=Source.SMS))
    assert message.status is RecordStatus.DUPLICATE
    await record(spend_of(saver, receipt="CHANNEL002", source=Source.SMS))
    (signed,) = await record(spend_of(saver, receipt="CHANNEL002"))
    assert signed.status is RecordStatus.DUPLICATE
    other = await api.new_saver()
    (of_another,) = await record(spend_of(other, receipt="CHANNEL002", source=Source.SMS))
    assert of_another.status is RecordStatus.PROCESSED


async def test_targets_are_filled_one_after_another_within_one_call(record: Recorder, saver: Saver) -> None:
    await saver.joined(now() - timedelta(days=1))
    await saver.deposit(10_000)
    first = UUID((await saver.goal("first", target_cents=500))["id"])
    second = UUID((await saver.goal("second", target_cents=400))["id"])
    default = UUID((await saver.default_goal())["id"])
    recorded = await record(*(spend_of(saver, at=now() - timedelta(minutes=9 - n)) for n in range(4)))
    assert [shares(item) for item in recorded] == [
        [(first, 300)],
        [(first, 200), (second, 100)],
        [(second, 300)],
        [(default, 300)],
    ]
    goals = {goal["name"]: goal for goal in await saver.goals()}
    assert [goals[name]["saved_cents"] for name in ("first", "second", "Spare change")] == [500, 400, 300]
    assert [len(goals[name]["milestones"]) for name in ("first", "second")] == [4, 4]


async def test_percentages_split_every_round_up_to_the_cent(record: Recorder, saver: Saver) -> None:
    await saver.deposit(10_000)
    first = UUID((await saver.goal("first", allocation_percent=33))["id"])
    second = UUID((await saver.goal("second", allocation_percent=33))["id"])
    default = UUID((await saver.default_goal())["id"])
    (recorded,) = await record(spend_of(saver, 14_900))
    assert shares(recorded) == [(first, 33), (second, 33), (default, 34)]


async def test_a_paused_goal_gets_nothing(record: Recorder, saver: Saver) -> None:
    await saver.deposit(10_000)
    goal = await saver.goal(allocation_percent=100)
    await saver.patch(f"/goals/{goal['id']}", {"status": "paused"})
    (recorded,) = await record(spend_of(saver))
    assert shares(recorded) == [(UUID((await saver.default_goal())["id"]), 300)]


async def test_what_waits_fills_no_goal(record: Recorder, saver: Saver) -> None:
    await saver.joined(now() - timedelta(days=1))
    goal = UUID((await saver.goal(target_cents=400))["id"])
    recorded = await record(*(spend_of(saver, at=now() - timedelta(minutes=9 - n)) for n in range(3)))
    assert [shares(item) for item in recorded] == [[(goal, 300)]] * 3
    assert await saver.holds() == (0, 0, 900)


EAT_DAYS = {
    "cap_per_day_cents": ("2026-10-14T20:59:59+00:00", "2026-10-14T21:00:00+00:00"),
    "cap_per_week_cents": ("2026-10-11T20:59:59+00:00", "2026-10-11T21:00:00+00:00"),
    "cap_per_month_cents": ("2026-09-30T20:59:59+00:00", "2026-09-30T21:00:00+00:00"),
}


@pytest.mark.parametrize("in_one_call", [True, False], ids=["in one call", "across calls"])
@pytest.mark.parametrize(("cap", "edge"), EAT_DAYS.items(), ids=EAT_DAYS)
async def test_caps_count_by_the_day_week_and_month_in_nairobi(
    record: Recorder, saver: Saver, cap: str, edge: tuple[str, str], *, in_one_call: bool
) -> None:
    last_of_old, first_of_new = map(datetime.fromisoformat, edge)
    at = first_of_new + timedelta(days=10)
    await saver.joined(at - timedelta(days=29))
    await saver.deposit(10_000)
    await record.set_rule(saver, **{cap: 500})
    spends = [
        spend_of(saver, at=last_of_old - timedelta(minutes=2)),
        spend_of(saver, at=last_of_old - timedelta(minutes=1)),
        spend_of(saver, at=last_of_old),
        spend_of(saver, at=first_of_new),
    ]
    if in_one_call:
        outcomes = await record.outcomes(*spends, at=at)
    else:
        outcomes = [outcome for spend in spends for outcome in await record.outcomes(spend, at=at)]
    assert outcomes == [SAVED, (200, "saved", "capped"), (0, "skipped", "cap_reached"), SAVED]


async def test_across_calls_arrival_order_stands(record: Recorder, saver: Saver) -> None:
    await saver.joined(now() - timedelta(days=1))
    await saver.deposit(10_000)
    await record.set_rule(saver, cap_per_month_cents=300)
    later, earlier = spend_of(saver, at=now()), spend_of(saver, at=now() - timedelta(minutes=5))
    assert await record.outcomes(later) == [SAVED]
    assert await record.outcomes(earlier) == [(0, "skipped", "cap_reached")]


async def test_what_waits_counts_against_a_cap(record: Recorder, saver: Saver) -> None:
    await record.set_rule(saver, cap_per_day_cents=400)
    at = now()
    spends = [spend_of(saver, at=at, receipt=f"CAPWAIT00{n}") for n in range(2)]
    assert await record.outcomes(*spends) == [WAITING, (100, "waiting", "capped")]


async def test_one_savers_caps_are_not_anothers(api: Api, record: Recorder, saver: Saver) -> None:
    other = await api.new_saver()
    for each in (saver, other):
        await each.deposit(10_000)
        await record.set_rule(each, cap_per_day_cents=300)
    spends = [
        spend_of(each, receipt=f"CAPS0{each.id.hex[:6].upper()}{n}")
        for each in (saver, other)
        for n in (1, 2)
    ]
    reached = (0, "skipped", "cap_reached")
    assert await record.outcomes(*spends) == [SAVED, reached, SAVED, reached]


async def test_a_payment_to_ourselves_is_no_spend(record: Recorder, saver: Saver) -> None:
    told = spend_of(saver, kind=SpendKind.PAYBILL, merchant_shortcode="600000")
    assert await record.outcomes(told) == [(0, "skipped", "own_shortcode")]


async def test_spends_from_before_joining_and_over_30_days_old_are_recorded_and_skipped(
    api: Api, record: Recorder
) -> None:
    at = now()
    young, old = await api.new_saver(), await api.new_saver(joined=at - timedelta(days=90))
    told = [
        spend_of(young, at=at - timedelta(hours=1)),
        spend_of(old, at=at - timedelta(days=30)),
        spend_of(old, at=at - timedelta(days=30, seconds=1)),
    ]
    assert await record.outcomes(*told, at=at) == [
        (0, "skipped", "before_joining"),
        WAITING,
        (0, "skipped", "too_old"),
    ]


async def test_hundreds_of_spends_take_as_many_statements_as_two(api: Api, record: Recorder) -> None:
    savers = [await api.new_saver(joined=now() - timedelta(days=40)) for _ in range(6)]
    for saver in savers:
        await saver.deposit(30_000)
        await saver.goal("target", target_cents=5_000)
        await record.set_rule(saver, cap_per_month_cents=10_000_000)
    few = await statements_of(api, record, many_spends(savers[:1], each=2))
    many = await statements_of(api, record, many_spends(savers, each=60))
    assert len(many) <= len(few) + 1, "milestones are reached in one more statement"
    assert len(many) <= 15
    for saver in savers:
        balance, saved, waiting = await saver.holds()
        assert balance + saved == 30_000
        assert saved + waiting > 0
        assert len(await saver.feed(type="spend", limit=200)) >= 60


async def test_many_deliveries_of_one_receipt_at_once_have_one_effect_and_one_answer(
    record: Recorder, saver: Saver
) -> None:
    await saver.deposit(10_000)
    told = spend_of(saver)
    recorded = [item for items in await asyncio.gather(*(record(told) for _ in range(24))) for item in items]
    statuses = [item.status for item in recorded]
    assert statuses.count(RecordStatus.PROCESSED) == 1
    assert statuses.count(RecordStatus.DUPLICATE) == 23
    assert len({item.round_up for item in recorded}) == 1
    assert await saver.holds() == (9_700, 300, 0)


async def test_batches_over_the_same_savers_in_opposite_orders_do_not_get_in_each_others_way(
    api: Api, record: Recorder
) -> None:
    savers = [await api.new_saver() for _ in range(6)]
    for saver in savers:
        await saver.deposit(10_000)
    batches = [
        [spend_of(saver) for saver in (savers if number % 2 else savers[::-1])] for number in range(12)
    ]
    shared = [spend_of(saver) for saver in savers]
    recorded = await asyncio.gather(
        *(record(*batch, *(shared if number % 3 else shared[::-1])) for number, batch in enumerate(batches))
    )
    statuses = [item.status for items in recorded for item in items]
    assert statuses.count(RecordStatus.PROCESSED) == 12 * 6 + 6
    assert [await saver.holds() for saver in savers] == [(10_000 - 13 * 300, 13 * 300, 0)] * 6


def many_spends(savers: Sequence[Saver], *, each: int) -> list[Spend]:
    """Return spends of the last days, mixed: saved, waiting, whole amounts, cash, persons paid."""
    kinds = list(SpendKind)
    return [
        spend_of(
            saver,
            1_000 * n + 370 * (n % 3),
            at=now() - timedelta(hours=n),
            kind=kinds[n % len(kinds)],
            merchant_name="JOHN OTIENO",
            to_private_person=n % 2 == 0,
        )
        for saver in savers
        for n in range(1, each + 1)
    ]


async def statements_of(api: Api, record: Recorder, spends: Sequence[Spend]) -> list[str]:
    """Record spends; return the statements it took, and see that each was processed."""
    async with api.db.transaction(Role.SYSTEM) as tx:
        counted, statements = counting(tx)
        recorded = await record_spends(counted, spends, policy=record.policy())
    assert [item.status for item in recorded] == [RecordStatus.PROCESSED] * len(spends)
    return statements
