"""A worker of a simulation: the service's own worker, on the simulation's clock, until it is told to stop or killed."""

import asyncio
import signal
import sys
from collections.abc import Sequence
from datetime import datetime

import uvloop

from zanari_api.assembly import NOBODY, assemble
from zanari_api.runtime import logs
from zanari_api.settings import Settings
from zanari_api.simulation.clock import SimulatedClock
from zanari_api.worker import worker_of


async def work(clock: SimulatedClock) -> None:
    """Work until SIGTERM."""
    settings = Settings.load()
    logs.configure(level="WARNING", environment=settings.environment, version=settings.app_version)
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    parts = assemble(settings, stead=NOBODY, clock=clock)
    async with parts.opened(), worker_of(parts).running():
        await told.wait()


def main(arguments: Sequence[str]) -> None:
    """Read `<origin> <morning> <speed>` and work by that clock."""
    origin, morning, speed = arguments
    clock = SimulatedClock(
        origin=datetime.fromisoformat(origin), morning=datetime.fromisoformat(morning), speed=int(speed)
    )
    uvloop.run(work(clock))


if __name__ == "__main__":
    main(sys.argv[1:])
