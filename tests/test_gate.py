"""A process in production that was started before its database asks it once it is there, and ends if it is not fit."""

import asyncio
import sys

from tests.support.line import Line
from tests.support.postgres import Database
from tests.support.processes import free_port, new_place
from tests.test_settings import COMPLETE

GIVEN_S = 60


async def test_a_database_that_comes_later_and_is_not_fit_ends_the_process(database: Database) -> None:
    with new_place() as place:
        async with Line(database.service_dsn) as line:
            await line.cut()
            serving = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "zanari_api", "serve"),
                cwd=place.directory,
                env=place.environment(**COMPLETE | {"DATABASE_URL": line.dsn, "PORT": str(free_port())}),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            assert serving.stderr is not None
            try:
                told = b""
                while b"Serving http" not in told:
                    # It serves: readiness is what fails until the database answers.
                    read = await asyncio.wait_for(serving.stderr.readline(), GIVEN_S)
                    assert read, told
                    told += read
                await line.mend()
                out, errors = await asyncio.wait_for(serving.communicate(), GIVEN_S)
            finally:
                if serving.returncode is None:
                    serving.kill()
                    await serving.wait()
    assert serving.returncode == 1
    assert b"database_fitness_unknown" in out
    assert b"zanari: DATABASE_URL: the server runs with fsync=off" in errors
