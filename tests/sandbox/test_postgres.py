"""The embedded server: it keeps what was committed, and ends when its owner does."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import asyncpg
import pytest

from tests.support.postgres import TEST_OPTIONS
from zanari_api.sandbox.postgres import DataDirectoryInUse, EmbeddedPostgres, EmbeddedPostgresError

# What an owner in a process of its own does: start, say so, and wait for its end.
OWNER = """
import sys, time
from pathlib import Path
from zanari_api.sandbox.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), bin_dir=Path(sys.argv[2]), options={"fsync": "off"})
server.start()
print("started", flush=True)
time.sleep(600)
"""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    # Not tmp_path: its parents are private, and making them passable is a test of its own.
    directory = Path(mkdtemp(prefix="zanari-tests-"))
    yield directory
    rmtree(directory)


@pytest.fixture
def server(data_dir: Path, postgres_bin_dir: Path) -> Iterator[EmbeddedPostgres]:
    made = EmbeddedPostgres(data_dir, bin_dir=postgres_bin_dir, options=TEST_OPTIONS)
    yield made
    made.stop()


def server_pid(data_dir: Path) -> int:
    return int((data_dir / "cluster" / "postmaster.pid").read_text().splitlines()[0])


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def keeper_of(server: int) -> int:
    """The server's parent process."""
    return int(Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[1])


