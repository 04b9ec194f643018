"""The process between an owner and its Postgres: stops the server when the owner ends, however it ends.

Run as a script by sandbox/postgres.py, with the standard library alone. Standard input is a pipe whose
other end only the owner holds, so end of file means that the owner asked for a stop, or is gone. The
kernel's parent-death signal, on Linux, covers the death of this process. Never touches the data.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

FAST_SHUTDOWN_S: Final = 30.0
PR_SET_PDEATHSIG: Final = 1


def keep(command: Sequence[str], *, user: int | None, group: int | None) -> int:
    """Run `command` until it ends or standard input does; return its exit status."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def stop_with_parent() -> None:
        # Set after the change of user, which would clear it again.
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGINT)

    child_ended, on_child_end = os.pipe()
    os.set_blocking(on_child_end, False)
    signal.set_wakeup_fd(on_child_end)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    server = subprocess.Popen(  # noqa: S603 (the command is built by sandbox/postgres.py)
        command,
        stdin=subprocess.DEVNULL,
        cwd="/",
        user=user,
        group=group,
        extra_groups=None if user is None else [],
        preexec_fn=stop_with_parent,  # noqa: PLW1509 (this process has one thread)
    )
    while server.poll() is None:
        ready, _, _ = select.select([sys.stdin, child_ended], [], [])
        if sys.stdin in ready:
            return _shut_down(server)
        os.read(child_ended, 64)
    return server.returncode


def _shut_down(server: "subprocess.Popen[bytes]") -> int:
    """Ask for a fast shutdown (sessions are ended, everything is flushed), then insist."""
    server.send_signal(signal.SIGINT)
    try:
        return server.wait(FAST_SHUTDOWN_S)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)
        return server.wait()


def main(arguments: Sequence[str]) -> int:
    """Read `<user id or -> <group id or -> <command...>` and keep the command."""
    user, group, *command = arguments
    return keep(
        command,
        user=None if user == "-" else int(user),
        group=None if group == "-" else int(group),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
