"""When a collection is asked for, of how much, and what an answer to it means for the next one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zanari_api.daraja.codes import TABLES, Api, Kind, Reason
from zanari_api.kit.clock import EAT
from zanari_api.roundups.allocation import Share
from zanari_api.roundups.collecting_rules import (
    REST,
    SENT_WITHIN,
    Collect,
    Hindrance,
    Portion,
    Restraint,
    Situation,
    Wait,
    Waiting,
    Wish,
    after_failure,
    after_skip,
    apart,
    choose_amount,
    cover_whole,
    decide,
    due_at,
    fill,
    is_quiet,
    next_allowed,
    next_morning,
    part_of,
    wish_behind,
)
from zanari_api.roundups.rules import Rule
from zanari_api.roundups.tariffs import Band, Tariff, load_tariffs

TARIFF = load_tariffs()[0]
THRESHOLDS = st.sampled_from([100, 10_000, 50_000, 100_000])
MOMENTS = st.integers(0, 6 * 365 * 24 * 3600 * 1_000).map(
    lambda milliseconds: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
)


def eat(text: str) -> datetime:
    """Read a time of day in Nairobi on a day of the tests."""
    return datetime.fromisoformat(f"2026-11-25T{text}+03:00").astimezone(UTC)


NOON = eat("12:00")
MINUTE = timedelta(minutes=1)


# How much


@pytest.mark.parametrize(
    ("waiting", "threshold", "amount"),
    [
        (0, 100, 0),
        (99, 100, 0),
        (100, 100, 100),
        (347, 100, 300),
        (9_999, 10_000, 0),
        (10_000, 10_000, 10_000),
        (18_050, 10_000, 10_000),
        (25_000, 10_000, 10_000),
        (60_000, 10_000, 10_000),
        (49_999, 50_000, 0),
        (55_000, 50_000, 50_000),
        (99_900, 50_000, 50_000),
        (100_000, 50_000, 100_000),
        (120_000, 100_000, 100_000),
        (250_000, 50_000, 250_000),
        (500_099, 50_000, 500_000),
        (520_000, 50_000, 500_000),
        (9_999_999, 50_000, 1_000_000),
    ],
)
def test_the_amount_is_the_one_with_the_least_fee_per_shilling(
    waiting: int, threshold: int, amount: int
) -> None:
    assert choose_amount(waiting, threshold, TARIFF) == amount


@given(waiting=st.integers(0, 2_000_000), threshold=THRESHOLDS)
def test_no_more_than_waits_is_collected_in_whole_shillings_and_from_the_threshold_on(
    waiting: int, threshold: int
) -> None:
    amount = choose_amount(waiting, threshold, TARIFF)
    assert 0 <= amount <= min(waiting, TARIFF.most_cents)
    assert amount % 100 == 0
    assert amount == 0 or amount >= threshold
    assert (amount == 0) == (waiting < threshold)


@given(waiting=st.integers(10_000, 2_000_000), threshold=st.sampled_from([100, 10_000]))
def test_where_a_hundred_shillings_are_enough_nothing_is_ever_paid_in_fees(
    waiting: int, threshold: int
) -> None:
    amount = choose_amount(waiting, threshold, TARIFF)
    assert TARIFF.fee_cents(amount) == 0
    assert not 10_100 <= amount <= 25_000


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    edges = draw(st.lists(st.integers(1, 300), min_size=1, max_size=8, unique=True).map(sorted))
    fees = draw(st.lists(st.integers(0, 20), min_size=len(edges), max_size=len(edges)).map(sorted))
    bands = tuple(Band(edge * 100, fee * 100) for edge, fee in zip(edges, fees, strict=True))
    return Tariff(NOON.date(), "made up", bands)


@given(tariff=tariffs(), waiting=st.integers(0, 40_000), threshold=st.integers(1, 100).map(lambda n: n * 100))
def test_no_other_amount_of_whole_shillings_has_a_better_price(
    tariff: Tariff, waiting: int, threshold: int
) -> None:
    amount = choose_amount(waiting, threshold, tariff)
    for other in range(threshold, min(waiting, tariff.most_cents) + 1, 100):
        ours, theirs = tariff.fee_cents(amount) * other, tariff.fee_cents(other) * amount
        assert ours < theirs or (ours == theirs and amount >= other)


# When


@pytest.mark.parametrize(
    ("at", "quiet"),
    [("06:59:59", True), ("07:00", False), ("20:59:59", False), ("21:00", True), ("00:00", True)],
)
def test_phones_do_not_ring_from_nine_in_the_evening_to_seven_in_the_morning(at: str, *, quiet: bool) -> None:
    assert is_quiet(eat(at)) is quiet


@pytest.mark.parametrize(
    ("at", "allowed"),
    [
        ("12:00", "2026-11-25T12:00"),
        ("20:59:59", "2026-11-25T20:59:59"),
        ("21:00", "2026-11-26T07:00"),
        ("23:59:59", "2026-11-26T07:00"),
        ("00:00", "2026-11-25T07:00"),
        ("06:59:59", "2026-11-25T07:00"),
    ],
)
def test_what_comes_at_night_waits_until_the_morning(at: str, allowed: str) -> None:
    assert next_allowed(eat(at)) == datetime.fromisoformat(f"{allowed}+03:00")


@given(MOMENTS)
def test_the_next_allowed_moment_is_allowed_and_the_first_one(moment: datetime) -> None:
    allowed = next_allowed(moment)
    assert not is_quiet(allowed)
    assert timedelta() <= allowed - moment <= timedelta(hours=10)
    if allowed != moment:
        assert is_quiet(moment)
        assert is_quiet(allowed - timedelta(microseconds=1))


@given(MOMENTS)
def test_tomorrow_starts_at_seven_in_nairobi(moment: datetime) -> None:
    morning = next_morning(moment).astimezone(EAT)
    assert (morning.hour, morning.minute) == (7, 0)
    assert (morning.date() - moment.astimezone(EAT).date()).days == 1


@given(st.timedeltas(timedelta(minutes=-10), timedelta(minutes=10)))
def test_the_same_amount_comes_two_minutes_later_at_the_earliest(since: timedelta) -> None:
    moved = apart(NOON, NOON - since)
    assert moved - (NOON - since) >= timedelta(minutes=2)
    assert moved >= NOON
    assert moved == NOON or moved == NOON - since + timedelta(minutes=2)
    assert apart(NOON, None) == NOON


# Whether


def situation(**facts: object) -> Situation:
    """Return a moment in which everything allows a collection, but for `facts`."""
    usual = Situation(
        now=NOON,
        notice=MINUTE,
        feature_enabled=True,
        rule=Rule(),
        waiting_cents=12_000,
        restraint=Restraint(),
        open_until=None,
        last_prompt_at=None,
    )
    return replace(usual, **facts)


def test_when_nothing_stands_in_the_way_a_collection_is_announced() -> None:
    assert decide(situation(), TARIFF) == Collect(amount_cents=10_000, prompts_at=NOON + MINUTE)


LATER = NOON + timedelta(hours=3)


@pytest.mark.parametrize(
    ("facts", "hindrance", "until"),
    [
        ({"feature_enabled": False}, Hindrance.FEATURE_DISABLED, NOON + timedelta(hours=1)),
        ({"restraint": Restraint(paused=True)}, Hindrance.PAUSED, None),
        ({"rule": Rule(enabled=False)}, Hindrance.RULE_DISABLED, None),
        ({"rule": Rule(paused_until=LATER)}, Hindrance.RULE_PAUSED, LATER),
        ({"waiting_cents": 9_999}, Hindrance.BELOW_THRESHOLD, None),
        ({"rule": Rule(collection_threshold_cents=50_000)}, Hindrance.BELOW_THRESHOLD, None),
        ({"restraint": Restraint(cool_down_until=LATER)}, Hindrance.COOL_DOWN, LATER),
        ({"open_until": NOON + MINUTE}, Hindrance.PROMPT_OPEN, NOON + MINUTE),
        ({"last_prompt_at": NOON - MINUTE}, Hindrance.RESTING, NOON - MINUTE + REST),
        ({"last_prompt_at": NOON + MINUTE}, Hindrance.RESTING, NOON + MINUTE + REST),
        ({"now": eat("21:30")}, Hindrance.QUIET_HOURS, eat("07:00") + timedelta(days=1)),
        ({"now": eat("06:30")}, Hindrance.QUIET_HOURS, eat("07:00")),
    ],
)
def test_each_hindrance_puts_the_collection_off_until_it_may_be_gone(
    facts: dict[str, object], hindrance: Hindrance, until: datetime | None
) -> None:
    assert decide(situation(**facts), TARIFF) == Wait(hindrance, until)


@pytest.mark.parametrize(
    "facts",
    [
        {"rule": Rule(paused_until=NOON)},
        {"restraint": Restraint(cool_down_until=NOON, declined_in_a_row=2)},
        {"open_until": NOON},
        {"last_prompt_at": NOON - REST},
        {"waiting_cents": 10_000},
        {"now": eat("06:59")},
    ],
)
def test_what_is_over_hinders_nothing(facts: dict[str, object]) -> None:
    assert isinstance(decide(situation(**facts), TARIFF), Collect)


@given(MOMENTS, st.timedeltas(timedelta(), timedelta(minutes=10)))
def test_no_prompt_is_sent_by_itself_at_night_however_late_it_is_sent(
    now: datetime, notice: timedelta
) -> None:
    decision = decide(situation(now=now, notice=notice), TARIFF)
    if isinstance(decision, Collect):
        assert decision.prompts_at == now + notice
        assert not is_quiet(decision.prompts_at)
        assert not is_quiet(decision.prompts_at + SENT_WITHIN)
    else:
        assert decision.hindrance is Hindrance.QUIET_HOURS
        assert decision.until is not None
        assert decision.until > now


# What an answer means


@pytest.mark.parametrize(
    ("reason", "wish"),
    [
        ("cancelled", Wish.DECLINED),
        ("no_answer", Wish.DECLINED),
        ("expired", Wish.DECLINED),
        ("wrong_pin", Wish.DECLINED),
        ("insufficient_funds", Wish.UNABLE),
        ("daily_limit", Wish.UNABLE),
        ("locked", Wish.UNABLE),
        ("rule_limited", Wish.UNASKED),
        ("phone_busy", Wish.UNASKED),
        ("push_failed", Wish.UNASKED),
        ("not_sent", Wish.UNASKED),
        ("a word of tomorrow", Wish.UNASKED),
    ],
)
def test_a_failure_is_held_against_the_saver_only_where_the_saver_was_asked(reason: str, wish: Wish) -> None:
    assert wish_behind(reason) is wish


def test_every_definite_failure_of_a_prompt_is_decided_on() -> None:
    unasked = {Reason.RULE_LIMITED, Reason.PHONE_BUSY, Reason.PUSH_FAILED}
    for meaning in TABLES[Api.STK].values():
        if meaning.kind is Kind.FAILED:
            assert (wish_behind(meaning.reason) is Wish.UNASKED) == (meaning.reason in unasked), meaning


def test_declined_prompts_cool_down_longer_each_time_and_stop_after_three() -> None:
    restraint, now = Restraint(), NOON
    for days, paused in ((1, False), (2, False), (4, True)):
        restraint = after_failure(restraint, "cancelled", now)
        assert restraint.cool_down_until == now + timedelta(days=days)
        assert restraint.paused is paused
        now += timedelta(days=days)
    assert restraint.declined_in_a_row == 3
    assert due_at(restraint, now) is None
    again = after_failure(restraint, "no_answer", now)
    assert (again.cool_down_until, again.paused) == (now + timedelta(days=4), True)


@given(st.integers(0, 5), st.booleans(), st.sampled_from(["insufficient_funds", "phone_busy", "not_sent"]))
def test_what_was_no_refusal_changes_no_count(declined: int, paused: bool, reason: str) -> None:  # noqa: FBT001
    before = Restraint(declined_in_a_row=declined, paused=paused)
    after = after_failure(before, reason, NOON)
    assert (after.declined_in_a_row, after.paused) == (declined, paused)
    assert after.cool_down_until is not None
    assert after.cool_down_until - NOON == (timedelta(days=1) if reason == "insufficient_funds" else REST)


def test_after_a_skip_the_next_one_comes_tomorrow_and_nothing_is_held_against_the_saver() -> None:
    before = Restraint(declined_in_a_row=1)
    after = after_skip(before, NOON)
    assert after == replace(before, cool_down_until=eat("07:00") + timedelta(days=1))
    longer = replace(before, cool_down_until=NOON + timedelta(days=3))
    assert after_skip(longer, NOON) == longer


def test_the_accruals_are_looked_at_when_the_cool_down_is_over() -> None:
    assert due_at(Restraint(), NOON) == NOON
    assert due_at(Restraint(cool_down_until=NOON - MINUTE), NOON) == NOON
    assert due_at(Restraint(cool_down_until=NOON + MINUTE), NOON) == NOON + MINUTE


# Who gets what

IDS = [UUID(int=number) for number in range(1, 40)]
AMOUNTS = st.lists(st.integers(1, 500), max_size=12)


def waiting_of(amounts: list[int]) -> list[Waiting]:
    return [Waiting(spend_id, cents) for spend_id, cents in zip(IDS, amounts, strict=False)]


@given(AMOUNTS, st.data())
def test_an_amount_covers_the_oldest_and_the_last_of_them_in_part(
    amounts: list[int], data: st.DataObject
) -> None:
    amount = data.draw(st.integers(0, sum(amounts)))
    portions = fill(waiting_of(amounts), amount)
    assert sum(portion.cents for portion in portions) == amount
    assert [portion.spend_id for portion in portions] == IDS[: len(portions)]
    assert [portion.cents for portion in portions[:-1]] == amounts[: max(0, len(portions) - 1)]
    assert all(0 < portion.cents <= cents for portion, cents in zip(portions, amounts, strict=False))


def test_more_than_waits_covers_nothing() -> None:
    with pytest.raises(ValueError, match="less waits"):
        fill(waiting_of([100]), 101)


@given(AMOUNTS, st.integers(0, 3_000))
def test_the_wallet_pays_whole_round_ups_from_the_oldest_on(amounts: list[int], held: int) -> None:
    portions = cover_whole(waiting_of(amounts), held)
    assert portions == [Portion(*pair) for pair in zip(IDS, amounts[: len(portions)], strict=False)]
    paid = sum(portion.cents for portion in portions)
    assert paid <= held
    assert len(portions) == len(amounts) or paid + amounts[len(portions)] > held


@given(
    allocations=st.lists(st.integers(1, 300), min_size=1, max_size=6),
    cuts=st.lists(st.integers(0, 2_000), max_size=6),
    shuffled=st.randoms(use_true_random=False),
)
def test_however_many_payments_it_takes_each_goal_gets_exactly_its_allocation(
    allocations: list[int], cuts: list[int], shuffled: Random
) -> None:
    shares = [Share(goal_id, cents) for goal_id, cents in zip(IDS, allocations, strict=False)]
    whole = sum(allocations)
    edges = sorted({0, whole, *(cut for cut in cuts if cut < whole)})
    shuffled.shuffle(shares)
    got: dict[UUID, int] = {}
    for start, end in pairwise(edges):
        parts = part_of(shares, settled_cents=start, cents=end - start)
        assert sum(part.cents for part in parts) == end - start
        assert all(part.cents > 0 for part in parts)
        for part in parts:
            got[part.goal_id] = got.get(part.goal_id, 0) + part.cents
    assert got == {share.goal_id: share.cents for share in shares}


def test_no_cent_beyond_the_round_up_is_split() -> None:
    with pytest.raises(ValueError, match="more was settled"):
        part_of([Share(IDS[0], 100)], settled_cents=60, cents=41)
