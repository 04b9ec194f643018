"""Runs simulations: life with faults and dying workers, then rest, then the question whether every promise held."""

import asyncio
import random
import signal
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

from zanari_api.sandbox.postgres import EmbeddedPostgres
from zanari_api.sandbox.safaricom.faults import Fault, FaultPlan
from zanari_api.sandbox.safaricom.handsets import Behaviour
from zanari_api.simulation.plan import Plan, Report
from zanari_api.simulation.promises import examine
from zanari_api.simulation.savers import Promises, Saver
from zanari_api.simulation.world import World, postgres, world
from zanari_api.worker import worker_of

FORGERIES: Final = frozenset({Fault.FORGED_UNKNOWN, Fault.FORGED_AMOUNT})
"""Left out: who can forge holds our secret token, and what that does is a scenario of its own, not weather."""

REST: Final = (
    *(timedelta(minutes=2),) * 6,
    *(timedelta(minutes=31),) * 4,
    *(timedelta(hours=2),) * 4,
    *(timedelta(hours=9),) * 3,
)
"""The leaps in which a world comes to rest: past each deadline there is, the last of them a day away."""

ROUNDS_MAX: Final = 30


@asynccontextmanager
async def ground() -> AsyncGenerator[tuple[EmbeddedPostgres, Path], None]:
    """Make the place that simulations share: a Postgres and a directory, both gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="zanari-sim-") as directory:
        home = Path(directory)
        async with postgres(home) as server:
            yield server, home


async def simulate(
    plan: Plan, *, server: EmbeddedPostgres, home: Path, on_progress: Callable[[str], None]
) -> Report:
    """Simulate one plan and report on it."""
    promises = Promises()
    async with world(plan, server, home) as made:
        await _live(made, promises, on_progress)
        kills = made.workers.kills
        ended = await asyncio.to_thread(made.workers.stop)
        await _rest(made, on_progress)
        found = await examine(made.parts.runtime.database, made.emulator, promises)
    broken = list(found.broken)
    # One that was told before it was up had begun nothing: the signal itself ends it.
    fine = {0, -signal.SIGTERM}
    broken += [f"a worker ended with {code} when it was asked to stop" for code in ended if code not in fine]
    return Report(plan=plan, done=promises.done, kills=kills, broken=broken, open_breaks=found.named)


async def _live(made: World, promises: Promises, on_progress: Callable[[str], None]) -> None:
    """Let savers live for as long as the plan says, while things go wrong."""
    plan, clock = made.plan, made.clock
    savers = [Saver(made, place, promises) for place in range(plan.savers)]
    over = asyncio.Event()
    lives = [asyncio.create_task(saver.live(over=over)) for saver in savers]
    made.emulator.faults = FaultPlan.seeded(plan.seed, plan.fault_percent, only=frozenset(Fault) - FORGERIES)
    chance = random.Random(f"kills:{plan.seed}")  # noqa: S311 (a seed must repeat)
    killing = asyncio.create_task(made.workers.kill_now_and_then(clock, chance, every_s=plan.kill_every_s))
    begun = clock.now()
    while clock.now() - begun < plan.length:
        await asyncio.sleep(1)
        on_progress(f"seed {plan.seed}: {_minutes(clock.now() - begun)} of {plan.minutes} minutes")
        for task in (*lives, killing):
            if task.done():
                task.result()
    over.set()
    await asyncio.gather(*lives)
    killing.cancel()
    with suppress(asyncio.CancelledError):
        await killing


async def _rest(made: World, on_progress: Callable[[str], None]) -> None:
    """Let everything go well, and let time pass until nothing is left that time alone could decide."""
    made.emulator.faults = FaultPlan()
    for place in range(made.plan.savers):
        phone = f"2547{made.plan.seed % 1000:03d}{place:05d}"
        await made.emulator.set_handset(phone, behaviour=Behaviour.CANCEL)
    await made.emulator.drain()
    for leap in REST:
        on_progress(f"seed {made.plan.seed}: coming to rest, {leap} on")
        await _work(made)
        made.clock.leap(leap)
    await _work(made)


async def _work(made: World) -> None:
    worker = worker_of(made.parts)
    for _ in range(ROUNDS_MAX):
        told = len(made.emulator.deliveries)
        worked = await worker.drain()
        await made.emulator.drain()
        if worked == 0 and told == len(made.emulator.deliveries):
            return


def _minutes(length: timedelta) -> int:
    return int(length.total_seconds()) // 60
