"""Wrong PINs: counted one by one however many come at once, locked for longer each time, forgiven by a right one."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from tests.support.app import Api, Serve
from tests.support.pins import OTHER_PIN, PIN, WRONG_PIN, enter_pin, put_pin, signed_in, with_pin
from tests.support.savers import Saver, answered, code_of


@pytest.fixture
async def saver(api: Api) -> Saver:
    """A saver with a PIN."""
    return await with_pin(await api.new_saver())


async def enter_wrong(saver: Saver, times: int) -> list[httpx.Response]:
    return [await enter_pin(saver, WRONG_PIN) for _ in range(times)]


async def tries(api: Api, saver: Saver) -> int:
    (row,) = await api.rows("SELECT wrong_tries FROM savings.pins WHERE saver_id = $1", saver.id)
    return row["wrong_tries"]


async def test_each_wrong_pin_says_how_many_tries_are_left_and_the_fifth_locks(
    api: Api, saver: Saver
) -> None:
    *wrong, locked = await enter_wrong(saver, 5)
    assert [code_of(each) for each in wrong] == [(403, "pin_wrong")] * 4
    said = ["4 tries are left", "3 tries are left", "2 tries are left", "1 try is left"]
    assert all(words in each.json()["detail"] for words, each in zip(said, wrong, strict=True))
    assert all("retry-after" not in each.headers for each in wrong)
    assert code_of(locked) == (403, "pin_locked")
    assert locked.headers["retry-after"] == "60"
    assert "Nairobi time" in locked.json()["detail"]


async def test_the_right_pin_is_not_taken_during_a_lock_and_no_try_counts(api: Api, saver: Saver) -> None:
    await enter_wrong(saver, 5)
    for _ in range(3):
        assert code_of(await enter_pin(saver, PIN)) == (403, "pin_locked")
        assert code_of(await enter_pin(saver, WRONG_PIN)) == (403, "pin_locked")
        assert code_of(await put_pin(saver, OTHER_PIN, current=PIN)) == (403, "pin_locked")
    assert await tries(api, saver) == 5
    api.clock.advance(minutes=1)
    assert (await enter_pin(saver, PIN)).status_code == 201


async def test_during_a_lock_no_time_is_spent_on_hashing(api: Api, saver: Saver) -> None:
    await enter_wrong(saver, 5)
    # What would fail if it were looked at.
    await api.alter("UPDATE savings.pins SET hash = 'unreadable' WHERE saver_id = $1", saver.id)
    assert code_of(await enter_pin(saver, PIN)) == (403, "pin_locked")


async def test_each_wrong_pin_after_a_lock_locks_for_twice_as_long_up_to_a_day(
    api: Api, saver: Saver
) -> None:
    await enter_wrong(saver, 4)
    waits: list[int] = []
    for _ in range(14):
        (locked,) = await enter_wrong(saver, 1)
        assert code_of(locked) == (403, "pin_locked")
        waits.append(int(locked.headers["retry-after"]))
        api.clock.advance(seconds=waits[-1])
    assert waits == [
        60 * minutes for minutes in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1440, 1440, 1440)
    ]


async def test_a_lock_tells_how_much_of_it_is_left(api: Api, saver: Saver) -> None:
    await enter_wrong(saver, 5)
    api.clock.advance(seconds=45)
    (locked,) = await enter_wrong(saver, 1)
    assert 14 <= int(locked.headers["retry-after"]) <= 15


async def test_a_right_pin_forgives_the_wrong_ones_before_it(api: Api, saver: Saver) -> None:
    await enter_wrong(saver, 4)
    assert (await enter_pin(saver)).status_code == 201
    assert await tries(api, saver) == 0
    assert [each.json()["code"] for each in await enter_wrong(saver, 5)] == ["pin_wrong"] * 4 + ["pin_locked"]
    api.clock.advance(minutes=1)
    assert (await enter_pin(saver)).status_code == 201
    (wrong,) = await enter_wrong(saver, 1)
    assert code_of(wrong) == (403, "pin_wrong")


async def test_wrong_proofs_of_a_change_and_wrong_entries_count_together(api: Api, saver: Saver) -> None:
    for _ in range(2):
        await enter_pin(saver, WRONG_PIN)
        await put_pin(saver, OTHER_PIN, current=WRONG_PIN)
    assert code_of(await put_pin(saver, OTHER_PIN, current=WRONG_PIN)) == (403, "pin_locked")
    assert await tries(api, saver) == 5


async def test_a_reset_after_a_new_sign_in_ends_the_lock(api: Api, saver: Saver) -> None:
    await enter_wrong(saver, 5)
    assert code_of(await put_pin(signed_in(saver, ago_s=301), OTHER_PIN)) == (403, "fresh_sign_in_required")
    assert answered(await put_pin(signed_in(saver), OTHER_PIN))["payouts_held_until"] is not None
    assert (await enter_pin(saver, OTHER_PIN)).status_code == 201


# At once


async def test_two_wrong_pins_at_once_count_as_two(api: Api, saver: Saver) -> None:
    answers = await asyncio.gather(enter_pin(saver, WRONG_PIN), enter_pin(saver, WRONG_PIN))
    assert sorted("4 tries" in each.json()["detail"] for each in answers) == [False, True]
    assert await tries(api, saver) == 2


async def test_twenty_wrong_pins_at_once_are_no_more_tries_than_five_in_a_row(api: Api, saver: Saver) -> None:
    answers = await asyncio.gather(*(enter_pin(saver, WRONG_PIN) for _ in range(20)))
    codes = [code_of(each) for each in answers]
    assert codes.count((403, "pin_wrong")) == 4
    assert codes.count((403, "pin_locked")) == 16
    assert await tries(api, saver) == 5


async def test_the_right_pin_among_many_guesses_at_once_is_found_in_the_first_five_or_not_at_all(
    api: Api,
) -> None:
    for position in (0, 10, 19):
        saver = await with_pin(await api.new_saver())
        guesses = [f"{number}305" for number in (1, 2, 3, 4, 5, 6, 7, 9)] * 3
        guesses[position:position] = [PIN]
        answers = await asyncio.gather(*(enter_pin(saver, guess) for guess in guesses))
        right = sum(each.status_code == 201 for each in answers)
        judged_wrong = sum(each.json().get("code") == "pin_wrong" for each in answers)
        # A right one among the first forgives those before it, so at most four and five are told.
        assert judged_wrong <= (8 if right else 4)
        assert await tries(api, saver) == 5


async def test_two_services_count_the_same_tries(serve: Serve, api: Api, saver: Saver) -> None:
    async with serve() as other:
        beside = replace(saver, api=other)
        answers = await asyncio.gather(
            *(enter_pin(each, WRONG_PIN) for each in (saver, beside) for _ in range(8))
        )
        assert sum(each.json()["code"] == "pin_wrong" for each in answers) == 4
        assert await tries(api, saver) == 5


async def test_a_try_against_a_pin_that_is_replaced_meanwhile_is_judged_by_the_new_one(
    api: Api, saver: Saver
) -> None:
    """The row is held while the PIN is changed under it, after the try has read and hashed the old one."""
    async with api.database.connected("supabase_admin") as holder:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("SELECT FROM savings.pins WHERE saver_id = $1 FOR UPDATE", saver.id)
        waiting = asyncio.create_task(enter_pin(saver, PIN))
        await api.until_a_statement_waits()
        other = await with_pin(await api.new_saver(), OTHER_PIN)
        await holder.execute(
            "UPDATE savings.pins SET version = version + 1, wrong_tries = 2 WHERE saver_id = $1", saver.id
        )
        await transaction.commit()
    assert (await waiting).status_code == 201
    assert await tries(api, saver) == 0
    assert await tries(api, other) == 0


async def test_the_same_reset_many_times_at_once_is_one_reset_and_one_hold(api: Api, saver: Saver) -> None:
    fresh = signed_in(saver)
    answers = await asyncio.gather(*(put_pin(fresh, OTHER_PIN) for _ in range(6)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["set_at"] for answer in answers}) == 1
    (row,) = await api.rows(
        "SELECT version, (SELECT count(*) FROM savings.payout_holds AS h WHERE h.saver_id = p.saver_id) AS holds"
        " FROM savings.pins AS p WHERE saver_id = $1",
        saver.id,
    )
    assert (row["version"], row["holds"]) == (2, 1)


async def test_many_resets_at_once_leave_one_pin(api: Api, saver: Saver) -> None:
    pins = ["604917", "7291", "4826", "908174", "40618", "501938", "2138", "1835"]
    fresh = signed_in(saver)
    answers = await asyncio.gather(*(put_pin(fresh, pin) for pin in pins))
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert [code_of(each) for each in answers if each.status_code == 503] == [
        (503, "try_again") for each in answers if each.status_code == 503
    ]
    (row,) = await api.rows("SELECT version FROM savings.pins WHERE saver_id = $1", saver.id)
    assert row["version"] == 1 + sum(each.status_code == 200 for each in answers)
    fits: list[str] = []
    for pin in pins:
        if (await enter_pin(saver, pin)).status_code == 201:
            fits.append(pin)
        api.clock.advance(timedelta(days=1))
    assert len(fits) == 1


# The limit on requests


async def test_pins_may_be_entered_ten_times_a_minute(serve: Serve, saver: Saver) -> None:
    async with serve(rate_limit_pin=10) as limited:
        beside = replace(saver, api=limited)
        codes = [(await enter_pin(beside, WRONG_PIN)).json()["code"] for _ in range(12)]
        assert codes == ["pin_wrong"] * 4 + ["pin_locked"] * 6 + ["rate_limited"] * 2
        assert code_of(await put_pin(beside, OTHER_PIN, current=PIN)) == (429, "rate_limited")
        assert (await beside.get("/users/me")).status_code == 200
