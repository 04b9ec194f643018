"""A short simulation: two workers, of which some are killed, faults by seed, and every promise kept."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from zanari_api.cli.simulate import line
from zanari_api.sandbox.postgres import EmbeddedPostgres
from zanari_api.simulation.plan import Plan, Report
from zanari_api.simulation.run import ground, simulate


@pytest.fixture(scope="module")
async def place() -> AsyncIterator[tuple[EmbeddedPostgres, Path]]:
    async with ground() as made:
        yield made


async def test_a_minute_of_life_breaks_no_promise(place: tuple[EmbeddedPostgres, Path]) -> None:
    server, home = place
    plan = Plan(seed=20_261_125, minutes=2, savers=4, speed=15, kill_every_s=30)
    progress: list[str] = []
    report = await simulate(plan, server=server, home=home, on_progress=progress.append)
    assert report.broken == [], line(report)
    assert report.done["joined"] == 4
    assert report.done["spend"] > 0
    assert report.done["paybill"] >= 4
    assert any("coming to rest" in told for told in progress)


def test_a_report_names_its_seed_and_what_broke() -> None:
    report = Report(plan=Plan(seed=7), broken=["II: something"], open_breaks=["a break"])
    report.done["spend"] = 3
    assert not report.holds
    told = line(report).splitlines()
    assert told[0].startswith("seed 7: 10 minutes, 3 requests")
    assert told[1:] == ["  spend 3", "  NAMED a break", "  BROKEN II: something"]
