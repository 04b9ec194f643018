"""What callers must show: a token, the STK password, the initiator's password under our certificate."""

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

TOKEN_LASTS_S: Final = 3599
WRONG_PASSWORDS_MAX: Final = 5
"""After so many in a row the initiator is locked, and results are 8006."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What the emulator and its caller have agreed on."""

    consumer_key: str
    consumer_secret: str
    passkey: str
    initiator_name: str
    initiator_password: str


class Tokens:
    """The one access token that is valid: a new one ends the one before."""

    def __init__(self) -> None:
        self._current: str | None = None
        self._ends_at = datetime.min.replace(tzinfo=UTC)

    def begin(self, token: str, *, now: datetime) -> None:
        self._current, self._ends_at = token, now + timedelta(seconds=TOKEN_LASTS_S)

    def is_valid(self, token: str, *, now: datetime) -> bool:
        return self._current is not None and token == self._current and now < self._ends_at

    def revoke(self) -> None:
        self._current = None


class Certificate:
    """The emulator's key pair, as Safaricom publishes its own: a certificate to encrypt with."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key
        self.pem = _self_signed(key)

    @classmethod
    def kept(cls, private_key_pem: str) -> Self:
        """Take up a key that was kept. Raises TypeError for one of another kind."""
        key = load_pem_private_key(private_key_pem.encode(), password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError("the emulator's key is not RSA")
        return cls(key)

    @property
    def private_key_pem(self) -> str:
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def decrypt(self, security_credential: str) -> str | None:
        """Return the password in a SecurityCredential, None where there is none that we can read."""
        try:
            sealed = base64.b64decode(security_credential, validate=True)
            return self._key.decrypt(sealed, padding.PKCS1v15()).decode()
        except (ValueError, binascii.Error):
            return None


def stk_password(shortcode: str, passkey: str, timestamp: str) -> str:
    return base64.b64encode(f"{shortcode}{passkey}{timestamp}".encode()).decode()


@cache
def certificate_of_this_process() -> Certificate:
    """Return the one certificate that emulators without a memory share: making a key takes a while."""
    return Certificate(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def _self_signed(key: rsa.RSAPrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Safaricom emulator")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode()
