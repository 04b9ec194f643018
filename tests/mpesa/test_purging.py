"""What is kept for so many days only, and goes by itself then: seen with the clock moved on, on rows that were real."""

import asyncio
import json
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from tests.support.app import SHORTCODE, Api
from tests.support.pins import step_up_token, with_pin
from tests.support.savers import Saver, answered, new_key, new_receipt
from zanari_api.kit.ids import new_id
from zanari_api.mpesa import callback_service, callback_store, purging
from zanari_api.mpesa.callback_store import BodyErased
from zanari_api.runtime import idempotency
from zanari_api.runtime.db import Role, Tx
from zanari_api.runtime.purging import Purge, let_go
from zanari_api.users import step_up
from zanari_api.worker import work_of


async def purge(api: Api, each: Purge, *, days: int, limit: int = 500, batches_max: int = 100) -> int:
    """Let go of what is old so many days from now."""
    return await let_go(
        each,
        database=api.db,
        now=api.clock.now() + timedelta(days=days),
        limit=limit,
        batches_max=batches_max,
    )


async def called_back(api: Api, *, outcome: str | None = None) -> UUID:
    """Have a payment for nobody confirmed; return the id of its callback, of which that has become."""
    body = {"TransID": new_receipt(), "TransAmount": "10.00", "BusinessShortCode": SHORTCODE}
    answer = await api.call_back("/c2b/confirmation", json.dumps(body).encode())
    assert answer.status_code == 200
    rows = await api.rows("SELECT id FROM mpesa.callbacks ORDER BY received_at DESC, id DESC LIMIT 1")
    callback_id: UUID = rows[0]["id"]
    if outcome is not None:
        await api.alter(
            "UPDATE mpesa.callbacks SET outcome = $2, due_at = NULL WHERE id = $1", callback_id, outcome
        )
    return callback_id


async def stored(api: Api, callback_id: UUID) -> tuple[bool, bool]:
    """Return whether a callback has its body, and whether it says when it was erased."""
    (row,) = await api.rows("SELECT body, erased_at FROM mpesa.callbacks WHERE id = $1", callback_id)
    return bool(row["body"]), row["erased_at"] is not None


# Bodies of callbacks


async def test_a_body_is_erased_after_90_days_and_not_before(api: Api) -> None:
    callback_id = await called_back(api, outcome="noted")
    await purge(api, purging.BODIES, days=89)
    assert await stored(api, callback_id) == (True, False)
    await purge(api, purging.BODIES, days=91)
    assert await stored(api, callback_id) == (False, True)


@pytest.mark.parametrize("outcome", ["waiting", "deferred", "quarantined"])
async def test_what_somebody_still_has_to_act_on_keeps_its_body(api: Api, outcome: str) -> None:
    callback_id = await called_back(api, outcome=outcome)
    await purge(api, purging.BODIES, days=1_000)
    assert await stored(api, callback_id) == (True, False)
    await api.alter("UPDATE mpesa.callbacks SET outcome = 'noted' WHERE id = $1", callback_id)


async def test_what_is_due_to_be_looked_at_keeps_its_body(api: Api) -> None:
    callback_id = await called_back(api, outcome="noted")
    await api.alter("UPDATE mpesa.callbacks SET due_at = $2 WHERE id = $1", callback_id, api.clock.now())
    await purge(api, purging.BODIES, days=1_000)
    assert await stored(api, callback_id) == (True, False)
    await api.alter("UPDATE mpesa.callbacks SET due_at = NULL WHERE id = $1", callback_id)


async def test_the_same_callback_still_counts_as_known_once_its_body_is_gone(api: Api, saver: Saver) -> None:
    body = json.dumps(
        {
            "TransID": new_receipt(),
            "TransAmount": "250.00",
            "BusinessShortCode": SHORTCODE,
            "BillRefNumber": saver.member_code,
        }
    ).encode()
    await api.call_back("/c2b/confirmation", body)
    assert await saver.holds() == (25_000, 0, 0)
    await purge(api, purging.BODIES, days=91)
    answer = await api.call_back("/c2b/confirmation", body)
    assert answer.status_code == 200
    assert await saver.holds() == (25_000, 0, 0)
    (row,) = await api.rows(
        "SELECT deliveries, body FROM mpesa.callbacks ORDER BY last_received_at DESC, id DESC LIMIT 1"
    )
    assert (row["deliveries"], row["body"]) == (2, b"")


async def test_an_erased_callback_is_shown_without_its_body_and_is_not_acted_on_again(api: Api) -> None:
    callback_id = await called_back(api, outcome="noted")
    await purge(api, purging.BODIES, days=91)
    intake = await api.app.state.parts.intake()
    async with api.db.transaction(Role.SYSTEM) as tx:
        found = await callback_service.find(tx, callback_id, intake=intake)
    assert found is not None
    row, body = found
    assert (row.outcome, body) == ("noted", None)

    async def replay(tx: Tx) -> object:
        return await callback_service.replay(
            tx, callback_id, operator="wanjiku", reason="ticket 44", intake=intake
        )

    with pytest.raises(BodyErased):
        await api.db.unit_of_work(replay, role=Role.SYSTEM)


async def test_nothing_of_an_erased_body_is_left_in_its_row(api: Api) -> None:
    callback_id = await called_back(api, outcome="noted")
    await purge(api, purging.BODIES, days=91)
    async with api.db.transaction(Role.SYSTEM) as tx:
        sealed = await callback_service.inbox_queries.read(tx, callback_id=callback_id)
    assert sealed is not None
    with pytest.raises(BodyErased):
        callback_store.open_item(sealed, keys=(await api.app.state.parts.intake()).keys)


# A few at a time


