"""How Postgres really ran each statement of the service: by auto_explain, down into functions and triggers."""

import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from tests.support.postgres import Database

# A generic plan is the one that is kept for all arguments. Sessions that begin from now on explain what they run.
EXPLAIN: Final = {
    "session_preload_libraries": "auto_explain",
    "plan_cache_mode": "force_generic_plan",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_buffers": "on",
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_format": "json",
}

TOLD: Final = re.compile(r"LOG:  duration: [0-9.]+ ms  plan:\n((?:\t.*\n)+)")

Node = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Explained:
    """One execution of one statement."""

    sql: str
    plan: Node

    def nodes(self) -> Iterator[Node]:
        return _nodes(self.plan)


@dataclass(slots=True)
class Explanations:
    """What was run while this was collected; `statements` is complete when the collecting is over."""

    statements: list[Explained] = field(default_factory=list)


def own_blocks(node: Node) -> int:
    """Return how many blocks a step looked at itself, in memory or not; in all of its loops."""
    return _blocks(node) - sum(_blocks(child) for child in node.get("Plans", []))


def _blocks(node: Node) -> int:
    return node["Shared Hit Blocks"] + node["Shared Read Blocks"]


def _nodes(tree: Node) -> Iterator[Node]:
    yield tree
    for child in tree.get("Plans", []):
        yield from _nodes(child)


async def explain_from_now_on(database: Database) -> None:
    """Have every session that begins from now on, on this database, tell the server's log how it ran each statement."""
    async with database.connected("supabase_admin") as connection:
        for name, value in EXPLAIN.items():
            await connection.execute(
                f"ALTER ROLE zanari_service IN DATABASE {database.name} SET {name} = '{value}'"
            )


@asynccontextmanager
async def explained(database: Database) -> AsyncGenerator[Explanations, None]:
    """Collect what the sessions of this server run meanwhile. Only this test may use the server."""
    collected = Explanations()
    log = database.server.data_dir / "server.log"
    with log.open("rb") as file:
        file.seek(0, 2)
        yield collected
        text = file.read().decode()
    for told in TOLD.finditer(text):
        plan = orjson.loads(told[1])
        collected.statements.append(Explained(plan["Query Text"], plan["Plan"]))
