"""The signed webhook and what savers read, against pgbench with the same SQL, in interleaved rounds.

    python benchmarks/webhook.py [--rounds 3] [--seconds 5] [--entries 10000000] [--json FILE]

Starts an embedded Postgres (fsync on) and one API process on loopback; with --entries a second pair whose ledger is
filled first. Every round measures each line once, so that all lines meet the same machine; the table shows medians.
The ratios are what to look at: generator, API and Postgres share the processors, and absolute figures are the
machine's. Everything it starts ends with it.
"""

import argparse
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import uvloop
from filling import fill
from generating import Measured, closed_loop, open_loop
from same_sql import API_LOGIN, pgbench, write_read, write_spends
from stand import Stand, children_of, cpu_seconds, now, resident_mib, standing

from zanari_api.goals import service as goals
from zanari_api.mpesa.records import read_envelope
from zanari_api.mpesa.spend_service import receive_spends
from zanari_api.roundups.spends import Policy
from zanari_api.runtime.db import Role, Tx
from zanari_api.sandbox.demo import spend_body
from zanari_api.serving import DEVELOPMENT_SHORTCODE
from zanari_api.transactions import service as feed

SAVERS = 512
OPEN_RATES = (500, 2000, 4000)


@dataclass(slots=True)
class Board:
    """What was measured, a list of figures for each line."""

    rates: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    p50: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    p99: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def note(self, line: str, measured: Measured | float) -> None:
        if isinstance(measured, Measured):
            self.p50.setdefault(line, []).append(measured.median_ms)
            self.p99.setdefault(line, []).append(measured.percentile_ms(0.99))
            rate = measured.rate
        else:
            rate = measured
        self.rates.setdefault(line, []).append(rate)
        print(f"  {line:<44} {rate:9,.0f}/s", flush=True)

    def rate(self, line: str) -> float:
        return statistics.median(self.rates[line])

    def ratio(self, line: str, to: str) -> float:
        """Return the median of each round's own ratio: both of a pair met the same machine."""
        pairs = zip(self.rates[line], self.rates[to], strict=True)
        return statistics.median(one / other for one, other in pairs)

    def show(self) -> None:
        print(f"\n{'medians':<46} {'a second':>10} {'p50 ms':>9} {'p99 ms':>9}")
        for line in self.rates:
            late = [
                f"{statistics.median(of[line]):9.2f}" if line in of else "" for of in (self.p50, self.p99)
            ]
            print(f"{line:<46} {self.rate(line):>10,.0f} {late[0]:>9} {late[1]:>9}")


class Receipts:
    """Receipts that were never used before."""

    def __init__(self, prefix: str) -> None:
        self._numbers: Iterator[int] = itertools.count()
        self._prefix = prefix

    def requests(self, stand: Stand, count: int) -> list[bytes]:
        return [stand.spend(f"{self._prefix}{number:08d}", number) for number in self._take(count)]

    def _take(self, count: int) -> list[int]:
        return [next(self._numbers) for _ in range(count)]


