"""What sealing costs the postings, and whether it keeps up: posting with the sealer and without it, in turns.

    python benchmarks/sealing.py [--rounds 7] [--seconds 4] [--savers 2000]

Each round posts for a while without a sealer, and for a while with one beside it that seals as the worker does, on
the embedded Postgres with fsync on. What counts is the ratio within a round; the medians are printed. Between the two
the backlog is sealed alone, which tells how fast that goes. Single rounds differ by what else the machine does.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from ledger_posting import DATABASE, measure, open_savers

from zanari_api.ledger import sealing, verifying
from zanari_api.runtime.db import Database, Role
from zanari_api.sandbox.database import prepare
from zanari_api.sandbox.postgres import EmbeddedPostgres

SHAPES = (("1 a call, 16 connections", 1, 16), ("64 a call, 1 connection", 64, 1))
IDLE_S = 2.0
"""How often the worker looks, when there is nothing left to seal."""


async def seal_on(db: Database, stopping: asyncio.Event) -> int:
    """Seal as the worker does until told to stop; return how many rows."""
    sealed = 0
    while not stopping.is_set():
        sealed += await sealing.seal_all(db, batches_max=200)
        try:
            async with asyncio.timeout(IDLE_S):
                await stopping.wait()
        except TimeoutError:
            continue
    return sealed


async def with_sealer(
    db: Database, pairs: list[tuple[object, object]], *, size: int, connections: int, seconds: float
) -> tuple[float, int]:
    """Post beside a sealer; return transfers a second, and how many rows were left to seal at the end."""
    stopping = asyncio.Event()
    sealer = asyncio.create_task(seal_on(db, stopping))
    rate = await measure(db, pairs, size=size, connections=connections, seconds=seconds)
    async with db.transaction(Role.SYSTEM) as tx:
        lag = await sealing.find_lag(tx)
    stopping.set()
    await sealer
    return rate, lag.rows


async def seal_alone(db: Database) -> float:
    """Seal what there is; return rows a second."""
    started = time.perf_counter()
    sealed = await sealing.seal_all(db, batches_max=100_000)
    return sealed / (time.perf_counter() - started)


async def bench(server: EmbeddedPostgres, *, rounds: int, seconds: float, savers: int) -> None:
    await prepare(server, DATABASE)
    db = Database(server.dsn(DATABASE, "zanari_service"), pool_max=18)
    await db.open()
    pairs = await db.unit_of_work(lambda tx: open_savers(tx, savers), role=Role.SYSTEM)
    await measure(db, pairs, size=64, connections=1, seconds=1)  # warm caches and plans
    await seal_alone(db)
    for name, size, connections in SHAPES:
        without, beside, alone, lags = list[float](), list[float](), list[float](), list[int]()
        for number in range(rounds):
            # Which comes first changes with each round.
            for sealer_runs in (number % 2 == 0, number % 2 == 1):
                if sealer_runs:
                    rate, lag = await with_sealer(
                        db, pairs, size=size, connections=connections, seconds=seconds
                    )
                    beside.append(rate)
                    lags.append(lag)
                else:
                    rate = await measure(db, pairs, size=size, connections=connections, seconds=seconds)
                    without.append(rate)
                    alone.append(await seal_alone(db))
        ratios = [b / w for b, w in zip(beside, without, strict=True)]
        print(f"{name}")
        print(f"  without the sealer   {statistics.median(without):>9,.0f} transfers/s")
        print(f"  with it              {statistics.median(beside):>9,.0f} transfers/s")
        print(
            f"  ratio, median        {statistics.median(ratios):>9.3f}  ({min(ratios):.3f} to {max(ratios):.3f})"
        )
        print(f"  sealing alone        {statistics.median(alone):>9,.0f} rows/s,", end=" ")
        print(f"{statistics.median(alone) / statistics.median(without):.1f} times the postings")
        print(
            f"  unsealed at the end  {statistics.median(lags):>9,.0f} rows (20,000 stands for that or more)"
        )
    started = time.perf_counter()
    verified = await verifying.verify(db)
    took = time.perf_counter() - started
    print(
        f"verifying {verified.head.count:,} rows: {len(verified.bad)} bad, {verified.head.count / took:,.0f} rows/s"
    )
    await db.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="how often each is measured")
    parser.add_argument("--seconds", type=float, default=4, help="how long each measurement takes")
    parser.add_argument("--savers", type=int, default=2_000, help="over how many savers the transfers spread")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="zanari-bench-") as directory,
        EmbeddedPostgres(Path(directory)) as server,
    ):
        asyncio.run(bench(server, rounds=options.rounds, seconds=options.seconds, savers=options.savers))


if __name__ == "__main__":
    main()
