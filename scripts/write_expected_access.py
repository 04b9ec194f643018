"""Writes who may do what in a database that was just migrated, for `zanari doctor` to compare with.

Run it after a migration that grants something, and read what it changed: that is the change of who may do what.
"""

import asyncio
import tempfile
from pathlib import Path

from zanari_api.doctor.access import FILE, Access, read_access
from zanari_api.runtime.db import Database, Role
from zanari_api.sandbox import database as sandbox_database
from zanari_api.sandbox.postgres import EmbeddedPostgres


async def access_as_migrated(directory: Path) -> Access:
    with EmbeddedPostgres(directory, options={"fsync": "off"}) as server:
        await sandbox_database.prepare(server, "expected")
        database = Database(server.dsn("expected", "zanari_service"))
        await database.open()
        try:
            async with database.transaction(Role.SYSTEM) as tx:
                return await read_access(tx)
        finally:
            await database.close()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="zanari-access-") as directory:
        FILE.write_text(asyncio.run(access_as_migrated(Path(directory))).as_text(), encoding="utf-8")
    print(f"Wrote {FILE}")


if __name__ == "__main__":
    main()
