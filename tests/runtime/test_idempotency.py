"""One Idempotency-Key, one effect: the answer is given again byte for byte, and a refusal uses nothing up."""

import asyncio

import httpx
import pytest

from tests.support.app import Api
from tests.support.savers import Json, Saver, answered, code_of, new_key


@pytest.fixture
async def goal(saver: Saver) -> Json:
    """A goal, and KES 100 in the wallet to move into it."""
    await saver.deposit(10_000)
    return await saver.goal()


async def test_every_route_that_moves_money_asks_for_a_key(saver: Saver, goal: Json) -> None:
    path = f"/goals/{goal['id']}"
    refused = [
        await saver.post(f"{path}/deposits", {"amount_cents": 1}, key=None),
        await saver.post(f"{path}/withdrawals", {"amount_cents": 1}, key=None),
        await saver.post(f"{path}/cancellation", key=None),
        await saver.delete(path, key=None),
    ]
    assert {code_of(answer) for answer in refused} == {(400, "idempotency_key_required")}
    assert await saver.holds() == (10_000, 0, 0)


@pytest.mark.parametrize("key", ["", " ", "two words", "x" * 256, "tab\there"])
async def test_a_key_is_1_to_255_visible_characters(saver: Saver, goal: Json, key: str) -> None:
    assert code_of(await deposit(saver, goal, key=key)) == (400, "idempotency_key_required")


async def test_the_longest_key_is_a_key(saver: Saver, goal: Json) -> None:
    for _ in range(2):
        answered(await deposit(saver, goal, key="x" * 255), 201)
    assert await saver.holds() == (9_900, 100, 0)


async def test_a_retry_gets_the_first_answer_byte_for_byte_and_moves_nothing(
    saver: Saver, goal: Json
) -> None:
    key = new_key()
    first = await deposit(saver, goal, key=key)
    await deposit(saver, goal, cents=700)
    again = await deposit(saver, goal, key=key)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert again.headers["content-type"] == first.headers["content-type"] == "application/json"
    assert await saver.holds() == (9_200, 800, 0)


async def test_a_deletion_is_answered_again_though_the_goal_is_gone(saver: Saver, goal: Json) -> None:
    await deposit(saver, goal)
    key = new_key()
    first = await saver.delete(f"/goals/{goal['id']}", key=key)
    again = await saver.delete(f"/goals/{goal['id']}", key=key)
    assert (again.status_code, again.content) == (200, first.content)
    assert await saver.holds() == (10_000, 0, 0)


async def test_a_body_written_otherwise_is_the_same_request(api: Api, saver: Saver, goal: Json) -> None:
    key = new_key()
    first = await deposit(saver, goal, key=key)
    again = await api.client.post(
        f"/api/v1/goals/{goal['id']}/deposits",
        content=b' {"amount_cents"  :\n100}',
        headers={
            "Authorization": f"Bearer {saver.token}",
            "Content-Type": "application/json",
            "Idempotency-Key": key,
        },
    )
    assert again.content == first.content


async def test_another_request_under_the_key_is_refused(saver: Saver, goal: Json) -> None:
    key, other = new_key(), await saver.goal("other")
    answered(await deposit(saver, goal, key=key), 201)
    refused = [
        await deposit(saver, goal, cents=101, key=key),
        await deposit(saver, other, key=key),
        await saver.post(f"/goals/{goal['id']}/withdrawals", {"amount_cents": 100}, key=key),
        await saver.post(f"/goals/{goal['id']}/cancellation", key=key),
        await saver.delete(f"/goals/{goal['id']}", key=key),
    ]
    assert {code_of(answer) for answer in refused} == {(422, "idempotency_key_reused")}
    assert await saver.holds() == (9_900, 100, 0)


async def test_the_key_of_one_saver_is_nothing_to_another(api: Api, saver: Saver, goal: Json) -> None:
    other = await api.new_saver()
    await other.deposit(1_000)
    others_goal = await other.goal()
    key = new_key()
    mine = answered(await deposit(saver, goal, key=key), 201)
    theirs = answered(await deposit(other, others_goal, cents=500, key=key), 201)
    assert mine["id"] != theirs["id"]
    assert await other.holds() == (500, 500, 0)


