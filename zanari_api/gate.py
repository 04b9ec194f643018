"""Keeps a process in production from serving on a database that is not fit for it. Asks it, and changes nothing."""

from typing import Final

import anyio
import structlog

from zanari_api.runtime.database_fitness import unfit_for_production
from zanari_api.runtime.db import Database, DatabaseUnavailable
from zanari_api.settings import SettingsInvalid

ASK_AGAIN_S: Final = 1

log = structlog.get_logger(__name__)


class Gate:
    """Asks a database, until it has answered once, whether money may be served from it.

    Until it has answered that it may, its `Database` is held: each transaction of the service, its worker's too, is
    refused with DatabaseUnavailable. One that is not fit is never let go.
    """

    def __init__(self, database: Database) -> None:
        self._held = database
        # The question goes its own way, past what is held.
        self._asked = database.beside()
        self._answered = False
        self.refusal: str | None = None
        """Why nothing may be served; None while nothing is known against it."""

    async def ask_before_serving(self) -> None:
        """Hold the database and ask once. Raises SettingsInvalid where it is not fit."""
        self._held.hold()
        await self._ask()
        if not self._answered:
            log.warning("database_fitness_unknown", asked_again_after_s=ASK_AGAIN_S)
        self.raise_refusal()

    async def ask_until_answered(self) -> None:
        """Ask again until it answers, if it has not yet. What it answered is in `refusal`."""
        while not self._answered:
            await anyio.sleep(ASK_AGAIN_S)
            await self._ask()
        if self.refusal is not None:
            log.error("database_unfit_for_production", reason=self.refusal)

    def raise_refusal(self) -> None:
        """Raise SettingsInvalid where the database is known not to be fit."""
        if self.refusal is not None:
            raise SettingsInvalid(self.refusal)

    async def _ask(self) -> None:
        await self._asked.open()
        try:
            reasons = await unfit_for_production(self._asked)
        except DatabaseUnavailable as error:
            # One that is away may come back. One that is not who it should be is not waited for.
            self._answered, self.refusal = error.reason is not None, error.reason
            return
        finally:
            await self._asked.close()
        self._answered = True
        if reasons:
            self.refusal = "; ".join(f"DATABASE_URL: {reason}" for reason in reasons)
        else:
            self._held.release()
