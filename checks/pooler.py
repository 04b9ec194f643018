"""Proves that the service works through a pooler that lends connections by transaction: pgbouncer, for Supavisor."""

import asyncio
import os
import pwd
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final
from uuid import uuid4

import httpx

from checks.check import Check, CheckFailed, Fault, Site, find, needed
from checks.driving import DEPOSIT_CENTS, WITHDRAWAL_CENTS, Refused, Service, development, live
from checks.stand import DATABASE, SERVICE, Stand, free_port, migrated, postgres, tail

SAVERS: Final = 6
SPENDS: Final = 12
ROUNDS: Final = 4
LENT: Final = 4
"""So few connections does the pooler have of the server: fewer than one of our processes would use by itself."""

FIRST_PHONE: Final = 11_000_000
UNPRIVILEGED: Final = "nobody"


def prove(site: Site) -> str:
    """Live through the pooler, and see that the same fails where the service is not told of it."""
    with postgres(site.scratch) as stand:
        asyncio.run(migrated(stand))
        with _pgbouncer(site, stand) as port:
            url = stand.url(SERVICE, port=port)
            refused = site.zanari("migrate", env={"DATABASE_URL": url, "DATABASE_POOLER": "true"})
            if refused.returncode == 0 or "DATABASE_MIGRATION_URL" not in refused.stderr:
                raise CheckFailed(
                    f"migrating through the pooler is not refused: {refused.stdout}{refused.stderr}"
                )
            site.say(f"{SAVERS} savers at once, through {LENT} connections")
            try:
                requests = _lives(site, url)
            except CheckFailed as failed:
                raise CheckFailed(f"through the pooler: {failed}") from None
            site.say("the same, with a service that takes the pooler for a server")
            unaware = {"DATABASE_POOLER": "false"}
            with development(site, database_url=url, variables=unaware, whole=False) as service:
                failed, of = asyncio.run(_failures(service))
            if failed == 0:
                raise CheckFailed(
                    f"{of} requests went well with DATABASE_POOLER=false: the check cannot see what it is about"
                )
    return (
        f"{requests} requests of {SAVERS} savers and their spends, deposits and payouts through {LENT} connections: "
        f"0 failed; with DATABASE_POOLER=false {failed} of {of} did"
    )


def _lives(site: Site, url: str) -> int:
    """Let the whole service live on a pooler that it knows of, and return how many requests it answered well."""
    with development(site, database_url=url, variables={"DATABASE_POOLER": "true"}) as service:
        asyncio.run(_all_is_well(service))
        if bad := service.bad_lines():
            raise CheckFailed(f"the logs tell of {len(bad)} failures: {bad[0]}")
        return len(service.answered)


@contextmanager
def _pgbouncer(site: Site, stand: Stand) -> Generator[int, None, None]:
    """Run pgbouncer in front of the stand, in transaction mode, and yield its port."""
    port = free_port()
    folder = site.scratch / "pgbouncer"
    folder.mkdir()
    logins, settings = folder / "users.txt", folder / "pgbouncer.ini"
    logins.write_text(f'"{SERVICE}" "{stand.password}"\n')
    settings.write_text(
        f"[databases]\n{DATABASE} = host=127.0.0.1 port={stand.port} dbname={DATABASE}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = plain\nauth_file = {logins}\npool_mode = transaction\n"
        f"default_pool_size = {LENT}\nmax_client_conn = 200\nserver_login_retry = 1\n"
    )
    for each in (site.scratch, folder):
        each.chmod(0o711)
    log = folder / "pgbouncer.log"
    with site.started(*_as_nobody(), str(find("pgbouncer")), settings, log=log) as process:
        deadline = asyncio.run(_listens(port))
        if not deadline or process.poll() is not None:
            raise CheckFailed(f"pgbouncer does not start: {tail(log)}")
        yield port


def _as_nobody() -> list[str]:
    """Return what goes in front of a program that will not run as root."""
    if os.geteuid() != 0:
        return []
    nobody = pwd.getpwnam(UNPRIVILEGED)
    return ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]


async def _listens(port: int) -> bool:
    """Wait until something takes connections on a port."""
    for _ in range(50):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return True
    return False


async def _all_is_well(service: Service) -> None:
    """Let savers live side by side; not one request may fail, and not one cent."""
    lives = (live(service, FIRST_PHONE + each, spends=SPENDS) for each in range(SAVERS))
    try:
        left = await asyncio.gather(*lives)
    except Refused as refused:
        raise CheckFailed(f"{refused}; {'; '.join(service.bad_lines()[:2])}") from None
    if any(cents != DEPOSIT_CENTS - WITHDRAWAL_CENTS for cents in left):
        raise CheckFailed(f"savers have {left} cents left of {DEPOSIT_CENTS - WITHDRAWAL_CENTS}")


async def _failures(service: Service) -> tuple[int, int]:
    """Return how many requests failed of some at once, by savers who look at what they have, and of how many."""
    async with httpx.AsyncClient(base_url=service.base_url, timeout=60) as client:
        lookers = [service.token(uuid4(), f"2547{FIRST_PHONE + 100 + each:08d}") for each in range(SAVERS)]
        looks = [
            service.request(client, "GET", f"/api/v1{path}", Authorization=f"Bearer {token}")
            for _ in range(ROUNDS)
            for path in ("/users/me", "/goals", "/transactions", "/users/me/wallet")
            for token in lookers
        ]
        outcomes = await asyncio.gather(*looks, return_exceptions=True)
    return sum(isinstance(each, Refused) for each in outcomes), len(outcomes)


CHECKS: Final[tuple[Check, ...]] = (
    Check(
        "pooler",
        "API and worker work through a pooler in transaction mode, and migrations do not go through it",
        prove,
        (
            Fault(
                "zanari_api/runtime/db.py",
                "statement_cache_size=0 if self._pooled else STATEMENTS_KEPT,",
                "statement_cache_size=STATEMENTS_KEPT,",
                "through the pooler",
            ),
            Fault(
                "zanari_api/assembly.py",
                "pooled=settings.behind_pooler,",
                "pooled=True,",
                "the check cannot see",
            ),
            Fault(
                "zanari_api/cli/app.py",
                "if settings.database_migration_url is None and settings.behind_pooler:",
                "if settings.database_migration_url is None and False:",
                "migrating through the pooler",
            ),
        ),
        needed("pgbouncer", "setpriv"),
    ),
)
