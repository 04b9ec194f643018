"""Where the head of the chain is written down outside the database, so that nobody can cut the chain unseen.

A file here: one line for each head, `count hash time`, appended and never changed. In production it lies on a mount of
a bucket whose objects are locked, or is shipped there; anything else that keeps heads takes the place of HeadFile.
"""

import fcntl
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from zanari_api.ledger.chain import Head

_LAST_LINES_BYTES: Final = 4_096
_LINE: Final = re.compile(
    r"([0-9]{1,18}) ([0-9a-f]{64}) ([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\+00:00)"
)


class HeadUnreadable(Exception):  # noqa: N818 (reads as what it says)
    """A place that should hold heads does not, or one of its lines is none."""


class HeadGoesBack(Exception):  # noqa: N818 (reads as what it says)
    """A head that was written down counts as many rows or more: the chain was cut, or somebody wrote a later one."""

    def __init__(self, known: "KnownHead", head: Head) -> None:
        self.known = known
        super().__init__(
            f"the head of {known.at:%Y-%m-%d %H:%M:%S} counts {known.head.count} rows, and this one {head.count} or"
            " has another hash there: zanari ledger verify says more"
        )


@dataclass(frozen=True, slots=True)
class KnownHead:
    """A head as it was written down, and when."""

    head: Head
    at: datetime


class Heads(Protocol):
    """What keeps heads where the database's owner cannot change them."""

    def read(self) -> list[KnownHead]:
        """Return every head, the oldest first. Raises HeadUnreadable."""
        ...

    def last(self) -> KnownHead | None:
        """Return the head that was written last; None before the first. Raises HeadUnreadable."""
        ...

    def note(self, head: Head, *, at: datetime) -> bool:
        """Write a head down, once; False when it is the last already. Raises HeadGoesBack or HeadUnreadable."""
        ...


class HeadFile:
    """Heads in a file of lines."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[KnownHead]:
        """Return every head of the file. Raises HeadUnreadable for a file that is not there or holds none."""
        try:
            lines = self._path.read_text(encoding="ascii").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise HeadUnreadable(f"{self._path} cannot be read: {type(error).__name__}") from None
        if not lines:
            raise HeadUnreadable(f"{self._path} holds no head")
        return [self._parse(line) for line in lines]

    def note(self, head: Head, *, at: datetime) -> bool:
        """Append a head as one line, on disk before this returns. Locks the file: one writer looks and appends."""
        line = f"{head.count} {head.hash.hex()} {at.astimezone(UTC).isoformat(timespec='seconds')}\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            last = self.last()
            if last is not None and last.head == head:
                return False
            if last is not None and last.head.count >= head.count:
                raise HeadGoesBack(last, head)
            os.write(descriptor, line.encode("ascii"))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return True

    def last(self) -> KnownHead | None:
        """Return the file's last head; None where there is no file, or an empty one. Raises HeadUnreadable."""
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _LAST_LINES_BYTES))
                tail = file.read().decode("ascii", errors="replace")
        except FileNotFoundError:
            return None
        if not tail:
            return None
        if not tail.endswith("\n"):
            raise HeadUnreadable(f"{self._path} ends in the middle of a line; mend that line")
        return self._parse(tail.splitlines()[-1])

    def _parse(self, line: str) -> KnownHead:
        found = _LINE.fullmatch(line)
        if found is None:
            raise HeadUnreadable(f"{self._path} has a line that is no head: {line[:100]!r}")
        count, digest, at = found.groups()
        try:
            return KnownHead(Head(int(count), bytes.fromhex(digest)), datetime.fromisoformat(at))
        except ValueError:
            raise HeadUnreadable(f"{self._path} has a line that is no head: {line[:100]!r}") from None
