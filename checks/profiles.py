"""The environments as their examples describe them, filled in with secrets and certificates that are made now."""

import base64
import re
import secrets
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

VARIABLE: Final = re.compile(r"^([A-Z0-9_]+)=(.*)$", re.MULTILINE)
PROJECT: Final = "https://abcdefghijklmnopqrst.supabase.co"


def profile(tree: Path, name: str) -> dict[str, str]:
    """Return the variables of an example, as it has them."""
    return dict(VARIABLE.findall((tree / f".env.{name}.example").read_text(encoding="utf-8")))


def filled(tree: Path, name: str, *, database_url: str, port: int) -> dict[str, str]:
    """Return a profile with everything that an installation fills in. Nothing but the database is behind it."""
    own = {
        "DATABASE_URL": database_url,
        "SUPABASE_URL": PROJECT,
        "SUPABASE_ANON_KEY": f"sb_publishable_{secrets.token_hex(12)}",
        "PII_KEYS": f"2026a:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        "MPESA_SHORTCODE": "600000",
        "MPESA_CONSUMER_KEY": secrets.token_hex(24),
        "MPESA_CONSUMER_SECRET": secrets.token_hex(24),
        "MPESA_PASSKEY": secrets.token_hex(32),
        "MPESA_B2C_SHORTCODE": "600001",
        "MPESA_INITIATOR_NAME": f"initiator-{secrets.token_hex(4)}",
        "MPESA_INITIATOR_PASSWORD": secrets.token_urlsafe(18),
        "MPESA_CERTIFICATE": certificate(expires=timedelta(days=365)),
        "MPESA_CALLBACK_BASE_URL": "https://callbacks.zanari.co.ke",
        "MPESA_WEBHOOK_SECRET": secrets.token_hex(32),
        "MPESA_CALLBACK_TOKENS": secrets.token_hex(32),
        "METRICS_TOKEN": secrets.token_hex(32),
        "SMS_GATEWAY_URL": "https://sms.zanari.co.ke",
        "SMS_GATEWAY_TOKEN": secrets.token_hex(24),
    }
    read = profile(tree, name)
    # Where it listens is the machine's, not the profile's.
    here = {"HOST": "127.0.0.1", "PORT": str(port), "WORKER_PORT": "0"}
    return read | {each: value for each, value in own.items() if each in read} | here


def certificate(*, expires: timedelta) -> str:
    """Return a self-signed certificate in PEM that expires so long from now; a negative time ago, it has."""
    key = _key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "made for a check")])
    ends = datetime.now(UTC) + expires
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ends - timedelta(days=730))
        .not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)
