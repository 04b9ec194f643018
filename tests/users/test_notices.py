"""After a change that a thief would make first every old number is told once, with the change or not at all."""

import asyncio
import time
from datetime import timedelta

import pytest

from tests.database.acting import acting, request_of
from tests.support.app import Api
from tests.support.pins import OTHER_PIN, put_pin, signed_in, with_pin
from tests.support.savers import Saver, answered, new_phone
from tests.users.telling import account_of, got, notices_of, prove, reset_pin, with_reset_pin
from zanari_api.kit.ids import new_id
from zanari_api.runtime.db import Rerun, Role, Tx
from zanari_api.users import holds


async def link(api: Api, saver: Saver, phone: str) -> None:
    """Link a number by its shilling, once an earlier prompt on the same phone is surely gone."""
    api.clock.advance(minutes=3)
    answered(await saver.post("/mpesa/accounts", {"phone": phone}), 202)
    await api.work()


async def an_hour_ago(api: Api, saver: Saver) -> None:
    """Have a saver's numbers linked an hour ago, so that a token of another's can be newer."""
    await api.alter(
        "UPDATE savings.mpesa_accounts SET linked_at = linked_at - interval '1 hour' WHERE saver_id = $1",
        saver.id,
    )


# Who is told


async def test_a_pin_reset_is_told_to_the_number(api: Api, saver: Saver) -> None:
    await with_pin(saver)
    await api.work()
    assert got(api, saver) == []
    await reset_pin(saver)
    await api.work()
    (text,) = got(api, saver)
    assert text.startswith("Zanari: your PIN was replaced on ")
    await api.work()
    assert len(got(api, saver)) == 1


async def test_a_changed_pin_is_told_nobody(api: Api, saver: Saver) -> None:
    await with_pin(saver)
    answered(await put_pin(saver, OTHER_PIN, current="8305"))
    assert await notices_of(api, saver) == []


@pytest.mark.parametrize("way", ["sign-in", "shilling"])
async def test_a_number_that_is_added_is_told_to_every_number_but_itself(
    api: Api, saver: Saver, way: str
) -> None:
    second, third = new_phone(), new_phone()
    await link(api, saver, second)
    assert len(got(api, saver)) == 1
    if way == "sign-in":
        await prove(api, saver, third)
        await api.work()
    else:
        await link(api, saver, third)
    assert len(got(api, saver)) == 2
    (text,) = api.handsets.received_by(second)
    assert f"07*****{third[-3:]} was added to your account" in text
    assert api.handsets.received_by(third) == []


async def test_a_savers_first_number_is_told_nobody(api: Api) -> None:
    nobody = await api.new_saver(phone=None)
    await prove(api, nobody, new_phone())
    assert await notices_of(api, nobody) == []


async def test_a_number_that_moves_is_told_to_the_numbers_of_both_savers_and_not_to_itself(
    api: Api, saver: Saver
) -> None:
    other, second = await api.new_saver(), new_phone()
    await link(api, saver, second)
    await an_hour_ago(api, saver)
    before = len(got(api, saver))
    await prove(api, other, second)
    await api.work()
    (told,) = got(api, other)
    assert f"07*****{second[-3:]} was moved to your account" in told
    (lost,) = got(api, saver)[before:]
    assert f"07*****{second[-3:]} was linked to another account" in lost
    assert "Sign in with it to prove it again." in lost
    assert api.handsets.received_by(second) == []


async def test_a_saver_whose_only_number_is_lost_has_none_to_be_told_on(api: Api, saver: Saver) -> None:
    assert saver.phone is not None
    await an_hour_ago(api, saver)
    other = await api.new_saver()
    await prove(api, other, saver.phone)
    await api.work()
    assert await notices_of(api, saver) == []
    assert got(api, saver) == []
    assert len(got(api, other)) == 1


