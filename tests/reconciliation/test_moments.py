"""What floats held at a moment of M-PESA's clock, whatever was booked late."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.app import SHORTCODE, Api
from tests.support.prompts import Prompter
from tests.support.savers import new_receipt
from zanari_api.kit.clock import EAT
from zanari_api.ledger import accounts, moments
from zanari_api.ledger.moments import SINCE_EVER
from zanari_api.runtime.db import Role

UTILITY = accounts.float_id(SHORTCODE)
MORNING = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)


async def paid_at(api: Api, cents: int, at: datetime) -> None:
    saver = await api.new_saver()
    stamp = at.astimezone(EAT).strftime("%Y%m%d%H%M%S")
    await api.pay_in(cents, account_reference=saver.member_code, TransTime=stamp)


async def held(api: Api, moment: datetime, *, since: str = SINCE_EVER) -> int | None:
    async with api.db.transaction(Role.SYSTEM) as tx:
        found = await moments.held_before(tx, [UTILITY], moment=moment, booked_since=since)
    return found.get(UTILITY)


async def test_what_happened_later_is_not_in_it_and_what_was_booked_late_is(fresh: Api) -> None:
    hour = timedelta(hours=1)
    await paid_at(fresh, 100, MORNING)
    await paid_at(fresh, 10_000, MORNING + 3 * hour)
    await paid_at(fresh, 2_000, MORNING + hour)
    assert await held(fresh, MORNING) == 0
    assert await held(fresh, MORNING + timedelta(seconds=1)) == 100
    assert await held(fresh, MORNING + 2 * hour) == 2_100
    assert await held(fresh, MORNING + 4 * hour) == 12_100


@pytest.mark.parametrize("was_credited", [False, True])
async def test_what_leaves_suspense_for_its_prompt_is_in_the_float_once_at_every_moment(
    fresh: Api, *, was_credited: bool
) -> None:
    saver, prompter, receipt = await fresh.new_saver(), Prompter(fresh), new_receipt()
    asked = await prompter.prompted(saver, 50_000)
    handle, paid_at = prompter.handle(saver), fresh.clock.now()
    before = await held(fresh, paid_at + timedelta(minutes=1))
    assert before is not None
    stamp = paid_at.astimezone(EAT).strftime("%Y%m%d%H%M%S")
    await fresh.pay_in(50_000, account_reference="rent", receipt=receipt, TransTime=stamp)
    if was_credited:
        await prompter.answer_query(await prompter.intent(asked))
    fresh.clock.advance(hours=2)
    await prompter.tell(handle, receipt=receipt, cents=50_000)
    assert await saver.holds() == (50_000, 0, 0)
    for minutes in (1, 60, 119, 180):
        assert await held(fresh, paid_at + timedelta(minutes=minutes)) == before + 50_000, minutes


async def test_a_horizon_spares_reading_what_was_booked_before_it(fresh: Api) -> None:
    await paid_at(fresh, 100, MORNING)
    async with fresh.db.transaction(Role.SYSTEM) as tx:
        mark = await moments.horizon(tx)
    later = MORNING + timedelta(hours=1)
    await paid_at(fresh, 5_000, later)
    assert await held(fresh, later, since=mark) == 100
    # What was booked before the horizon counts as from before the moment, which is why it is taken before it.
    assert await held(fresh, MORNING, since=mark) == 100


async def test_an_account_that_is_not_open_holds_nothing_that_could_be_told(fresh: Api) -> None:
    async with fresh.db.transaction(Role.SYSTEM) as tx:
        unknown = accounts.float_id("999999")
        assert await moments.held_before(tx, [unknown], moment=MORNING, booked_since=SINCE_EVER) == {}


async def test_the_changes_of_a_stretch_are_told_in_the_order_of_booking(fresh: Api) -> None:
    for place, cents in enumerate((300, 100, 200)):
        await paid_at(fresh, cents, MORNING + timedelta(seconds=place % 2))
    second = timedelta(seconds=1)
    async with fresh.db.transaction(Role.SYSTEM) as tx:
        told = await moments.changes(
            tx, [UTILITY], since=MORNING, until=MORNING + second, booked_since=SINCE_EVER
        )
        moved = await moments.moved(
            tx, UTILITY, since=MORNING, until=MORNING + 2 * second, booked_since=SINCE_EVER
        )
    assert told == {UTILITY: [300, 200]}
    assert [each.cents for each in moved] == [300, 100, 200]
    assert all(each.key.startswith("deposit:") for each in moved)
