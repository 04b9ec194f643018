"""Runs the `zanari` command as a person would: processes of their own, in a directory of their own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

ZANARI: Final = Path(sys.executable).with_name("zanari")
READY_TIMEOUT_S: Final = 60
STOP_TIMEOUT_S: Final = 60


class Running:
    """One `zanari serve` or `zanari dev` that answers, and what it has written."""

    def __init__(self, process: "subprocess.Popen[bytes]", *, port: int, out: Path, err: Path) -> None:
        self.process = process
        self.base_url = f"http://127.0.0.1:{port}"
        self._out = out
        self._err = err

    @property
    def output(self) -> str:
        return self._out.read_text(encoding="utf-8")

    @property
    def errors(self) -> str:
        return self._err.read_text(encoding="utf-8")

    @property
    def log(self) -> list[dict[str, Any]]:
        """The log's lines; standard output must hold nothing else."""
        return [json.loads(line) for line in self.output.splitlines()]

    def client(self, token: str | None = None) -> httpx.Client:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.base_url, headers=headers, timeout=30)

    def end(self, number: signal.Signals) -> int:
        """Send a signal, wait for the end, and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(STOP_TIMEOUT_S)

    def wait_until_ready(self) -> None:
        """Wait until it says that traffic may be sent to it."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self._is_ready():
            assert self.process.poll() is None, f"it ended instead of serving: {self.errors}"
            assert time.monotonic() < deadline, f"it does not get ready: {self.errors}"
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.base_url}/health/ready", timeout=READY_TIMEOUT_S).is_success
        except httpx.TransportError:
            return False


@dataclass(frozen=True, slots=True)
class Place:
    """An empty working directory with a free port of its own."""

    directory: Path
    port: int

    def environment(self, **variables: str) -> dict[str, str]:
        """Return only what the command documents, and what any program needs or is measured by."""
        names = ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_CONFIG")
        inherited = {name: os.environ[name] for name in names if name in os.environ}
        return inherited | {"PORT": str(self.port)} | variables

    def run(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run a command that ends by itself."""
        return subprocess.run(  # noqa: S603 (our own command)
            [ZANARI, *arguments],
            cwd=self.directory,
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            timeout=READY_TIMEOUT_S,
            check=False,
        )

    @contextmanager
    def running(self, verb: str = "serve", **variables: str) -> Iterator[Running]:
        """Start a server and wait until it is ready; at the end nothing of it is left."""
        out, err = self.directory / "stdout.log", self.directory / "stderr.log"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(  # noqa: S603 (our own command)
                [ZANARI, verb],
                cwd=self.directory,
                env=self.environment(**variables),
                stdout=stdout,
                stderr=stderr,
            )
        running = Running(process, port=self.port, out=out, err=err)
        try:
            running.wait_until_ready()
            yield running
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(STOP_TIMEOUT_S)

    def processes(self) -> list[str]:
        """Return the command lines of all processes that were started on this directory and still run."""
        found: list[str] = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(self.directory) in command:
                found.append(command)
        return found


@contextmanager
def new_place() -> Iterator[Place]:
    """Make an empty directory, short as a socket's path must be, and take it away at the end."""
    directory = Path(tempfile.mkdtemp(prefix="zanari-place-"))
    try:
        yield Place(directory, free_port())
    finally:
        shutil.rmtree(directory)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def refusal(done: "subprocess.CompletedProcess[str]") -> str:
    """Return the one line with which a command failed: on standard error, without a traceback."""
    assert done.returncode == 1, f"{done.returncode}: {done.stdout}{done.stderr}"
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("zanari: ")]
    assert "Traceback" not in done.stderr
    return line.removeprefix("zanari: ")
