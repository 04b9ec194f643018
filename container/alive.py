"""The image's health command: ends with 0 where this container's process answers /health. Needs no package."""

import os
import sys
import urllib.error
import urllib.request

TIMEOUT_S = 4


def answers(port: str) -> bool:
    """Tell whether a process of ours lives on this port. Raises ConnectionRefusedError where none listens."""
    try:
        # No proxy is asked, whatever the environment says: this is loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{port}/health", timeout=TIMEOUT_S) as response:
            return response.status == 200  # noqa: PLR2004 (the status that says so)
    except urllib.error.URLError as error:
        if isinstance(error.reason, ConnectionRefusedError):
            raise error.reason from error
        return False
    except OSError:
        return False


def main() -> int:
    """Ask the API's port and, where nothing listens on it, the worker's: a container runs one of the two."""
    for port in (os.environ.get("PORT", "8000"), os.environ.get("WORKER_PORT", "8001")):
        try:
            return 0 if answers(port) else 1
        except ConnectionRefusedError:
            continue
    return 1


if __name__ == "__main__":
    sys.exit(main())