async def test_a_number_that_was_removed_lately_is_still_told_and_one_that_was_long_ago_is_not(
    api: Api, saver: Saver
) -> None:
    await link(api, saver, new_phone())
    before = len(got(api, saver))
    removed = await saver.delete(f"/mpesa/accounts/{await account_of(api, saver)}")
    assert removed.status_code == 204
    await reset_pin(await with_pin(saver))
    await api.work()
    assert len(got(api, saver)) == before + 1
    await api.alter(
        "UPDATE savings.mpesa_accounts SET linked_at = now() - interval '32 days',"
        " unlinked_at = now() - interval '31 days' WHERE saver_id = $1 AND unlinked_at IS NOT NULL",
        saver.id,
    )
    api.clock.advance(hours=2)
    await reset_pin(saver, "9137")
    await api.work()
    assert len(got(api, saver)) == before + 1


async def test_a_number_that_was_removed_and_is_linked_again_is_not_told_of_itself(
    api: Api, saver: Saver
) -> None:
    second = new_phone()
    await link(api, saver, second)
    (account_id,) = [
        each["id"]
        for each in answered(await saver.get("/mpesa/accounts"))["data"]
        if each["phone"] == f"+{second}"
    ]
    assert (await saver.delete(f"/mpesa/accounts/{account_id}")).status_code == 204
    await link(api, saver, second)
    assert f"07*****{second[-3:]} was linked to you again" in got(api, saver)[-1]
    assert len(got(api, saver)) == 2
    assert api.handsets.received_by(second) == []


async def test_a_number_that_is_lost_to_a_shilling_is_told_to_the_numbers_that_are_left(
    api: Api, saver: Saver
) -> None:
    other, second = await api.new_saver(), new_phone()
    await link(api, saver, second)
    await api.alter(
        "UPDATE savings.mpesa_accounts SET linked_at = now() - interval '200 days', proven_at = NULL"
        " WHERE saver_id = $1",
        saver.id,
    )
    before = len(got(api, saver))
    await link(api, other, second)
    (lost,) = got(api, saver)[before:]
    assert f"07*****{second[-3:]} was linked to another account" in lost
    (moved,) = got(api, other)
    assert f"07*****{second[-3:]} was moved to your account" in moved
    assert api.handsets.received_by(second) == []


async def test_nobody_is_told_of_another_savers_change(api: Api, saver: Saver) -> None:
    other = await api.new_saver()
    await with_reset_pin(other)
    await api.work()
    assert len(got(api, other)) == 1
    assert got(api, saver) == []


# With the change, once


async def test_a_hold_that_is_rolled_back_tells_nobody(api: Api, saver: Saver) -> None:
    async def fail(tx: Tx) -> None:
        await holds.hold_for_pin_reset(tx, saver_id=saver.id, now=api.clock.now())
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        await api.db.unit_of_work(fail, role=Role.API, saver_id=saver.id)
    assert await notices_of(api, saver) == []


async def test_a_change_that_is_run_again_is_told_once(api: Api, saver: Saver) -> None:
    runs = 0

    async def clash_once(tx: Tx) -> None:
        nonlocal runs
        runs += 1
        await holds.hold_for_pin_reset(tx, saver_id=saver.id, now=api.clock.now())
        if runs == 1:
            raise Rerun

    await api.db.unit_of_work(clash_once, role=Role.API, saver_id=saver.id)
    assert (runs, len(await notices_of(api, saver))) == (2, 1)


async def test_a_reset_that_is_asked_for_twice_at_once_is_told_once(api: Api, saver: Saver) -> None:
    await with_pin(saver)
    anew = signed_in(saver)
    both = await asyncio.gather(put_pin(anew, OTHER_PIN), put_pin(anew, OTHER_PIN))
    assert [each.status_code for each in both] == [200, 200]
    held = await api.rows("SELECT FROM savings.payout_holds WHERE saver_id = $1", saver.id)
    assert (len(held), len(await notices_of(api, saver))) == (1, 1)


async def test_one_pin_after_another_is_told_once_an_hour_while_the_hold_grows(
    api: Api, saver: Saver
) -> None:
    await with_pin(saver)
    ends = [await reset_pin(saver, pin) for pin in (OTHER_PIN, "9137", "7402")]
    assert len(await notices_of(api, saver)) == 1
    assert ends == sorted(set(ends))
    held = await api.rows("SELECT FROM savings.payout_holds WHERE saver_id = $1", saver.id)
    assert len(held) == 3
    # The resets in between told nobody, and so do not put off when it is told again.
    api.clock.advance(minutes=50)
    await reset_pin(saver, "5183")
    assert len(await notices_of(api, saver)) == 1
    api.clock.advance(minutes=11)
    await reset_pin(saver, "9264")
    assert len(await notices_of(api, saver)) == 2


