"""Counts the statements that a piece of work sends to the database."""

from dataclasses import dataclass, field
from typing import Any

import asyncpg

from zanari_api.runtime.db import Tx


@dataclass(slots=True)
class Counter:
    """A driver that passes everything on and remembers what it was asked."""

    driver: Any
    statements: list[str] = field(default_factory=list)

    async def fetch(
        self,
        query: str,
        *args: object,
        timeout: float | None = None,  # noqa: ASYNC109 (the driver's own)
    ) -> list[asyncpg.Record]:
        self.statements.append(query)
        return await self.driver.fetch(query, *args, timeout=timeout)

    async def fetchrow(self, query: str, *args: object) -> asyncpg.Record | None:
        self.statements.append(query)
        return await self.driver.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: object) -> object:
        self.statements.append(query)
        return await self.driver.fetchval(query, *args)

    async def execute(self, query: str, *args: object) -> str:
        self.statements.append(query)
        return await self.driver.execute(query, *args)


def counting(tx: Tx) -> tuple[Tx, list[str]]:
    """Return the same transaction, and the list its statements are written to from now on."""
    counter = Counter(tx._driver)
    return Tx(counter), counter.statements