async def test_each_run_lets_go_of_so_many_and_the_next_of_the_rest(api: Api) -> None:
    await purge(api, purging.BODIES, days=1_000)
    ids = [await called_back(api, outcome="noted") for _ in range(5)]
    assert await purge(api, purging.BODIES, days=1_000, limit=2, batches_max=2) == 4
    assert sum([(await stored(api, each))[0] for each in ids]) == 1
    assert await purge(api, purging.BODIES, days=1_000, limit=2, batches_max=2) == 1
    assert await purge(api, purging.BODIES, days=1_000) == 0


async def test_what_is_locked_is_left_for_the_next_time_and_waited_for_by_nobody(api: Api) -> None:
    await purge(api, purging.BODIES, days=1_000)
    callback_id = await called_back(api, outcome="noted")
    async with api.db.transaction(Role.SYSTEM) as tx:
        await callback_service.inbox_queries.lock(tx, callback_id=callback_id)
        assert await asyncio.wait_for(purge(api, purging.BODIES, days=1_000), timeout=5) == 0
    assert await purge(api, purging.BODIES, days=1_000) == 1


# Hashes of spends that matched nobody


async def test_hashes_of_unmatched_spends_go_after_30_days(api: Api) -> None:
    kept, gone = (new_id().bytes for _ in range(2))
    for receipt_hash, seen_at in (
        (kept, api.clock.now()),
        (gone, api.clock.now() - timedelta(days=31)),
    ):
        await api.alter(
            "INSERT INTO mpesa.unmatched_spends (receipt_hash, number_hash, first_seen_at) VALUES ($1, $1, $2)",
            receipt_hash,
            seen_at,
        )
    assert await purge(api, purging.UNMATCHED, days=0) == 1
    rows = await api.rows(
        "SELECT receipt_hash FROM mpesa.unmatched_spends WHERE receipt_hash = ANY ($1::bytea[])", [kept, gone]
    )
    assert [row["receipt_hash"] for row in rows] == [kept]


# Answers of requests


async def test_an_answer_is_given_again_for_30_days_and_goes_then(api: Api) -> None:
    saver = await api.new_saver()
    await saver.deposit(50_000)
    goal, key = await saver.goal(), new_key()

    async def pay_in() -> bool:
        response = await api.client.post(
            f"/api/v1/goals/{goal['id']}/deposits",
            json={"amount_cents": 10_000},
            headers={"Authorization": f"Bearer {saver.token}", "Idempotency-Key": key},
        )
        answered(response, response.status_code)
        return response.headers.get("Idempotent-Replayed") == "true"

    assert not await pay_in()
    await _age(api, saver, days=29)
    await purge(api, idempotency.PURGE, days=0)
    assert await pay_in()
    await _age(api, saver, days=2)
    assert await purge(api, idempotency.PURGE, days=0) >= 1
    assert await api.rows("SELECT FROM runtime.idempotency_keys WHERE saver_id = $1", saver.id) == []


async def _age(api: Api, saver: Saver, *, days: int) -> None:
    await api.alter(
        "UPDATE runtime.idempotency_keys SET created_at = created_at - $2::interval WHERE saver_id = $1",
        saver.id,
        timedelta(days=days),
    )


async def test_a_clock_that_is_ahead_lets_nothing_go_before_its_time(api: Api) -> None:
    """The database has a clock of its own, and deletes nothing that has to be kept by it."""
    saver = await with_pin(await api.new_saver())
    await saver.deposit(50_000)
    await saver.goal_holding(10_000)
    await step_up_token(saver)
    await api.alter(
        "UPDATE savings.step_up_tokens SET expires_at = expires_at + interval '1 hour' WHERE saver_id = $1",
        saver.id,
    )
    for each in (idempotency.PURGE, step_up.PURGE, purging.UNMATCHED):
        await purge(api, each, days=10_000)
    assert await api.rows("SELECT FROM runtime.idempotency_keys WHERE saver_id = $1", saver.id) != []
    assert await api.rows("SELECT FROM savings.step_up_tokens WHERE saver_id = $1", saver.id) != []


# Step-up tokens


async def test_step_up_tokens_go_a_day_after_they_ran_out_spent_or_not(api: Api) -> None:
    saver = await with_pin(await api.new_saver())
    await step_up_token(saver)
    await step_up_token(saver)
    await api.alter(
        "UPDATE savings.step_up_tokens SET spent_at = created_at WHERE token_hash ="
        " (SELECT token_hash FROM savings.step_up_tokens WHERE saver_id = $1 LIMIT 1)",
        saver.id,
    )

    async def left() -> int:
        return len(await api.rows("SELECT FROM savings.step_up_tokens WHERE saver_id = $1", saver.id))

    async def age(hours: int) -> None:
        await api.alter(
            "UPDATE savings.step_up_tokens SET created_at = created_at - $2::interval,"
            " expires_at = expires_at - $2::interval WHERE saver_id = $1",
            saver.id,
            timedelta(hours=hours),
        )

    await age(hours=20)
    await purge(api, step_up.PURGE, days=0)
    assert await left() == 2
    await age(hours=5)
    await purge(api, step_up.PURGE, days=0)
    assert await left() == 0


# By itself


async def test_the_worker_does_it_by_itself(api: Api) -> None:
    names = [each.name for each in work_of(api.app.state.parts).schedules]
    for each in (purging.BODIES, purging.UNMATCHED, step_up.PURGE, idempotency.PURGE):
        assert names.count(each.name) == 1
    callback_id = await called_back(api, outcome="noted")
    old: datetime = api.clock.now() - timedelta(days=91)
    await api.alter("UPDATE mpesa.callbacks SET received_at = $2 WHERE id = $1", callback_id, old)
    api.clock.advance(hours=1)
    await api.work()
    assert await stored(api, callback_id) == (False, True)
