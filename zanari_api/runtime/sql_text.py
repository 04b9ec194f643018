"""Splits SQL into statements and reduces it to what it says. Knows Postgres's quoting, never its grammar."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final


class Kind(Enum):
    """What a piece of SQL text is."""

    SPACE = auto()
    "white space or a comment: says nothing"

    SEMICOLON = auto()
    "the end of a statement"

    CODE = auto()
    "everything else; quoted text is one piece, whatever it holds"


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of SQL text of one kind."""

    kind: Kind
    text: str


_PIECE: Final = re.compile(
    r"""
      (?P<space> \s+ | --[^\n]* )
    | (?P<comment> /\* )
    | (?P<semicolon> ; )
    | [eE]'(?:[^'\\]|\\.|'')*'              # a string with backslash escapes
    | '(?:[^']|'')*'                        # a string
    | "(?:[^"]|"")*"                        # a quoted name
    | \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$   # a dollar-quoted body
    | \w[\w$]*                              # a word: a dollar inside a name opens no quote
    | .                                     # an operator, a bracket, or a quote that is never closed
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE: Final = re.compile(r"/\*|\*/")


def _comment_end(sql: str, start: int) -> int:
    """Return where the block comment that begins at `start` ends; such comments nest."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(sql, start):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(sql)


def pieces(sql: str) -> Iterator[Piece]:
    """Yield the pieces of `sql` in order; together they are `sql` again."""
    position = 0
    while match := _PIECE.match(sql, position):
        if match["comment"] is not None:
            end = _comment_end(sql, position)
            yield Piece(Kind.SPACE, sql[position:end])
        else:
            end = match.end()
            kind = Kind.SPACE if match["space"] else Kind.SEMICOLON if match["semicolon"] else Kind.CODE
            yield Piece(kind, match[0])
        position = end


def split_statements(sql: str) -> list[str]:
    """Return the statements of `sql` as written, comments included, without the semicolons between them."""
    statements = [""]
    for piece in pieces(sql):
        if piece.kind is Kind.SEMICOLON:
            statements.append("")
        else:
            statements[-1] += piece.text
    return [trimmed for statement in statements if (trimmed := statement.strip())]


def normalised(sql: str) -> str:
    """Return `sql` without comments, every word and sign one space apart, one semicolon between statements.

    Two texts that normalise alike do the same, however they were laid out or cut into statements.
    """
    statements: list[list[str]] = [[]]
    for piece in pieces(sql):
        match piece.kind:
            case Kind.SPACE:
                pass
            case Kind.SEMICOLON:
                statements.append([])
            case Kind.CODE:
                statements[-1].append(piece.text)
    return ";".join(" ".join(words) for words in statements if words)
