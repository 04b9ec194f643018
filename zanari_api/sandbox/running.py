"""A note beside a running development service, so that a command in another terminal finds it. Starts nothing."""

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

FILE: Final = "running.json"


@dataclass(frozen=True, slots=True)
class Running:
    """Where the parts of a running development service are; None for a part that it did not start itself."""

    pid: int
    database_url: str | None
    safaricom_url: str | None
    certificate_pem: str | None
    callback_base_url: str | None
    auth_url: str | None = None
    sms_url: str | None = None


class NothingRuns(Exception):  # noqa: N818 (reads as what it says)
    """No development service runs in this directory."""


@contextmanager
def noted(home: Path, running: Running) -> Generator[None]:
    """Keep the note for as long as the block runs. Readable by its owner only."""
    path = home / FILE
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(asdict(running), file)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def read(home: Path) -> Running:
    """Return the note of the service that runs under `home`. Raises NothingRuns, also for one that was killed."""
    try:
        note = Running(**json.loads((home / FILE).read_text()))
        os.kill(note.pid, 0)
    except (FileNotFoundError, ProcessLookupError) as error:
        raise NothingRuns(
            f"no development service runs in {home.parent}: start one with `zanari dev`, or set DATABASE_URL"
        ) from error
    return note
