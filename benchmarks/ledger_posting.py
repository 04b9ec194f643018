"""How many transfers a second ledger.post books: one a call, one a call on 16 connections, and 64 a call.

    python benchmarks/ledger_posting.py [--seconds 5] [--savers 2000]

Runs on an embedded Postgres of its own, with fsync on and every call its own commit. The ratios are what to
look at: absolute figures are the machine's.
"""

import argparse
import asyncio
import itertools
import random
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from zanari_api.kit.ids import new_id
from zanari_api.ledger import accounts, balances, invariants, posting
from zanari_api.ledger.accounts import AccountKind
from zanari_api.ledger.posting import Transfer
from zanari_api.runtime.db import Database, Role, Tx
from zanari_api.sandbox.database import prepare
from zanari_api.sandbox.postgres import EmbeddedPostgres

DATABASE = "bench"
SHORTCODE = "600000"
FLOAT = accounts.float_id(SHORTCODE)
OPENING_CENTS = 100_000_000


async def open_savers(tx: Tx, count: int) -> list[tuple[object, object]]:
    """Open `count` wallets with a goal each and put money into every wallet."""
    await accounts.open_floats(tx, SHORTCODE)
    pairs: list[tuple[object, object]] = []
    for _ in range(count):
        wallet, goal = new_id(), new_id()
        kinds = {wallet: AccountKind.WALLET, goal: AccountKind.GOAL}
        await accounts.open_accounts(tx, saver_id=new_id(), accounts=kinds)
        pairs.append((wallet, goal))
    await posting.post(tx, [transfer(FLOAT, wallet, OPENING_CENTS) for wallet, _ in pairs])
    return pairs


def transfer(source: object, target: object, cents: int) -> Transfer:
    entries = [(source, -cents), (target, cents)]
    return Transfer(key=f"bench:{new_id()}", kind="bench", event_at=datetime.now(UTC), entries=entries)


async def post_until(db: Database, pairs: list[tuple[object, object]], size: int, end: float) -> int:
    """Post batches of `size` wallet-to-goal transfers until `end`; return how many were posted."""
    posted = 0
    turns = itertools.cycle(random.sample(pairs, len(pairs)))
    while time.perf_counter() < end:
        batch = [transfer(*next(turns), cents=100) for _ in range(size)]
        answers = await db.unit_of_work(lambda tx, batch=batch: posting.post(tx, batch), role=Role.SYSTEM)
        posted += sum(answer.stands for answer in answers)
    return posted


async def measure(
    db: Database, pairs: list[tuple[object, object]], *, size: int, connections: int, seconds: float
) -> float:
    started = time.perf_counter()
    workers = (post_until(db, pairs, size, started + seconds) for _ in range(connections))
    posted = sum(await asyncio.gather(*workers))
    return posted / (time.perf_counter() - started)


async def bench(server: EmbeddedPostgres, *, seconds: float, savers: int) -> None:
    await prepare(server, DATABASE)
    db = Database(server.dsn(DATABASE, "zanari_service"), pool_max=16)
    await db.open()
    pairs = await db.unit_of_work(lambda tx: open_savers(tx, savers), role=Role.SYSTEM)
    await measure(db, pairs, size=64, connections=1, seconds=1)  # warm caches and plans

    rates: dict[str, float] = {}
    for name, size, connections in (
        ("1 a call, 1 connection", 1, 1),
        ("1 a call, 16 connections", 1, 16),
        ("64 a call, 1 connection", 64, 1),
        ("256 a call, 1 connection", 256, 1),
    ):
        rates[name] = await measure(db, pairs, size=size, connections=connections, seconds=seconds)
        print(f"{name:<26} {rates[name]:>8,.0f} transfers/s")
    batched = rates["64 a call, 1 connection"]
    for name in ("1 a call, 1 connection", "1 a call, 16 connections"):
        print(f"64 a call is {batched / rates[name]:.1f} times {name}")

    async with db.transaction(Role.SYSTEM) as tx:
        started = time.perf_counter()
        broken = await invariants.check(tx)
        count = await tx.fetch_value(int, "SELECT count(*) FROM ledger.transfers")
        print(
            f"ledger.check over {count:,} transfers: {len(broken)} broken, {time.perf_counter() - started:.1f} s"
        )
        await balances.take_snapshots(tx)
    await db.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5, help="how long each measurement takes")
    parser.add_argument("--savers", type=int, default=2_000, help="over how many savers the transfers spread")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="zanari-bench-") as directory,
        EmbeddedPostgres(Path(directory)) as server,
    ):
        asyncio.run(bench(server, seconds=options.seconds, savers=options.savers))


if __name__ == "__main__":
    main()
