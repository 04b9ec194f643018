"""Says which variables are unfit for people's money, each by name and reason, never by value. Connects to nothing.

What has to be asked of the database itself is in `runtime/database_fitness.py`.
"""

import base64
import binascii
import ipaddress
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import SecretStr

from zanari_api.daraja.config import HOSTS, PRODUCTION, SANDBOX, check_callback_url
from zanari_api.settings import Settings

WHERE: Final = "where ENVIRONMENT is production"

SECRET_CHARACTERS_MIN: Final = 32
"""Of a webhook secret: what `openssl rand -hex 32` makes is twice as long."""

DISTINCT_IN_SECRET_MIN: Final = 8
"""Different characters of a secret. A random one of 32 hex digits has fewer once in some hundred millions."""

DISTINCT_IN_KEY_MIN: Final = 16
"""Different bytes of a key of 32. A random one has fewer practically never."""

EMBEDDED_FOLDER: Final = ".zanari"


def unfit_for_production(settings: Settings) -> Mapping[str, str]:
    """Return why these settings must not handle people's money, by variable; empty where they may.

    What is not set at all is not told here, but by `Settings.missing`.
    """
    found: dict[str, str] = {}
    for name, reason in _findings(settings):
        # One reason a variable: mend that, and the next one shows.
        found.setdefault(name, reason)
    return found


def _findings(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.debug:
        yield "DEBUG", f"must be false {WHERE}: a traceback is no answer for savers"
    if settings.log_level == "DEBUG":
        yield "LOG_LEVEL", f"must not be DEBUG {WHERE}"
    if any("*" in origin or origin == "null" for origin in settings.cors_origins):
        yield "CORS_ORIGINS", f"must name its origins {WHERE}, without a wildcard"
    yield from _of_mpesa(settings)
    yield from _of_database(settings)
    if settings.supabase_url is not None and not _is_public_https(settings.supabase_url):
        yield "SUPABASE_URL", f"must be a public https:// address {WHERE}"
    if settings.sms_gateway_url is not None and not _is_public_https(settings.sms_gateway_url):
        yield "SMS_GATEWAY_URL", f"must be a public https:// address {WHERE}"
    yield from _of_secrets(settings)


def _of_mpesa(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.mpesa_environment != PRODUCTION:
        yield "MPESA_ENVIRONMENT", "must be production where ENVIRONMENT is"
    if settings.mpesa_base_url is not None:
        parts = urlsplit(settings.mpesa_base_url)
        if parts.scheme != "https":
            yield "MPESA_BASE_URL", f"must be an https:// address {WHERE}"
        if parts.hostname == urlsplit(HOSTS[SANDBOX]).hostname or not _is_public_https(
            settings.mpesa_base_url
        ):
            yield "MPESA_BASE_URL", f"must not be a sandbox or an emulator {WHERE}"
    if settings.mpesa_webhook_allow_untimed:
        yield "MPESA_WEBHOOK_ALLOW_UNTIMED", f"must be false {WHERE}: an untimed signature can be replayed"
    if settings.mpesa_callback_base_url is not None:
        try:
            check_callback_url(settings.mpesa_callback_base_url, production=True)
        except ValueError as refused:
            yield "MPESA_CALLBACK_BASE_URL", str(refused)


def _of_database(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.database_url is None:
        return
    parts = urlsplit(settings.database_url.get_secret_value())
    asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    host = unquote(asked.get("host", parts.hostname or ""))
    if EMBEDDED_FOLDER in host.split("/"):
        yield "DATABASE_URL", f"must not be an embedded Postgres {WHERE}"
    if not _is_on_this_machine(host) and asked.get("sslmode") != "verify-full":
        yield (
            "DATABASE_URL",
            f"must have sslmode=verify-full {WHERE}, with sslrootcert where the CA is its own",
        )


def _of_secrets(settings: Settings) -> Iterator[tuple[str, str]]:
    if any(_is_guessable_key(entry) for entry in _entries(settings.pii_keys)):
        yield "PII_KEYS", f"holds a key that nobody drew at random, and must not {WHERE}"
    if any(
        len(secret) < SECRET_CHARACTERS_MIN or len(set(secret)) < DISTINCT_IN_SECRET_MIN
        for secret in _entries(settings.mpesa_webhook_secret)
    ):
        yield (
            "MPESA_WEBHOOK_SECRET",
            f"must have {SECRET_CHARACTERS_MIN} or more random characters each {WHERE}",
        )
    if any(
        len(set(token.rpartition(":")[2])) < DISTINCT_IN_SECRET_MIN
        for token in _entries(settings.mpesa_callback_tokens)
    ):
        yield "MPESA_CALLBACK_TOKENS", f"holds a token that nobody drew at random, and must not {WHERE}"


def _is_guessable_key(entry: str) -> bool:
    try:
        key = base64.b64decode(entry.partition(":")[2], validate=True)
    except binascii.Error:
        # Whoever parses the keys says what is wrong with it.
        return False
    return len(set(key)) < DISTINCT_IN_KEY_MIN


def _is_on_this_machine(host: str) -> bool:
    """Tell whether a connection there leaves this machine: a unix socket or a loopback address does not."""
    if not host or host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_public_https(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" and bool(parts.hostname) and not _is_on_this_machine(parts.hostname or "")


def _entries(secret: SecretStr | None) -> list[str]:
    text = "" if secret is None else secret.get_secret_value()
    return [part.strip() for part in text.split(",") if part.strip()]
