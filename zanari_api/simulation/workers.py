"""The workers of a simulation: processes of their own, because only a process can be killed at any line."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from zanari_api.kit.clock import Clock

STOP_TIMEOUT_S: Final = 40


class Workers:
    """Some worker processes, of which now and then one is killed and replaced."""

    def __init__(
        self, *, count: int, variables: Mapping[str, str], times: tuple[datetime, datetime, int], log: Path
    ) -> None:
        """`times` are the clock's origin, its morning and its speed: every process must agree on them."""
        origin, morning, speed = times
        self._command = [
            sys.executable, "-m", "zanari_api.simulation.worker_process",
            origin.isoformat(), morning.isoformat(), str(speed),
        ]  # fmt: skip
        inherited = ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_CONFIG", "PYTHONPATH")
        self._variables = {name: os.environ[name] for name in inherited if name in os.environ} | dict(
            variables
        )
        self._log = log
        self._processes = [self._start() for _ in range(count)]
        self.kills = 0

    async def kill_now_and_then(self, clock: Clock, chance: random.Random, *, every_s: int) -> None:
        """Kill one of them about every so many seconds of the clock, without end."""
        while True:
            await clock.sleep(chance.uniform(every_s // 2, every_s * 3 // 2))
            place = chance.randrange(len(self._processes))
            self._processes[place].kill()
            self._processes[place].wait()
            self._processes[place] = self._start()
            self.kills += 1

    def stop(self) -> list[int]:
        """Ask them all to finish what they began; return how each ended, 0 being well."""
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        return [_wait(process) for process in self._processes]

    def _start(self) -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 (our own interpreter and module)
                self._command, env=self._variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )


def _wait(process: "subprocess.Popen[bytes]") -> int:
    try:
        return process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
