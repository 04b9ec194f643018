"""What operators did is written down for good."""

from decimal import Decimal

import asyncpg
import pytest

from tests.support.app import Api
from zanari_api.kit.ids import new_id
from zanari_api.runtime import audit
from zanari_api.runtime.db import Role, Tx

ROW = "SELECT operator, act, reason, before, after FROM runtime.audit_log WHERE subject = $1"


async def test_an_act_is_recorded_with_who_why_before_and_after(api: Api) -> None:
    subject = f"suspense:{new_id()}"

    async def act(tx: Tx) -> None:
        await audit.record(
            tx,
            operator="wanjiku",
            act="suspense_assigned",
            subject=subject,
            reason="she showed the SMS",
            before={"state": "held"},
            after={"state": "assigned", "cents": Decimal(500)},
        )

    await api.db.unit_of_work(act, role=Role.SYSTEM)
    (row,) = await api.rows(ROW, subject)
    assert dict(row) == {
        "operator": "wanjiku",
        "act": "suspense_assigned",
        "reason": "she showed the SMS",
        "before": '{"state": "held"}',
        "after": '{"cents": "500", "state": "assigned"}',
    }


async def test_an_act_without_a_reason_is_not_recorded_and_so_not_done(api: Api) -> None:
    async def act(tx: Tx) -> None:
        await audit.record(tx, operator="x", act="y", subject="z", reason="", before={}, after={})

    with pytest.raises(asyncpg.CheckViolationError):
        await api.db.unit_of_work(act, role=Role.SYSTEM)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE runtime.audit_log SET reason = 'another'",
        "DELETE FROM runtime.audit_log",
        "TRUNCATE runtime.audit_log",
    ],
)
async def test_the_service_cannot_change_what_was_recorded(api: Api, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with api.db.transaction(Role.SYSTEM) as tx:
            await tx._driver.execute(statement)


@pytest.mark.parametrize("column", ["xact", "recorded_at"])
async def test_the_service_dates_nothing_back(api: Api, column: str) -> None:
    value = "'3'" if column == "xact" else "'2020-01-01Z'"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with api.db.transaction(Role.SYSTEM) as tx:
            await tx._driver.execute(
                f"INSERT INTO runtime.audit_log (id, operator, act, subject, reason, before, after, {column})"
                f" VALUES ('{new_id()}', 'wanjiku', 'tried', 'test:1', 'ticket 1', '{{}}', '{{}}', {value})"
            )


async def test_a_savers_request_neither_reads_nor_writes_it(api: Api) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with api.db.transaction(Role.API, new_id()) as tx:
            await tx._driver.execute("SELECT * FROM runtime.audit_log")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE runtime.audit_log SET reason = 'another' WHERE false",
        "DELETE FROM runtime.audit_log WHERE false",
        "TRUNCATE runtime.audit_log",
    ],
)
async def test_not_even_the_owner_of_the_table_changes_what_was_recorded(api: Api, statement: str) -> None:
    async with api.database.connected("postgres") as connection:
        with pytest.raises(asyncpg.CheckViolationError, match="stays on record"):
            await connection.execute(statement)
