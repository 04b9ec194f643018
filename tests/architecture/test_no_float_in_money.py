"""Money is integer cents: no float may enter the packages that count it, by any door Python leaves open."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import zanari_api

PACKAGE = Path(zanari_api.__file__).parent
MONEY_CODE = ("kit/money.py", "ledger", "roundups", "goals", "deposits", "payouts", "mpesa", "transactions")


def money_modules() -> list[Path]:
    modules: list[Path] = []
    for name in MONEY_CODE:
        place = PACKAGE / name
        found = sorted(place.rglob("*.py")) if place.is_dir() else [place]
        assert found, f"{name} holds no code: this test looks in the wrong place"
        modules += found
    return modules


def floats_in(source: str) -> Iterator[tuple[int, str]]:
    """Find literals, the name `float` (called, annotated, passed on), and division, which makes a float."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Constant(value=float() | complex()):
                yield node.lineno, "a literal"
            case ast.Name(id="float"):
                yield node.lineno, "the type"
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                yield node.lineno, "a division"
            case _:
                pass


@pytest.mark.parametrize("path", money_modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_float_is_in_code_that_counts_money(path: Path) -> None:
    assert list(floats_in(path.read_text())) == []


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ("rate = 0.5", "a literal"),
        ("rate = 1e3", "a literal"),
        ("cents = float(text)", "the type"),
        ("def pay(amount: float) -> None: ...", "the type"),
        ("def pay() -> list[float]: ...", "the type"),
        ("amounts = list(map(float, texts))", "the type"),
        ("half = cents / 2", "a division"),
        ("cents /= 2", "a division"),
    ],
)
def test_a_planted_float_is_found(planted: str, found: str) -> None:
    assert list(floats_in(f"cents = 7\n{planted}\n")) == [(2, found)]


@pytest.mark.parametrize(
    "harmless",
    [
        'account = "float"',
        "account.float",
        "half = cents // 2",
        "rest = cents % 100",
        "whole = 10",
        'note = "0.5"',
    ],
)
def test_the_word_float_and_whole_numbers_are_no_floats(harmless: str) -> None:
    assert list(floats_in(harmless)) == []
