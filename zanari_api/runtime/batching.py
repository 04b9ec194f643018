"""Puts concurrent calls for one kind of work into batches: what arrives while one batch runs is the next one.

Nobody waits for a batch to fill: a call that comes alone runs alone. Decides nothing about the work.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import structlog

from zanari_api.kit.errors import Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")

BATCH_MAX: Final = 128
"""Measured: a larger batch is no faster, and makes those in it wait longer."""

WAITING_MAX: Final = 1024
"""As many wait at most: eight full batches, which is well under a second of work. More would only wait in vain."""

ONE_BY_ONE_S: Final = 5.0
"""A batch that fell apart is run one by one for so long; what is left then is answered 503."""

log = structlog.get_logger(__name__)


class QueueFull(Unavailable):
    """More has arrived than can be worked on. Nothing was changed; send the same request again."""

    code = "queue_full"


class NotReached(Unavailable):
    """It was not come to in time. Nothing was changed; send the same request again."""

    code = "not_reached"


@dataclass(slots=True)
class _Waiting(Generic[Item, Result]):
    """An item, and whoever waits for what becomes of it."""

    item: Item
    answer: "asyncio.Future[Result]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Batcher(Generic[Item, Result]):
    """Runs `work` on lists of items, one list at a time.

    `work` returns a result for each item in their order, once they are committed, and does nothing when it raises.
    `is_outage` tells of an error that every item would meet as well: then all are answered with it at once.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        is_outage: Callable[[Exception], bool],
        on_batch: Callable[[int], None] = lambda _: None,
        batch_max: int = BATCH_MAX,
        waiting_max: int = WAITING_MAX,
        one_by_one_s: float = ONE_BY_ONE_S,
    ) -> None:
        self._work = work
        self._is_outage = is_outage
        self._on_batch = on_batch
        self._batch_max = batch_max
        self._waiting_max = waiting_max
        self._one_by_one_s = one_by_one_s
        self._stopping = False
        self._queue: deque[_Waiting[Item, Result]] = deque()
        self._running: asyncio.Task[None] | None = None

    def waiting(self) -> int:
        """Return how many items wait for the batch after this one."""
        return len(self._queue)

    async def submit(self, item: Item) -> Result:
        """Have an item worked on; return its result after the commit.

        Raises QueueFull, NotReached, or what the work raised: nothing was done for the item.

        A caller that gives up meanwhile changes nothing: its item is worked on with the others.
        """
        if self._stopping:
            raise NotReached
        if len(self._queue) >= self._waiting_max:
            raise QueueFull
        waiting: _Waiting[Item, Result] = _Waiting(item)
        self._queue.append(waiting)
        if self._running is None:
            # In a context of its own: the batch is no part of the request that happened to come first.
            self._running = asyncio.create_task(self._run(), name="batches", context=contextvars.Context())
        return await waiting.answer

    async def stop(self, *, within_s: float) -> None:
        """Take nothing more, and wait until what was handed in has been answered; what is late is answered 503."""
        self._stopping = True
        if self._running is not None:
            await asyncio.wait({self._running}, timeout=within_s)
        self._give_up(self._take_all())

    async def _run(self) -> None:
        try:
            while self._queue:
                size = min(len(self._queue), self._batch_max)
                await self._run_batch([self._queue.popleft() for _ in range(size)])
        finally:
            self._running = None
            # Empty, unless the task was cancelled: then nobody else would answer them.
            self._give_up(self._take_all())

    async def _run_batch(self, batch: Sequence[_Waiting[Item, Result]]) -> None:
        try:
            if (error := await self._attempt(batch)) is not None:
                await self._run_one_by_one(batch, error)
        finally:
            self._give_up(batch)

    async def _attempt(self, batch: Sequence[_Waiting[Item, Result]]) -> Exception | None:
        """Run one list. Return the error that left all of it undone and unanswered, None where all is answered."""
        self._on_batch(len(batch))
        try:
            results = await self._work([each.item for each in batch])
        except Exception as error:  # noqa: BLE001 (it is handed on to whoever waits)
            return error
        if len(results) != len(batch):
            return RuntimeError(f"{len(results)} results for {len(batch)} items")
        for each, result in zip(batch, results, strict=True):
            if not each.answer.done():
                each.answer.set_result(result)
        return None

    async def _run_one_by_one(self, batch: Sequence[_Waiting[Item, Result]], error: Exception) -> None:
        """Answer each item for itself: somebody's item spoilt the batch, and only that one has to fail.

        Everybody who arrives meanwhile waits, so there is an end to it: who was not reached by then sends it again.
        """
        if len(batch) == 1 or self._is_outage(error):
            self._fail(batch, error)
            return
        log.warning("batch_fell_apart", size=len(batch), error=type(error).__name__)
        until = asyncio.get_running_loop().time() + self._one_by_one_s
        for place, each in enumerate(batch):
            if asyncio.get_running_loop().time() > until:
                log.warning("batch_not_finished", left=len(batch) - place)
                return
            own = await self._attempt([each])
            if own is not None:
                self._fail([each], own)
                if self._is_outage(own):
                    self._fail(batch[place + 1 :], own)
                    return

    def _take_all(self) -> list[_Waiting[Item, Result]]:
        taken, self._queue = list(self._queue), deque()
        return taken

    @staticmethod
    def _fail(waiting: Sequence[_Waiting[Item, Result]], error: Exception) -> None:
        for each in waiting:
            if not each.answer.done():
                each.answer.set_exception(error)

    def _give_up(self, waiting: Sequence[_Waiting[Item, Result]]) -> None:
        """Answer whoever has no answer yet that nothing was done for them."""
        self._fail(waiting, NotReached())
