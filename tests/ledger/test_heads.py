"""Heads outside the database: appended once, never going back, and read strictly."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from zanari_api.kit.clock import EAT
from zanari_api.ledger.chain import Head
from zanari_api.ledger.heads import HeadFile, HeadGoesBack, HeadUnreadable, KnownHead

AT = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
FIRST, SECOND = Head(5, bytes(range(32))), Head(9, bytes(range(1, 33)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "heads"


def test_heads_are_appended_in_order_and_read_back(path: Path) -> None:
    heads = HeadFile(path)
    assert heads.note(FIRST, at=AT.astimezone(EAT))
    assert heads.note(SECOND, at=AT + timedelta(minutes=1))
    assert heads.read() == [KnownHead(FIRST, AT), KnownHead(SECOND, AT + timedelta(minutes=1))]
    assert path.read_text().splitlines()[0] == f"5 {FIRST.hash.hex()} 2026-11-25T03:00:00+00:00"


def test_the_same_head_is_written_once(path: Path) -> None:
    heads = HeadFile(path)
    assert heads.note(FIRST, at=AT)
    assert not heads.note(FIRST, at=AT + timedelta(minutes=1))
    assert len(heads.read()) == 1


def test_an_empty_file_takes_a_first_head(path: Path) -> None:
    path.touch()
    assert HeadFile(path).note(FIRST, at=AT)
    assert HeadFile(path).read() == [KnownHead(FIRST, AT)]


@pytest.mark.parametrize("head", [Head(4, FIRST.hash), Head(5, SECOND.hash)], ids=["shorter", "another hash"])
def test_a_head_that_goes_back_is_not_written(path: Path, head: Head) -> None:
    heads = HeadFile(path)
    heads.note(FIRST, at=AT)
    with pytest.raises(HeadGoesBack, match="counts 5 rows"):
        heads.note(head, at=AT)
    assert heads.read() == [KnownHead(FIRST, AT)]


def test_the_end_of_a_long_file_is_found(path: Path) -> None:
    heads = HeadFile(path)
    for count in range(1, 200):
        heads.note(Head(count, FIRST.hash), at=AT)
    assert not heads.note(Head(199, FIRST.hash), at=AT)
    assert len(heads.read()) == 199


def test_a_place_without_a_head_is_no_place(path: Path) -> None:
    with pytest.raises(HeadUnreadable, match="FileNotFoundError"):
        HeadFile(path).read()
    path.touch()
    with pytest.raises(HeadUnreadable, match="holds no head"):
        HeadFile(path).read()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "5",
        f"5 {'0' * 63} 2026-11-25T03:00:00+00:00",
        f"-5 {'0' * 64} 2026-11-25T03:00:00+00:00",
        f"5 {'0' * 64} yesterday",
        f"5 {'0' * 64} 2026-11-25T03:00:00",
        f"5 {'0' * 64} 2026-13-25T03:00:00+00:00",
        f"5 {'0' * 64} 2026-11-25T03:00:00+00:00 ",
    ],
    ids=range(8),
)
def test_a_line_that_is_no_head_is_refused(path: Path, line: str) -> None:
    path.write_text(f"5 {'0' * 64} 2026-11-25T03:00:00+00:00\n{line}\n")
    with pytest.raises(HeadUnreadable, match="no head"):
        HeadFile(path).read()
    with pytest.raises(HeadUnreadable, match="no head"):
        HeadFile(path).note(FIRST, at=AT)


def test_nothing_is_appended_to_half_a_line(path: Path) -> None:
    path.write_text("5 0000")
    with pytest.raises(HeadUnreadable, match="in the middle of a line"):
        HeadFile(path).note(FIRST, at=AT)


def test_many_writers_at_once_leave_heads_in_order(path: Path) -> None:
    def note(count: int) -> bool:
        try:
            return HeadFile(path).note(Head(count, FIRST.hash), at=AT)
        except HeadGoesBack:
            return False

    with ThreadPoolExecutor(8) as pool:
        written = [*pool.map(note, [count for count in range(1, 200) for _ in range(2)])]
    counts = [each.head.count for each in HeadFile(path).read()]
    assert counts == sorted(set(counts))
    assert len(counts) == sum(written)