async def test_a_number_that_was_told_of_no_reset_yet_is_told_of_the_next_within_the_hour(
    api: Api, saver: Saver
) -> None:
    await with_reset_pin(saver)
    second = new_phone()
    await link(api, saver, second)
    before = len(got(api, saver))
    await reset_pin(saver, "9137")
    await api.work()
    (text,) = api.handsets.received_by(second)
    assert text.startswith("Zanari: your PIN was replaced on ")
    assert len(got(api, saver)) == before


async def test_a_reset_is_told_though_another_saver_was_told_or_a_number_was_added(
    api: Api, saver: Saver
) -> None:
    other = await api.new_saver()
    await with_reset_pin(other)
    await prove(api, saver, new_phone())
    await with_reset_pin(saver)
    kinds = [notice["kind"] for notice in await notices_of(api, saver)]
    assert kinds.count("pin_reset") == 2
    assert kinds.count("number_added") == 1


async def test_a_sign_in_with_a_new_number_by_two_requests_at_once_is_told_once(
    api: Api, saver: Saver
) -> None:
    phone = new_phone()
    await asyncio.gather(*(prove(api, saver, phone, iat=int(time.time()) + each) for each in range(4)))
    await api.work()
    assert len(got(api, saver)) == 1


async def test_a_notice_says_when_it_happened_and_is_due_at_once(api: Api, saver: Saver) -> None:
    before = api.clock.now()
    until = await reset_pin(await with_pin(saver))
    (notice,) = await notices_of(api, saver)
    assert before <= notice["created_at"] == notice["due_at"] <= api.clock.now()
    assert until - notice["created_at"] == timedelta(hours=48)
    assert notice["account_id"] == await account_of(api, saver)
    assert notice["kind"] == "pin_reset"


# Whose they are


async def test_a_request_can_neither_read_nor_end_its_notices_nor_make_one_for_another_saver(
    api: Api, saver: Saver
) -> None:
    other = await api.new_saver()
    await with_reset_pin(saver)
    insert = (
        "INSERT INTO savings.notices (saver_id, id, account_id, kind, hold_id, created_at, due_at)"
        " SELECT saver_id, $2, $3, 'pin_reset', id, now(), now() FROM savings.payout_holds WHERE saver_id = $1"
    )
    account_id = await account_of(api, other)
    async with acting(api.database, "zanari_service", *request_of(other.id)) as request:
        assert await request.is_refused("SELECT kind FROM savings.notices")
        assert await request.is_refused("UPDATE savings.notices SET outcome = 'sent'")
        assert await request.is_refused("DELETE FROM savings.notices")
        assert await request.is_refused(
            "INSERT INTO savings.notices (saver_id, id, account_id, kind, hold_id, created_at, due_at)"
            " VALUES ($1, $2, $3, 'pin_reset', $2, now(), now())",
            saver.id,
            new_id(),
            account_id,
        )
        assert await request.execute(insert, other.id, new_id(), account_id) == "INSERT 0 0"
        # Nor may a request begin one that is sent, and so never is.
        assert await request.is_refused(
            "INSERT INTO savings.notices (saver_id, id, account_id, kind, created_at, outcome, finished_at)"
            " VALUES ($1, $2, $3, 'pin_reset', now(), 'sent', now())",
            other.id,
            new_id(),
            account_id,
        )


async def test_the_worker_can_say_how_a_notice_went_and_not_what_it_is(api: Api, saver: Saver) -> None:
    await with_reset_pin(saver)
    async with acting(api.database, "zanari_service", "SET LOCAL ROLE zanari_system") as worker:
        for change in (
            "kind = 'number_added'",
            "account_id = id",
            "about_account_id = id",
            "hold_id = NULL",
            "saver_id = id",
            "id = account_id",
            "created_at = now()",
        ):
            assert await worker.is_refused(f"UPDATE savings.notices SET {change}")
        assert await worker.execute("UPDATE savings.notices SET attempts = attempts") != "UPDATE 0"
