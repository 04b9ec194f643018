"""Which rows are listed: by type, status, category, days in Nairobi, text, and what changed since."""

from datetime import datetime, timedelta

import pytest

from tests.support.app import Api
from tests.support.savers import Saver, answered, refused_fields
from tests.transactions.conftest import Write

NOON = datetime.fromisoformat("2026-10-15T09:00:00+00:00")
FILTERS = ["type", "status", "category", "from", "to", "updated_since", "q"]


async def test_by_type(saver: Saver) -> None:
    goal = await saver.goal_holding(1_000)
    await saver.post(f"/goals/{goal['id']}/withdrawals", {"amount_cents": 500})
    await saver.spend(14_700)
    for kind in ("spend", "deposit", "allocation", "goal_withdrawal"):
        assert [row["type"] for row in await saver.feed(type=kind)] == [kind]
    assert await saver.feed(type="payout") == []


async def test_by_status(saver: Saver) -> None:
    await saver.spend(14_700)
    await saver.spend(14_700, receipt="FILTER0001")
    await saver.spend(14_700, receipt="FILTER0001", status="reversed")
    assert [row["receipt"] for row in await saver.feed(status="reversed")] == ["FILTER0001"]
    assert len(await saver.feed(status="completed")) == 1
    assert await saver.feed(status="pending") == []


async def test_by_category(saver: Saver) -> None:
    await saver.spend(14_700)
    await saver.spend(2_000, kind="airtime")
    assert [row["amount_cents"] for row in await saver.feed(category="airtime")] == [2_000]


async def test_days_are_days_in_nairobi_both_included(saver: Saver, write: Write) -> None:
    instants = [
        "2026-10-14T20:59:59.999999+00:00",
        "2026-10-14T21:00:00+00:00",
        "2026-10-15T20:59:59.999999+00:00",
        "2026-10-15T21:00:00+00:00",
    ]
    ids = await write(saver, [datetime.fromisoformat(instant) for instant in instants])
    assert await listed(saver, **{"from": "2026-10-15", "to": "2026-10-15"}) == ids[2:0:-1]
    assert await listed(saver, **{"from": "2026-10-15"}) == ids[:0:-1]
    assert await listed(saver, to="2026-10-15") == ids[2::-1]
    assert await listed(saver, **{"from": "2026-10-16", "to": "2026-10-15"}) == []


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
async def test_days_beyond_any_clock_are_days_all_the_same(saver: Saver, write: Write, day: str) -> None:
    ids = await write(saver, [NOON])
    assert await listed(saver, **{"from": day}) == (ids if day < "2026" else [])
    assert await listed(saver, to=day) == (ids if day > "2026" else [])


async def test_by_text_anywhere_in_the_title_in_any_case(saver: Saver, write: Write) -> None:
    ids = await write(saver, [NOON], title="Naivas Supermarket Kilimani")
    await write(saver, [NOON], title="Carrefour")
    for text in ("naivas", "KILI", "ivas S", "  Naivas "):
        assert await listed(saver, q=text) == ids
    assert await listed(saver, q="Naivas Kilimani") == []


@pytest.mark.parametrize("text", ["%", "_", "\\", "100%", "a_b", "\\%", "%%", "'", '"'])
async def test_wildcards_in_the_text_mean_themselves(saver: Saver, write: Write, text: str) -> None:
    await write(saver, [NOON], title="100 axb plain")
    ids = await write(saver, [NOON], title=f"Duka {text} moja")
    assert await listed(saver, q=text) == ids


async def test_what_changed_since_comes_again_even_when_it_happened_before(
    api: Api, saver: Saver, write: Write
) -> None:
    ids = await write(saver, [NOON, NOON + timedelta(hours=1), NOON + timedelta(hours=2)])
    for place, changed in enumerate(("2026-11-03", "2026-11-01", "2026-11-02")):
        await api.alter(
            "UPDATE savings.transactions SET updated_at = $3 WHERE saver_id = $1 AND id = $2::text::uuid",
            saver.id,
            ids[place],
            datetime.fromisoformat(f"{changed}T00:00:00+00:00"),
        )
    assert await listed(saver, updated_since="2026-11-02T00:00:00Z") == [ids[2], ids[0]]
    assert await listed(saver, updated_since="2026-11-02T03:00:00.000001+03:00") == [ids[0]]
    assert await listed(saver, updated_since="2026-11-04T00:00:00Z") == []


async def test_a_reversal_is_news_of_an_old_row(saver: Saver) -> None:
    await saver.spend(14_700, receipt="FILTER0002")
    (row,) = await saver.feed()
    await saver.spend(2_000)
    (newest, _) = await saver.feed()
    await saver.spend(14_700, receipt="FILTER0002", status="reversed")
    changed = await saver.feed(updated_since=newest["updated_at"])
    assert [each["id"] for each in changed] == [newest["id"], row["id"]]


async def test_filters_narrow_one_another_and_hold_across_pages(saver: Saver, write: Write) -> None:
    hours = [NOON + timedelta(hours=hour) for hour in range(6)]
    ids = await write(saver, hours, title="Naivas", category="shopping")
    await write(saver, hours, title="Naivas", category="bills")
    await write(saver, hours, title="Quickmart", category="shopping")
    query = {"q": "naivas", "category": "shopping", "limit": 4}
    first = answered(await saver.get("/transactions", **query))
    second = answered(await saver.get("/transactions", **query, cursor=first["next_cursor"]))
    assert [row["id"] for page in (first, second) for row in page["data"]] == ids[::-1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("type", "purchase"),
        ("status", "done"),
        ("category", ""),
        ("from", "yesterday"),
        ("to", "2026-02-30"),
        ("updated_since", "2026-11-02T00:00:00"),
        ("updated_since", "1790000000"),
        ("updated_since", "9999-12-31T23:59:59-12:00"),
        ("from", "1790000000"),
        ("q", ""),
        ("q", "   "),
        ("q", "x" * 101),
        ("q", "a\x00b"),
        ("colour", "red"),
    ],
)
async def test_what_is_no_filter_is_refused_by_its_name(saver: Saver, name: str, value: str) -> None:
    refused = await saver.get("/transactions", **{name: value})
    assert refused_fields(refused) == {name}


async def listed(saver: Saver, **filters: object) -> list[str]:
    return [row["id"] for row in await saver.feed(**filters)]
