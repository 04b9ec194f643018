"""Batches: one at a time, made of what arrived meanwhile, and spoilt for nobody by somebody else's item."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zanari_api.runtime.batching import Batcher, NotReached, QueueFull


class Refused(Exception):  # noqa: N818 (reads as what it says)
    """What the work raises for an item that it cannot do."""


class Away(Exception):  # noqa: N818 (reads as what it says)
    """What the work raises for every item alike."""


class Workshop:
    """Work that can be held up, and tells which lists it was given."""

    def __init__(self) -> None:
        self.lists: list[list[int]] = []
        self.at_once = 0
        self.most_at_once = 0
        self.open = asyncio.Event()
        self.open.set()
        self.away = False
        self.away_after: int | None = None

    async def work(self, items: Sequence[int]) -> list[int]:
        self.lists.append(list(items))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.open.wait()
            if self.away or (self.away_after is not None and len(self.lists) > self.away_after):
                raise Away
            if any(item < 0 for item in items):
                raise Refused(str([item for item in items if item < 0]))
            return [item * 2 for item in items]
        finally:
            self.at_once -= 1


def batcher_of(shop: Workshop, **limits: int) -> Batcher[int, int]:
    return Batcher(shop.work, is_outage=lambda error: isinstance(error, Away), **limits)


async def submitted(batcher: Batcher[int, int], *items: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(batcher.submit(item)) for item in items]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_an_item_that_comes_alone_runs_alone_and_at_once() -> None:
    shop = Workshop()
    assert await batcher_of(shop).submit(4) == 8
    assert shop.lists == [[4]]


async def test_what_arrives_while_a_batch_runs_is_the_next_one() -> None:
    shop = Workshop()
    batcher = batcher_of(shop)
    shop.open.clear()
    tasks = await submitted(batcher, 1)
    tasks += await submitted(batcher, 2, 3, 4)
    assert batcher.waiting() == 3
    shop.open.set()
    assert await asyncio.gather(*tasks) == [2, 4, 6, 8]
    assert shop.lists == [[1], [2, 3, 4]]
    assert shop.most_at_once == 1


async def test_a_batch_is_never_larger_than_its_limit() -> None:
    shop = Workshop()
    batcher = batcher_of(shop, batch_max=3)
    assert await asyncio.gather(*(batcher.submit(item) for item in range(10))) == list(range(0, 20, 2))
    assert [len(each) for each in shop.lists] == [3, 3, 3, 1]


async def test_more_than_may_wait_is_refused_and_the_others_are_served() -> None:
    shop = Workshop()
    batcher = batcher_of(shop, waiting_max=2)
    shop.open.clear()
    tasks = await submitted(batcher, 1)
    tasks += await submitted(batcher, 2, 3)
    with pytest.raises(QueueFull) as full:
        await batcher.submit(4)
    assert full.value.retry_after == 1
    shop.open.set()
    assert await asyncio.gather(*tasks) == [2, 4, 6]


async def test_only_the_item_that_spoils_a_batch_fails_and_with_its_own_error() -> None:
    shop = Workshop()
    batcher = batcher_of(shop)
    results = await asyncio.gather(*(batcher.submit(item) for item in (1, -2, 3, -4)), return_exceptions=True)
    assert results[0] == 2
    assert results[2] == 6
    assert [str(results[1]), str(results[3])] == ["[-2]", "[-4]"]
    assert shop.lists == [[1, -2, 3, -4], [1], [-2], [3], [-4]]


async def test_an_outage_is_everybodys_answer_at_once() -> None:
    shop = Workshop()
    shop.away = True
    batcher = batcher_of(shop)
    results = await asyncio.gather(*(batcher.submit(item) for item in (1, 2, 3)), return_exceptions=True)
    assert [type(each) for each in results] == [Away, Away, Away]
    assert shop.lists == [[1, 2, 3]]
    shop.away = False
    assert await batcher.submit(5) == 10


async def test_a_caller_that_hangs_up_changes_nothing_for_the_others() -> None:
    shop = Workshop()
    batcher = batcher_of(shop)
    shop.open.clear()
    first, second, third = await submitted(batcher, 1, 2, 3)
    second.cancel()
    first.cancel()
    await asyncio.sleep(0)
    shop.open.set()
    assert await third == 6
    assert first.cancelled()
    assert second.cancelled()
    assert shop.lists == [[1, 2, 3]]


async def test_stopping_waits_for_all_that_was_handed_in_and_takes_nothing_more() -> None:
    shop = Workshop()
    batcher = batcher_of(shop, batch_max=1)
    shop.open.clear()
    tasks = await submitted(batcher, 1, 2)
    stopped = asyncio.create_task(batcher.stop(within_s=30))
    await asyncio.sleep(0.01)
    assert not stopped.done()
    with pytest.raises(NotReached):
        await batcher.submit(3)
    shop.open.set()
    await stopped
    assert [task.result() for task in tasks] == [2, 4]


async def test_what_stopping_does_not_wait_for_is_told_that_nothing_was_done() -> None:
    shop = Workshop()
    batcher = batcher_of(shop, batch_max=1)
    shop.open.clear()
    first, second = await submitted(batcher, 1, 2)
    await batcher.stop(within_s=0.01)
    with pytest.raises(NotReached):
        await second
    assert not first.done()
    shop.open.set()
    assert await first == 2
    assert shop.lists == [[1]]


async def test_an_outage_while_items_run_one_by_one_is_the_answer_of_all_that_are_left() -> None:
    shop = Workshop()
    shop.away_after = 2
    results = await asyncio.gather(
        *(batcher_.submit(item) for batcher_ in [batcher_of(shop)] for item in (1, -2, 3, 4)),
        return_exceptions=True,
    )
    assert results[0] == 2
    assert [type(each) for each in results[1:]] == [Away, Away, Away]
    assert shop.lists == [[1, -2, 3, 4], [1], [-2]]


async def test_running_one_by_one_has_an_end_and_who_was_not_reached_is_told() -> None:
    shop = Workshop()
    batcher = Batcher(shop.work, is_outage=lambda _: False, one_by_one_s=-1)
    results = await asyncio.gather(*(batcher.submit(item) for item in (1, -2)), return_exceptions=True)
    assert [type(each) for each in results] == [NotReached, NotReached]
    assert await batcher.submit(5) == 10


async def test_too_few_results_are_nobodys_answer() -> None:
    async def half(items: Sequence[int]) -> list[int]:
        await asyncio.sleep(0)
        return list(items)[: max(1, len(items) - 1)]

    batcher = Batcher(half, is_outage=lambda _: False)
    assert await asyncio.gather(*(batcher.submit(item) for item in (1, 2, 3))) == [1, 2, 3]


async def test_a_cancelled_batch_leaves_nobody_waiting() -> None:
    shop = Workshop()
    batcher = batcher_of(shop, batch_max=1)
    shop.open.clear()
    tasks = await submitted(batcher, 1, 2)
    (running,) = [task for task in asyncio.all_tasks() if task.get_name() == "batches"]
    running.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in results] == [NotReached, NotReached]
    shop.open.set()
    assert await batcher.submit(3) == 6


@given(items=st.lists(st.integers(-3, 100), max_size=40), batch_max=st.integers(1, 7))
async def test_each_item_gets_its_own_result_whatever_it_is_batched_with(
    items: list[int], batch_max: int
) -> None:
    batcher = batcher_of(Workshop(), batch_max=batch_max)
    results = await asyncio.gather(*(batcher.submit(item) for item in items), return_exceptions=True)
    for item, result in zip(items, results, strict=True):
        assert isinstance(result, Refused) if item < 0 else result == item * 2
