"""What a check is: what it proves, how it runs, and the planted faults that have to turn it red."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import AliasChoices

from zanari_api.settings import Settings

COMMAND_TIMEOUT_S: Final = 120
END_TIMEOUT_S: Final = 15
OUTPUT_TAIL: Final = 3_000
"""As many characters of what a failed command said are shown."""


class CheckFailed(Exception):  # noqa: N818 (the outcome of a check, not an error of its own)
    """A check ran and found something. The text says what, and what to do."""


class CheckNotRun(Exception):  # noqa: N818 (the outcome of a check, not an error of its own)
    """A check could not run here. The text says why."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake to plant: in the file `path`, `old`, which is there just once, becomes `new`."""

    path: str
    old: str
    new: str
    says: str
    """What the check's failure has to speak of, or it failed for another reason than this fault."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a check runs: the tree that is checked, and a folder of its own that is removed afterwards."""

    tree: Path
    scratch: Path
    say: Callable[[str], None]
    """Tells of progress on a long check."""

    def command(
        self,
        *argv: str | Path,
        env: Mapping[str, str] | None = None,
        timeout: float = COMMAND_TIMEOUT_S,
        stdin: str = "",
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever that is. Raises CheckFailed when it takes too long."""
        try:
            return subprocess.run(
                [str(each) for each in argv],
                cwd=cwd or self.tree,
                env=environment(self.tree, env),
                input=stdin,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CheckFailed(f"{Path(argv[0]).name} did not end within {timeout:.0f} s") from None

    def succeed(
        self, *argv: str | Path, env: Mapping[str, str] | None = None, timeout: float = COMMAND_TIMEOUT_S
    ) -> str:
        """Run a command that must succeed, and return what it printed. Raises CheckFailed with what it said."""
        done = self.command(*argv, env=env, timeout=timeout)
        if done.returncode != 0:
            said = (done.stdout + done.stderr)[-OUTPUT_TAIL:].strip()
            raise CheckFailed(f"{Path(argv[0]).name} ended with {done.returncode}: {said}")
        return done.stdout

    def zanari(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        timeout: float = COMMAND_TIMEOUT_S,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run the command `zanari` as it is in the tree, which may be a copy with a fault planted in it."""
        return self.command(
            sys.executable, "-m", "zanari_api", *arguments, env=env, timeout=timeout, cwd=cwd or self.scratch
        )

    @contextmanager
    def started(
        self,
        *argv: str | Path,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
        cwd: Path | None = None,
    ) -> Generator[subprocess.Popen[bytes], None, None]:
        """Run a process for as long as the block runs; it and its children end with it. Output goes to `log`."""
        with (log or self.scratch / f"{Path(argv[0]).name}.log").open("ab") as output:
            process = subprocess.Popen(
                [str(each) for each in argv],
                cwd=cwd or self.scratch,
                env=environment(self.tree, env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                yield process
            finally:
                end(process)


def environment(tree: Path, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what a process of a check sees: this machine's variables but for the service's own, and `env`.

    Whoever runs the checks may have a real database, or a real gateway, among theirs.
    """
    own = _variables_of_the_service()
    inherited = {name: value for name, value in os.environ.items() if name.upper() not in own}
    return inherited | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"} | dict(env or {})


def _variables_of_the_service() -> frozenset[str]:
    names = set[str]()
    for name, each in Settings.model_fields.items():
        alias = each.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else (name, alias)
        names |= {choice.upper() for choice in (name, *choices) if isinstance(choice, str)}
    return frozenset(names)


def nothing() -> str | None:
    """Need nothing that a machine could lack."""
    return None


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is proved."""

    name: str
    proves: str
    run: Callable[[Site], str]
    """Returns a line on what was seen. Raises CheckFailed or CheckNotRun."""

    faults: tuple[Fault, ...]
    needs: Callable[[], str | None] = nothing
    """Returns what this machine lacks for the check, or None where it could run."""


def needed(*programs: str) -> Callable[[], str | None]:
    """Return what tells which of these programs is not installed."""

    def lacking() -> str | None:
        missing = [each for each in programs if find(each) is None]
        return f"not installed: {', '.join(missing)}" if missing else None

    return lacking


def find(program: str) -> str | None:
    """Return where a program lies, in the folders for administrators too."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def end(process: subprocess.Popen[bytes], *, within: float = END_TIMEOUT_S) -> None:
    """End a process that leads its own group, and whatever is left of that group after `within` seconds."""
    with suppress(ProcessLookupError):
        process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=within)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
