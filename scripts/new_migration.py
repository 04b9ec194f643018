"""Makes an empty migration with the next version, named as its only argument says. Applies nothing."""

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

MIGRATIONS: Final = Path(__file__).parents[1] / "supabase" / "migrations"
NAME: Final = re.compile(r"[a-z]+(_[a-z0-9]+)+")
VERSION: Final = "%Y%m%d%H%M%S"

TEMPLATE: Final = """\
-- What it is for, in a sentence. One transaction; safe while the release before this one still runs.

"""


def next_version(existing: list[str], now: datetime) -> str:
    """Return a version newer than every existing one, which is the time now unless a clock ran ahead."""
    versions = [datetime.strptime(name[:14], VERSION).replace(tzinfo=UTC) for name in existing]
    return max([now, *(version + timedelta(seconds=1) for version in versions)]).strftime(VERSION)


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or NAME.fullmatch(arguments[0]) is None:
        print("Name it <verb>_<noun> in small letters: make migration name=add_nickname", file=sys.stderr)
        return 1
    existing = [path.name for path in MIGRATIONS.glob("*.sql")]
    path = MIGRATIONS / f"{next_version(existing, datetime.now(UTC))}_{arguments[0]}.sql"
    path.write_text(TEMPLATE)
    print(f"Wrote {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
