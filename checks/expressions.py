"""Reads PromQL: which series an expression asks for, and what is left of it without its comparisons. Asks nobody."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import promql_parser as promql
import yaml

COMPARISONS: Final = frozenset({"==", "!=", ">", "<", ">=", "<="})
SETS: Final = frozenset({"and", "or", "unless"})
ABSENT: Final = frozenset({"absent", "absent_over_time"})


@dataclass(frozen=True, slots=True)
class Matcher:
    """What a label has to be."""

    label: str
    op: str
    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric's name and what its labels have to be."""

    name: str
    matchers: tuple[Matcher, ...]

    def __str__(self) -> str:
        inside = ",".join(f'{each.label}{each.op}"{each.value}"' for each in self.matchers)
        return f"{self.name}{{{inside}}}" if inside else self.name


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert, or a recording rule, as it is committed."""

    name: str
    expression: str
    is_alert: bool
    labels: Mapping[str, str]


def rules_in(file: Path) -> list[Rule]:
    """Return the rules of a file, in their order."""
    read: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return [
        Rule(
            name=each.get("alert") or each["record"],
            expression=each["expr"],
            is_alert="alert" in each,
            labels=each.get("labels") or {},
        )
        for group in read["groups"]
        for each in group["rules"]
    ]


def selectors_in(expression: str) -> list[Selector]:
    """Return every selector of an expression. Raises ValueError for what is no PromQL."""
    return [
        _selector(node)
        for node in _nodes(promql.parse(expression))
        if isinstance(node, promql.VectorSelector)
    ]


def without_comparisons(expression: str) -> list[str]:
    """Return the parts of an expression that have to have a value for it ever to be true.

    Each side of `and`, `or` and `unless` is a part of its own, of a comparison only its sides are, and of
    `absent(x)` it is x: a part that returns nothing on a healthy system would return nothing on a sick one too.
    """
    return list(dict.fromkeys(_parts(promql.parse(expression))))


def _parts(node: promql.Expr) -> Iterator[str]:
    if isinstance(node, promql.ParenExpr):
        yield from _parts(node.expr)
    elif isinstance(node, promql.BinaryExpr) and str(node.op) in SETS | COMPARISONS:
        yield from _parts(node.lhs)
        yield from _parts(node.rhs)
    elif isinstance(node, promql.Call) and node.func.name in ABSENT:
        for each in node.args:
            yield from _parts(each)
    elif isinstance(node, promql.AggregateExpr) and _compares(node.expr):
        yield from _parts(node.expr)
    elif not isinstance(node, promql.NumberLiteral | promql.StringLiteral):
        yield node.prettify()


def _compares(node: promql.Expr) -> bool:
    """Tell whether a comparison decides which series there are, below aggregations and parentheses alone."""
    if isinstance(node, promql.ParenExpr | promql.AggregateExpr):
        return _compares(node.expr)
    return isinstance(node, promql.BinaryExpr) and str(node.op) in SETS | COMPARISONS


def _nodes(node: promql.Expr) -> Iterator[promql.Expr]:
    yield node
    below: list[Any] = []
    if isinstance(node, promql.BinaryExpr):
        below = [node.lhs, node.rhs]
    elif isinstance(node, promql.Call):
        below = list(node.args)
    elif isinstance(node, promql.MatrixSelector):
        below = [node.vector_selector]
    else:
        below = [getattr(node, name) for name in ("expr", "param") if getattr(node, name, None) is not None]
    for each in below:
        yield from _nodes(each)


_OPS: Final = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}


def _selector(node: promql.VectorSelector) -> Selector:
    written = [
        Matcher(each.name, _OPS[str(each.op).removeprefix("MatchOp.")], each.value)
        for each in node.matchers.matchers
    ]
    named = [each.value for each in written if each.label == "__name__" and each.op == "="]
    return Selector(
        node.name or (named[0] if named else ""), tuple(each for each in written if each.label != "__name__")
    )
