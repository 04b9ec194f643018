"""Proves the checks themselves: in a copy of the tree with a fault planted in it, each has to fail, and say why."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console

from checks.check import Check, Fault, end

SHARED: Final = (".venv", "node_modules")
"""What is installed, and no part of what is checked."""

FAULT_TIMEOUT_S: Final = 900
ENDS_WITHIN_S: Final = 60
"""A check that is told to end has a database, an API and a worker to end first."""


class FaultMisplaced(Exception):  # noqa: N818 (reads as what it says)
    """A fault cannot be planted where it says: the tree has moved on without it."""


@contextmanager
def copy_of(tree: Path) -> Generator[Path, None, None]:
    """Give a copy of what git knows of the tree, with its present content."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=tree,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    with tempfile.TemporaryDirectory(prefix="zanari-planted-") as folder:
        copy = Path(folder) / "tree"
        for name in filter(None, listed.split("\0")):
            if (tree / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(tree / name, copy / name)
        for name in SHARED:
            if (tree / name).exists():
                (copy / name).symlink_to(tree / name)
        # What asks git about its tree (a commit's name, what is ignored) finds one here too.
        for arguments in (["init", "--quiet"], ["add", "--all"]):
            subprocess.run(["git", *arguments], cwd=copy, check=True, capture_output=True)
        yield copy


def plant(fault: Fault, tree: Path) -> None:
    """Make the mistake. Raises FaultMisplaced where its place is not there just once."""
    path = tree / fault.path
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if (found := text.count(fault.old)) != 1:
        raise FaultMisplaced(f"{fault.path} has {fault.old!r} {found} times, not once")
    path.write_text(text.replace(fault.old, fault.new), encoding="utf-8")


def seen(check: Check, fault: Fault, tree: Path, *, within: float = FAULT_TIMEOUT_S) -> str | None:
    """Plant a fault in a copy and run the check there. Return what is wrong with the check, None where it saw it."""
    with copy_of(tree) as copy:
        try:
            plant(fault, copy)
        except FaultMisplaced as misplaced:
            return str(misplaced)
        with subprocess.Popen(
            [sys.executable, "-m", "checks", "--only", check.name],
            cwd=copy,
            env=os.environ | {"PYTHONPATH": str(copy), "COLUMNS": "4000"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            try:
                said = process.communicate(timeout=within)[0].decode(errors="replace")
            except subprocess.TimeoutExpired:
                return f"the check did not end within {within:.0f} s"
            finally:
                end(process, within=ENDS_WITHIN_S)
        if process.returncode == 0:
            return "the check passed all the same"
        if not re.search(r"^    FAILED in ", said, flags=re.MULTILINE):
            return f"the check did not fail, it did not run: {said[-500:]}"
        if fault.says not in said:
            return f"the check failed without speaking of {fault.says!r}: {said[-1500:]}"
    return None


def check_the_checks(checks: Sequence[Check], tree: Path, console: Console) -> bool:
    """Plant every fault of these checks, one at a time. Returns whether each was seen."""
    total = unseen = 0
    for check in checks:
        if not check.faults:
            console.print(f"UNPROVED  {check.name}: it has no planted fault", markup=False)
            unseen += 1
        if lacking := check.needs():
            console.print(f"NOT RUN   {check.name}: {lacking}", markup=False)
            continue
        for fault in check.faults:
            began = time.monotonic()
            wrong = seen(check, fault, tree)
            total += 1
            unseen += wrong is not None
            word = "seen     " if wrong is None else "NOT SEEN "
            console.print(
                f"{word} {check.name}: {fault.path}: {fault.old.strip()!r} -> {fault.new.strip()!r}"
                f" ({time.monotonic() - began:.0f} s){'' if wrong is None else ': ' + wrong}",
                markup=False,
                highlight=False,
            )
    console.print(f"{total} faults planted, {unseen} of the checks' promises not kept")
    return unseen == 0 and total > 0
