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

log = structlog.get_logger(__name__)


class QueueFull(Unavailable):
    """More has arrived than can be worked on. Nothing was changed; send the same request again."""

    code = "queue_full"


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
    ) -> None:
        self._work = work
        self._is_outage = is_outage
        self._on_batch = on_batch
        self._batch_max = batch_max
        self._waiting_max = waiting_max
        self._queue: deque[_Waiting[Item, Result]] = deque()
        self._running: asyncio.Task[None] | None = None

    def waiting(self) -> int:
        """Return how many items wait for the batch after this one."""
        return len(self._queue)

    async def submit(self, item: Item) -> Result:
        """Have an item worked on; return its result after the commit. Raises QueueFull, or what the work raised.

        A caller that gives up meanwhile changes nothing: its item is worked on with the others.
        """
        if len(self._queue) >= self._waiting_max:
            raise QueueFull
        waiting: _Waiting[Item, Result] = _Waiting(item)
        self._queue.append(waiting)
        if self._running is None:
            # In a context of its own: the batch is no part of the request that happened to come first.
            self._running = asyncio.create_task(self._run(), name="batches", context=contextvars.Context())
        return await waiting.answer

    async def drained(self) -> None:
        """Wait until everything that was submitted has been answered."""
        while self._running is not None:
            await asyncio.wait({self._running})

    async def _run(self) -> None:
        try:
            while self._queue:
                size = min(len(self._queue), self._batch_max)
                batch = [self._queue.popleft() for _ in range(size)]
                await self._run_batch(batch)
        finally:
            self._running = None

    async def _run_batch(self, batch: Sequence[_Waiting[Item, Result]]) -> None:
        self._on_batch(len(batch))
        try:
            results = await self._work([each.item for each in batch])
        except Exception as error:  # noqa: BLE001 (it is handed on to whoever waits)
            if len(batch) == 1 or self._is_outage(error):
                for each in batch:
                    _fail(each, error)
                return
            # Somebody's item spoils it for all. One at a time only that one fails, and with its own error.
            log.warning("batch_fell_apart", size=len(batch), error=type(error).__name__)
            for each in batch:
                await self._run_batch([each])
        else:
            for each, result in zip(batch, results, strict=True):
                if not each.answer.done():
                    each.answer.set_result(result)


def _fail(waiting: _Waiting[Item, Result], error: Exception) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)
