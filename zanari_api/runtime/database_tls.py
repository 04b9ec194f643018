"""Says in words why a connection to Postgres is not trusted, or could not be. Connects to nothing itself."""

import ssl
from typing import Final
from urllib.parse import parse_qs, urlsplit

import asyncpg

VERIFYING: Final = frozenset({"verify-ca", "verify-full"})
CERTIFICATE: Final = {
    10: "the server's certificate has expired",
    62: "the server's certificate is for another host than the URL's",
    64: "the server's certificate is for another host than the URL's",
}
"""What OpenSSL's codes say of a certificate, but for those that it has no trust for."""

NO_TLS: Final = "rejected SSL upgrade"
"""What the driver says where the server speaks no TLS; it has no class of its own for that."""


def check_root(dsn: str) -> None:
    """Read the CA file that a URL names. Raises ValueError where that cannot be done: no connection could be made."""
    asked = {name: values[-1] for name, values in parse_qs(urlsplit(dsn).query).items()}
    root = asked.get("sslrootcert")
    if asked.get("sslmode") not in VERIFYING or root is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=root)
    except ssl.SSLError:
        raise ValueError("its sslrootcert holds no certificates (PEM)") from None
    except OSError as error:
        raise ValueError(f"its sslrootcert cannot be read ({error.strerror})") from None


def distrust(error: BaseException) -> str | None:
    """Return why a connection was given up as not to be trusted; None where it failed for another reason."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return CERTIFICATE.get(
            error.verify_code, "the server's certificate is not signed by a CA in sslrootcert"
        )
    if isinstance(error, asyncpg.ClientConfigurationError):
        return "sslmode asks for a verified server, and sslrootcert names no file with its CA"
    if isinstance(error, ConnectionError) and NO_TLS in str(error):
        return "the server speaks no TLS, and sslmode asks for it"
    if isinstance(error, ssl.SSLError):
        return f"no TLS could be agreed on with the server ({error.reason})"
    return None