def eventually(condition: Callable[[], bool], *, within_s: float = 10) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def start_owner(data_dir: Path, bin_dir: Path) -> "subprocess.Popen[str]":
    owner = subprocess.Popen(  # noqa: S603 (our own interpreter)
        [sys.executable, "-c", OWNER, str(data_dir), str(bin_dir)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "started\n"
    owner.stdout.close()
    return owner


async def execute(server: EmbeddedPostgres, sql: str) -> None:
    connection = await asyncpg.connect(server.superuser_dsn())
    await connection.execute(sql)
    await connection.close()


async def fetch_value(server: EmbeddedPostgres, sql: str) -> object:
    connection = await asyncpg.connect(server.superuser_dsn())
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_a_second_start_keeps_what_was_committed(server: EmbeddedPostgres) -> None:
    server.start()
    await execute(server, "CREATE TABLE kept AS SELECT 7 AS n")
    server.stop()
    server.start()
    assert await fetch_value(server, "SELECT n FROM kept") == 7


async def test_stopping_ends_the_server_and_gives_the_directory_back(
    server: EmbeddedPostgres, data_dir: Path
) -> None:
    server.start()
    pid = server_pid(data_dir)
    server.stop()
    assert not is_running(pid)
    with pytest.raises(OSError, match=r"No such file|refused"):
        await asyncpg.connect(server.superuser_dsn())


async def test_it_is_durable_unless_told_otherwise(data_dir: Path, postgres_bin_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, bin_dir=postgres_bin_dir) as server:
        assert await fetch_value(server, "SHOW fsync") == "on"
        assert await fetch_value(server, "SHOW synchronous_commit") == "on"
        assert await fetch_value(server, "SHOW listen_addresses") == ""


async def test_a_directory_with_a_live_owner_is_refused_by_name(
    server: EmbeddedPostgres, data_dir: Path, postgres_bin_dir: Path
) -> None:
    owner = start_owner(data_dir, postgres_bin_dir)
    try:
        with pytest.raises(DataDirectoryInUse, match=f"process {owner.pid}") as refused:
            server.start()
        assert refused.value.owner_pid == owner.pid
    finally:
        pid = server_pid(data_dir)
        owner.kill()
        owner.wait()
        assert eventually(lambda: not is_running(pid))


async def test_the_server_of_a_killed_owner_dies_and_loses_nothing(
    server: EmbeddedPostgres, data_dir: Path, postgres_bin_dir: Path
) -> None:
    owner = start_owner(data_dir, postgres_bin_dir)
    pid = server_pid(data_dir)
    owner.kill()
    owner.wait()
    assert eventually(lambda: not is_running(pid))
    server.start()
    assert await fetch_value(server, "SELECT 1") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
async def test_the_server_dies_with_its_keeper_too(server: EmbeddedPostgres, data_dir: Path) -> None:
    server.start()
    pid = server_pid(data_dir)
    keeper = keeper_of(pid)
    os.kill(keeper, signal.SIGKILL)
    assert eventually(lambda: not is_running(pid))
    server.stop()
    server.start()
    assert await fetch_value(server, "SELECT 1") == 1


async def test_an_orphaned_server_is_stopped_and_started_anew(
    server: EmbeddedPostgres, data_dir: Path, postgres_bin_dir: Path
) -> None:
    owner = start_owner(data_dir, postgres_bin_dir)
    orphan = server_pid(data_dir)
    keeper = keeper_of(orphan)
    # A keeper that is suspended cannot stop its server, and is not dead either.
    os.kill(keeper, signal.SIGSTOP)
    owner.kill()
    owner.wait()
    assert is_running(orphan)
    told: list[str] = []
    server._on_progress = told.append
    server.start()
    os.kill(keeper, signal.SIGCONT)
    assert str(orphan) in told[0]
    assert not is_running(orphan)
    assert server_pid(data_dir) != orphan
    assert await fetch_value(server, "SELECT 1") == 1


async def test_a_crashed_server_recovers_what_was_committed(server: EmbeddedPostgres, data_dir: Path) -> None:
    server.start()
    await execute(server, "CREATE TABLE kept AS SELECT 7 AS n")
    os.kill(server_pid(data_dir), signal.SIGKILL)
    server.stop()
    server.start()
    assert await fetch_value(server, "SELECT n FROM kept") == 7


async def test_a_stale_pid_file_that_names_a_stranger_harms_neither(
    server: EmbeddedPostgres, data_dir: Path
) -> None:
    server.start()
    server.stop()
    # The number in the file is a living process by now: this one.
    stale = f"{os.getpid()}\n{data_dir / 'cluster'}\n1\n5432\n{data_dir / 'socket'}\n\n  1 1\nready   \n"
    (data_dir / "cluster" / "postmaster.pid").write_text(stale)
    server.start()
    assert await fetch_value(server, "SELECT 1") == 1


async def test_a_cluster_of_another_version_is_named(server: EmbeddedPostgres, data_dir: Path) -> None:
    server.start()
    server.stop()
    (data_dir / "cluster" / "PG_VERSION").write_text("14\n")
    with pytest.raises(EmbeddedPostgresError, match="was made by Postgres 14"):
        server.start()


async def test_a_failed_start_shows_the_servers_log_and_gives_the_directory_back(
    data_dir: Path, postgres_bin_dir: Path
) -> None:
    broken = EmbeddedPostgres(data_dir, bin_dir=postgres_bin_dir, options={"max_connections": "none"})
    with pytest.raises(EmbeddedPostgresError, match="max_connections"):
        broken.start()
    with EmbeddedPostgres(data_dir, bin_dir=postgres_bin_dir, options=TEST_OPTIONS) as server:
        assert await fetch_value(server, "SELECT 1") == 1


async def test_a_half_made_cluster_is_made_again(server: EmbeddedPostgres, data_dir: Path) -> None:
    unfinished = data_dir / "cluster.unfinished"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    server.start()
    assert await fetch_value(server, "SELECT 1") == 1
    assert not unfinished.exists()


async def test_a_path_too_long_for_a_socket_gets_one_elsewhere(
    data_dir: Path, postgres_bin_dir: Path
) -> None:
    deep = data_dir / ("x" * 60) / ("y" * 60)
    with EmbeddedPostgres(deep, bin_dir=postgres_bin_dir, options=TEST_OPTIONS) as server:
        assert await fetch_value(server, "SELECT 1") == 1
        socket_dir = server._socket_dir
        assert not socket_dir.is_relative_to(deep)
    assert not socket_dir.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another user")
async def test_root_lets_the_server_through_private_directories_and_says_so(
    data_dir: Path, postgres_bin_dir: Path
) -> None:
    home = data_dir / "home"
    home.mkdir(mode=0o700)
    with EmbeddedPostgres(home / "pg", bin_dir=postgres_bin_dir, options=TEST_OPTIONS) as server:
        assert home.stat().st_mode & 0o777 == 0o701
        assert any(str(home) in notice for notice in server.notices)
        assert (home / "pg" / "cluster").stat().st_uid != 0


async def test_only_the_servers_user_reaches_the_socket(server: EmbeddedPostgres, data_dir: Path) -> None:
    server.start()
    assert (data_dir / "socket").stat().st_mode & 0o777 == 0o700
