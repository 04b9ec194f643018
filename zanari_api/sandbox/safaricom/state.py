"""Keeps an emulator's world in one JSON file and takes it up again. The file is as secret as the key in it."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from zanari_api.sandbox.safaricom.books import Account, Books, Kind, Movement, Position, Story
from zanari_api.sandbox.safaricom.core import Core
from zanari_api.sandbox.safaricom.credentials import Certificate, certificate_of_this_process
from zanari_api.sandbox.safaricom.handsets import Behaviour, Handset
from zanari_api.sandbox.safaricom.records import Outcome, Payout, Push, Registration
from zanari_api.sandbox.safaricom.wire import JsonValue, dumps, loads_object

VERSION: Final = 1
Built = TypeVar("Built")


class State:
    """What was read from the file, and the writing of it."""

    def __init__(self, path: Path | None) -> None:
        """Read the file, if it is there. Raises ValueError for one of another version."""
        self._path = path
        kept: Mapping[str, Any] = {}
        if path is not None and path.exists():
            kept = cast("Mapping[str, Any]", loads_object(path.read_bytes()))
            if kept.get("version") != VERSION:
                raise ValueError(f"{path.name} is not of version {VERSION}: move it away to begin anew")
        self._kept = kept

    def certificate(self) -> Certificate:
        """Return the certificate that was kept, or a new one."""
        kept: str | None = self._kept.get("private_key_pem")
        return Certificate.kept(kept) if kept else certificate_of_this_process()

    def openings(self, wanted: Mapping[str, Position]) -> dict[str, Position]:
        """Return what shortcodes began with: as kept, where they are known."""
        return {**wanted, **_built_by_key(Position, self._kept.get("openings", {}))}

    def fill(self, core: Core) -> None:
        """Put what was kept into `core`, and keep its changes from now on."""
        kept = self._kept
        movements = _built(Movement, kept.get("movements", []))
        core.books.restore(movements)
        core.handsets.known |= _built_by_key(Handset, kept.get("handsets", {}))
        records = core.records
        records.pushes |= _built_by_key(Push, kept.get("pushes", {}))
        records.payouts |= _built_by_key(Payout, kept.get("payouts", {}))
        records.registrations |= _built_by_key(Registration, kept.get("registrations", {}))
        records.pulling |= set(kept.get("pulling", []))
        core.ids.used |= {one.receipt for one in movements} | set(records.pushes)
        core.ids.used |= {one.conversation_id for one in records.payouts.values()}
        if self._path is not None:
            core.on_change = lambda: self._write(core)

    def _write(self, core: Core) -> None:
        path = self._path
        assert path is not None  # noqa: S101 (only then is this called)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.new")
        # The mode is set before there is content to read.
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(dumps(_snapshot(core)))
        new.replace(path)


def _snapshot(core: Core) -> dict[str, JsonValue]:
    books: Books = core.books
    return {
        "version": VERSION,
        "private_key_pem": core.certificate.private_key_pem,
        "openings": _plain(books.openings),
        "movements": _plain(books.movements),
        "handsets": _plain(core.handsets.known),
        "pushes": _plain(core.records.pushes),
        "payouts": _plain(core.records.payouts),
        "registrations": _plain(core.records.registrations),
        "pulling": sorted(core.records.pulling),
    }


def _plain(value: object) -> JsonValue:
    """Return JSON for what records are made of."""
    if is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, object]", value)
        return {key: _plain(item) for key, item in pairs.items()}
    if isinstance(value, list):
        return [_plain(item) for item in cast("list[object]", value)]
    return cast("JsonValue", value)


def _built(cls: type[Built], many: Iterable[Mapping[str, Any]]) -> list[Built]:
    return [_build(cls, one) for one in many]


def _built_by_key(cls: type[Built], many: Mapping[str, Mapping[str, Any]]) -> dict[str, Built]:
    return {key: _build(cls, one) for key, one in many.items()}


def _build(cls: type[Built], kept: Mapping[str, Any]) -> Built:
    return cls(
        **{
            name: value if value is None or name not in _READ else _READ[name](value)
            for name, value in kept.items()
        }
    )


_READ: Final[Mapping[str, Callable[[Any], object]]] = {
    "at": datetime.fromisoformat,
    "requested_at": datetime.fromisoformat,
    "finished_at": datetime.fromisoformat,
    "account": Account,
    "kind": Kind,
    "behaviour": Behaviour,
    "story": lambda kept: _build(Story, kept),
    "outcome": lambda kept: _build(Outcome, kept),
}
"""How fields that are no plain values are read, by their names."""
