"""Every module says in its first line what it owns, and none grows past what one idea needs."""

import ast
from pathlib import Path

import pytest

import zanari_api

PACKAGE = Path(zanari_api.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 400


def complaint(path: Path) -> str | None:
    """Return what is wrong with a module; a package's __init__ may be empty."""
    source = path.read_text()
    if path.name == "__init__.py" and not source.strip():
        return None
    docstring = ast.get_docstring(ast.parse(source))
    if docstring is None:
        return "no docstring"
    if not docstring.split("\n\n")[0].rstrip().endswith((".", "!", "?")):
        return "the docstring does not open with a sentence"
    if source.count("\n") > LONGEST:
        return f"more than {LONGEST} lines"
    return None


def test_there_are_modules_to_look_at() -> None:
    assert PACKAGE / "kit" / "money.py" in MODULES


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_opens_with_a_sentence_and_holds_one_idea(path: Path) -> None:
    assert complaint(path) is None


@pytest.mark.parametrize(
    ("name", "source", "wrong"),
    [
        ("a.py", '"""Owns money."""\n', None),
        ("a.py", '"""Owns money:\n\nand more"""\n', "the docstring does not open with a sentence"),
        ("a.py", "import json\n", "no docstring"),
        ("a.py", "# a comment\nimport json\n", "no docstring"),
        ("a.py", "", "no docstring"),
        ("a.py", '"""Owns much."""\n' + "x = 1\n" * 400, "more than 400 lines"),
        ("__init__.py", "", None),
        ("__init__.py", "import json\n", "no docstring"),
    ],
)
def test_a_planted_fault_is_found(tmp_path: Path, name: str, source: str, wrong: str | None) -> None:
    path = tmp_path / name
    path.write_text(source)
    assert complaint(path) == wrong
