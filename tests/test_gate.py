"""A process in production that was started before its database serves nothing from it until it is known to be fit."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest

from tests.support.line import Line
from tests.support.postgres import Database
from tests.support.processes import free_port, new_place
from tests.test_settings import COMPLETE
from zanari_api.mpesa.signature import sign
from zanari_api.runtime.db import ACQUIRE_TIMEOUT_S
from zanari_api.sandbox.demo import spend_body

GIVEN_S = 60


@asynccontextmanager
async def started(verb: str, dsn: str, *, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a process in production; at the end nothing of it is left."""
    listening = {"PORT": str(port), "WORKER_PORT": str(port)}
    with new_place() as place:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "zanari_api", verb),
            cwd=place.directory,
            env=place.environment(**COMPLETE | {"DATABASE_URL": dsn} | listening),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def until_it_serves(process: asyncio.subprocess.Process) -> None:
    assert process.stderr is not None
    told = b""
    while b"Serving http" not in told:
        read = await asyncio.wait_for(process.stderr.readline(), GIVEN_S)
        assert read, told
        told += read


async def spend(client: httpx.AsyncClient, receipt: str) -> int:
    """Deliver a signed spend, and return the status of its answer."""
    body = spend_body(receipt=receipt, amount="147")
    signature = sign(COMPLETE["MPESA_WEBHOOK_SECRET"], body, datetime.now(UTC))
    headers = {"Content-Type": "application/json", "X-Mpesa-Signature": signature}
    answer = await client.post("/api/v1/mpesa/webhooks/roundup", content=body, headers=headers)
    return answer.status_code


async def spend_until_it_ends(base_url: str) -> list[int]:
    """Deliver spends for as long as somebody answers, and return the statuses of the answers."""
    statuses: list[int] = []
    async with httpx.AsyncClient(base_url=base_url, timeout=GIVEN_S) as client:
        for number in range(10_000):
            try:
                statuses.append(await spend(client, f"TKP{number:07d}"))
            except httpx.TransportError:
                break
            await asyncio.sleep(0.01)
    return statuses


async def test_from_a_database_that_comes_later_and_is_not_fit_nothing_is_served_and_the_process_ends(
    database: Database,
) -> None:
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    async with Line(database.service_dsn) as line:
        await line.cut()
        async with started("serve", line.dsn, port=port) as serving:
            await until_it_serves(serving)
            async with httpx.AsyncClient(base_url=base_url, timeout=GIVEN_S) as client:
                readiness = await client.get("/health/ready")
                assert (readiness.status_code, readiness.json()["code"]) == (503, "database_unavailable")
                assert "not known yet" in readiness.json()["detail"]
            await line.mend()
            statuses, (out, errors) = await asyncio.gather(
                spend_until_it_ends(base_url), asyncio.wait_for(serving.communicate(), GIVEN_S)
            )
    assert serving.returncode == 1
    assert b"database_fitness_unknown" in out
    assert b"zanari: DATABASE_URL: the server runs with fsync=off" in errors
    assert statuses
    assert set(statuses) == {503}


@pytest.mark.parametrize("verb", ["serve", "worker"])
async def test_one_that_is_told_to_stop_while_its_database_is_silent_ends_at_once(verb: str) -> None:
    asked = asyncio.Event()
    ended = asyncio.Event()

    async def say_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await ended.wait()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    dsn = f"postgresql://zanari_service@127.0.0.1:{port}/postgres?sslmode=disable"
    try:
        async with started(verb, dsn, port=free_port()) as process:
            await asyncio.wait_for(asked.wait(), GIVEN_S)
            process.send_signal(signal.SIGTERM)
            told_at = time.monotonic()
            _out, errors = await asyncio.wait_for(process.communicate(), GIVEN_S)
            # It does not wait for the answer that may never come.
            assert time.monotonic() - told_at < ACQUIRE_TIMEOUT_S
    finally:
        ended.set()
        server.close()
        await server.wait_closed()
    assert process.returncode == 0, errors
    assert b"http://" not in errors
