"""Connections that act as one login and role, and a saver who has a row wherever a saver can have one."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import orjson

from tests.mpesa.reversing import take
from tests.support.app import Api
from tests.support.payouts import withdraw
from tests.support.pins import WRONG_PIN, enter_pin, put_pin, signed_in, step_up_token, with_pin
from tests.support.postgres import Database
from tests.support.savers import Saver, answered, code_of


class Session:
    """A connection that acts as somebody, in a transaction that is never committed."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    async def column(self, sql: str, *args: object) -> list[object]:
        return [row[0] for row in await self._connection.fetch(sql, *args)]

    async def execute(self, sql: str, *args: object) -> str:
        return await self._connection.execute(sql, *args)

    async def is_refused(self, sql: str, *args: object) -> bool:
        """Whether the statement lacks a privilege; the transaction goes on either way."""
        try:
            async with self._connection.transaction():
                await self._connection.execute(sql, *args)
        except asyncpg.InsufficientPrivilegeError:
            return True
        return False


@asynccontextmanager
async def acting(database: Database, login: str, *settings: str) -> AsyncGenerator[Session]:
    async with database.connected(login) as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            for setting in settings:
                await connection.execute(setting)
            yield Session(connection)
        finally:
            await transaction.rollback()


def app_of(saver_id: UUID) -> tuple[str, str]:
    """Return what PostgREST and Realtime do for a verified token."""
    claims = orjson.dumps({"sub": str(saver_id), "role": "authenticated"}).decode()
    return "SET LOCAL ROLE authenticated", f"SELECT set_config('request.jwt.claims', '{claims}', true)"


def request_of(saver_id: UUID | None) -> tuple[str, str]:
    """Return what the service does for a saver's request; None for one that forgot to say whose it is."""
    return "SET LOCAL ROLE zanari_api", f"SELECT set_config('zanari.saver_id', '{saver_id or ''}', true)"


async def saver_with_a_row_in_each_table(api: Api) -> Saver:
    saver = await api.new_saver()
    theirs = (await api.new_saver()).phone
    assert code_of(await saver.post("/mpesa/accounts", {"phone": theirs})) == (409, "phone_in_use")
    await saver.goal_holding(5_000, target_cents=10_000)
    await saver.deposit(1_000)
    assert (await saver.spend(14_700))["round_up"]["outcome"] == "saved"
    assert (await saver.spend(14_100))["round_up"]["outcome"] == "waiting"
    await saver.deposit(500)
    answered(await saver.post("/users/me/waiting/payment"), 201)
    assert (await saver.spend(14_100))["round_up"]["outcome"] == "waiting"
    answered(await saver.post("/mpesa/collections"), 202)
    await with_pin(saver)
    await step_up_token(saver)
    await saver.deposit(1_000)
    answered(await withdraw(saver, 1_000), 202)
    await enter_pin(saver, WRONG_PIN)
    # Asked for again after a wrong one, without the one before: a reset, which holds payouts.
    assert answered(await put_pin(signed_in(saver)))["payouts_held_until"]
    await take(api, await saver.deposit(700))
    await api.runtime.activity.flush()
    return saver
