"""The secrets of a developer's machine: made on first start, kept in the sandbox's directory, never used elsewhere."""

import base64
import json
import os
import secrets
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

FILE: Final = "secrets.json"


@dataclass(frozen=True, slots=True)
class DevelopmentSecrets:
    """What production is given by its operator."""

    pii_keys: str
    webhook_secret: str
    callback_token: str
    consumer_key: str
    consumer_secret: str
    passkey: str
    initiator_password: str


def load_or_make(home: Path) -> DevelopmentSecrets:
    """Return the secrets under `home`, making those that are not there. Two at once get the same ones."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / FILE
    if not path.exists():
        _write_once(path, json.dumps(asdict(_make())))
    kept: dict[str, str] = json.loads(path.read_text())
    made = asdict(_make())
    if not made.keys() <= kept.keys():
        # A file from before a secret was needed. What it holds stays; two at once may each add theirs, and the
        # last one is read by both from then on.
        kept = made | kept
        path.write_text(json.dumps(kept))
    return DevelopmentSecrets(**{name: kept[name] for name in made})


def _make() -> DevelopmentSecrets:
    return DevelopmentSecrets(
        pii_keys="development:" + base64.b64encode(os.urandom(32)).decode(),
        webhook_secret=secrets.token_urlsafe(32),
        callback_token=secrets.token_hex(32),
        consumer_key=secrets.token_urlsafe(24),
        consumer_secret=secrets.token_urlsafe(24),
        passkey=secrets.token_hex(32),
        # M-PESA's own advice: none of the signs that its API mistakes for its own.
        initiator_password=secrets.token_urlsafe(18),
    )


def _write_once(path: Path, text: str) -> None:
    """Put a whole file in place unless there is one: readers see all of it or nothing. Readable by its owner only."""
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
    finally:
        Path(temporary).unlink()