async def rounds(stand: Stand, full: Stand | None, options: argparse.Namespace, board: Board) -> None:
    with tempfile.TemporaryDirectory(prefix="zanari-scripts-") as folder:
        (saver,) = await stand.look("SELECT saver_id FROM savings.savers ORDER BY saver_id LIMIT 1")
        saver_id = UUID(str(saver["saver_id"]))
        ones = await write_spends(stand, Path(folder), count=64, size=1)
        many = await write_spends(stand, Path(folder), count=8, size=64)
        receipts, full_receipts = Receipts("NA"), Receipts("NB")
        # The feed's page is full, plans and caches are warm.
        await closed_loop(stand.port, receipts.requests(stand, 60 * SAVERS // 10), clients=32)
        await closed_loop(stand.port, [stand.spend(f"PG{n:08d}", 0) for n in range(60)], clients=16)
        page = await write_read(
            stand,
            Path(folder),
            "page",
            lambda tx: feed.page(tx, saver_id=saver_id, wanted=feed.Wanted()),
            saver_id=saver_id,
        )
        listed = await write_read(
            stand, Path(folder), "goals", lambda tx: goals.show_all(tx, saver_id=saver_id), saver_id=saver_id
        )
        if full is not None:
            await closed_loop(full.port, full_receipts.requests(full, 1000), clients=32)
        seconds = options.seconds
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", flush=True)

            def sql(
                line: str, scripts: list[Path], clients: int, size: int = 1, login: str | None = None
            ) -> None:
                named = {} if login is None else {"login": login}
                board.note(line, size * pgbench(stand, scripts, clients=clients, seconds=seconds, **named))

            async def spends(line: str, clients: int) -> None:
                count = await _enough(stand, receipts, clients, seconds)
                board.note(
                    line, await closed_loop(stand.port, receipts.requests(stand, count), clients=clients)
                )

            sql("pgbench, 1 spend a commit, 16 clients", ones, 16)
            await spends("webhook, 16 connections", 16)
            sql("pgbench, 64 spends a commit, 2 clients", many, 2, 64)
            await spends("webhook, 64 connections", 64)
            if full is not None:
                count = await _enough(full, full_receipts, 64, seconds)
                requests = full_receipts.requests(full, count)
                board.note(FULL_LINE, await closed_loop(full.port, requests, clients=64))
            for name, script, path in (
                ("feed page", page, "/api/v1/transactions"),
                ("goals", listed, "/api/v1/goals"),
            ):
                sql(f"pgbench, {name}, 16 clients", [script], 16, login=API_LOGIN)
                requests = [stand.read(path)] * (400 * seconds)
                board.note(f"{name}, 16 connections", await closed_loop(stand.port, requests, clients=16))
            board.note("record_spends of 500, spends", await _of_500(stand))
            for rate in options.open:
                requests = receipts.requests(stand, rate * seconds)
                board.note(
                    f"webhook, open loop at {rate:,}/s", await open_loop(stand.port, requests, rate=rate)
                )


FULL_LINE = "webhook, 64 connections, ledger filled"


async def _enough(stand: Stand, receipts: Receipts, clients: int, seconds: int) -> int:
    """Return about as many requests as are answered in that time."""
    sample = await closed_loop(stand.port, receipts.requests(stand, 300), clients=clients)
    return max(300, int(sample.rate * seconds))


async def _of_500(stand: Stand) -> float:
    """Record 500 spends in one call, as an import does; return spends a second."""
    stamp = datetime.now(UTC).strftime("%H%M%S%f")
    bodies = [
        spend_body(receipt=f"I{stamp}{n:03d}"[:20], amount="147", phone=stand.phones[n % SAVERS])
        for n in range(500)
    ]
    records = [record for body in bodies if (record := read_envelope(body, now=now()).record)]
    async with stand.database() as database:
        keys = await stand.service_keys(database).keys()
        policy = Policy(
            feature_enabled=True,
            own_shortcodes=frozenset({DEVELOPMENT_SHORTCODE}),
            now=now(),
            keyring=stand.keyring(),
        )

        async def receive(tx: Tx) -> int:
            return len(await receive_spends(tx, records, index=keys.index, policy=policy))

        began = time.perf_counter()
        count = await database.unit_of_work(receive, role=Role.SYSTEM)
        return count / (time.perf_counter() - began)


async def _split(stand: Stand) -> dict[str, float]:
    """Say who used the processors while the webhook ran on 64 connections, and what the API holds in memory."""
    requests = Receipts("NC").requests(stand, 4000)
    parts: dict[str, Callable[[], list[int]]] = {
        "API": lambda: [stand.pid],
        "Postgres": lambda: children_of(stand.postmaster),
        "generator": lambda: [os.getpid()],
    }
    before = {name: cpu_seconds(pids) for name, pids in parts.items()}
    measured = await closed_loop(stand.port, requests, clients=64)
    used = {name: cpu_seconds(pids) - before[name] for name, pids in parts.items()}
    whole = sum(used.values())
    print("\nprocessor time of 4,000 spends on 64 connections: " + measured.line())
    for name, seconds in used.items():
        print(f"  {name:<10} {seconds:6.2f} s   {100 * seconds / whole:3.0f} %")
    print(f"  the API holds {resident_mib(stand.pid)} MiB")
    return used


async def run(options: argparse.Namespace) -> Board:
    board = Board()
    async with AsyncExitStack() as stack:
        stand = await stack.enter_async_context(standing(savers=SAVERS))
        full = None
        if options.entries:
            full = await stack.enter_async_context(standing(savers=SAVERS))
            began = time.monotonic()
            entries = await fill(full, options.entries)
            print(f"filled a ledger with {entries:,} entries in {time.monotonic() - began:.0f} s", flush=True)
        await rounds(stand, full, options, board)
        board.show()
        await _split(stand)
    goals_of(board, filled=bool(options.entries), rates=options.open)
    return board


def goals_of(board: Board, *, filled: bool, rates: list[int]) -> None:
    """Print each goal beside what was reached."""
    print(f"\n{'ratio':<58} {'reached':>8} {'goal':>8}")
    lines: list[tuple[str, float, str]] = [
        (
            "webhook / pgbench, 1 a commit, 16 clients each",
            board.ratio("webhook, 16 connections", "pgbench, 1 spend a commit, 16 clients"),
            ">= 1.5",
        ),
        (
            "webhook, 64 connections / pgbench, 64 a commit",
            board.ratio("webhook, 64 connections", "pgbench, 64 spends a commit, 2 clients"),
            ">= 0.6",
        ),
        (
            "feed page / pgbench",
            board.ratio("feed page, 16 connections", "pgbench, feed page, 16 clients"),
            ">= 0.25",
        ),
        ("goals / pgbench", board.ratio("goals, 16 connections", "pgbench, goals, 16 clients"), ""),
    ]
    if filled:
        lines.append(
            (
                "webhook, ledger filled / as it was",
                board.ratio(FULL_LINE, "webhook, 64 connections"),
                ">= 0.9",
            )
        )
    for name, reached, goal in lines:
        print(f"{name:<58} {reached:8.2f} {goal:>8}")
    for rate in rates:
        line = f"webhook, open loop at {rate:,}/s"
        aim = "<= 8" if rate == OPEN_RATES[1] else ""
        print(f"{line + ': p99 in ms':<58} {statistics.median(board.p99[line]):8.1f} {aim:>8}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each line is measured")
    parser.add_argument("--seconds", type=int, default=5, help="about how long one measurement takes")
    parser.add_argument("--entries", type=int, default=0, help="fill a second ledger with so many entries")
    parser.add_argument(
        "--open", type=int, nargs="*", default=list(OPEN_RATES), help="rates of the open loop"
    )
    parser.add_argument("--json", help="write every figure to this file")
    options = parser.parse_args()
    board = uvloop.run(run(options))
    if options.json:
        Path(options.json).write_text(json.dumps({"rates": board.rates, "p50": board.p50, "p99": board.p99}))


if __name__ == "__main__":
    main()
