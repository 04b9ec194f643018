"""The emulator is the other side of the wire: a mistake in our client must not be in it too."""

import ast
from collections.abc import Iterator
from pathlib import Path

import zanari_api.sandbox.safaricom

PACKAGE = Path(zanari_api.sandbox.safaricom.__file__).parent
ALLOWED = ("zanari_api.sandbox.safaricom.", "zanari_api.kit.clock")


def imported(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            yield str(node.module)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def ours(source: str) -> list[str]:
    """Find what a module takes from our code beyond the clock and the emulator itself."""
    return [
        name for name in imported(source) if name.startswith("zanari_api") and not name.startswith(ALLOWED)
    ]


def test_it_takes_nothing_of_ours_but_the_clock() -> None:
    modules = sorted(PACKAGE.glob("*.py"))
    assert len(modules) > 20
    assert {path.name: ours(path.read_text()) for path in modules if ours(path.read_text())} == {}


def test_a_planted_import_is_found() -> None:
    assert ours("from zanari_api.daraja.codes import meaning") == ["zanari_api.daraja.codes"]
    assert ours("import zanari_api.kit.money\nimport httpx") == ["zanari_api.kit.money"]
