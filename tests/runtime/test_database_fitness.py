"""Production is not served from a database as a login that may do too much, nor from one that may lose a commit."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.support.line import Line
from tests.support.postgres import Database
from zanari_api.gate import Gate
from zanari_api.runtime.database_fitness import Server, unfit_for_production
from zanari_api.runtime.db import Database as Service
from zanari_api.runtime.db import DatabaseUnavailable, Role
from zanari_api.settings import SettingsInvalid

KEEPING = Server(fsync="on", synchronous_commit="on", full_page_writes="on", cluster_name="")


@asynccontextmanager
async def login(database: Database, name: str, *made_so: str) -> AsyncIterator[str]:
    """Make a login that may take the service's roles, and what else it is given; take it away at the end."""
    async with database.connected("supabase_admin") as superuser:
        await superuser.execute(
            f"CREATE ROLE {name} LOGIN NOINHERIT; GRANT zanari_api, zanari_system TO {name}"
        )
        try:
            for statement in made_so:
                await superuser.execute(statement.format(name=name))
            yield database.server.dsn(database.name, name)
        finally:
            await superuser.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


async def reasons_of(dsn: str) -> Sequence[str]:
    service = Service(dsn)
    await service.open()
    try:
        return await unfit_for_production(service)
    finally:
        await service.close()


def of_the_login(reasons: Sequence[str]) -> list[str]:
    return [reason for reason in reasons if "login" in reason]


async def test_the_services_own_login_is_fit(database: Database) -> None:
    assert of_the_login(await reasons_of(database.service_dsn)) == []


@pytest.mark.parametrize(
    ("made_so", "reason"),
    [
        (["ALTER ROLE {name} SUPERUSER"], "is a superuser"),
        (["ALTER ROLE {name} BYPASSRLS"], "BYPASSRLS"),
        (["GRANT service_role TO {name}"], "BYPASSRLS"),
        (["GRANT supabase_admin TO {name}"], "BYPASSRLS"),
        (["GRANT zanari_ledger_owner TO {name}"], "owns tables of ours"),
        (
            ["CREATE TABLE savings.{name} ()", "ALTER TABLE savings.{name} OWNER TO {name}"],
            "owns tables of ours",
        ),
        (["REVOKE zanari_system FROM {name}"], "may not take the role zanari_system"),
    ],
    ids=[
        "superuser",
        "bypassrls",
        "member-of-bypassrls",
        "member-of-superuser",
        "owner",
        "table",
        "powerless",
    ],
)
async def test_a_login_that_may_do_too_much_or_too_little_is_not_fit(
    database: Database, made_so: list[str], reason: str
) -> None:
    async with login(database, "zanari_other_login", *made_so) as dsn:
        (told,) = of_the_login(await reasons_of(dsn))
        assert reason in told
        assert "zanari_service" in told


async def test_what_the_server_may_lose_is_named(database: Database) -> None:
    # The tests' own server keeps nothing over a crash.
    told = await reasons_of(database.service_dsn)
    assert any("fsync=off" in reason for reason in told)
    assert any("full_page_writes=off" in reason for reason in told)
    assert any("embedded" in reason for reason in told)


async def test_a_login_that_does_not_wait_for_the_disk_is_not_fit(database: Database) -> None:
    async with login(database, "zanari_hasty", "ALTER ROLE {name} SET synchronous_commit = off") as dsn:
        assert any("synchronous_commit=off" in reason for reason in await reasons_of(dsn))


def test_a_server_that_keeps_what_it_commits_is_fit() -> None:
    assert KEEPING.not_durable == ()
    assert not KEEPING.may_lose_commits


@pytest.mark.parametrize("level", ["remote_apply", "remote_write", "local"])
async def test_a_login_that_waits_for_the_disk_and_whatever_else_is_fit(
    database: Database, level: str
) -> None:
    async with login(
        database, "zanari_patient", f"ALTER ROLE {{name}} SET synchronous_commit = {level}"
    ) as dsn:
        assert not any("synchronous_commit" in reason for reason in await reasons_of(dsn))
    server = replace(KEEPING, synchronous_commit=level)
    assert server.not_durable == ()
    assert not server.may_lose_commits


@pytest.mark.parametrize("lost", [{"fsync": "off"}, {"synchronous_commit": "off"}], ids=["fsync", "commit"])
def test_a_server_that_does_not_wait_for_its_disk_may_lose_a_commit(lost: dict[str, str]) -> None:
    server = replace(KEEPING, **lost)
    assert server.may_lose_commits
    assert server.not_durable


async def test_a_server_that_has_no_such_database_is_not_fit(database: Database) -> None:
    (told,) = await reasons_of(database.server.dsn("nowhere", "zanari_service"))
    assert "InvalidCatalogNameError" in told
    assert "nowhere" not in told


async def test_nothing_is_served_on_a_database_that_is_not_fit(database: Database) -> None:
    gate = Gate(Service(database.service_dsn))
    with pytest.raises(SettingsInvalid, match=r"^DATABASE_URL: .*fsync=off"):
        await gate.ask_before_serving()


async def test_a_database_that_does_not_answer_is_asked_again_until_it_does(database: Database) -> None:
    async with Line(database.service_dsn) as line:
        await line.cut()
        service = Service(line.dsn)
        gate = Gate(service)
        await gate.ask_before_serving()
        gate.raise_refusal()
        await line.mend()
        await service.open()
        try:
            await gate.ask_until_answered()
            with pytest.raises(DatabaseUnavailable, match="not known yet"):
                async with service.transaction(Role.SYSTEM):
                    pass
        finally:
            await service.close()
    with pytest.raises(SettingsInvalid, match=r"^DATABASE_URL: "):
        gate.raise_refusal()


async def test_a_database_is_held_until_it_is_released_and_the_way_beside_it_is_not(
    database: Database,
) -> None:
    service = Service(database.service_dsn)
    service.hold()
    beside = service.beside()
    for each in (service, beside):
        await each.open()
    try:
        with pytest.raises(DatabaseUnavailable, match="not known yet"):
            async with service.transaction(Role.SYSTEM):
                pass
        assert await unfit_for_production(beside)
        service.release()
        assert await unfit_for_production(service)
    finally:
        for each in (service, beside):
            await each.close()
