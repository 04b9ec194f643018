"""Payouts wait 48 hours after a change that a thief would make first: a reset PIN, a number that was not there."""

import time
from datetime import datetime, timedelta
from typing import Any

from tests.support.app import Api
from tests.support.pins import OTHER_PIN, put_pin, signed_in, with_pin
from tests.support.savers import Saver, answered, new_phone, now
from zanari_api.kit.ids import new_id
from zanari_api.runtime.db import Role
from zanari_api.users import holds
from zanari_api.users.notice_rows import AboutNumber
from zanari_api.users.rules import Link

TWO_DAYS = timedelta(hours=48)
NUMBERS = "SELECT id FROM savings.mpesa_accounts WHERE saver_id = $1"


async def held_until(api: Api, saver: Saver, *, role: Role = Role.API) -> datetime | None:
    async with api.db.transaction(role, saver.id) as tx:
        return await holds.payout_hold_until(tx, saver_id=saver.id, now=api.clock.now())


async def causes(api: Api, saver: Saver) -> list[str]:
    rows = await api.rows(
        "SELECT cause FROM savings.payout_holds WHERE saver_id = $1 ORDER BY created_at", saver.id
    )
    return [row["cause"] for row in rows]


async def prove(api: Api, saver: Saver, phone: str, **claims: Any) -> str | None:
    """Call with a token whose phone is `phone`; return the number that the profile shows then."""
    token = api.token(saver.id, phone, **claims)
    return answered(await api.client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"}))[
        "phone"
    ]


async def lost_earlier(api: Api, saver: Saver) -> None:
    """Have everything that happened to a saver's numbers have happened an hour ago, so that a token can be newer."""
    await api.alter(
        "UPDATE savings.mpesa_accounts SET linked_at = linked_at - interval '1 hour',"
        " unlinked_at = unlinked_at - interval '1 hour' WHERE saver_id = $1",
        saver.id,
    )


async def test_a_savers_first_number_and_first_pin_hold_nothing(api: Api, saver: Saver) -> None:
    await with_pin(saver)
    assert await held_until(api, saver) is None
    assert await causes(api, saver) == []


async def test_a_first_number_that_comes_later_holds_nothing(api: Api) -> None:
    saver = await api.new_saver(phone=None)
    phone = new_phone()
    assert await prove(api, saver, phone) == f"+{phone}"
    assert await held_until(api, saver) is None


async def test_a_first_number_that_was_another_savers_holds_nothing(api: Api, saver: Saver) -> None:
    await lost_earlier(api, saver)
    other = await api.new_saver(phone=saver.phone)
    assert answered(await other.get("/users/me"))["phone"] == f"+{saver.phone}"
    assert await held_until(api, other) is None
    assert await held_until(api, saver) is None


async def test_a_number_added_to_an_account_holds_its_payouts_for_two_days(api: Api, saver: Saver) -> None:
    before = api.clock.now()
    await prove(api, saver, new_phone())
    until = await held_until(api, saver)
    assert until is not None
    assert before + TWO_DAYS <= until <= api.clock.now() + TWO_DAYS
    assert await held_until(api, saver, role=Role.SYSTEM) == until
    assert await causes(api, saver) == ["number_added"]
    api.clock.advance(hours=47)
    assert await held_until(api, saver) == until
    api.clock.advance(hours=1)
    assert await held_until(api, saver) is None


async def test_a_number_that_is_proven_once_more_while_it_is_held_holds_nothing(
    api: Api, saver: Saver
) -> None:
    assert saver.phone is not None
    for ahead in (0, 1):
        await prove(api, saver, saver.phone, iat=int(time.time()) + ahead)
    assert await held_until(api, saver) is None


async def test_a_number_moved_onto_an_account_holds_its_payouts(api: Api, saver: Saver) -> None:
    await lost_earlier(api, saver)
    thief = await api.new_saver()
    assert saver.phone is not None
    assert await prove(api, thief, saver.phone) == f"+{saver.phone}"
    assert await causes(api, thief) == ["number_moved"]
    assert await held_until(api, thief) is not None
    assert await held_until(api, saver) is None


async def test_a_number_that_comes_back_from_another_saver_was_moved(api: Api, saver: Saver) -> None:
    assert saver.phone is not None
    await lost_earlier(api, saver)
    other = await api.new_saver(phone=saver.phone)
    await lost_earlier(api, saver)
    await lost_earlier(api, other)
    assert await prove(api, saver, saver.phone, iat=int(time.time()) + 1) == f"+{saver.phone}"
    assert await causes(api, saver) == ["number_moved"]


async def test_a_number_that_was_given_up_and_is_proven_again_holds_payouts(api: Api, saver: Saver) -> None:
    (account_id,) = [row["id"] for row in await api.rows(NUMBERS, saver.id)]
    given_up = Link(saver.id, new_id(), b"", now() - TWO_DAYS, now() - timedelta(hours=1))
    async with api.db.transaction(Role.SYSTEM) as tx:
        until = await holds.hold_for_number(
            tx,
            saver_id=saver.id,
            number=AboutNumber(account_id, b"again"),
            links=[given_up],
            now=api.clock.now(),
        )
    assert await held_until(api, saver) == until
    assert await causes(api, saver) == ["number_proven_again"]


async def test_a_number_that_was_given_up_is_not_taken_back_by_the_next_token_and_holds_nothing(
    api: Api, saver: Saver
) -> None:
    assert saver.phone is not None
    await api.alter(
        "UPDATE savings.mpesa_accounts SET unlinked_at = now(), unlinked_because = 'removed_by_saver'"
        " WHERE saver_id = $1",
        saver.id,
    )
    await lost_earlier(api, saver)
    assert await prove(api, saver, saver.phone, iat=int(time.time()) + 1) is None
    assert await held_until(api, saver) is None


async def test_a_proof_that_links_nothing_holds_nothing(api: Api, saver: Saver) -> None:
    other = await api.new_saver()
    assert saver.phone is not None
    await prove(api, other, saver.phone, iat=int(time.time()) - 60)
    await prove(api, other, "254201234567")
    assert await held_until(api, other) is None


async def test_the_latest_of_several_holds_counts(api: Api, saver: Saver) -> None:
    await with_pin(saver)
    api.clock.advance(hours=1)
    answer = answered(await put_pin(signed_in(saver), OTHER_PIN))
    later = await held_until(api, saver)
    assert later == datetime.fromisoformat(answer["payouts_held_until"])

    async with api.db.transaction(Role.API, saver.id) as tx:
        earlier = await holds.hold_for_pin_reset(
            tx, saver_id=saver.id, now=api.clock.now() - timedelta(hours=1)
        )
    assert later is not None
    assert earlier < later
    assert await held_until(api, saver) == later
    assert await causes(api, saver) == ["pin_reset", "pin_reset"]


async def test_a_hold_is_the_savers_own_and_cannot_be_changed_by_a_request(api: Api, saver: Saver) -> None:
    other = await api.new_saver()
    await prove(api, other, new_phone())
    async with api.db.transaction(Role.API, saver.id) as tx:
        assert await holds.payout_hold_until(tx, saver_id=other.id, now=api.clock.now()) is None
