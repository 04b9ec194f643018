"""The hand that has round-ups wait, has savers asked for them, and answers the prompts as M-PESA would."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from tests.support.app import SHORTCODE, Api
from tests.support.savers import Json, Saver, answered, new_receipt
from tests.support.spends import Recorder, spend_of
from zanari_api.deposits import intents
from zanari_api.deposits.rows import Channel, Intent, Payment
from zanari_api.kit.clock import EAT
from zanari_api.mpesa import settlement
from zanari_api.mpesa.inbox import Outcome
from zanari_api.roundups import collection_jobs, collections
from zanari_api.roundups.spends import Spend
from zanari_api.runtime.db import Role, Tx
from zanari_api.runtime.jobs import run_round


@dataclass(frozen=True, slots=True)
class Collector:
    """Acts on collections of any saver of the service."""

    api: Api

    async def noon(self) -> None:
        """Move the clock on to the next noon in Nairobi, an hour at which prompts may be sent."""
        now = self.api.clock.now().astimezone(EAT)
        noon = now.replace(hour=12, minute=0, second=0, microsecond=0)
        self.api.clock.advance((noon if noon > now else noon + timedelta(days=1)) - now)

    async def wait(self, saver: Saver, *cents: int) -> list[Spend]:
        """Have round-ups of these amounts wait, the oldest first. Returns their spends."""
        record = Recorder(self.api)
        spends: list[Spend] = []
        for each in cents:
            await self.api.alter(
                "UPDATE savings.round_up_rules SET kind = 'fixed', fixed_cents = $2, multiplier = 1"
                " WHERE saver_id = $1",
                saver.id,
                each,
            )
            spend = spend_of(saver, at=self.api.clock.now().replace(microsecond=0))
            assert await record.outcomes(spend, at=self.api.clock.now()) == [(each, "waiting", None)]
            spends.append(spend)
        return spends

    async def look(self) -> None:
        """Have the worker look at every plan that is due."""
        (job,) = collection_jobs.jobs(
            database=self.api.db, clock=self.api.clock, terms=self.api.app.state.parts.collection_terms
        )
        while await run_round(job, database=self.api.db, clock=self.api.clock):
            pass

    async def announced(self, saver: Saver) -> Json:
        """Have the worker look, and return the one collection that is announced then."""
        await self.look()
        (found,) = await self.open(saver)
        return found

    async def is_silent(self, saver: Saver) -> bool:
        """Have the worker look, and tell whether it leaves this saver alone."""
        before = await self.list(saver)
        await self.look()
        return await self.list(saver) == before

    async def open(self, saver: Saver) -> list[Json]:
        """List the collections whose prompts were not sent."""
        return [one for one in await self.list(saver) if one["state"] == "requested"]

    async def announced_beside(self, saver: Saver, other: Json) -> Json:
        """As `announced`, where another collection's prompt was sent and nobody knows what became of it."""
        await self.look()
        newest = (await self.list(saver))[0]
        assert newest["state"] == "requested"
        assert newest["id"] != other["id"]
        return newest

    async def ask(self, saver: Saver) -> Json:
        """Have the saver ask for a collection. Returns it as answered."""
        return answered(await saver.post("/mpesa/collections"), 202)

    async def list(self, saver: Saver) -> list[Json]:
        """List the saver's collections, the newest first."""
        return answered(await saver.get("/mpesa/collections"))["data"]

    async def read(self, saver: Saver, collection: Json) -> Json:
        """Read a collection again."""
        (found,) = [one for one in await self.list(saver) if one["id"] == collection["id"]]
        return found

    async def pay(self, saver: Saver, collection: Json, *, receipt: str | None = "") -> str | None:
        """Have M-PESA say that a collection was paid; with a new receipt, or none as a query does. Returns it."""
        receipt = new_receipt() if receipt == "" else receipt
        channel = Channel.STK_QUERY if receipt is None else Channel.STK_CALLBACK
        intake = await self.api.app.state.parts.intake()

        async def settle(tx: Tx) -> None:
            payment = Payment(
                receipt=receipt,
                amount_cents=collection["amount_cents"],
                shortcode=SHORTCODE,
                event_at=self.api.clock.now().replace(microsecond=0),
                callback_id=None,
                channel=channel,
            )
            effected = await settlement.settle(
                tx, await self.intent(tx, saver, collection), payment, intake=intake
            )
            assert effected.outcome in {Outcome.SETTLED, Outcome.EVIDENCE}

        await self.api.db.unit_of_work(settle, role=Role.SYSTEM)
        return receipt

    async def fail(self, saver: Saver, collection: Json, reason: str = "cancelled") -> None:
        """Have M-PESA say that a collection was definitely not paid."""
        intake = await self.api.app.state.parts.intake()

        async def fail(tx: Tx) -> None:
            intent = await self.intent(tx, saver, collection)
            await settlement.fail(tx, intent, reason=reason, cause=f"stk:{reason}", intake=intake)

        await self.api.db.unit_of_work(fail, role=Role.SYSTEM)

    async def release(self, saver: Saver, collection: Json) -> None:
        """Give up asking what became of a collection."""

        async def release(tx: Tx) -> None:
            intent = await self.intent(tx, saver, collection)
            await collections.release_collection(
                tx, saver_id=saver.id, intent_id=intent.id, now=self.api.clock.now()
            )

        await self.api.db.unit_of_work(release, role=Role.SYSTEM)

    async def intent(self, tx: Tx, saver: Saver, collection: Json) -> Intent:
        """Return what was asked of M-PESA for a collection."""
        (row,) = await self.api.rows(
            "SELECT intent_id FROM savings.collections WHERE id = $1", UUID(collection["id"])
        )
        intent = await intents.find(tx, saver_id=saver.id, intent_id=row["intent_id"])
        assert intent is not None
        return intent
