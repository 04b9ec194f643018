"""What proves to Safaricom that a request is ours: the initiator's encrypted password, the STK password, its time."""

import base64
import binascii
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from zanari_api.kit.clock import EAT

_PEM_START = b"-----BEGIN"


def read_certificate(written: str | bytes) -> RSAPublicKey:
    """Return the RSA key of an X.509 certificate: PEM, DER, or DER in base64. Raises ValueError."""
    key = _read(written).public_key()
    if not isinstance(key, RSAPublicKey):
        # A ValueError like the other: both say that the value configured is not what is needed.
        raise ValueError("holds no RSA key")  # noqa: TRY004
    return key


def expires_at(written: str | bytes) -> datetime:
    """Return when such a certificate expires. Raises ValueError."""
    return _read(written).not_valid_after_utc


def security_credential(password: str, key: RSAPublicKey) -> str:
    """Encrypt an initiator's password: RSA, PKCS #1 v1.5 as Safaricom asks, in base64. New text every time."""
    return base64.b64encode(key.encrypt(password.encode(), PKCS1v15())).decode()


def eat_timestamp(now: datetime) -> str:
    """Write an instant as Safaricom does: `YYYYMMDDHHmmss` in East Africa Time."""
    return now.astimezone(EAT).strftime("%Y%m%d%H%M%S")


def stk_password(*, shortcode: str, passkey: str, timestamp: str) -> str:
    return base64.b64encode(f"{shortcode}{passkey}{timestamp}".encode()).decode()


def _read(written: str | bytes) -> x509.Certificate:
    certificate = written.encode() if isinstance(written, str) else written
    try:
        if _PEM_START in certificate:
            return x509.load_pem_x509_certificate(certificate)
        return x509.load_der_x509_certificate(_unwrapped(certificate))
    except ValueError as error:
        raise ValueError("is no X.509 certificate in PEM or DER") from error


def _unwrapped(certificate: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(certificate.split()), validate=True)
    except binascii.Error:
        return certificate
