"""Pages of the feed: newest first, whole and without repeats while rows arrive, one statement each."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from tests.support.app import Api
from tests.support.counting import counting
from tests.support.savers import Saver, answered, code_of, now, refused_fields
from tests.transactions.conftest import Write
from zanari_api.runtime.db import Role
from zanari_api.transactions import service
from zanari_api.transactions.schemas import Page
from zanari_api.transactions.service import Wanted

START = datetime.fromisoformat("2026-10-01T06:00:00+00:00")


async def test_an_empty_feed_is_one_empty_page(saver: Saver) -> None:
    assert answered(await saver.get("/transactions")) == {"data": [], "next_cursor": None}


async def test_pages_follow_one_another_newest_first(saver: Saver, write: Write) -> None:
    ids = await write(saver, [START + timedelta(minutes=minute) for minute in range(7)])
    pages = await read_all(saver, limit=3)
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [item for page in pages for item in page] == ids[::-1]


async def test_a_last_page_that_is_exactly_full_has_no_next(saver: Saver, write: Write) -> None:
    await write(saver, [START + timedelta(minutes=minute) for minute in range(6)])
    assert [len(page) for page in await read_all(saver, limit=3)] == [3, 3]


async def test_rows_of_the_same_instant_are_neither_lost_nor_repeated(saver: Saver, write: Write) -> None:
    ids = await write(saver, [START] * 7)
    read = [item for page in await read_all(saver, limit=2) for item in page]
    assert read == sorted(ids, key=UUID, reverse=True)


async def test_instants_apart_by_a_microsecond_keep_their_order(saver: Saver, write: Write) -> None:
    ids = await write(saver, [START + timedelta(microseconds=999_998 + n) for n in range(4)])
    assert [item for page in await read_all(saver, limit=1) for item in page] == ids[::-1]


async def test_rows_that_arrive_between_pages_shift_nothing(saver: Saver, write: Write) -> None:
    ids = await write(saver, [START + timedelta(hours=hour) for hour in range(6)])
    first = answered(await saver.get("/transactions", limit=2))
    await write(saver, [START + timedelta(days=1)])
    late = await write(saver, [START + timedelta(hours=2, minutes=30)])
    second = answered(await saver.get("/transactions", limit=2, cursor=first["next_cursor"]))
    third = answered(await saver.get("/transactions", limit=9, cursor=second["next_cursor"]))
    read = [row["id"] for page in (first, second, third) for row in page["data"]]
    assert read == [ids[5], ids[4], ids[3], late[0], ids[2], ids[1], ids[0]]


async def test_a_cursor_shows_nobody_elses_rows(api: Api, saver: Saver, write: Write) -> None:
    await write(saver, [START + timedelta(minutes=minute) for minute in range(3)])
    cursor = answered(await saver.get("/transactions", limit=1))["next_cursor"]
    other = await api.new_saver()
    assert await other.feed(cursor=cursor) == []


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "1-2",
        "-00000000-0000-0000-0000-000000000000",
        "999999999999999999-00000000-0000-0000-0000-000000000000",
        "1790000000000000-00000000-0000-0000-0000-00000000000g",
        "1790000000000000-00000000000000000000000000000000",
        "1790000000000000-00000000-0000-0000-0000-000000000000'--",
        "١٧٩٠-00000000-0000-0000-0000-000000000000",
    ],
)
async def test_a_cursor_this_api_did_not_give_is_refused(saver: Saver, cursor: str) -> None:
    assert code_of(await saver.get("/transactions", cursor=cursor)) == (422, "invalid_cursor")


async def test_a_cursor_longer_than_any_of_ours_is_refused(saver: Saver) -> None:
    assert (await saver.get("/transactions", cursor="1" * 81)).status_code == 422


@pytest.mark.parametrize("limit", [0, -1, 201, "many", 1.5])
async def test_a_page_holds_1_to_200_rows(saver: Saver, limit: object) -> None:
    assert refused_fields(await saver.get("/transactions", limit=limit)) == {"limit"}


async def test_a_page_holds_50_rows_unless_told_otherwise(saver: Saver, write: Write) -> None:
    await write(saver, [START + timedelta(seconds=second) for second in range(201)])
    assert len(await saver.feed()) == 50
    assert len(await saver.feed(limit=200)) == 200
    assert len(await saver.feed(limit=1)) == 1


async def test_a_page_is_what_its_schema_says(saver: Saver) -> None:
    """Postgres builds the page, so nothing but this holds it to its documented shape."""
    await saver.goal_holding(5_000)
    await saver.deposit(1_000)
    for cents in (14_700, 15_000, 99_300, 99_100):
        await saver.spend(cents)
    await saver.spend(2_300, kind="send_money", merchant_name="JOHN OTIENO")
    response = await saver.get("/transactions")
    page = Page.model_validate_json(response.content)
    assert len(page.data) == 8
    assert response.headers["content-type"] == "application/json"
    assert page.model_dump(mode="json").keys() == response.json().keys()
    for row, shown in zip(page.data, response.json()["data"], strict=True):
        assert shown.keys() == type(row).model_fields.keys()


async def test_a_page_of_fifty_is_one_statement(api: Api, saver: Saver, write: Write) -> None:
    await write(saver, [START + timedelta(seconds=second) for second in range(60)])
    async with api.db.transaction(Role.API, saver.id) as tx:
        counted, statements = counting(tx)
        page = await service.page(counted, saver_id=saver.id, wanted=Wanted())
    assert len(statements) == 1
    assert len(Page.model_validate_json(page).data) == 50


async def test_the_feed_lists_what_happened_now_after_a_write(saver: Saver) -> None:
    await saver.deposit(100)
    (row,) = await saver.feed()
    assert abs(datetime.fromisoformat(row["occurred_at"]) - now()) < timedelta(minutes=1)


async def read_all(saver: Saver, *, limit: int) -> list[list[str]]:
    """Follow the cursors to the end; return the ids on each page."""
    pages: list[list[str]] = []
    cursor: str | None = None
    while True:
        query = {} if cursor is None else {"cursor": cursor}
        page = answered(await saver.get("/transactions", limit=limit, **query))
        pages.append([row["id"] for row in page["data"]])
        cursor = page["next_cursor"]
        if cursor is None:
            return pages
