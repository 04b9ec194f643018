"""Throws away the embedded database of this directory, and the emulated Safaricom's books with it. Not while in use."""

import fcntl
import shutil
import sys
from pathlib import Path

from zanari_api.serving import HOME


def main() -> int:
    directory = Path.cwd() / HOME / "postgres"
    if not directory.exists():
        print(f"There is no {directory}.")
        return 0
    with (directory / "owner.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{directory} is in use. Stop `make run` first.", file=sys.stderr)
            return 1
        shutil.rmtree(directory)
        # Two sets of books that begin on different days would never agree.
        (directory.parent / "safaricom.json").unlink(missing_ok=True)
    print(f"{directory} is gone; the next `make run` makes a new one.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
