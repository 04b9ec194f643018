"""Writes alerts/tests/ from the table of cases. Run it after a change of an alert or a case, and read what changed."""

import sys
from pathlib import Path
from typing import Final

from checks.alert_cases.written import written

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = "alerts/tests"


def main() -> int:
    """Write what differs; with `--check` only say what does, and end with 1 where anything does."""
    only_check = sys.argv[1:] == ["--check"]
    folder = ROOT / FOLDER
    wanted = written(ROOT)
    stale = [name for name, text in wanted.items() if _read(folder / name) != text]
    strange = sorted({each.name for each in folder.iterdir()} - wanted.keys())
    for name in stale:
        if not only_check:
            (folder / name).write_text(wanted[name], encoding="utf-8")
        print(f"{'differs' if only_check else 'wrote'}: {FOLDER}/{name}")
    for name in strange:
        print(f"nobody writes {FOLDER}/{name}")
    return 1 if strange or (only_check and stale) else 0


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
