"""Proves that the service bears a database that is far away: 20 ms each way, and time for round trips alone."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import uuid4

import httpx

from checks.check import Check, CheckFailed, Fault, Site
from checks.driving import DEPOSIT_CENTS, WITHDRAWAL_CENTS, Refused, Service, development, live
from checks.stand import SERVICE, migrated, postgres
from checks.wire import Wire, wire

EACH_WAY_S: Final = 0.02
ROUND_TRIP_S: Final = 2 * EACH_WAY_S
SAVERS: Final = 2
SPENDS: Final = 3
FIRST_PHONE: Final = 12_000_000
WARM: Final = 3
"""So often a route is called before it is measured: connections are made then, and statements prepared."""

TRIES: Final = 3
OWN_S: Final = 0.25
"""What a route may take beyond its round trips, at its best of TRIES: the machine is shared."""

TRIPS_MAX: Final = 15


def prove(site: Site) -> str:
    """Live as savers at that distance, then measure routes one by one."""
    with postgres(site.scratch) as stand:
        asyncio.run(migrated(stand))
        url = stand.url(SERVICE)
        site.say(f"{SAVERS} savers, {EACH_WAY_S * 1000:.0f} ms each way from the database")
        with (
            wire(url, each_way_s=EACH_WAY_S) as far,
            development(site, database_url=far.dsn, variables={}) as service,
        ):
            asyncio.run(_all_is_well(service))
            requests = len(service.answered)
            if bad := service.bad_lines():
                raise CheckFailed(f"at that distance the logs tell of {len(bad)} failures: {bad[0]}")
        with (
            wire(url, each_way_s=EACH_WAY_S) as far,
            development(site, database_url=far.dsn, variables={}, whole=False) as service,
        ):
            measured = asyncio.run(_routes(service, far))
    shown = ", ".join(f"{name} {trips} in {took * 1000:.0f} ms" for name, (trips, took) in measured.items())
    return f"{requests} requests, 0 failed; round trips of {ROUND_TRIP_S * 1000:.0f} ms: {shown}"


async def _all_is_well(service: Service) -> None:
    try:
        left = await asyncio.gather(
            *(live(service, FIRST_PHONE + each, spends=SPENDS) for each in range(SAVERS))
        )
    except Refused as refused:
        raise CheckFailed(f"at that distance: {refused}; {'; '.join(service.bad_lines()[:2])}") from None
    if any(cents != DEPOSIT_CENTS - WITHDRAWAL_CENTS for cents in left):
        raise CheckFailed(
            f"at that distance savers have {left} cents left of {DEPOSIT_CENTS - WITHDRAWAL_CENTS}"
        )


async def _routes(service: Service, far: Wire) -> dict[str, tuple[int, float]]:
    """Return the round trips and the time of routes, called one at a time once everything is warm."""
    phone = f"2547{FIRST_PHONE + SAVERS:08d}"
    headers = {"Authorization": f"Bearer {service.token(uuid4(), phone)}"}
    async with httpx.AsyncClient(base_url=service.base_url, headers=headers, timeout=60) as client:

        def reading(path: str) -> Callable[[], Awaitable[Any]]:
            return lambda: service.request(client, "GET", f"/api/v1{path}")

        routes: dict[str, Callable[[], Awaitable[Any]]] = {
            "profile": reading("/users/me"),
            "wallet": reading("/users/me/wallet"),
            "goals": reading("/goals"),
            "feed": reading("/transactions"),
            "spend": lambda: service.spend(client, phone, "147"),
        }
        return {name: await _measured(name, call, far) for name, call in routes.items()}


async def _measured(name: str, call: Callable[[], Awaitable[Any]], far: Wire) -> tuple[int, float]:
    """Measure a route at its best. Raises CheckFailed where its time is not that of its round trips."""
    for _ in range(WARM):
        await call()
    seen: list[tuple[float, int]] = []
    for _ in range(TRIES):
        before, began = far.round_trips, time.monotonic()
        await call()
        seen.append((time.monotonic() - began, far.round_trips - before))
    took, trips = min(seen)
    if trips == 0:
        raise CheckFailed(f"{name}: no round trip was seen, so nothing was measured")
    if trips > TRIPS_MAX:
        raise CheckFailed(f"{name}: {trips} round trips, {TRIPS_MAX} at most")
    if took > trips * ROUND_TRIP_S + OWN_S:
        raise CheckFailed(
            f"{name}: {took * 1000:.0f} ms for {trips} round trips of {ROUND_TRIP_S * 1000:.0f} ms"
        )
    if took < ROUND_TRIP_S:
        raise CheckFailed(f"{name}: {trips} round trips in {took * 1000:.0f} ms: the wire does not delay")
    return trips, took


CHECKS: Final[tuple[Check, ...]] = (
    Check(
        "distance",
        "the service bears a database 20 ms away each way, and its routes take the time of their round trips",
        prove,
        (
            Fault(
                "zanari_api/runtime/db.py",
                "ACQUIRE_TIMEOUT_S: Final = 5.0",
                "ACQUIRE_TIMEOUT_S: Final = 0.03",
                "does not answer well",
            ),
            Fault(
                "zanari_api/runtime/db.py",
                "                    yield tx\n",
                "                    for _ in range(12):\n"
                '                        await connection.execute("SELECT 1")\n'
                "                    yield tx\n",
                "round trips, 15 at most",
            ),
            Fault(
                "checks/wire.py",
                "under_way.put_nowait((loop.time() + delay_s, chunk))",
                "under_way.put_nowait((loop.time(), chunk))",
                "the wire does not delay",
            ),
        ),
    ),
)
