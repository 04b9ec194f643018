"""Collections the whole way: spends at a shop, the worker, Safaricom's prompt on the phone, its callbacks."""

import pytest

from tests.support.app import SHORTCODE, Api
from tests.support.books import Books
from tests.support.collecting import Collector
from tests.support.savers import Json, Saver
from zanari_api.ledger import accounts
from zanari_api.sandbox.safaricom.books import Account
from zanari_api.sandbox.safaricom.faults import Fault, Flow
from zanari_api.worker import worker_of


async def spend_until_announced(api: Api, collect: Collector, saver: Saver) -> Json:
    """Have the saver spend KES 147 twice and round up to the next hundred: KES 106 wait, and 100 are announced."""
    await saver.rule(kind="nearest", step_cents=10_000, multiplier=1)
    for _ in range(2):
        spent = await saver.spend(14_700, at=api.clock.now())
        assert spent["round_up"]["outcome"] == "waiting"
    await api.work()
    (collection,) = await collect.list(saver)
    assert collection["can_skip"]
    return collection


async def test_what_a_saver_spends_is_collected_with_one_pin(
    api: Api, collect: Collector, saver: Saver, books: Books
) -> None:
    theirs = api.emulator.books.balance(SHORTCODE, Account.UTILITY)
    collection = await spend_until_announced(api, collect, saver)
    await api.work()
    assert (await collect.read(saver, collection))["state"] == "requested"
    api.clock.advance(seconds=61)
    await api.work()
    paid = await collect.read(saver, collection)
    assert (paid["state"], paid["amount_cents"], paid["spends"]) == ("settled", 10_000, 2)
    assert await saver.holds() == (0, 10_000, 600)
    (deposit,) = await saver.feed(type="deposit")
    assert deposit["receipt"] == paid["receipt"]
    assert await books.balance(accounts.float_id(SHORTCODE)) == 10_000
    assert api.emulator.books.balance(SHORTCODE, Account.UTILITY) - theirs == 10_000


@pytest.mark.parametrize("behaviour", ["cancel", "wrong_pin"])
async def test_a_prompt_turned_down_leaves_the_round_ups_waiting(
    api: Api, collect: Collector, saver: Saver, behaviour: str
) -> None:
    assert saver.phone is not None
    await api.emulator.set_handset(saver.phone, behaviour=behaviour)
    collection = await spend_until_announced(api, collect, saver)
    api.clock.advance(seconds=61)
    await api.work()
    assert (await collect.read(saver, collection))["state"] == "failed"
    assert await saver.holds() == (0, 0, 10_600)
    await api.emulator.set_handset(saver.phone, behaviour="approve")
    api.clock.advance(hours=24)
    await api.work()
    api.clock.advance(seconds=61)
    await api.work()
    assert await saver.holds() == (0, 10_000, 600)


async def test_a_lost_callback_is_made_up_for(api: Api, collect: Collector, saver: Saver) -> None:
    collection = await spend_until_announced(api, collect, saver)
    for flow in (Flow.STK, Flow.C2B):
        api.emulator.faults.next(flow, Fault.LOSE_CALLBACK)
    api.clock.advance(seconds=61)
    await api.work()
    assert (await collect.read(saver, collection))["state"] == "prompted"
    api.clock.advance(minutes=3)
    await api.work()
    assert (await collect.read(saver, collection))["state"] == "settled"
    assert await saver.holds() == (0, 10_000, 600)


async def test_what_was_skipped_prompts_nobody(api: Api, collect: Collector, saver: Saver) -> None:
    collection = await spend_until_announced(api, collect, saver)
    await saver.post(f"/mpesa/collections/{collection['id']}/skip")
    told = len(api.emulator.deliveries)
    api.clock.advance(minutes=10)
    await api.work()
    assert len(api.emulator.deliveries) == told
    assert await saver.holds() == (0, 0, 10_600)


async def test_open_collections_and_the_age_of_the_oldest_are_measured(
    api: Api, collect: Collector, saver: Saver
) -> None:
    async def measured() -> tuple[float, float]:
        """Return what the gauges say, having seen that they count what is open."""
        await worker_of(api.app.state.parts).read_facts()
        sample = api.runtime.metrics.registry.get_sample_value
        opened, age = sample("zanari_collections_open"), sample("zanari_collection_oldest_age_seconds")
        (row,) = await api.rows("SELECT count(*) AS n FROM savings.collections WHERE state = 'requested'")
        assert opened == row["n"]
        assert age is not None
        return opened, age

    collection = await spend_until_announced(api, collect, saver)
    api.clock.advance(seconds=45)
    while_open, age = await measured()
    assert while_open >= 1
    assert age >= 45
    api.clock.advance(seconds=16)
    await api.work()
    assert (await collect.read(saver, collection))["state"] == "settled"
    ended, age = await measured()
    assert ended < while_open
    assert (age > 0) == (ended > 0)
