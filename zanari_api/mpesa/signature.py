"""Signs and verifies the header of the round-up webhook. Works on raw bytes and never looks into them."""

import base64
import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography.exceptions import InvalidSignature as OtherKey
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from zanari_api.mpesa.errors import InvalidSignature

TOLERANCE_SECONDS: Final = 300
"""How far the time of sending may be from ours, either way: a copy of a request is of no use for longer."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_HEADER: Final = 2_048
_MOST_PARTS: Final = 16
_SECONDS: Final = re.compile(r"[0-9]{1,12}")
_HEX_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")
_BASE64_ED25519: Final = re.compile(r"[A-Za-z0-9+/]{86}==")


@dataclass(frozen=True, slots=True)
class _Header:
    """A header of the timed form, in which every part is of the right shape."""

    sent_at_seconds: int
    signed_time: bytes
    macs: tuple[bytes, ...]
    ed25519: tuple[bytes, ...]


class SignatureVerifier:
    """Holds the keys that may sign: any secret, or the private half of the public key, is enough."""

    def __init__(
        self,
        *,
        secrets: Sequence[str],
        public_key_pem: str | None = None,
        allow_untimed: bool = False,
        clock: Callable[[], datetime],
    ) -> None:
        """Raise ValueError for a key that is not Ed25519, and for an empty secret: anyone signs with it."""
        if not all(secret.strip() for secret in secrets):
            raise ValueError("an empty secret signs for everybody")
        # Keyed once and copied for each body: half of a short body's MAC is taking the key in.
        self._keyed = tuple(hmac.new(secret.encode(), digestmod="sha256") for secret in secrets)
        self._public_key = None if public_key_pem is None else _load_public_key(public_key_pem)
        self._allow_untimed = allow_untimed
        self._clock = clock

    @property
    def configured(self) -> bool:
        """Tell whether anything could be accepted at all."""
        return bool(self._keyed) or self._public_key is not None

    def verify(self, header: str | None, body: bytes) -> None:
        """Return if the header signs this body. Raises InvalidSignature otherwise, whatever is wrong."""
        text = (header or "").strip(" \t")
        if self._allow_untimed and _HEX_SHA256.fullmatch(text):
            genuine = self._matches_secret(body, (bytes.fromhex(text),))
            in_time = True
        else:
            parsed = _parse(text)
            signed = parsed.signed_time + b"." + body
            genuine = self._matches_secret(signed, parsed.macs) | self._matches_key(signed, parsed.ed25519)
            in_time = abs(_unix_seconds(self._clock()) - parsed.sent_at_seconds) <= TOLERANCE_SECONDS
        if not genuine:
            raise InvalidSignature(reason="wrong")
        if not in_time:
            # Told apart in the log alone: a genuine one that is stale means a wrong clock, or a replay.
            raise InvalidSignature(reason="stale")

    def _matches_secret(self, signed: bytes, macs: Sequence[bytes]) -> bool:
        """Compare every secret with every MAC, so that the time taken does not tell which one fits."""
        found = False
        for keyed in self._keyed:
            ours = keyed.copy()
            ours.update(signed)
            expected = ours.digest()
            for mac in macs:
                found |= hmac.compare_digest(expected, mac)
        return found

    def _matches_key(self, signed: bytes, signatures: Sequence[bytes]) -> bool:
        if self._public_key is None:
            return False
        for signature in signatures:
            try:
                self._public_key.verify(signature, signed)
            except OtherKey:
                continue
            return True
        return False


def sign(secret: str, body: bytes, at: datetime) -> str:
    """Return the header for a body sent at this time; each attempt to send is signed anew."""
    seconds = str(_unix_seconds(at))
    mac = hmac.digest(secret.encode(), seconds.encode() + b"." + body, "sha256")
    return f"t={seconds},v1={mac.hex()}"


def _parse(text: str) -> _Header:
    """Read `t=...,v1=...`. Names are case-sensitive; parts with a name we do not know are skipped."""
    parts = text.split(",")
    if len(text) > _LONGEST_HEADER or len(parts) > _MOST_PARTS:
        raise InvalidSignature(reason="malformed")
    values: dict[str, list[str]] = {"t": [], "v1": [], "v1a": []}
    for part in parts:
        name, _, value = part.strip(" \t").partition("=")
        values.setdefault(name, []).append(value)
    times, macs, signatures = values["t"], values["v1"], values["v1a"]
    if (
        len(times) != 1
        or not _SECONDS.fullmatch(times[0])
        or not (macs or signatures)
        or not all(_HEX_SHA256.fullmatch(mac) for mac in macs)
        or not all(_BASE64_ED25519.fullmatch(signature) for signature in signatures)
    ):
        raise InvalidSignature(reason="malformed")
    return _Header(
        sent_at_seconds=int(times[0]),
        signed_time=times[0].encode(),
        macs=tuple(bytes.fromhex(mac) for mac in macs),
        ed25519=tuple(base64.b64decode(signature) for signature in signatures),
    )


def _load_public_key(pem: str) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("the webhook's public key is not PEM text") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("the webhook's public key is not an Ed25519 key")  # noqa: TRY004 (a wrong value)
    return key


def _unix_seconds(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(seconds=1)
