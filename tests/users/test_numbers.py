"""Whose a number is: the last to prove it holds it, and a spend belongs to who held it then."""

import asyncio
import time
from datetime import timedelta
from uuid import uuid4

from tests.support.app import Api
from tests.support.savers import Saver, answered, new_phone, now

HOUR = timedelta(hours=1)


async def test_a_number_proven_by_another_saver_is_the_first_ones_no_more(api: Api, saver: Saver) -> None:
    await held_since(api, saver, hours=48)
    other = await api.new_saver(phone=saver.phone)
    assert await phone_of(other) == f"+{saver.phone}"
    assert await phone_of(saver) is None
    ended, held = await links(api, saver)
    assert (ended["saver_id"], ended["unlinked_because"]) == (saver.id, "proven_by_another_saver")
    assert (held["saver_id"], held["unlinked_at"]) == (other.id, None)


async def test_an_older_token_of_the_first_does_not_take_the_number_back(api: Api, saver: Saver) -> None:
    await held_since(api, saver, hours=48)
    other = await api.new_saver(phone=saver.phone)
    older = api.token(saver.id, saver.phone, iat=int(time.time()) - 60)
    answered(await api.client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {older}"}))
    assert await phone_of(saver) is None
    assert await phone_of(other) == f"+{saver.phone}"


async def test_a_newer_token_of_the_first_takes_the_number_back(api: Api, saver: Saver) -> None:
    await held_since(api, saver, hours=48)
    other = await api.new_saver(phone=saver.phone)
    newer = api.token(saver.id, saver.phone, iat=int(time.time()) + 2)
    answered(await api.client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {newer}"}))
    assert await phone_of(saver) == f"+{saver.phone}"
    assert await phone_of(other) is None


async def test_a_proof_from_the_very_second_of_anothers_changes_nothing(api: Api, saver: Saver) -> None:
    assert saver.phone is not None
    linked = await api.rows("SELECT linked_at FROM savings.mpesa_accounts WHERE saver_id = $1", saver.id)
    second = int(linked[0]["linked_at"].timestamp())
    token = api.token(uuid4(), saver.phone, iat=second)
    other = answered(await api.client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"}))
    assert other["phone"] is None
    assert await phone_of(saver) == f"+{saver.phone}"


async def test_a_spend_belongs_to_the_saver_who_held_the_number_when_it_was_made(
    api: Api, saver: Saver
) -> None:
    await saver.joined(now() - 48 * HOUR)
    await held_since(api, saver, hours=48)
    other = await api.new_saver(phone=saver.phone, joined=now() - 48 * HOUR)
    await held_since(api, other, hours=1)
    await api.alter(
        "UPDATE savings.mpesa_accounts SET unlinked_at = $2 WHERE saver_id = $1", saver.id, now() - HOUR
    )
    before = await saver.spend(14_700, at=now() - 2 * HOUR)
    after = await other.spend(2_000, at=now())
    assert before["status"] == after["status"] == "processed"
    assert [item["amount_cents"] for item in await saver.feed()] == [14_700]
    assert [item["amount_cents"] for item in await other.feed()] == [2_000]


async def test_a_spend_from_the_very_second_of_the_change_belongs_to_the_new_holder(
    api: Api, saver: Saver
) -> None:
    changed = now() - HOUR + timedelta(milliseconds=400)
    await held_since(api, saver, hours=48)
    other = await api.new_saver(phone=saver.phone, joined=now() - 48 * HOUR)
    await api.alter(
        "UPDATE savings.mpesa_accounts SET unlinked_at = $2 WHERE saver_id = $1", saver.id, changed
    )
    await api.alter("UPDATE savings.mpesa_accounts SET linked_at = $2 WHERE saver_id = $1", other.id, changed)
    await other.spend(14_700, at=changed.replace(microsecond=0))
    assert await saver.feed() == []
    assert len(await other.feed()) == 1


async def test_a_saver_may_hold_several_numbers_and_is_shown_the_newest(api: Api, saver: Saver) -> None:
    second = new_phone()
    newer = api.token(saver.id, second)
    shown = answered(await api.client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {newer}"}))
    assert shown["phone"] == f"+{second}"
    assert saver.phone is not None
    for phone in (saver.phone, second):
        answered(await api.tell_spend(14_700, phone=phone))
    assert len(await saver.feed()) == 2


async def test_of_many_savers_who_prove_a_number_at_once_one_holds_it(api: Api) -> None:
    phone = new_phone()
    savers = await asyncio.gather(*(api.new_saver(phone=phone) for _ in range(6)))
    held = [link for link in await links(api, savers[0]) if link["unlinked_at"] is None]
    assert len(held) == 1
    shown = [await phone_of(saver) for saver in savers]
    assert sorted(shown, key=str) == [f"+{phone}", None, None, None, None, None]


async def phone_of(saver: Saver) -> str | None:
    return answered(await saver.get("/users/me"))["phone"]


async def links(api: Api, saver: Saver) -> list[dict[str, object]]:
    """Return everybody who ever held this saver's number, first holder first."""
    rows = await api.rows(
        """
        SELECT other.saver_id, other.unlinked_at, other.unlinked_because
          FROM savings.mpesa_accounts AS own
          JOIN savings.mpesa_accounts AS other USING (blind_index)
         WHERE own.saver_id = $1
         ORDER BY other.linked_at
        """,
        saver.id,
    )
    return [dict(row) for row in rows]


async def held_since(api: Api, saver: Saver, *, hours: int) -> None:
    """Have a saver's number linked earlier than it was."""
    since = now() - timedelta(hours=hours)
    await api.alter("UPDATE savings.mpesa_accounts SET linked_at = $2 WHERE saver_id = $1", saver.id, since)