async def test_many_at_once_under_one_key_have_one_effect(saver: Saver, goal: Json) -> None:
    key = new_key()
    answers = await asyncio.gather(*(deposit(saver, goal, key=key) for _ in range(16)))
    made = {answer.content for answer in answers if answer.status_code == 201}
    assert len(made) == 1
    others = [answer for answer in answers if answer.status_code != 201]
    assert {code_of(answer) for answer in others} <= {(409, "request_in_progress")}
    assert all(answer.headers["retry-after"] == "1" for answer in others)
    assert (
        sum(answer.status_code == 201 and "idempotent-replayed" not in answer.headers for answer in answers)
        == 1
    )
    assert await saver.holds() == (9_900, 100, 0)


async def test_while_the_first_one_runs_the_same_key_is_in_progress(
    api: Api, saver: Saver, goal: Json
) -> None:
    key = new_key()
    async with api.database.connected("supabase_admin") as running, running.transaction():
        # The saver's row is held, as by a slow effect: the first request has its key and waits here.
        await running.execute("SELECT FROM savings.savers WHERE saver_id = $1 FOR UPDATE", saver.id)
        first = asyncio.create_task(deposit(saver, goal, key=key))
        await api.until_a_statement_waits()
        second = await deposit(saver, goal, key=key)
        other_body = await deposit(saver, goal, cents=7, key=key)
    assert code_of(second) == code_of(other_body) == (409, "request_in_progress")
    assert second.headers["retry-after"] == "1"
    assert (await first).status_code == 201
    assert (await deposit(saver, goal, key=key)).content == (await first).content


async def test_a_refusal_stores_nothing_and_the_key_works_after_topping_up(api: Api, saver: Saver) -> None:
    goal, key = await saver.goal(), new_key()
    assert code_of(await deposit(saver, goal, key=key)) == (409, "insufficient_funds")
    assert await stored_keys(api, saver) == []
    await saver.deposit(100)
    moved = await deposit(saver, goal, key=key)
    assert moved.status_code == 201
    assert "idempotent-replayed" not in moved.headers
    assert await stored_keys(api, saver) == [key]


async def test_a_refused_body_uses_no_key_up(saver: Saver, goal: Json) -> None:
    key = new_key()
    assert (await deposit(saver, goal, cents=-1, key=key)).status_code == 422
    assert (await deposit(saver, goal, key=key)).status_code == 201


@pytest.mark.parametrize(("days", "effects"), [(29, 1), (31, 2)])
async def test_a_key_is_remembered_for_30_days(
    api: Api, saver: Saver, goal: Json, days: int, effects: int
) -> None:
    key = new_key()
    first = await deposit(saver, goal, key=key)
    await api.alter(
        "UPDATE runtime.idempotency_keys SET created_at = now() - make_interval(days => $3) "
        "WHERE saver_id = $1 AND key = $2",
        saver.id,
        key,
        days,
    )
    again = await deposit(saver, goal, key=key)
    assert (again.content == first.content) is (effects == 1)
    assert (await saver.wallet())["saved_cents"] == 100 * effects
    assert (await deposit(saver, goal, key=key)).content == again.content


async def test_a_forgotten_key_may_carry_another_request(api: Api, saver: Saver, goal: Json) -> None:
    key = new_key()
    await deposit(saver, goal, key=key)
    await api.alter(
        "UPDATE runtime.idempotency_keys SET created_at = now() - interval '31 days' WHERE key = $1", key
    )
    answered(await deposit(saver, goal, cents=250, key=key), 201)
    assert code_of(await deposit(saver, goal, key=key)) == (422, "idempotency_key_reused")


async def test_what_is_stored_is_the_answer_and_nothing_of_a_person(
    api: Api, saver: Saver, goal: Json
) -> None:
    key = new_key()
    answer = await deposit(saver, goal, key=key)
    (row,) = await api.rows("SELECT * FROM runtime.idempotency_keys WHERE saver_id = $1", saver.id)
    assert (row["key"], row["status"], row["body"]) == (key, 201, answer.content)
    assert saver.phone is not None
    assert saver.phone.encode() not in row["body"]


async def deposit(saver: Saver, goal: Json, *, cents: int = 100, key: str | None = None) -> httpx.Response:
    """Move money into a goal, under this key or a new one."""
    key = new_key() if key is None else key
    return await saver.post(f"/goals/{goal['id']}/deposits", {"amount_cents": cents}, key=key)


async def stored_keys(api: Api, saver: Saver) -> list[str]:
    rows = await api.rows("SELECT key FROM runtime.idempotency_keys WHERE saver_id = $1", saver.id)
    return [row["key"] for row in rows]
