"""What a client of Safaricom is configured with, and which callback addresses are taken. Reads no environment."""

import ipaddress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Literal
from urllib.parse import urlsplit

SANDBOX: Final = "sandbox"
PRODUCTION: Final = "production"

HOSTS: Final = {
    SANDBOX: "https://sandbox.safaricom.co.ke",
    PRODUCTION: "https://api.safaricom.co.ke",
}

FORBIDDEN_WORDS: Final = (
    "m-pesa",
    "m_pesa",
    "mpesa",
    "safaricom",
    "exe",
    "cmd",
    "sql",
    "query",
    "ngrok",
    "mockbin",
    "requestbin",
)
"""What Safaricom refuses anywhere in a callback's address, in any case; `exec` begins with one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DarajaConfig:
    """One shortcode pair's access to Safaricom. Secrets are not in its repr.

    The fields of payouts, queries and reversals (`b2c_shortcode` to `certificate`) may be missing: those calls
    are then unavailable. `certificate` is Safaricom's X.509 certificate, PEM or DER, of the same environment.
    `requests_per_second` is a ceiling per process: Safaricom publishes no number, and answers HTTP 500.
    """

    base_url: str
    consumer_key: str = field(repr=False)
    consumer_secret: str = field(repr=False)
    shortcode: str
    passkey: str | None = field(default=None, repr=False)
    b2c_shortcode: str | None = None
    initiator_name: str | None = None
    initiator_password: str | None = field(default=None, repr=False)
    certificate: str | bytes | None = field(default=None, repr=False)
    callback_base_url: str | None = None
    pull_verb: Literal["GET", "POST"] = "GET"
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 20.0
    connections_max: int = 20
    requests_per_second: int = 20
    limiter_wait: timedelta = timedelta(seconds=10)
    breaker_failures: int = 5
    breaker_pause: timedelta = timedelta(seconds=20)

    @property
    def exchange_timeout_s(self) -> float:
        """Longer than its parts: the parts tell what was sent, this one only that it took too long."""
        return 2 * self.connect_timeout_s + self.read_timeout_s


def base_url_of(environment: str, override: str | None = None) -> str:
    """Return the host of an environment, or what replaces it. Raises ValueError for an unknown environment."""
    if override:
        return override.rstrip("/")
    try:
        return HOSTS[environment]
    except KeyError as error:
        raise ValueError(f"must be one of {', '.join(HOSTS)}") from error


def check_callback_url(url: str, *, production: bool) -> None:
    """Raise ValueError when Safaricom would refuse `url`, naming what is wrong and never the address itself."""
    lowered = url.lower()
    for word in FORBIDDEN_WORDS:
        if word in lowered:
            raise ValueError(f"holds the word {word}, which Safaricom refuses in a callback's address")
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ValueError("is no http address")
    if production and parts.scheme != "https":
        raise ValueError("must begin with https in production")
    if production and not _is_public(parts.hostname):
        raise ValueError("must be a public host in production")


def _is_public(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host.strip(".") and not host.endswith((".local", ".internal", ".localhost", ".test"))
