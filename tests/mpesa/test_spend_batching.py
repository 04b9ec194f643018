"""Concurrent signed spends share a transaction: the books are as if they had come one by one."""

import asyncio
import json
import random
import time

import pytest

from tests.mpesa.deliveries import deliver, record_of
from tests.support.app import Api
from tests.support.savers import Saver, answered, code_of
from zanari_api.mpesa.records import SpendRecord, read_envelope
from zanari_api.mpesa.spend_batching import LOCK_PATIENCE_MS, SpendBatcher
from zanari_api.runtime.batching import WAITING_MAX

SPOIL = """
    CREATE FUNCTION public.spoil() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'nobody expected this'; END $$;
    CREATE TRIGGER spoilt BEFORE INSERT ON savings.spends FOR EACH ROW
        WHEN (NEW.receipt = '{receipt}') EXECUTE FUNCTION public.spoil();
"""
MEND = "DROP TRIGGER spoilt ON savings.spends; DROP FUNCTION public.spoil();"


def batches(api: Api) -> tuple[float, float]:
    """Return how many batches were committed, and how many spends in them."""
    text = api.runtime.metrics.expose()[0].decode()
    values = dict(
        line.split() for line in text.splitlines() if line.startswith("zanari_webhook_batch_size_")
        and "{" not in line
    )  # fmt: skip
    return float(values["zanari_webhook_batch_size_count"]), float(values["zanari_webhook_batch_size_sum"])


async def test_spends_of_many_savers_at_once_are_fewer_transactions_than_spends(api: Api) -> None:
    savers = [await api.new_saver() for _ in range(8)]
    for each in savers:
        await each.deposit(10_000)
    before = batches(api)
    records = [record_of(each) for each in savers for _ in range(4)]
    answers = await asyncio.gather(*(deliver(api, record) for record in records))
    for record, answer in zip(records, answers, strict=True):
        came = answered(answer)
        assert (came["status"], came["transaction_id"]) == ("processed", record["transaction_id"])
        assert came["round_up"]["amount_cents"] == 300
    for each in savers:
        assert await each.holds() == (10_000 - 4 * 300, 4 * 300, 0)
    after = batches(api)
    assert after[1] - before[1] == 32
    assert after[0] - before[0] < 16


async def test_a_wallet_that_covers_some_of_a_batch_covers_just_those(api: Api, saver: Saver) -> None:
    await saver.deposit(1_000)
    answers = await asyncio.gather(*(deliver(api, record_of(saver)) for _ in range(10)))
    outcomes = [answered(answer)["round_up"]["outcome"] for answer in answers]
    assert sorted(outcomes) == ["saved"] * 3 + ["waiting"] * 7
    assert await saver.holds() == (100, 900, 2_100)


async def test_one_spend_that_nobody_expected_fails_alone(api: Api, saver: Saver) -> None:
    await saver.deposit(10_000)
    records = [record_of(saver) for _ in range(6)]
    await api.alter(SPOIL.format(receipt=records[3]["transaction_id"]))
    try:
        answers = await asyncio.gather(*(deliver(api, record) for record in records))
        assert [answer.status_code for answer in answers] == [200, 200, 200, 500, 200, 200]
        assert await saver.holds() == (8_500, 1_500, 0)
    finally:
        await api.alter(MEND)
    assert answered(await deliver(api, records[3]))["status"] == "processed"
    assert await saver.holds() == (8_200, 1_800, 0)


async def test_a_saver_whose_lock_is_held_keeps_only_themselves_waiting(api: Api, saver: Saver) -> None:
    other = await api.new_saver()
    await other.deposit(10_000)
    record = record_of(saver)
    async with api.database.connected("supabase_admin") as connection, connection.transaction():
        await connection.execute("SELECT FROM savings.savers WHERE saver_id = $1 FOR UPDATE", saver.id)
        began = time.monotonic()
        held, free = await asyncio.gather(deliver(api, record), deliver(api, record_of(other)))
        took_ms = (time.monotonic() - began) * 1000
        assert code_of(held) == (503, "database_unavailable")
        assert held.headers["Retry-After"]
        assert answered(free)["status"] == "processed"
        assert took_ms >= LOCK_PATIENCE_MS
    assert answered(await deliver(api, record))["status"] == "processed"


async def test_a_spend_and_its_reversal_at_once_end_with_nothing_saved(api: Api, saver: Saver) -> None:
    await saver.deposit(10_000)
    record = record_of(saver)
    await asyncio.gather(deliver(api, record), deliver(api, record | {"status": "reversed"}))
    assert await saver.holds() == (10_000, 0, 0)


@pytest.mark.parametrize("seed", range(4))
async def test_any_mixture_at_once_leaves_the_books_it_leaves_one_by_one(api: Api, seed: int) -> None:
    """The wallet covers all, so that the order of those that are at once decides nothing."""
    chance = random.Random(seed)
    twins = [await api.new_saver(), await api.new_saver()]
    for each in twins:
        await each.deposit(50_000)
    amounts = [chance.randrange(1_00, 900_00, 1) / 100 for _ in range(12)]
    plans = []
    for twin in twins:
        records = [record_of(twin, amount=f"{amount:.2f}") for amount in amounts]
        again = [records[place] for place in (1, 1, 5, 8)]
        reversals = [record | {"status": "reversed"} for record in records[:3]]
        plans.append((records, [*records[3:], *again, *reversals]))
    for record in (*plans[0][0], *plans[1][0][:3]):
        answered(await deliver(api, record))
    at_once = plans[1][1]
    chance.shuffle(at_once)
    await asyncio.gather(*(deliver(api, record) for record in at_once))
    for record in plans[0][1]:
        answered(await deliver(api, record))
    one_by_one, batched = [await twin.holds() for twin in twins]
    assert batched == one_by_one
    assert batched[1] > 0


async def test_more_spends_than_may_wait_are_refused_and_can_be_sent_again(api: Api, saver: Saver) -> None:
    await saver.deposit(10_000)
    spends: SpendBatcher = api.app.state.spends
    async with api.database.connected("supabase_admin") as connection, connection.transaction():
        await connection.execute("SELECT FROM savings.savers WHERE saver_id = $1 FOR UPDATE", saver.id)
        held = asyncio.create_task(deliver(api, record_of(saver)))
        await api.until_a_statement_waits()
        waiting = [
            asyncio.create_task(spends.submit(sample(api, record_of(saver)))) for _ in range(WAITING_MAX)
        ]
        await asyncio.sleep(0)
        refused = await deliver(api, record := record_of(saver))
        assert code_of(refused) == (503, "queue_full")
        assert refused.headers["Retry-After"] == "1"
        for task in waiting:
            task.cancel()
    # By now its patience with the lock may be over.
    assert (await held).status_code in {200, 503}
    while spends.waiting():  # noqa: ASYNC110 (the batcher tells nobody)
        await asyncio.sleep(0.01)
    assert answered(await deliver(api, record))["status"] == "processed"


def sample(api: Api, record: dict[str, object]) -> SpendRecord:
    """Read a record as the route does."""
    read = read_envelope(json.dumps({"record": record}).encode(), now=api.clock.now()).record
    assert read is not None
    return read
