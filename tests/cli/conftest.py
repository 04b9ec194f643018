"""The `zanari` command as tests run it: in this process, in an empty directory, or on the module's service."""

import asyncio
import contextlib
import io
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.app import Api
from tests.support.observed import logging_as_the_service_does
from zanari_api.cli import app as cli
from zanari_api.settings import Settings


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def failure(self) -> str:
        """The one line that says why it failed."""
        assert self.code == 1, f"{self.code}: {self.out}{self.err}"
        # A service of this process may log meanwhile, and its log goes where the command's does.
        (line,) = [line for line in self.err.splitlines() if line.startswith("zanari: ")]
        assert "Traceback" not in self.err
        return line.removeprefix("zanari: ")


Command = Callable[..., Done]
CommandBeside = Callable[..., Awaitable[Done]]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty directory, with no variable set."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path


@pytest.fixture
def zanari(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command in this process."""

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["zanari", *arguments])
        out, written = io.StringIO(), io.BytesIO()
        # Its log goes to the bytes beneath, as it does in a terminal.
        err = io.TextIOWrapper(written, encoding="utf-8", write_through=True)
        with (
            logging_as_the_service_does(),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                cli.main()
                code = 0
            except SystemExit as ended:
                code = ended.code
        assert isinstance(code, int)
        return Done(code, out.getvalue(), written.getvalue().decode())

    return run


@pytest.fixture
def zanari_beside(zanari: Command) -> CommandBeside:
    """Run the command in a thread, so that it can call what this loop serves."""

    async def run(*arguments: str) -> Done:
        return await asyncio.to_thread(zanari, *arguments)

    return run


@pytest.fixture
def operator(api: Api, zanari_beside: CommandBeside, monkeypatch: pytest.MonkeyPatch) -> CommandBeside:
    """Run the command as an operator of the module's service: on its database, against its Safaricom."""
    for name, value in api.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ZANARI_OPERATOR", "wanjiku")
    return zanari_beside
