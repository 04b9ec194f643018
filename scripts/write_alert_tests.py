"""Writes alerts/tests/ from the table of cases. Run it after a change of an alert or a case, and read what changed."""

from pathlib import Path

from checks.alert_cases.written import FOLDER, written

ROOT = Path(__file__).parents[1]


def main() -> None:
    for name, text in written(ROOT).items():
        (ROOT / FOLDER / name).write_text(text, encoding="utf-8")
        print(f"Wrote {FOLDER}/{name}")


if __name__ == "__main__":
    main()
